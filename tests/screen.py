"""A terminal of a given size, and what a program shows on it: for tests and docs."""

import contextlib
import fcntl
import io
import itertools
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

_NO_TERMINAL = ("CI", "NO_COLOR")  # who has them gets plain lines
_COLOURS = {"brown": "yellow"}  # as pyte calls it


def watched(
    command: Sequence[str], *, columns: int, lines: int, env: Mapping[str, str] | None = None
) -> Iterator[list[Text]]:
    """Run a command on a terminal of this size; yield its rows after each thing that it prints.

    Raises CalledProcessError when the command failed.
    """
    screen = pyte.Screen(columns, lines)
    stream = pyte.ByteStream(screen)
    for chunk in printed(command, columns=columns, lines=lines, env=env):
        stream.feed(chunk)
        yield [_row(screen, y) for y in range(lines)]


def printed(
    command: Sequence[str], *, columns: int, lines: int, env: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """Run a command on a terminal of this size; yield what it prints, as it comes.

    Raises CalledProcessError when the command failed.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    ours = {name: value for name, value in os.environ.items() if name not in _NO_TERMINAL}
    given = {**ours, "TERM": "xterm-256color", **(env or {})}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=given
    )
    os.close(slave)
    with contextlib.suppress(OSError):  # how a terminal ends that nobody writes to any more
        while chunk := os.read(master, 65536):
            yield chunk
    os.close(master)
    if process.wait(60):
        raise subprocess.CalledProcessError(process.returncode, command)


def picture(rows: Sequence[Text], title: str) -> str:
    """Return rows of a terminal as SVG."""
    columns = max(row.cell_len for row in rows)
    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True, highlight=False
    )
    console.print(Text("\n").join(rows), soft_wrap=True)
    svg = console.export_svg(title=title)
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # no font from elsewhere


def _row(screen: pyte.Screen, y: int) -> Text:
    cells = [screen.buffer[y][x] for x in range(screen.columns)]
    row = Text()
    for (colour, bold), same in itertools.groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
        row.append("".join(cell.data for cell in same), Style(color=_colour(colour), bold=bold))
    return row


def _colour(name: str) -> str | None:
    plain = name.removeprefix("bright")
    known = _COLOURS.get(plain, plain)
    return None if name == "default" else known if plain == name else f"bright_{known}"
