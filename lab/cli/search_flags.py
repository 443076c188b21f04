"""The flags of `fab search`, checked."""

import importlib.util
import re
import sys
from typing import TYPE_CHECKING

from pushpull.cli import arguments
from pushpull.cli.sweep import whole
from pushpull.core.errors import LabError

if TYPE_CHECKING:  # they import Hypothesis, which may be missing
    from pushpull.cli.search_loop import Limits
    from pushpull.cli.search_tried import Confirmation

_MOST_RUNS = 100_000


def require_hypothesis() -> None:
    """Raise LabError if Hypothesis isn't installed."""
    if importlib.util.find_spec("hypothesis") is None:
        raise LabError(
            "a search needs Hypothesis, which isn't installed in this environment",
            hint=f"install it: {sys.executable} -m pip install hypothesis",
        )


def seed(text: str) -> int:
    """Return the number from which schedules are drawn; LabError if it isn't one."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise LabError(f"invalid --seed '{text}'", hint="give a whole number, such as 7")
    return int(text)


def confirmation(text: str) -> "Confirmation":
    """Return how often a schedule must refute the claim; LabError if that isn't K/N."""
    from pushpull.cli.search_tried import Confirmation

    least, _, runs = text.partition("/")
    if re.fullmatch(r"[0-9]{1,4}/[0-9]{1,4}", text) and 1 <= int(least) <= int(runs):
        return Confirmation(least=int(least), runs=int(runs))
    raise LabError(f"invalid --confirm '{text}'", hint="give K/N, such as 4/5: in 4 of 5 runs")


def limits(runs: str, seconds: str) -> "Limits":
    """Return when to end without a result; LabError if a limit is invalid."""
    from pushpull.cli.search_loop import Limits

    return Limits(
        runs=whole("--runs-limit", runs, _MOST_RUNS) if runs else None,
        seconds=arguments.seconds("--time-limit", seconds),
    )
