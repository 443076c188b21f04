"""What is observed in a run: the lines that machines printed, and what was done and seen when."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# What ended a process, as its event `exit` tells, when the way to its machine broke.
LOST = "lost"
# The same, where the lab itself had said nothing for so long that the program's lease ran out.
LEASE = "lease"


def shown(text: str) -> str:
    """Return what a terminal shows of a line in the end.

    A carriage return goes back to the start of the line, so that a progress bar is drawn over: the
    last piece that isn't empty stays. A line that ends with CR LF is shown without the CR.
    """
    return text.rstrip("\r").rpartition("\r")[2] if "\r" in text else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One captured output line.

    `n` counts from 0 per process and stream, `t` is the UNIX time of the capture in seconds on the
    harness's clock, `offset` and `length` are the line's place in the log file in bytes (without
    its newline). `text` is None for a line over 64 KiB: the log file alone has it.
    """

    machine: str
    process: str
    stream: str
    n: int
    t: float
    text: str | None
    offset: int
    length: int

    @property
    def shown(self) -> str | None:
        """What a terminal shows of the line in the end, which is what it is read by."""
        return None if self.text is None else shown(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What the harness or the messaging library did, and when.

    `t` is in UNIX seconds on the harness's clock; `details` are JSON values.
    """

    t: float
    event: str
    machine: str = ""
    process: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one line or trace says of a message.

    `kind` is `sent` or `received` (a line of the program's own output), `dealt` or `taken` (a
    trace: the send returned, the message was received). `n` is the record's number in its stream,
    `t` the UNIX time in seconds that the record stands for, on the clock of `machine` for a trace;
    `m` is then the machine's CLOCK_MONOTONIC, where the trace has it.
    """

    kind: str
    number: int
    machine: str
    process: str
    n: int
    t: float
    m: float | None = None


# Which message a captured line speaks of, if any.
Reader = Callable[[Record], Message | None]
