"""Remembers which experiments of their own the user has run: only those may a run directory name.

`module` in run.json says where a run's experiment is. A run directory may come from anywhere, so
that alone must make the lab execute no file of this computer.
"""

import os
from contextlib import suppress
from pathlib import Path

_in_this_process: set[Path] = set()


def remember(module: Path) -> None:
    """Remember that the user has run the experiment in this file.

    Where the list can't be written, runs of it are later shown without their messages.
    """
    _in_this_process.add(module.resolve())
    name = str(module.resolve())
    with suppress(OSError, UnicodeError):
        if "\n" not in name and name not in _names():
            file = _list()
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as names:
                names.write(f"{name}\n")


def was_run(module: Path) -> bool:
    """Return whether the user has run the experiment in this file, on this computer."""
    return module.resolve() in _in_this_process or str(module.resolve()) in _names()


def _names() -> list[str]:
    with suppress(OSError, UnicodeError):
        return _list().read_text("utf-8").splitlines()
    return []


def _list() -> Path:
    given = os.environ.get("XDG_STATE_HOME")
    home = os.path.expanduser("~")  # noqa: PTH111  # which never raises
    state = Path(given) if given else Path(home, ".local", "state")
    return state / "push-pull-lab" / "experiments"
