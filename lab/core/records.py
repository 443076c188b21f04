"""The observations of a run: the lines that machines printed, and events with their times."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# The `by` of an event `exit`: what ended the process.
LOST = "lost"  # the connection to its machine broke
LEASE = "lease"  # the lab was silent for so long that the program's lease ran out

# The event that says that a scenario was not played to its end; its detail `why` has the reason.
GIVEN_UP = "given up"

# The `kind` of a message whose line says both that it was received and that it was sent on.
HANDED_ON = "handed on"


def shown(text: str) -> str:
    """Return a line as a terminal finally shows it.

    A carriage return goes back to the start of the line, as in a progress bar, so the last
    non-empty piece remains. A line that ends with CR LF is shown without the CR.
    """
    return text.rstrip("\r").rpartition("\r")[2] if "\r" in text else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One captured output line.

    `n` counts from 0 per process and stream; `t` is the UNIX time of the capture in seconds, on the
    harness's clock; `offset` and `length` give the line's place in the log file in bytes, without
    its newline. `text` is None for a line over 64 KiB, which only the log file has.
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
        """The line as a terminal finally shows it, which is also what readers get."""
        return None if self.text is None else shown(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that the harness or the messaging library did.

    `t` is in UNIX seconds on the harness's clock; `details` are JSON values.
    """

    t: float
    event: str
    machine: str = ""
    process: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str]:
        """The names of its machine and process."""
        return self.machine, self.process


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one line or trace says about a message.

    `kind` is `sent`, `received` or HANDED_ON for a line of the program's output, and `dealt` (the
    send returned) or `taken` (the message was received) for a trace. `n` is the record's number in
    its stream. `t` is its UNIX time in seconds; for a trace, on the clock of `machine`, and then
    `m` is that machine's CLOCK_MONOTONIC, if the trace has it.
    """

    kind: str
    number: int
    machine: str
    process: str
    n: int
    t: float
    m: float | None = None


# Returns the message that a captured line is about, if any.
Reader = Callable[[Record], Message | None]
