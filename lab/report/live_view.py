"""The terminal during a run: the machines' lines, a rule for each fault, states, time left."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TextIO

from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from pushpull.analysis.event_text import EventDescriber
from pushpull.core.records import Event, Record
from pushpull.core.text import fitted, line_of, wrapped
from pushpull.core.wording import counted
from pushpull.report.console import colours, console_on, print_rule
from pushpull.report.live_columns import Bar, Columns
from pushpull.report.verdicts import show_verdicts

__all__ = ["View", "show_verdicts"]


_LONGEST_LINE = 200  # characters
_TICK_S = 0.25
_MOST_AT_ONCE = 400  # lines that are shown however fast they arrive,
_MORE_PER_TICK = 50  # and then so many more with each tick
_ERASE_LINE = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
_ERASE_LINE_ABOVE = Control((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))


class View:
    """Shows a run as it goes on. Thread-safe, and its callers never wait for the terminal.

    On a terminal that is wide enough, each machine has a column, with its state below. Otherwise
    each line begins with its machine's name.

    Callers put what they want shown into a queue, and a painter thread prints it. In a flood the
    painter can't keep up: the queue then takes about two hundred lines a second, and the view
    counts the rest.

    The foot is redrawn here rather than by rich.live.Live (rich 15.0): that hides the cursor, which
    stays hidden after `kill -9`, and it erases as many rows as it drew, though a terminal that was
    made narrower has wrapped them into more.

    Arguments:
        machines: their names; the order determines the colours.
        file: where to write, by default stdout.
    """

    def __init__(self, machines: Sequence[str], *, file: TextIO | None = None) -> None:
        self._file = file or sys.stdout
        self._console = console_on(self._file)
        self._colours = colours(machines)
        longest = max(map(len, machines), default=0)
        self._name_width = min(longest, max(8, self._console.width // 3))
        self._describer = EventDescriber()
        # Only the painter uses these, except for the counts in the columns.
        self._columns = Columns(self._console, self._colours)
        self._bar: Bar | None = None
        self._foot: list[int] = []  # the width of each row

        self._mutex = threading.Lock()  # guards everything below
        self._queue: list[Callable[[], None]] = []
        self._room = _MOST_AT_ONCE
        self._left_out = 0
        self._closed = False
        self._news = threading.Event()
        self._painter = threading.Thread(target=self._paint, name="painter", daemon=True)
        self._painter.start()

    def experiment(self, name: str, summary: str, seconds: float) -> None:
        """Show a heading and, on a terminal, how much of the planned `seconds` is left."""
        bar = Bar(time.monotonic(), seconds)
        with self._mutex:
            self._put(partial(self._start, name, summary, bar))

    def records(self, records: Sequence[Record]) -> None:
        """Show captured lines of one machine; only those that are shown become objects."""
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
        """Show a fault, a repair, or the unexpected end of a process as a horizontal rule."""
        with self._mutex:
            self._columns.see(event)
            if text := self._describer.describe(event):
                self._put(partial(print_rule, self._console, text))

    def note(self, text: str) -> None:
        """Show a message of the harness, without breaking a path in it."""
        with self._mutex:
            self._put(partial(self._print, Text(wrapped(text, self._console.width))))

    def close(self) -> None:
        """Show everything still in the queue, and stop. May be called twice."""
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
            text = Text(f"… {counted(self._left_out, 'line')} not shown (see the log)", style="dim")
            self._queue.append(partial(self._print, text))
            self._left_out = 0

    # The methods below run in the painter's thread.

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
            except OSError:  # the terminal is gone, or the disk full: the run goes on without it
                self._console.quiet = True

    def _draw(self, jobs: list[Callable[[], None]], *, last: bool) -> None:
        with self._console:  # all at once, so that nothing flickers
            self._erase_foot()
            for job in jobs:
                job()
            if self._bar and not last:
                self._draw_foot(self._bar)
            elif self._bar and self._columns.width:  # or nobody knows whose columns these were
                self._print(Text("\n").join(self._columns.foot()))

    def _erase_foot(self) -> None:
        if self._foot:
            width = max(1, self._console.width)  # a narrowed terminal has wrapped the rows
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
            text = self._columns.program(record) + text
            line = Text.assemble((f"{name} | ", f"bold {colour}"), mark, (text, colour))
            self._console.print(line, soft_wrap=True)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
