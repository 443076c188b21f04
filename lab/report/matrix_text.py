"""The matrix of claims x implementations on a screen."""

import itertools
import sys

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pushpull.analysis.matrix import Answer, Matrix, Row, Way
from pushpull.analysis.outcome_table import counted, noticed, recovered
from pushpull.core.text import harmless
from pushpull.report.console import ALARM, console_on, print_hanging

_LONGEST = 2000  # characters
_NARROWEST, _CELL = 24, 7  # characters of a claim, and of an answer such as `+ 10/10`
_STYLES = {"✓": "green", "✗": "red", "±": "yellow", "?": "yellow", "-": "dim", " ": "dim"}
_PLAIN = {"✓": "+", "✗": "x", "±": "~"}  # on a screen with ASCII alone


def print_matrix(matrix: Matrix) -> None:
    """Print the claims, what differs and why, the ways of leaving, and what was left out."""
    console = console_on(sys.stdout)
    console.print()
    console.print(_claims(matrix, console))
    legend = {"✓": "holds", "✗": "refuted", "±": "held in some runs", "?": "not observed"}
    signs = [f"{_sign(console, sign)} {words}" for sign, words in legend.items()]
    console.print(f"{', '.join(signs)}, - not applicable; in how many runs it held", style="dim")
    for row in matrix.differing:
        _print_difference(console, row)
    if matrix.ways:
        console.print(Text("\nWhat each way of leaving costs (medians and ranges)", "bold"))
        console.print(_ways(matrix))
    for name, why in matrix.left_out.items():
        console.print()
        print_hanging(console, Text(f"left out: {name}: "), Text(_plain(why)))


def _claims(matrix: Matrix, console: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("claim", ratio=1, min_width=_NARROWEST)
    for name in _heads(matrix, console):
        table.add_column(name, no_wrap=True)
    for title, rows in itertools.groupby(matrix.rows, key=lambda row: row.title):
        table.add_row(Text(_plain(title), "bold"))
        for row in rows:
            answers = [_cell(console, a, odd=n in row.odd) for n, a in row.answers.items()]
            table.add_row(Text(_plain(row.statement)), *answers)
    return table


def _heads(matrix: Matrix, console: Console) -> list[str]:
    """Return the names of the columns; numbers, printed with what they mean, if these don't fit."""
    names = [_plain(name) for name in matrix.columns]
    if _NARROWEST + sum(max(_CELL, len(name)) + 2 for name in names) <= console.width:
        return names
    for number, name in enumerate(names, 1):
        console.print(f"{number:>3}  {name}", soft_wrap=True)
    return [str(number) for number in range(1, len(names) + 1)]


def _cell(console: Console, answer: Answer, *, odd: bool) -> Text:
    found = answer.proportion
    count = f" {found.held}/{found.runs}" if answer.decided else ""
    style = _STYLES[answer.sign]
    return Text(f"{_sign(console, answer.sign)}{count}", f"reverse {style}" if odd else style)


def _print_difference(console: Console, row: Row) -> None:
    console.print()
    print_hanging(console, Text(f"{_plain(row.title)}  ", "bold"), Text(_plain(row.statement)))
    for name in row.odd:
        answer = row.answers[name]
        words = f"{answer.verdict} ({answer.count}). {answer.why}"
        print_hanging(console, Text(f"  {name}: ", "bold"), Text(_plain(words)))
        if answer.as_expected and answer.asked.because:
            because = f"as expected: {answer.asked.because}"
            print_hanging(console, Text("    "), Text(_plain(because), "dim"))
        elif not answer.as_expected:
            expected = f"expected: {answer.asked.expected}"
            print_hanging(console, Text("    "), Text(expected, ALARM))


def _ways(matrix: Matrix) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True, min_width=max(len(way.title) for way in matrix.ways))
    for name in ("lost", "late", "twice", "noticed after", "recovered after"):
        table.add_column(name)
    for way in matrix.ways:
        table.add_row(Text(_plain(way.title), "bold"))
        for name, *costs in _rows(way):
            table.add_row(f"  {name}", *costs)
    return table


def _rows(way: Way) -> list[tuple[str, ...]]:
    return [
        (
            name,
            *(counted(found, column) for column in ("never", "late", "twice")),
            noticed(found),
            recovered(found),
        )
        for name, found in way.counts.items()
        if found
    ]


def _sign(console: Console, sign: str) -> str:
    return _PLAIN.get(sign, sign) if console.options.ascii_only else sign


def _plain(text: str) -> str:
    return harmless(" ".join(text.split()), _LONGEST)
