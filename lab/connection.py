"""A Fabric connection as the lab wants it: host keys checked, no packet held back, no wait endless.

This is the one place that sets right what Fabric leaves open. It adds any host key that it meets
(`Connection.__init__` sets Paramiko's AutoAddPolicy and loads no known_hosts), and Paramiko leaves
Nagle's algorithm on, which costs 40 ms a command.
"""

import base64
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection

from lab import limits
from lab.errors import LabError
from lab.providers import Access

CONNECT_TIMEOUT_S = 20
ANSWER_TIMEOUT_S = 30
_KEEPALIVE_S = 5
_DEAD_AFTER_S = 15  # without an answer to what was sent, keepalives included
_USERS_KNOWN_HOSTS = Path("~/.ssh/known_hosts")

# Paramiko logs tracebacks of what it raises as well; the user gets one message, ours.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


def connect(access: Access) -> Connection:
    """Open a connection to a machine; LabError with cause and cure where that can't be done.

    A machine whose host key the provider doesn't know is one of the user's: their ssh_config
    counts for it (jump hosts too), and the key must stand in their known_hosts.
    """
    config = Config(lazy=True)
    if access.host_key is None:
        config.load_ssh_config()
    with explained(access, "reach it"):
        connection = Connection(
            access.host,
            user=access.user,
            port=access.port,
            config=config,
            connect_timeout=CONNECT_TIMEOUT_S,
            connect_kwargs=_client_keys(access),
        )
        _check_host_keys(connection, access)
        if connection.gateway is None:
            connection.connect_kwargs["sock"] = _socket(connection)
        connection.open()
        connection.transport.set_keepalive(_KEEPALIVE_S)
    return connection


@contextlib.contextmanager
def explained(access: Access, doing: str) -> Iterator[None]:
    """Turn what goes wrong with a machine while `doing` into a LabError with cause and cure."""
    try:
        yield
    except (paramiko.SSHException, OSError, EOFError) as error:
        if too_many := limits.explained(getattr(error, "errno", None)):
            raise too_many from error
        what, cure = _cause_and_cure(error, access)
        where = f"machine {access.machine}"
        raise LabError(f"can't {doing}: {what}", where=where, cure=cure) from error


def _socket(connection: Connection) -> socket.socket:
    """Return a socket that holds no small packet back: the SSH handshake has many of them."""
    place = (connection.host, connection.port)
    opened = socket.create_connection(place, timeout=CONNECT_TIMEOUT_S)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(
        socket, "TCP_USER_TIMEOUT"
    ):  # Linux; else TCP tries for 15 minutes to reach the dead
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_S * 1000)
    return opened


def _client_keys(access: Access) -> dict[str, Any]:
    if access.key is not None:
        key = paramiko.Ed25519Key(file_obj=StringIO(access.key))
        return {"pkey": key, "allow_agent": False, "look_for_keys": False}
    if access.key_file is not None:
        return {"key_filename": str(access.key_file)}
    return {}


def _check_host_keys(connection: Connection, access: Access) -> None:
    client = connection.client
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    if access.host_key is not None:
        kind, text = access.host_key.split()[:2]
        key = paramiko.PKey.from_type_string(kind, base64.b64decode(text))
        client.get_host_keys().add(_known_as(connection), kind, key)
    else:
        known_hosts = _known_hosts(access)
        if known_hosts.exists():
            client.load_system_host_keys(str(known_hosts))
    if isinstance(connection.gateway, Connection):
        _check_host_keys(connection.gateway, access)


def _known_hosts(access: Access) -> Path:
    return (access.known_hosts or _USERS_KNOWN_HOSTS).expanduser()


def _known_as(connection: Connection) -> str:
    if connection.port == 22:
        return str(connection.host)
    return f"[{connection.host}]:{connection.port}"


def _cause_and_cure(error: Exception, access: Access) -> tuple[str, str]:
    place = f"{access.host}:{access.port or 22}"
    if isinstance(error, paramiko.BadHostKeyException) and access.provider == "vagrant":
        return (
            f"the host key of {place} is not the one that Vagrant told of",
            "somebody else answers there, or the VM made new keys:"
            f" vagrant destroy -f {access.machine} && vagrant up {access.machine}",
        )
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"the host key of {place} has changed ({error.key.get_name()} {error.key.fingerprint})",
            f"was the machine made anew? Then take its old key out of {_known_hosts(access)};"
            " if not, somebody stands between",
        )
    if isinstance(error, paramiko.AuthenticationException):
        return (
            f"{place} lets nobody in as '{access.user or 'you'}' with the keys that were offered",
            "name `user` and `key` under `ssh` in the inventory; passwords aren't used",
        )
    if "not found in known_hosts" in str(error):
        return (
            f"the host key of {place} isn't known",
            "log in once by ssh, compare the fingerprint, and accept it; or name a `known_hosts`",
        )
    if (
        isinstance(error, OSError) and error.errno == errno.EBADF
    ):  # Paramiko's word for a closed one
        return f"the connection to {place} broke", "is the machine up (`fab status`)?"
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | PermissionError):
        return (
            f"nobody answers SSH at {place} ({error})",
            "is the machine up (`fab status`), are host and port right in the inventory?",
        )
    return f"{str(error) or type(error).__name__} ({place})", "see `fab check`"
