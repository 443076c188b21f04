"""The terminal while a run goes on: the machines' lines, faults between them, and the time left."""

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TextIO

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from lab.records import Event, Record
from lab.report.console import colours, console_on, print_rule
from lab.report.text import Teller, fitted, is_trace, line_of, wrapped
from lab.report.verdicts import show_verdicts

__all__ = ["View", "show_verdicts"]


_LONGEST_LINE = 200  # characters
_TICK_S = 0.25
_MOST_AT_ONCE = 400  # lines that are shown however fast they come,
_MORE_PER_TICK = 50  # and then as many with each tick
_ERASE_LINE = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))


class View:
    """Shows a run as it goes on. Thread-safe, and it never makes its callers wait.

    They leave what is to be shown in a queue, and a thread of its own paints it. In a flood that
    thread can't keep up: then the queue takes a couple of hundred lines a second, and the others
    are counted.

    Arguments:
        machines: their names; their order gives the colours.
        file: where to write, by default stdout.
    """

    def __init__(self, machines: Sequence[str], *, file: TextIO | None = None) -> None:
        self._file = file or sys.stdout
        self._console = console_on(self._file)
        self._colours = colours(machines)
        longest = max(map(len, machines), default=0)
        self._name_width = min(longest, max(8, self._console.width // 3))
        self._teller = Teller()
        self._bar: _Bar | None = None  # the painter's own

        self._mutex = threading.Lock()  # of all that follows
        self._queue: list[Callable[[], None]] = []
        self._room = _MOST_AT_ONCE
        self._left_out = 0
        self._closed = False
        self._news = threading.Event()
        self._painter = threading.Thread(target=self._paint, name="painter", daemon=True)
        self._painter.start()

    def experiment(self, name: str, summary: str, seconds: float) -> None:
        """Show a heading, and on a terminal how much is left of the planned length in seconds."""
        bar = _Bar(time.monotonic(), seconds)
        with self._mutex:
            self._put(partial(self._start, name, summary, bar))

    def records(self, records: Sequence[Record]) -> None:
        """Show captured lines; what programs trace on stderr is for the harness, and left out."""
        lines = [record for record in records if not is_trace(record)]
        with self._mutex:
            shown = lines[: self._room]
            if shown:
                self._put(partial(self._lines, shown))
            self._room -= len(shown)
            self._left_out += len(lines) - len(shown)

    def event(self, event: Event) -> None:
        """Show a fault, a repair, or the end of a process that was not to end, as a rule across."""
        with self._mutex:
            if told := self._teller.tell(event):
                self._put(partial(print_rule, self._console, told))

    def note(self, text: str) -> None:
        """Show what the harness has to say; a path in it stays in one piece."""
        with self._mutex:
            self._put(partial(self._print, Text(wrapped(text, self._console.width))))

    def close(self) -> None:
        """Show all that is still in the queue, and end. May be called twice."""
        with self._mutex:
            self._count_left_out()
            self._closed = True
            self._news.set()
        self._painter.join()

    # Called with the mutex held.

    def _put(self, job: Callable[[], None]) -> None:
        self._count_left_out()
        self._queue.append(job)
        self._news.set()

    def _count_left_out(self) -> None:
        if self._left_out:
            told = Text(f"… {self._left_out:,} lines not shown (they are in the log)", style="dim")
            self._queue.append(partial(self._print, told))
            self._left_out = 0

    # What follows runs in the painter's thread.

    def _paint(self) -> None:
        next_tick, closed = 0.0, False
        while not closed:
            self._news.wait(_TICK_S)
            with self._mutex:
                self._news.clear()
                if (now := time.monotonic()) >= next_tick:
                    next_tick = now + _TICK_S
                    self._room = min(self._room + _MORE_PER_TICK, _MOST_AT_ONCE)
                    self._count_left_out()
                jobs, self._queue = self._queue, []
                closed = self._closed
            try:
                self._draw(jobs, last=closed)
            except OSError:  # the terminal is gone, or the disk full: the run goes on unseen
                self._console.quiet = True

    def _draw(self, jobs: list[Callable[[], None]], *, last: bool) -> None:
        with self._console:  # all at once, so that nothing flickers
            if self._bar:
                self._console.control(_ERASE_LINE)
            for job in jobs:
                job()
            if self._bar and not last:
                self._console.print(self._bar.drawn(self._console), end="", soft_wrap=True)

    def _start(self, name: str, summary: str, bar: "_Bar") -> None:
        heading = wrapped(f"{name}  {summary}", self._console.width)
        self._print(Text.assemble("\n", (heading[: len(name)], "bold"), heading[len(name) :]))
        if self._console.is_interactive and self._file.isatty():
            self._bar = bar

    def _lines(self, records: list[Record]) -> None:
        for record in records:
            colour = self._colours.get(record.machine, "")
            name = fitted(record.machine, self._name_width)
            text = line_of(record, _LONGEST_LINE)
            mark = ("stderr: ", "red") if record.stream == "stderr" else ("", "")
            line = Text.assemble((f"{name} | ", f"bold {colour}"), mark, (text, colour))
            self._console.print(line, soft_wrap=True)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


class _Bar:
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
