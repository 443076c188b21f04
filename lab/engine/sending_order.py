"""In which order a sender sent its messages: from that follows what no longer waits for a receiver.

A connection delivers messages in the order in which they were sent. So a receiver that has printed
one has passed all that the same sender sent before.
"""

from collections.abc import Sequence
from typing import NamedTuple

# So many times a sender's numbers may begin again; then its messages have no known order.
_MOST_RISES = 1_000


class Position(NamedTuple):
    """Where a message was sent: in which row of rising numbers, and which one it was."""

    rise: int
    number: int


BEFORE_ALL = Position(-1, -1)
AFTER_ALL = Position(_MOST_RISES + 1, 0)


class SendingOrder:
    """What one sender sent, as rows of rising numbers. One that is started again begins a new row.

    Only the ends of a row are kept. So it may seem to hold a number that was left out: then more
    messages seem to wait than do, never fewer.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []  # of all rows but the current one
        self.last_number = -1

    def add(self, numbers: Sequence[int]) -> None:
        """Note that these were sent, in this order."""
        last = self.last_number
        for number in numbers:
            if number <= last or not self._firsts:
                self._begin(number, last)
            last = number
        self.last_number = last

    def _begin(self, number: int, last: int) -> None:
        if len(self._firsts) <= _MOST_RISES:
            self._lasts += [last] if self._firsts else []
            self._firsts.append(number)

    @property
    def end(self) -> Position:
        """Where the last one was sent."""
        return Position(len(self._firsts) - 1, self.last_number)

    def rows(self, number: int) -> Sequence[int]:
        """Return in which rows a number may have been sent."""
        ends = zip(self._firsts, [*self._lasts, self.last_number], strict=True)
        return [row for row, (first, last) in enumerate(ends) if first <= number <= last]

    def earliest(self, number: int) -> Position:
        """Return where a number was sent first; before all others if that isn't known."""
        rows = self.rows(number) if self.is_known else ()
        return Position(rows[0], number) if rows else BEFORE_ALL

    def latest(self, number: int) -> Position:
        """Return where a number was sent last; after all others if that isn't known."""
        rows = self.rows(number) if self.is_known else [AFTER_ALL.rise]
        return Position(rows[-1], number) if rows else BEFORE_ALL

    @property
    def is_known(self) -> bool:
        return len(self._firsts) <= _MOST_RISES
