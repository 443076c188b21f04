"""How often each message of a run was sent, less how often it was received."""

from array import array
from collections.abc import Sequence

_FIRST = 1024  # numbers that have room before any is there
_MANY = 500  # of so many numbers it is worth while to ask NumPy


class Balance:
    """The copies of messages that are out, by their numbers.

    A run may have millions of messages of which only one side prints a line. So numbers that begin
    near 0 and go up are kept in an array, of 4 bytes each; a dictionary has all others.

    Attributes:
        outstanding: copies that were sent and not received yet.
        surplus: copies that were received and not sent.
    """

    def __init__(self) -> None:
        self.outstanding = self.surplus = 0
        self._near = array("i")
        self._far: dict[int, int] = {}  # no zeros

    def move(self, number: int, by: int) -> None:
        """Note that copies of a message were sent, or with a negative number received."""
        if 0 <= number < len(self._near) or self._make_room(number):
            before = self._near[number]
            self._near[number] = after = before + by
        else:
            before = self._far.pop(number, 0)
            if after := before + by:
                self._far[number] = after
        self.outstanding += max(0, after) - max(0, before)
        self.surplus += max(0, -after) - max(0, -before)

    def move_all(self, numbers: Sequence[int], by: int) -> None:
        """Note that of each of these one copy was sent (1), or received (-1)."""
        if len(numbers) >= _MANY and self._have_room(numbers):
            from pushpull.analysis import vectors

            outstanding, surplus = vectors.moved(self._near, numbers, by)
            self.outstanding += outstanding
            self.surplus += surplus
        else:
            for number in numbers:
                self.move(number, by)

    def is_even(self) -> bool:
        """Return whether each message was received as often as it was sent."""
        return not self.outstanding and not self.surplus

    def missing(self) -> list[int]:
        """Return the numbers of the messages that are outstanding, in rising order."""
        if not self.outstanding:
            return []
        near = [number for number, out in enumerate(self._near) if out > 0]
        return sorted(near + [number for number, out in self._far.items() if out > 0])

    def _have_room(self, numbers: Sequence[int]) -> bool:
        """Return whether the array has room for all of these, or is long enough now."""
        least, most = min(numbers), max(numbers)
        return least >= 0 and (most < len(self._near) or self._make_room(most))

    def _make_room(self, number: int) -> bool:
        """Make the array longer if that is enough for a number; it at most doubles."""
        size = 2 * len(self._near) + _FIRST
        if not 0 <= number < size:
            return False
        self._near.frombytes(bytes((size - len(self._near)) * self._near.itemsize))
        for other in [other for other in self._far if 0 <= other < size]:
            self._near[other] = self._far.pop(other)
        return True
