"""The live view's columns: one per machine, with its state in the status area below."""

import math
import time
from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from pushpull.analysis.event_text import state
from pushpull.analysis.repairs import OpenFaults
from pushpull.core import clock
from pushpull.core.names import program_of
from pushpull.core.records import Event, Record
from pushpull.core.text import line_of
from pushpull.report.console import ALARM

_TIME_WIDTH = 9  # of the seconds at the start of a row, and a gap
_NARROWEST = 16  # cells of a column; without room for that, the view shows plain lines
_WIDEST = 48


class Columns:
    """Lays out lines in columns, and the status area below them. Not thread-safe.

    Arguments:
        console: where to print; its width may change at any time.
        colours: the machines, from left to right, with their colours.
        start: the UNIX time of second 0; by default now.
    """

    def __init__(
        self, console: Console, colours: Mapping[str, str], start: float | None = None
    ) -> None:
        self._console = console
        self._colours = colours
        self._states: dict[str, tuple[str, str]] = {}  # the process, and its state
        self._links: dict[tuple[str, str], int] = {}
        self._counts = dict.fromkeys(colours, 0)
        self._broken = OpenFaults()
        self._programs: dict[str, set[str]] = {}  # by machine
        self._start = clock.now() if start is None else start

    @property
    def width(self) -> int:
        """The width of a column in cells; 0 if there is no room for all columns."""
        room = (self._console.width - 1 - _TIME_WIDTH) // max(1, len(self._colours))
        return min(room, _WIDEST) if room >= _NARROWEST else 0

    def count(self, machine: str, lines: int) -> None:
        """Count lines, also those that will not be shown."""
        self._counts[machine] = self._counts.get(machine, 0) + lines
        process, now = self._states.get(machine, ("", ""))
        if now == "starting":  # as programs do that report nothing else
            self._states[machine] = (process, "running")

    def see(self, event: Event) -> None:
        """Update the state of the event's machine."""
        machine, process = event.machine, event.process
        if machine not in self._colours:
            return
        links = self._links.get((machine, process), 0)
        if event.event == "start":
            self._programs.setdefault(machine, set()).add(program_of(process))
        match event.event:
            case "start":
                now = "starting"
            case "repair":
                self._broken.see(event)
                left = self._broken.of(machine)
                now = state(left[-1] if left else event)
            case "ready":
                now = "ready"
            case "connected" | "disconnected":
                links += 1 if event.event == "connected" else -1
                self._links[machine, process] = links
                now = f"{links} connection{'s' * (links != 1)}" if links > 0 else "no connection"
            case "fault":
                now = state(event)
                self._broken.see(event)
            case "exit":
                now = "ended"
            case _:
                return
        if not self._broken.of(machine) or event.event in ("fault", "repair"):
            self._states[machine] = (process, now)

    def program(self, record: Record) -> str:
        """Return which program printed a line, if its machine runs several; else nothing."""
        several = len(self._programs.get(record.machine, ())) > 1
        return f"{program_of(record.process)}: " if several else ""

    def row(self, record: Record) -> Text:
        """Return a line in its machine's column."""
        place = list(self._colours).index(record.machine)
        mark = "stderr: " if record.stream == "stderr" else ""
        text = _cut(self.program(record) + mark + line_of(record, self.width), self.width - 2)
        seconds = f"{max(0.0, record.t - self._start):.3f}".rjust(_TIME_WIDTH - 1)
        style = "red" if mark else self._colours[record.machine]
        gap = " " * (1 + place * self.width)
        return Text.assemble((seconds, "dim"), gap, (text, style))

    def foot(self) -> list[Text]:
        """Return the status rows: each machine's name and state, in columns if there is room."""
        if not self.width:
            broken_first = sorted(self._colours, key=lambda name: not self._broken.of(name))
            states_now = (f"{name}: {self._state(name)[1]}" for name in broken_first)
            return [Text(_cut("  ".join(states_now), self._console.width - 1), style="bold")]
        names, states = Text(" " * _TIME_WIDTH), Text(" " * _TIME_WIDTH)
        for name, colour in self._colours.items():
            style = ALARM if self._broken.of(name) else colour
            count = self._counts[name]
            lines = f"{name} ({count:,} line{'s' * (count != 1)})"
            names.append(_cell(lines, self.width), f"bold {colour}")
            states.append(_cell(": ".join(filter(None, self._state(name))), self.width), style)
        rule = "-" if self._console.options.ascii_only else "─"
        return [Text(rule * (self._console.width - 1), style="dim"), names, states]

    def _state(self, name: str) -> tuple[str, str]:
        return self._states.get(name, ("", "-"))


class Bar:
    """A progress bar for the planned time of an experiment."""

    def __init__(self, start: float, seconds: float) -> None:
        self._start = start
        self._seconds = seconds

    def drawn(self, console: Console) -> Text:
        """Return the bar and the time left, shorter than a line of the console."""
        passed = time.monotonic() - self._start
        left = math.ceil(self._seconds - passed)
        minutes, seconds = divmod(left, 60)
        remaining = f"{minutes} min {seconds} s left" if minutes > 0 else f"{seconds} s left"
        label = remaining if left > 0 else "finishing"
        width = max(0, min(60, console.width - 18))
        done = round(width * min(1.0, passed / self._seconds)) if self._seconds > 0 else width
        full, rest = "#-" if console.options.ascii_only else "━─"
        return Text.assemble((full * done, "bold"), (rest * (width - done), "dim"), f" {label}")


def _cell(text: str, width: int) -> str:
    return set_cell_size(_cut(text, width - 2), width)


def _cut(text: str, width: int) -> str:
    """Shorten a text to at most this many cells; the log has all of it."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"
