"""Readers of the lab's programs: `7` was sent, `7 , 1353761234.5` was received."""

import re

from lab.analysis.line_readers import lines

_SENT = r"(\d{1,18})"
_RECEIVED = r"(\d{1,18}) , \d+(?:\.\d+)?"

read = lines(sent={"push": _SENT}, received={"pull": _RECEIVED})

# Also the lines of `foreman` and `worker`, which hand out work on request.
read_asked = lines(
    sent={"push": _SENT, "foreman": _SENT}, received={"pull": _RECEIVED, "worker": _RECEIVED}
)
read_published = lines(sent={"publish": _SENT}, received={"subscribe": _RECEIVED})
read_last = lines(sent={"leave": _SENT}, received={"pull": _RECEIVED})


def number(line: str) -> int:
    """Return the message number in a line; -1, which no message has, if there is none."""
    match = re.match(r"\d{1,18}(?= , |$)", line)
    return int(match[0]) if match else -1
