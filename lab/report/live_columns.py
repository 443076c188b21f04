"""The live view's columns: a machine's lines under each other, its state at the foot of them."""

import math
import time
from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from lab.analysis.event_text import state
from lab.core import clock
from lab.core.records import Event, Record
from lab.core.text import line_of
from lab.report.console import ALARM

_TIME_WIDTH = 9  # of the seconds that a row begins with, and a gap
_NARROWEST = 16  # cells of a column; where there is no room for it, lines are shown instead
_WIDEST = 48


class Columns:
    """Where a line stands on the screen, and what is at its foot. Not thread-safe.

    Arguments:
        console: where they are shown; its width may change at any time.
        colours: the machines, from left to right, with their colours.
        start: the UNIX time from which seconds are counted; by default now.
    """

    def __init__(
        self, console: Console, colours: Mapping[str, str], start: float | None = None
    ) -> None:
        self._console = console
        self._colours = colours
        self._states: dict[str, tuple[str, str]] = {}  # the process, and how it is
        self._links: dict[tuple[str, str], int] = {}
        self._counts = dict.fromkeys(colours, 0)
        self._broken: set[str] = set()
        self._start = clock.now() if start is None else start

    @property
    def width(self) -> int:
        """How wide a column is in cells; 0 where there is no room for all of them."""
        room = (self._console.width - 1 - _TIME_WIDTH) // max(1, len(self._colours))
        return min(room, _WIDEST) if room >= _NARROWEST else 0

    def count(self, machine: str, lines: int) -> None:
        """Count lines, also those that will not be shown."""
        self._counts[machine] = self._counts.get(machine, 0) + lines

    def see(self, event: Event) -> None:
        """Take in what an event says of the state of a machine's process."""
        machine, process = event.machine, event.process
        if machine not in self._colours:
            return
        links = self._links.get((machine, process), 0)
        match event.event:
            case "start":
                told = "starting"
            case "repair":
                told = state(event)
                self._broken.discard(machine)
            case "ready":
                told = "ready"
            case "connected" | "disconnected":
                links += 1 if event.event == "connected" else -1
                self._links[machine, process] = links
                told = f"{links} connection{'s' * (links != 1)}" if links > 0 else "no connection"
            case "fault":
                told = state(event)
                self._broken.add(machine)
            case "exit":
                told = "ended"
            case _:
                return
        if machine not in self._broken or event.event == "fault":
            self._states[machine] = (process, told)

    def row(self, record: Record) -> Text:
        """Return a line in its machine's column."""
        place = list(self._colours).index(record.machine)
        mark = "stderr: " if record.stream == "stderr" else ""
        text = _cut(mark + line_of(record, self.width), self.width - 2)
        seconds = f"{max(0.0, record.t - self._start):.3f}".rjust(_TIME_WIDTH - 1)
        style = "red" if mark else self._colours[record.machine]
        gap = " " * (1 + place * self.width)
        return Text.assemble((seconds, "dim"), gap, (text, style))

    def foot(self) -> list[Text]:
        """Return the rows below: each machine's name and state, in its column where there are."""
        if not self.width:
            broken_first = sorted(self._colours, key=lambda name: name not in self._broken)
            told = (f"{name}: {self._state(name)[1]}" for name in broken_first)
            return [Text(_cut("  ".join(told), self._console.width - 1), style="bold")]
        names, states = Text(" " * _TIME_WIDTH), Text(" " * _TIME_WIDTH)
        for name, colour in self._colours.items():
            style = ALARM if name in self._broken else colour
            count = self._counts[name]
            lines = f"{name} ({count:,} line{'s' * (count != 1)})"
            names.append(_cell(lines, self.width), f"bold {colour}")
            states.append(_cell(": ".join(filter(None, self._state(name))), self.width), style)
        rule = "-" if self._console.options.ascii_only else "─"
        return [Text(rule * (self._console.width - 1), style="dim"), names, states]

    def _state(self, name: str) -> tuple[str, str]:
        return self._states.get(name, ("", "-"))


class Bar:
    """How much of an experiment's planned time has passed."""

    def __init__(self, start: float, seconds: float) -> None:
        self._start = start
        self._seconds = seconds

    def drawn(self, console: Console) -> Text:
        """Return the bar and the time left, on less than a line of the console."""
        passed = time.monotonic() - self._start
        left = math.ceil(self._seconds - passed)
        minutes, seconds = divmod(left, 60)
        told = f"{minutes} min {seconds} s left" if minutes > 0 else f"{seconds} s left"
        label = told if left > 0 else "finishing"
        width = max(0, min(60, console.width - 18))
        done = round(width * min(1.0, passed / self._seconds)) if self._seconds > 0 else width
        full, rest = "#-" if console.options.ascii_only else "━─"
        return Text.assemble((full * done, "bold"), (rest * (width - done), "dim"), f" {label}")


def _cell(text: str, width: int) -> str:
    return set_cell_size(_cut(text, width - 2), width)


def _cut(text: str, width: int) -> str:
    """Return a text of at most this many cells; the log has the whole of it."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"
