"""Reads the user's ssh_config, for their own hosts; an error names the file and line.

Paramiko differs from OpenSSH: it refuses some valid lines, and doesn't know `ProxyJump none`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import paramiko
from fabric import Config
from paramiko.ssh_exception import ConfigParseError

from pushpull.core.errors import LabError

_FILES = ("~/.ssh/config", "/etc/ssh/ssh_config")
_PROXIES = ("proxyjump", "proxycommand")


class UsersConfig(Config):  # type: ignore[misc]  # Fabric has no types
    """Fabric's settings, including the user's ssh_config; LabError if that can't be read."""

    def __init__(self, ssh_config: paramiko.SSHConfig | None = None, **settings: Any) -> None:
        super().__init__(**{"lazy": True, **settings}, ssh_config=ssh_config or _read())

    def _clone_init_kwargs(self, *_: Any, **into: Any) -> dict[str, Any]:
        copied: dict[str, Any] = super()._clone_init_kwargs(*_, **into)
        return {**copied, "ssh_config": self.base_ssh_config}  # Fabric's copy would lose our class


class _UsersSSHConfig(paramiko.SSHConfig):
    def lookup(self, hostname: str) -> paramiko.SSHConfigDict:
        """Return a host's settings; of ProxyJump and ProxyCommand the first wins, as in OpenSSH."""
        found = super().lookup(hostname)
        for later in [key for key in found if key in _PROXIES][1:]:
            del found[later]
        if found.get("proxyjump", "").lower() == "none":
            del found["proxyjump"]
        return found


def _read() -> _UsersSSHConfig:
    config = _UsersSSHConfig()
    for name in _FILES:
        path = Path(os.path.expanduser(name))  # noqa: PTH111  # Path.expanduser fails without a home
        if path.is_file():
            _add(config, path)
    return config


def _add(config: _UsersSSHConfig, path: Path) -> None:
    reading = _Lines()
    try:
        with path.open(errors="backslashreplace") as file:
            config.parse(reading.of(file))
    except (ConfigParseError, ValueError, LookupError) as error:
        raise LabError(
            f"Paramiko, the lab's SSH library, can't read this line: {reading.line}",
            where=f"{path}:{reading.number}",
            hint="correct it, or use `Host` instead: after `Match`, Paramiko reads only `all`, or"
            " keywords and values separated by a space (host, originalhost, user, localuser, exec)",
        ) from error
    except OSError as error:
        raise LabError(
            f"can't be read: {error.strerror}", where=str(path), hint="correct its permissions"
        ) from error


class _Lines:
    """The lines of a file; remembers which one was read last."""

    number = 0
    line = ""

    def of(self, file: TextIO) -> Iterator[str]:
        for self.number, line in enumerate(file, 1):
            self.line = line.strip()
            yield line
