"""Readers of the lab's programs: `7` was sent, `7 , 1353761234.5` was received.

The protocol says which program prints which, in whatever language it is written.
"""

import re

from pushpull.analysis.line_readers import lines
from pushpull.experiments.protocol import RECEIVERS, SENDERS

SENT = r"(\d{1,18})"
RECEIVED = r"(\d{1,18}) , \d+(?:\.\d+)?"

read = lines(sent=dict.fromkeys(SENDERS, SENT), received=dict.fromkeys(RECEIVERS, RECEIVED))


def number(line: str) -> int:
    """Return the message number in a line; -1, which no message has, if there is none."""
    match = re.match(r"\d{1,18}(?= , |$)", line)
    return int(match[0]) if match else -1
