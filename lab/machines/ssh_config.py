"""The user's ssh_config, for hosts of theirs; what can't be read of it is named by file and line.

Paramiko reads these files in its own way: it refuses some lines that OpenSSH takes, and knows no
`ProxyJump none`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import paramiko
from fabric import Config
from paramiko.ssh_exception import ConfigParseError

from lab.core.errors import LabError

_FILES = ("~/.ssh/config", "/etc/ssh/ssh_config")
_PROXIES = ("proxyjump", "proxycommand")


class UsersConfig(Config):  # type: ignore[misc]  # Fabric has no types
    """Fabric's settings with the user's ssh_config in them. LabError where it can't be read."""

    def __init__(self, ssh_config: paramiko.SSHConfig | None = None, **settings: Any) -> None:
        super().__init__(**{"lazy": True, **settings}, ssh_config=ssh_config or _read())

    def _clone_init_kwargs(self, *_: Any, **into: Any) -> dict[str, Any]:
        copied: dict[str, Any] = super()._clone_init_kwargs(*_, **into)
        return {**copied, "ssh_config": self.base_ssh_config}  # Fabric's copy forgets our class


class _UsersSSHConfig(paramiko.SSHConfig):
    def lookup(self, hostname: str) -> paramiko.SSHConfigDict:
        """Return what counts for a host: of ProxyJump and ProxyCommand the first, as in OpenSSH."""
        found = super().lookup(hostname)
        for later in [key for key in found if key in _PROXIES][1:]:
            del found[later]
        if found.get("proxyjump", "").lower() == "none":
            del found["proxyjump"]
        return found


def _read() -> _UsersSSHConfig:
    config = _UsersSSHConfig()
    for name in _FILES:
        path = Path(os.path.expanduser(name))  # noqa: PTH111  # Path's own fails without a home
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
            f"this line can't be read by Paramiko, the lab's SSH library: {reading.line}",
            where=f"{path}:{reading.number}",
            hint="correct it, or say the same with `Host`: after `Match` it takes `all`, or words"
            " and values with a space between (host, originalhost, user, localuser, exec)",
        ) from error
    except OSError as error:
        raise LabError(
            f"can't be read: {error.strerror}", where=str(path), hint="correct its permissions"
        ) from error


class _Lines:
    """The lines of a file, and which one was read last."""

    number = 0
    line = ""

    def of(self, file: TextIO) -> Iterator[str]:
        for self.number, line in enumerate(file, 1):
            self.line = line.strip()
            yield line
