"""The terminal while a run goes on: the machines' lines, faults across them, states, time left."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TextIO

from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from lab.analysis.event_text import EventDescriber
from lab.core.records import Event, Record
from lab.core.text import fitted, line_of, wrapped
from lab.report.console import colours, console_on, print_rule
from lab.report.live_columns import Bar, Columns
from lab.report.verdicts import show_verdicts

__all__ = ["View", "show_verdicts"]


_LONGEST_LINE = 200  # characters
_TICK_S = 0.25
_MOST_AT_ONCE = 400  # lines that are shown however fast they come,
_MORE_PER_TICK = 50  # and then as many with each tick
_ERASE_LINE = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
_ERASE_LINE_ABOVE = Control((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))


class View:
    """Shows a run as it goes on. Thread-safe, and it never makes its callers wait.

    On a terminal that is wide enough each machine has a column, with its state at the foot; else,
    and where there is no terminal, each line begins with its machine's name.

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
        self._describer = EventDescriber()
        # The painter's own, but for what the columns count: the foot has the widths of its rows.
        self._columns = Columns(self._console, self._colours)
        self._bar: Bar | None = None
        self._foot: list[int] = []

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
        bar = Bar(time.monotonic(), seconds)
        with self._mutex:
            self._put(partial(self._start, name, summary, bar))

    def records(self, records: Sequence[Record]) -> None:
        """Show captured lines, all of one machine; no more of them are looked at than are shown."""
        if not records:
            return
        with self._mutex:
            shown = records[: self._room]
            if shown:
                self._put(partial(self._lines, shown))
            self._columns.count(records[0].machine, len(records))
            self._room -= len(shown)
            self._left_out += len(records) - len(shown)

    def event(self, event: Event) -> None:
        """Show a fault, a repair, or the end of a process that was not to end, as a rule across."""
        with self._mutex:
            self._columns.see(event)
            if told := self._describer.describe(event):
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
            self._erase_foot()
            for job in jobs:
                job()
            if self._bar and not last:
                self._draw_foot(self._bar)

    def _erase_foot(self) -> None:
        if self._foot:
            width = max(1, self._console.width)  # a terminal that was made narrower has wrapped it
            height = sum(max(1, -(-row // width)) for row in self._foot)
            self._console.control(_ERASE_LINE, *[_ERASE_LINE_ABOVE] * (height - 1))
        self._foot = []

    def _draw_foot(self, bar: Bar) -> None:
        rows = [*self._columns.foot(), bar.drawn(self._console)]
        self._console.print(Text("\n").join(rows), end="", soft_wrap=True)
        self._foot = [row.cell_len for row in rows]

    def _start(self, name: str, summary: str, bar: Bar) -> None:
        heading = wrapped(f"{name}  {summary}", self._console.width)
        self._print(Text.assemble("\n", (heading[: len(name)], "bold"), heading[len(name) :]))
        if self._console.is_interactive and self._file.isatty():
            self._bar = bar

    def _lines(self, records: Sequence[Record]) -> None:
        for record in records:
            if self._bar and self._columns.width and record.machine in self._colours:
                self._console.print(self._columns.row(record), soft_wrap=True)
                continue
            colour = self._colours.get(record.machine, "")
            name = fitted(record.machine, self._name_width)
            text = line_of(record, _LONGEST_LINE)
            mark = ("stderr: ", "red") if record.stream == "stderr" else ("", "")
            line = Text.assemble((f"{name} | ", f"bold {colour}"), mark, (text, colour))
            self._console.print(line, soft_wrap=True)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
