"""On a screen: many runs beside each other, a row for each run, a column for each claim."""

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from pushpull.analysis.many_runs import Cell, Row, Table
from pushpull.core.text import harmless
from pushpull.core.verdict import Outcome
from pushpull.report.console import ALARM, console_on, print_hanging

_LONGEST = 2_000  # characters
_SIGNS = {"good": ("✓", "+", "green"), "bad": ("✗", "x", ALARM), "open": ("?", "?", "yellow")}


def print_tables(
    tables: Sequence[Table], refused: Sequence[tuple[str, str]], *, file: TextIO
) -> None:
    """Print a table for each experiment, then the runs that were left out with the reason."""
    console = console_on(file)
    for table in tables:
        _print_table(console, table)
    if refused:
        console.print(f"{_runs(len(refused))} left out:", style=ALARM)
        for name, reason in refused:
            print_hanging(console, Text("  "), Text(f"{_plain(name)}: {_plain(reason)}"))
        console.print()
    runs = sum(len(table.rows) for table in tables)
    differing = sum(table.differing for table in tables)
    verdicts = "1 verdict differs" if differing == 1 else f"{differing or 'no'} verdicts differ"
    edited = sum(table.edited for table in tables)
    said = f"{_runs(runs)}: {verdicts} from those of most"
    said += f"; {_runs(edited)} by edited code" if edited else ""
    console.print(said, style=ALARM * bool(differing or edited))


def kind_of(cell: Cell) -> str:
    """Return `good`, `bad` or `open`, by what the lab expects."""
    if cell.verdict in (Outcome.HOLDS, Outcome.REFUTED):
        return "good" if cell.verdict == cell.expected else "bad"
    return "open"


def letter(number: int) -> str:
    """Return the name of a column: a, b, ... z, aa, ab, ..."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("a") + rest) + name
    return name


def facts(found: Mapping[str, str]) -> str:
    """Return facts as text."""
    return ", ".join(f"{name} {_plain(value)}" for name, value in found.items())


def _print_table(console: Console, table: Table) -> None:
    console.print(Text(f"{_plain(table.title)}: {_runs(len(table.rows))}", "bold"))
    letters = [letter(k) for k in range(len(table.claims))]
    width = max(map(len, letters), default=1)
    for name, claim in zip(letters, table.claims, strict=True):
        note = f" (expected: {claim.expected})" if claim.expected != Outcome.HOLDS else ""
        head = Text(f"  {name:>{width}}  ", "bold")
        print_hanging(console, head, Text(_plain(claim.statement) + note))
    print_hanging(console, Text("  most:  ", "dim"), Text(facts(table.usual), "dim"))
    heads = "  ".join(f"{name:>{width}}" for name in letters)
    console.print(Text(f"\n  {heads}", "bold"), soft_wrap=True)
    for row in table.rows:
        _print_row(console, row, letters, width)
    console.print()


def _print_row(console: Console, row: Row, letters: Sequence[str], width: int) -> None:
    line = Text("  ")
    for cell in row.cells:
        sign, plain, style = _SIGNS[kind_of(cell)]
        shown = cell.verdict if cell.verdict == "-" else sign
        shown = plain if console.options.ascii_only and shown != "-" else shown
        line.append(f"{shown:>{width}}", f"{style} reverse" if cell.counts else style).append("  ")
    print_hanging(console, line, Text(_plain(row.name)))
    differing = [
        f"{name} {'no such claim' if cell.verdict == '-' else cell.verdict}"
        for name, cell in zip(letters, row.cells, strict=True)
        if cell.counts
    ]
    indent = Text(" " * (line.cell_len + 2))
    if differing:
        print_hanging(console, indent, Text(f"differs: {', '.join(differing)}", ALARM))
    if row.edited:
        print_hanging(console, indent, Text(_plain(row.edited), ALARM))
    if row.unusual:
        print_hanging(console, indent, Text(facts(row.unusual), "yellow"))
    for name, values in row.values.items():
        print_hanging(console, indent, Text(f"{_plain(name)}: {_plain(values)}", "dim"))
    for note in row.notes:
        print_hanging(console, indent, Text(_plain(note), "yellow"))


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number:,} runs"


def _plain(text: object) -> str:
    return harmless(" ".join(str(text).split()), _LONGEST)
