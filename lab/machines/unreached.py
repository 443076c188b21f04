"""Explains Paramiko's errors: why a machine can't be reached or asked, with a hint."""

import errno
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pushpull.core.errors import HostKeyError, LabError, MachineLost
from pushpull.machines.providers.base import Access

if TYPE_CHECKING:
    import paramiko

_USERS_KNOWN_HOSTS = "~/.ssh/known_hosts"
_USERS_CONFIG = "ProxyJump in ~/.ssh/config"


@dataclass(frozen=True, slots=True)
class Place:
    """An SSH server on the way to a machine: its name for messages, and the user who logs in.

    `via` is the name of the jump host before it, empty without one.
    """

    name: str
    user: str
    is_jump: bool = False
    via: str = ""

    @classmethod
    def of(cls, access: Access) -> "Place":
        """Return the SSH server of a machine."""
        host = f"[{access.host}]" if ":" in access.host else access.host
        return cls(f"{host}:{access.port or 22}", access.user or "you")


def known_hosts(access: Access) -> Path:
    """Return the file with the host keys of the user's own machines."""
    if access.known_hosts is not None:
        return access.known_hosts.expanduser()
    return Path(os.path.expanduser(_USERS_KNOWN_HOSTS))  # noqa: PTH111  # there may be no home


def explained(error: Exception, access: Access, doing: str, place: Place) -> LabError:
    """Return the message for an error that occurred while `doing` something with a machine."""
    kind, what, hint = _cause(error, access, place)
    return kind(f"can't {doing}: {what}", where=f"machine {access.machine}", hint=hint)


def require_usable_key(access: Access) -> None:
    """Raise LabError unless the file is a private key; the agent may hold a locked one."""
    if access.key_file is not None and (trouble := _key_trouble(access.key_file)):
        what, hint = trouble
        if hint != _unlock(access.key_file):
            raise LabError(what, where=f"machine {access.machine}", hint=hint)


def _cause(error: Exception, access: Access, place: Place) -> tuple[type[LabError], str, str]:
    import paramiko

    at = place.name
    if isinstance(error, paramiko.BadHostKeyException):
        return HostKeyError, *_changed_key(error, access, at)
    if "not found in known_hosts" in str(error):
        return (
            HostKeyError,
            f"the host key of {at} is unknown",
            "log in once with ssh, compare the fingerprint, and accept it; or set `known_hosts`",
        )
    # "encountered RSA key, expected OPENSSH key" is Paramiko's last attempt at a locked key.
    if isinstance(error, paramiko.AuthenticationException) or "encountered" in str(error):
        return LabError, *_not_let_in(access, place)
    if isinstance(error, paramiko.ProxyCommandFailure):
        return MachineLost, f"its ProxyCommand failed: {error}", "correct it in ~/.ssh/config"
    if isinstance(error, paramiko.ChannelException) and place.via:
        return (
            MachineLost,
            f"{place.via} was reached, but can't connect to {at}: {error.text}",
            f"is it up, and does its name resolve there? ({_USERS_CONFIG})",
        )
    if _is_closed(error):
        return MachineLost, f"the connection to {at} broke", is_it_up(access)
    if isinstance(error, OSError) and error.filename:
        return (
            LabError,
            f"{error.filename}: {error.strerror}",
            "correct `key` and `known_hosts` in the inventory, or IdentityFile in ~/.ssh/config",
        )
    if isinstance(error, OSError):
        hint = f"{is_it_up(access)} are host and port right in the inventory?"
        if place.is_jump:
            hint = f"is it up? is its name right? ({_USERS_CONFIG}; `none` turns it off)"
        return MachineLost, f"no SSH server answers at {at} ({error})", hint
    what = str(error) or "the connection ended"
    return MachineLost, f"{what} ({at})", "does `ssh` work? `ssh -v` shows how far it gets"


def _is_closed(error: Exception) -> bool:
    """Return whether Paramiko was to use a connection that has ended."""
    return "SSH session not active" in str(error) or (
        isinstance(error, OSError) and error.errno == errno.EBADF
    )


def is_it_up(access: Access) -> str:
    """Return what may be wrong where the connection to a machine broke."""
    if access.host_key is not None:  # a machine that the lab made
        return "has the machine ended, or is this computer too busy to answer in time?"
    there = f"{access.user}@{access.host}" if access.user else access.host
    words = ["ssh", *(["-p", str(access.port)] if access.port else []), there]
    return f"does `{shlex.join(words)}` get there?"


def _changed_key(error: "paramiko.BadHostKeyException", access: Access, at: str) -> tuple[str, str]:
    if access.host_key is not None:
        return (
            f"the host key of {at} is not the one that the provider '{access.provider}' gave",
            access.if_key_changed or "another machine answers there, or this one has new keys",
        )
    return (
        f"the host key of {at} has changed ({error.key.get_name()} {error.key.fingerprint})",
        f"if the machine was rebuilt, remove its old key from {known_hosts(access)};"
        " if not, this may be an attack",
    )


def _not_let_in(access: Access, place: Place) -> tuple[str, str]:
    if access.key_file is not None and (trouble := _key_trouble(access.key_file)):
        return trouble
    offered = "any of the offered keys"
    section = f"under `{access.provider}` in the inventory"
    hint = f"set `user` and `key` {section}; the lab uses no passwords"
    if access.key_file is not None:
        offered = f"the key {access.key_file}"
        hint = (
            f"add {access.key_file}.pub to ~/.ssh/authorized_keys there, or correct `user` and"
            f" `key` {section}; the lab uses no passwords"
        )
    if place.is_jump:
        hint += "; for the jump host, in ~/.ssh/config"
    return f"{place.name} refuses the login of '{place.user}' with {offered}", hint


def _key_trouble(path: Path) -> tuple[str, str] | None:
    """Return why a file is unusable as a private key, and a hint; None if it is usable."""
    import paramiko

    name = "correct `key` in the inventory: it must name a private key file"
    if path.exists() and not path.is_file():
        return f"the key {path} is not a file", name
    try:
        text = path.read_bytes()[: 1 << 16]
        paramiko.PKey.from_path(str(path))
    except OSError as error:
        return f"the key {path} can't be read: {error.strerror}", name
    except TypeError:
        return f"the key {path} is locked with a passphrase", _unlock(path)
    except Exception:  # whatever cryptography raises
        if b"PRIVATE KEY" in text:
            return f"the key {path} can't be read: it is damaged, or of an unknown type", name
        if text.startswith((b"ssh-", b"ecdsa-", b"sk-")):
            return f"{path} is a public key", f"name the private key: {path.with_suffix('')}"
        return f"{path} is not a private key", name
    return None


def _unlock(path: Path) -> str:
    return f"add it to an agent: eval $(ssh-agent) && ssh-add {path}"
