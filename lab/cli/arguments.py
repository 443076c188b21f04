"""Turns flags into checked values, and errors into messages and exit codes."""

import functools
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pushpull.cli import interrupts
from pushpull.core import os_errors, output, project
from pushpull.core.errors import ExitCode, LabError
from pushpull.machines.inventory import Inventory

_MOST_MESSAGES = 10_000_000
_LONGEST_INTERVAL_S = 3600
MOST_LABS = 64  # side by side


def exits(task: Callable[..., int | None]) -> Callable[..., None]:
    """Make a task exit with the code that it returns, or with the code of its error."""

    @functools.wraps(task)
    def run(*arguments: Any, **flags: Any) -> None:
        output.make_safe()
        try:
            with interrupts.raising():
                code = task(*arguments, **flags)
        except LabError as error:
            show_error(error)
            code = ExitCode.MISTAKE
        except KeyboardInterrupt:
            code = ExitCode.INTERRUPTED
        except Exception as error:
            if (mistake := os_errors.diagnose(error)) is None:
                raise
            show_error(mistake)
            code = ExitCode.MISTAKE
        sys.stdout.flush()
        if code:
            raise SystemExit(int(code))

    return run


def show_error(error: LabError) -> None:
    """Print an error's message, and the output of the machine with control characters escaped."""
    from pushpull.core.text import harmless

    for line in str(error).split("\n"):
        print(harmless(line, 2000), file=sys.stderr)
    for line in error.output.splitlines():
        print(f"  | {harmless(line, 200)}", file=sys.stderr)


def whole_number(flag: str, text: str) -> int | None:
    """Return a number of messages, None for an empty text; LabError if it is invalid."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= _MOST_MESSAGES:
        raise LabError(
            f"invalid {flag} '{text}'",
            hint=f"give a whole number from 1 to {_MOST_MESSAGES:,}",
        )
    return int(text)


def seconds(flag: str, text: str) -> float | None:
    """Return a time in seconds, None for an empty text; LabError if it is invalid."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _LONGEST_INTERVAL_S:
        raise LabError(
            f"invalid {flag} '{text}'",
            hint=f"give seconds from 0 to {_LONGEST_INTERVAL_S}, such as 0.05",
        )
    return value


def labs_at_once(text: str) -> int | None:
    """Return how many labs run side by side, None for an empty text; LabError if it is invalid."""
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LABS):
        raise LabError(
            f"invalid --at-once '{text}'", hint=f"give a whole number from 1 to {MOST_LABS}"
        )
    return int(text) if text else None


def options(flag: str, texts: Sequence[str]) -> list[str]:
    """Return socket options and parameters unchanged; LabError if one isn't NAME=VALUE.

    Whether an experiment has such a parameter is seen when the experiment is known.
    """
    for text in texts:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*=-?[0-9]{1,18}|[a-z][a-z0-9_]*=.*", text, re.DOTALL):
            raise LabError(
                f"invalid {flag} '{text}'",
                hint="give a socket option and a number, such as SNDHWM=1 for ZMQ_SNDHWM; or a"
                " parameter of your experiment, such as workers=5",
            )
    return list(texts)


def words(text: str) -> list[str]:
    """Return the words between commas, each once."""
    return list(dict.fromkeys(filter(None, (word.strip() for word in text.split(",")))))


def file(path: str) -> Path | None:
    """Return the path of a file, None for an empty text."""
    return Path(path) if path else None


def inventory(path: str, roles: Sequence[str] = (), needed_by: str = "") -> Inventory:
    """Load an inventory; LabError for its mistakes, including a missing role.

    Without a path, load the one in the current folder, or else the lab's own.
    """
    from pushpull.machines.inventory import load

    return load(project.inventory(path), roles=roles, needed_by=needed_by)
