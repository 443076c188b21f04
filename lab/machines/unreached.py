"""Why a machine can't be reached or asked, from what Paramiko raises, and the hint."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import paramiko

from lab.core.errors import HostKeyError, LabError, MachineLost
from lab.machines.providers.base import Access

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
        """Return the place that a machine's access names."""
        return cls(f"{access.host}:{access.port or 22}", access.user or "you")


def known_hosts(access: Access) -> Path:
    """Return the file with the host keys of the user's machines."""
    if access.known_hosts is not None:
        return access.known_hosts.expanduser()
    return Path(os.path.expanduser(_USERS_KNOWN_HOSTS))  # noqa: PTH111  # there may be no home


def explained(error: Exception, access: Access, doing: str, place: Place) -> LabError:
    """Return the user's message for what went wrong while `doing` something with a machine."""
    kind, what, hint = _cause(error, access, place)
    return kind(f"can't {doing}: {what}", where=f"machine {access.machine}", hint=hint)


def require_usable_key(access: Access) -> None:
    """Raise LabError for a key file that is no private key; a locked one may be the agent's."""
    if access.key_file is not None and (trouble := _key_trouble(access.key_file)):
        what, hint = trouble
        if hint != _unlock(access.key_file):
            raise LabError(what, where=f"machine {access.machine}", hint=hint)


def _cause(error: Exception, access: Access, place: Place) -> tuple[type[LabError], str, str]:
    at = place.name
    if isinstance(error, paramiko.BadHostKeyException):
        return HostKeyError, *_changed_key(error, access, at)
    if "not found in known_hosts" in str(error):
        return (
            HostKeyError,
            f"the host key of {at} isn't known",
            "log in once by ssh, compare the fingerprint, and accept it; or name a `known_hosts`",
        )
    # "encountered RSA key, expected OPENSSH key": the last of its tries at a locked one.
    if isinstance(error, paramiko.AuthenticationException) or "encountered" in str(error):
        return LabError, *_not_let_in(access, place)
    if isinstance(error, paramiko.ProxyCommandFailure):
        return MachineLost, f"its ProxyCommand failed: {error}", "correct it in ~/.ssh/config"
    if isinstance(error, paramiko.ChannelException) and place.via:
        return (
            MachineLost,
            f"{place.via} was reached, but can't connect to {at}: {error.text}",
            f"is it up, and is its name right as seen from there? ({_USERS_CONFIG})",
        )
    if isinstance(error, OSError) and error.errno == errno.EBADF:  # Paramiko's for a closed one
        return MachineLost, f"the connection to {at} broke", "is the machine up (`fab status`)?"
    if isinstance(error, OSError) and error.filename:
        return (
            LabError,
            f"{error.filename}: {error.strerror}",
            "correct `key` and `known_hosts` in the inventory, or IdentityFile in ~/.ssh/config",
        )
    if isinstance(error, OSError):
        hint = "is the machine up (`fab status`), are host and port right in the inventory?"
        if place.is_jump:
            hint = f"is it up, is its name right? ({_USERS_CONFIG}; `none` switches it off)"
        return MachineLost, f"nobody answers SSH at {at} ({error})", hint
    told = str(error) or "the connection ended"
    return MachineLost, f"{told} ({at})", "does `ssh` get there? `ssh -v` says how far it comes"


def _changed_key(error: paramiko.BadHostKeyException, access: Access, at: str) -> tuple[str, str]:
    if access.host_key is not None:
        return (
            f"the host key of {at} is not the one that the provider '{access.provider}' gave",
            access.if_key_changed or "somebody else answers there, or the machine made new keys",
        )
    return (
        f"the host key of {at} has changed ({error.key.get_name()} {error.key.fingerprint})",
        f"was the machine made anew? Then take its old key out of {known_hosts(access)};"
        " if not, somebody stands between",
    )


def _not_let_in(access: Access, place: Place) -> tuple[str, str]:
    if access.key_file is not None and (trouble := _key_trouble(access.key_file)):
        return trouble
    offered = "the keys that were offered"
    section = f"under `{access.provider}` in the inventory"
    hint = f"name `user` and `key` {section}; passwords aren't used"
    if access.key_file is not None:
        offered = f"the key {access.key_file}"
        hint = (
            f"add {access.key_file}.pub to ~/.ssh/authorized_keys there, or correct `user` and"
            f" `key` {section}; passwords aren't used"
        )
    if place.is_jump:
        hint += "; the jump host's own are those of ~/.ssh/config"
    return f"{place.name} lets nobody in as '{place.user}' with {offered}", hint


def _key_trouble(path: Path) -> tuple[str, str] | None:
    """Say what makes a file unusable as a private key, and the hint; None if nothing does."""
    name = "correct `key` in the inventory: it names a private key's file"
    if path.exists() and not path.is_file():
        return f"the key {path} is no file", name
    try:
        text = path.read_bytes()[: 1 << 16]
        paramiko.PKey.from_path(str(path))
    except OSError as error:
        return f"the key {path} can't be read: {error.strerror}", name
    except TypeError:
        return f"the key {path} is locked by a passphrase", _unlock(path)
    except Exception:  # whatever cryptography raises
        if b"PRIVATE KEY" in text:
            return f"the key {path} can't be read: it is damaged, or of an unknown kind", name
        if text.startswith((b"ssh-", b"ecdsa-", b"sk-")):
            return f"{path} is a public key", f"name the private one: key: {path.with_suffix('')}"
        return f"{path} is no private key", name
    return None


def _unlock(path: Path) -> str:
    return f"let an agent hold it: eval $(ssh-agent) && ssh-add {path}"
