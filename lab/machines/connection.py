"""A Fabric connection that checks host keys, delays no packets, and never waits forever.

Fabric alone accepts any host key (`Connection.__init__` sets Paramiko's AutoAddPolicy and loads no
known_hosts), and Paramiko leaves Nagle's algorithm on, which costs 40 ms per command.
"""

import base64
import contextlib
import dataclasses
import logging
import secrets
import socket
from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING, Any

from pushpull.core import limits
from pushpull.core.errors import LabError, NotFit
from pushpull.machines import ssh_library, unreached
from pushpull.machines.providers.base import Access
from pushpull.machines.unreached import Place, known_hosts, require_usable_key

if TYPE_CHECKING:
    from fabric import Config, Connection

CONNECT_TIMEOUT_S = 20
ANSWER_TIMEOUT_S = 30
_KEEPALIVE_S = 5
_DEAD_AFTER_S = 15  # without an acknowledgement of sent data, including keepalives
_LONGEST_GREETING = 1 << 16

# Paramiko also logs a traceback of what it raises; the user should get only our message.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


def connect(access: Access) -> "Connection":
    """Open a connection to a machine; LabError with cause and hint if that fails.

    If the provider doesn't know the host key, the machine is one of the user's: their ssh_config
    applies to it (including jump hosts), and the key must be in their known_hosts.
    """
    ssh_library.get_ready()
    is_users = access.host_key is None
    require_usable_key(access)
    with ssh_errors(access, "reach it"):
        connection = _connection(access, _config(is_users=is_users))
        _check_host_keys(connection, access)
    _open(connection, access, Place.of(access))
    if is_users:
        _require_quiet_shell(connection, access)
        _require_sftp(connection, access)
    return connection


@contextlib.contextmanager
def ssh_errors(access: Access, doing: str, place: Place | None = None) -> Iterator[None]:
    """Turn SSH and network errors while `doing` something into a LabError with cause and hint."""
    import paramiko

    try:
        yield
    except (paramiko.SSHException, OSError, EOFError) as error:
        if too_many := limits.too_many_files(getattr(error, "errno", None)):
            raise too_many from error
        raise unreached.explained(error, access, doing, place or Place.of(access)) from error


def _config(*, is_users: bool) -> "Config":
    if is_users:
        from pushpull.machines.ssh_config import UsersConfig

        return UsersConfig()
    from fabric import Config

    return Config(lazy=True)


def _connection(access: Access, config: "Config") -> "Connection":
    from fabric import Connection

    try:
        return Connection(
            access.host,
            user=access.user,
            port=access.port,
            config=config,
            connect_timeout=CONNECT_TIMEOUT_S,
            connect_kwargs=_client_keys(access),
        )
    except ValueError as error:  # a port that is a word
        raise LabError(
            f"the settings for {access.host} can't be used: {error}",
            where="~/.ssh/config",
            hint="correct it",
        ) from error


def _open(connection: "Connection", access: Access, place: Place) -> None:
    """Open a connection, after those to the jump hosts on the way."""
    from fabric import Connection

    gateway = connection.gateway
    if isinstance(gateway, Connection):
        jump = Place(f"the jump host {gateway.host}:{gateway.port}", gateway.user, is_jump=True)
        _open(gateway, access, jump)
        place = dataclasses.replace(place, via=jump.name)
    with ssh_errors(access, "reach it", place):
        if gateway is None:
            connection.connect_kwargs["sock"] = _socket(connection)
        connection.open()
        connection.transport.set_keepalive(_KEEPALIVE_S)


def _require_quiet_shell(connection: "Connection", access: Access) -> None:
    """Raise NotFit if a login prints anything by itself: the lab would mistake it for answers."""
    mark = secrets.token_hex(8)
    said = b""
    with ssh_errors(access, "ask it"):
        channel = connection.transport.open_session(timeout=ANSWER_TIMEOUT_S)
        with contextlib.closing(channel):
            channel.settimeout(ANSWER_TIMEOUT_S)
            channel.exec_command(f"echo {mark}")
            while mark.encode() not in said and len(said) < _LONGEST_GREETING:
                if not (more := channel.recv(_LONGEST_GREETING)):
                    break
                said += more
    if said.startswith(mark.encode()):
        return
    greeting = said.decode(errors="backslashreplace").partition(mark)[0].strip()
    if greeting:
        what = f"this account's shell prints text before the answer (`{greeting[:80]}`)"
        hint = "print it on terminals only; first line of its ~/.bashrc:  [ -t 1 ] || return"
    else:
        what = "this account's shell runs no commands"
        hint = "give the account a shell such as /bin/sh, or name another `user`"
    raise NotFit(what, where=f"machine {access.machine}", hint=hint)


def _require_sftp(connection: "Connection", access: Access) -> None:
    import paramiko

    try:
        connection.sftp()  # Fabric keeps it for the deployment
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise NotFit(
            f"its SSH server offers no SFTP, which the lab needs to deploy programs ({error})",
            where=f"machine {access.machine}",
            hint="add to its /etc/ssh/sshd_config, and restart sshd:  Subsystem sftp internal-sftp",
        ) from error


def _socket(connection: "Connection") -> socket.socket:
    """Return a socket that delays no small packets, of which the SSH handshake has many."""
    place = (connection.host, connection.port)
    opened = socket.create_connection(place, timeout=CONNECT_TIMEOUT_S)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; without it TCP retries for 15 minutes
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_S * 1000)
    return opened


def _client_keys(access: Access) -> dict[str, Any]:
    if access.key is not None:
        import paramiko

        key = paramiko.Ed25519Key(file_obj=StringIO(access.key))
        return {"pkey": key, "allow_agent": False, "look_for_keys": False}
    if access.key_file is not None:
        return {"key_filename": str(access.key_file)}
    return {}


def _check_host_keys(connection: "Connection", access: Access) -> None:
    import paramiko
    from fabric import Connection

    client = connection.client
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    if access.host_key is not None:
        kind, text = access.host_key.split()[:2]
        key = paramiko.PKey.from_type_string(kind, base64.b64decode(text))
        client.get_host_keys().add(_known_as(connection), kind, key)
    else:
        known = known_hosts(access)
        if known.is_file():
            client.load_system_host_keys(str(known))
    if isinstance(connection.gateway, Connection):
        _check_host_keys(connection.gateway, access)


def _known_as(connection: "Connection") -> str:
    if connection.port == 22:
        return str(connection.host)
    return f"[{connection.host}]:{connection.port}"
