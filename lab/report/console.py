"""The console behind every screen: its colours, and the rules that mark events."""

import io
import os
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from pushpull.core.output import drawing

# Red is kept for failures and injected faults.
COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green")
ALARM = "bold red"


def console_on(file: TextIO) -> Console:
    """Return a console that shows text as it is: no markup, and colour only where it is visible.

    Rich handles pipes, NO_COLOR and TERM=dumb; this handles CI systems whose log is a terminal.
    """
    file = drawing(file)
    if isinstance(file, io.TextIOWrapper):
        file.reconfigure(errors="backslashreplace")  # escapes rather than an error without UTF-8
    in_ci = bool(os.environ.get("CI")) and not os.environ.get("FORCE_COLOR")
    return Console(
        file=file,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=False if in_ci else None,
    )


def colours(machines: Sequence[str]) -> dict[str, str]:
    """Return the colour of each machine, by position, so that neighbours differ."""
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(machines)}


def print_rule(console: Console, text: str) -> None:
    """Print an event as a horizontal rule between the lines of output."""
    dash = "-" if console.options.ascii_only else "─"
    start = dash * 2
    rows = Text(text).wrap(console, max(10, console.width - 6))
    for row in rows:
        row.rstrip()
        tail = dash * max(2, console.width - row.cell_len - 5) if row is rows[-1] else ""
        console.print(Text(f"{start} {row.plain} {tail}", style=ALARM), soft_wrap=True)
        start = "  "


def print_hanging(console: Console, head: Text, body: Text) -> None:
    """Print `body` after `head`, with a hanging indent: all rows of the body are aligned."""
    for row in body.wrap(console, max(10, console.width - head.cell_len - 1)):
        row.rstrip()
        console.print(Text.assemble(head, row), soft_wrap=True)
        head = Text(" " * head.cell_len)
