"""On a screen: a run's machines side by side, and the differences between two runs."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from pushpull.analysis.event_text import EventDescriber
from pushpull.analysis.side_by_side import TIMES, Differences, LogDifference, Row, SideBySide
from pushpull.core.text import duration, fitted, harmless, line_of
from pushpull.report.console import ALARM, colours, console_on, print_hanging, print_rule

if TYPE_CHECKING:  # it imports NumPy
    from pushpull.analysis.quantities import Quantity

_LONGEST_LINE = 200  # characters
_WIDEST_COLUMN = 40
_NARROWEST_COLUMN = 14  # to which a longer line may be cut
_TIME_WIDTH = 8
_DELAY_S = 0.1  # a line that arrives later than this gets a note
_MOST_NAMED = 10  # lines
_LAST_TIME = re.compile(r"(?<=\S)[\s,;:]*<time>$")

_Cell = tuple[str, str]  # a line, and a note on it


def print_side_by_side(compared: SideBySide, *, file: TextIO) -> None:
    """Print a column per machine; if they don't fit, one line per row with the machine's name."""
    console = console_on(file)
    rows = [_cells(row, sends=compared.sends) for row in compared.rows]
    widths = _widths(compared.machines, rows, console.width - _TIME_WIDTH)
    colour = colours(compared.machines)
    if widths:
        heads = {name: (harmless(name, 100), "") for name in widths}
        console.print(_columns("", heads, widths, colour), soft_wrap=True)
    if not any(rows):
        console.print("Nothing was printed on stdout in this run.")
    describer = EventDescriber()
    for row, cells in zip(compared.rows, rows, strict=True):
        t = f"{row.t:.3f}"
        if row.event:
            if text := describer.describe(row.event):
                print_rule(console, f"{t}  {text}")
        elif widths:
            console.print(_columns(t, cells, widths, colour), soft_wrap=True)
        else:
            _print_lines(console, t, cells, compared.machines, colour)


def _cells(row: Row, *, sends: bool) -> dict[str, _Cell]:
    """Return the cells of a row, by machine."""
    cells: dict[str, _Cell] = {}
    for record in row.records:
        delay = record.t - row.records[0].t
        late = f"{duration(delay)} later" if delay >= _DELAY_S else ""
        note = (row.note if sends else "") or late
        text = line_of(record, _LONGEST_LINE)
        if record.machine in cells:  # it sent the message to itself
            text = f"{cells[record.machine][0]} / {text}"
        cells[record.machine] = (text, f"({note})" if note else "")
    return cells


def _widths(
    machines: Sequence[str], rows: Sequence[Mapping[str, _Cell]], room: int
) -> dict[str, int]:
    """Return the width of each machine's column; empty if there is no room for columns."""
    needed = {name: cell_len(harmless(name, 100)) for name in machines}
    for row in rows:
        for name, (text, note) in row.items():
            length = cell_len(text) + (cell_len(note) + 1 if note else 0)
            needed[name] = max(needed[name], min(length, _WIDEST_COLUMN))
    widths: dict[str, int] = {}
    room -= 2 * len(needed)
    for k, (name, need) in enumerate(sorted(needed.items(), key=lambda item: item[1])):
        widths[name] = min(need, room // (len(needed) - k))  # the others share the rest
        room -= widths[name]
        if widths[name] < min(need, _NARROWEST_COLUMN):
            return {}
    return {name: widths[name] for name in machines}


def _columns(
    t: str, cells: Mapping[str, _Cell], widths: Mapping[str, int], colour: Mapping[str, str]
) -> Text:
    line = Text(t.rjust(_TIME_WIDTH))
    gap = 2
    for name, width in widths.items():
        text, note = cells.get(name, ("", ""))
        note = note and f" {note}"
        room = max(1, width - cell_len(note))
        if cell_len(text) > room:
            text = set_cell_size(text, room - 1) + "…"
        if text:
            line.append(" " * gap).append(text, colour[name]).append(note, ALARM)
            gap = 0
        gap += 2 + width - cell_len(text) - cell_len(note) if text else 2 + width
    return line


def _print_lines(
    console: Console,
    t: str,
    cells: Mapping[str, _Cell],
    machines: Sequence[str],
    colour: Mapping[str, str],
) -> None:
    width = min(16, max(map(len, machines)))
    for name, (text, note) in cells.items():
        head = Text(f"{t:>{_TIME_WIDTH}} {fitted(name, width)}  ")
        body = Text.assemble((text, colour[name]), (note and f" {note}", ALARM))
        print_hanging(console, head, body)
        t = ""


def print_differences(found: Differences, *, file: TextIO) -> None:
    """Print how two runs differ: by machine, then the lines, then the verdicts."""
    console = console_on(file)
    for letter, name in ("A", found.one), ("B", found.other):
        print_hanging(console, Text(f"{letter}  ", "bold"), Text(harmless(name, 200)))
    console.print("\nOutput, ignoring times:")
    width = max((len(_name(log)) for log in found.logs), default=0)
    for log in found.logs:
        print_hanging(console, Text(f"  {fitted(_name(log), min(width, 24))}  "), _difference(log))
    for letter, names in ("A", found.only_one), ("B", found.only_other):
        if names:
            _print_list(console, f"  only in {letter}: ", names)
    _print_lines_that_differ(console, found)
    _print_verdicts(console, found)


def print_values(
    one: "Mapping[str, Quantity]", other: "Mapping[str, Quantity]", *, file: TextIO
) -> None:
    """Print the quantities of two runs in a few numbers each; nothing if they have none."""
    console = console_on(file)
    for name, either in {**other, **one}.items():
        console.print(f"\n{either.name}", markup=False, highlight=False)
        for letter, found in ("A", one.get(name)), ("B", other.get(name)):
            print_hanging(console, Text(f"  {letter}  ", "bold"), Text(str(found or "no values")))


def _name(log: LogDifference) -> str:
    """Return the short name of a process."""
    return f"{log.machine}/{log.process}"


def _difference(log: LogDifference) -> Text:
    ours, theirs = log.lines
    counts = _lines_in_words(ours) + ("" if ours == theirs else f" in A, {theirs:,} in B")
    if not log.first:
        return Text(f"{counts}, the same")
    number, *lines = log.first
    text = Text.assemble(f"{counts}, ", ("different", "yellow"), f" from line {number:,} on")
    for letter, line in zip("AB", lines, strict=True):
        text.append(f"\n{letter}: ").append("(no more)" if line is None else _short(line))
    return text


def _print_lines_that_differ(console: Console, found: Differences) -> None:
    if found.moved:
        total = sum(map(len, found.moved.values()))
        console.print(
            f"\n{_lines_in_words(total)} on another machine in B than in A. That alone is not a"
            " failure: which machine gets the first message may vary from run to run."
        )
        for (machine, other), lines in found.moved.items():
            _print_list(console, f"  {harmless(machine, 60)} -> {harmless(other, 60)}: ", lines)
    for letter, lines in ("A", found.missing), ("B", found.added):
        if lines:
            console.print()
            _print_list(console, f"{_lines_in_words(len(lines))} only in {letter}: ", lines)
    if found.missing and found.added:
        text = f"\nIgnored as times: {TIMES}. Other formats are not recognised."
        print_hanging(console, Text(""), Text(text))


def _print_list(console: Console, label: str, lines: Sequence[str]) -> None:
    """Print some lines, each without a time at its end."""
    shown = ", ".join(_short(_LAST_TIME.sub("", line)) for line in lines[:_MOST_NAMED])
    rest = len(lines) - _MOST_NAMED
    more = f" … and {rest:,} more" if rest > 0 else ""
    print_hanging(console, Text(label), Text(shown + more))


def _print_verdicts(console: Console, found: Differences) -> None:
    if not found.verdicts:
        console.print("\nThe verdicts are the same.", style="green")
        return
    console.print("\nThe verdicts differ:", style=ALARM)
    for claim, before, after in found.verdicts:
        body = Text(f"{before or 'no verdict'} -> {after or 'no verdict'}", "bold")
        print_hanging(console, Text(f"  {harmless(claim, 200)}: "), body)


def _lines_in_words(number: int) -> str:
    return f"{number:,} line" if number == 1 else f"{number:,} lines"


def _short(line: str) -> str:
    return harmless(line, _LONGEST_LINE)
