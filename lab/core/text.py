"""Text for a screen: untrusted lines made harmless, times made short."""

import textwrap

from lab.core.output import visible
from lab.core.records import Record


def harmless(text: str, limit: int) -> str:
    r"""Return untrusted text as one line that can't do anything to a terminal, and hides nothing.

    Control characters, terminal escapes, marks of direction or of no width, and separators of
    lines become visible escapes, as `\x1b` or `\u202e`. (A backslash of the text stays as it is.)

    Arguments:
        text: what a machine printed, or anything.
        limit: the most characters to show; how many more there were is said after them.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    room = limit
    for character in text[:limit]:
        piece = "\\x0a" if character == "\n" else visible(character)
        room -= len(piece)
        if room < 0:  # an escape is never cut in two
            break
        shown.append(piece)
    rest = len(text) - len(shown)
    note = f"… ({rest:,} character{'s' * (rest != 1)} more)" if rest else ""
    return "".join(shown) + note


def line_of(record: Record, limit: int) -> str:
    """Return what a terminal shows of the record's line, `limit` characters at most."""
    if record.shown is None:
        return f"(a line of {record.length:,} bytes: the log has it)"
    return harmless(record.shown, limit)


def wrapped(text: str, width: int) -> str:
    """Return sentences broken at spaces only: a path stays in one piece, to be copied."""
    lines = (harmless(line, 2000) for line in text.split("\n"))
    return "\n".join(
        textwrap.fill(line, max(10, width), break_long_words=False, break_on_hyphens=False)
        for line in lines
    )


def fitted(name: str, width: int) -> str:
    """Return a name at this width; of one that is too long the end tells more than the start."""
    name = harmless(name, 100)
    return name.ljust(width) if len(name) <= width else "…" + name[1 - width :]


def duration(seconds: float) -> str:
    """Return a short time in words: `0.4 ms`, `24 ms`, `1.5 s`."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds * 1000:.0f} ms"
