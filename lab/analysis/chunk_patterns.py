"""From patterns of a line's text to one pattern that finds such lines in a chunk of bytes.

A chunk holds many lines, so here one call of a compiled pattern stands for a call for each line.
That is right only where text and bytes are the same and where no part of the pattern could reach
over the end of a line; anything else is left to who reads line by line.
"""

import re

# What patterns of lines are mostly made of. Each is the same for ASCII as text and as bytes, and
# none matches a newline.
_TOKEN = re.compile(
    r"""[A-Za-z0-9 ,:;=_/#@!%&~"'<>`-]     # a character that stands for itself
      | \\[dDwW.\[\](){}+*?^$|\\/-]        # a class, or a character that would be special
      | \.
      | \[\^?(?:[A-Za-z0-9 ,:;=_/#@!%&~"'<>.+*?(){}$|-]|\\[dw.\-\[\]\\/])+\]
      | \((?!\?) | \(\?: | \(\?P<[A-Za-z_]\w*> | \)
      | [*+?] | \{\d+(?:,\d*)?\}
      | [|^$]""",
    re.VERBOSE | re.ASCII,
)


def pattern_of_line(pattern: re.Pattern[str]) -> re.Pattern[bytes] | None:
    """Return a pattern that finds, in bytes that are ASCII without b"\\r", what `fullmatch` finds.

    Its groups are those of `pattern`. None where that can't be had.
    """
    if not _is_simple(pattern):
        return None
    return re.compile(f"^(?:{_kept_in_line(pattern.pattern)})$".encode(), re.MULTILINE)


def _is_simple(pattern: re.Pattern[str]) -> bool:
    if pattern.flags & ~(re.UNICODE | re.ASCII):
        return False
    text = pattern.pattern
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return False
        at = token.end()
    return True


def _kept_in_line(text: str) -> str:
    """Let what matches all but some characters not match the newline either."""
    return "".join(_in_line(token[0]) for token in _TOKEN.finditer(text))


def _in_line(token: str) -> str:
    if token.startswith("[^"):
        return rf"[^\n{token[2:]}"
    return {r"\D": r"[^\d\n]", r"\W": r"[^\w\n]"}.get(token, token)
