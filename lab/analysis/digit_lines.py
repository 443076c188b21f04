"""Finds the numbers in very many lines that consist of digits and of what lies between them.

A regular expression costs 200 ns a line. Here NumPy looks at all lines of a block at once: a line
is told by the characters in it that are no digits, and by how many digits lie between those.
"""

import itertools
import re
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pushpull.analysis.vectors import Flags, Ints, as_array, places_of

_MOST_DIGITS = 18
_PIECE = 64 * 1024  # bytes; of more, columns leave the cache, which takes twice the time
_MANY = 1 << 40
_POWERS = np.array([10**k for k in range(9)])
_TOKEN = re.compile(
    r"""(?P<group>\(\\d(?:\+|\{1,(?P<most>\d+)\})\))   # the first is the number
      | (?P<digits>\\d\+)
      | (?P<maybe>\(\?:\\\.\\d\+\)\?)                  # perhaps a fraction
      | (?P<text>[A-Za-z ,:;=_/\#@!%&~"'<>`-]+)
      | \\(?P<escaped>[.\[\](){}+*?^$|/-])""",
    re.VERBOSE,
)


class Shape(NamedTuple):
    """A line: what lies between its digits, and how many digits there are before each of that.

    Attributes:
        others: the characters that are no digits.
        least, most: how many digits come before each of these, and at the end.
        group: which of these digits are the number.
    """

    others: bytes
    least: tuple[int, ...]
    most: tuple[int, ...]
    group: int


def shapes(pattern: str) -> Sequence[Shape] | None:
    """Return the shapes of the lines that a pattern matches; None if it can't be said so."""
    tokens, at = [], 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            return None
        tokens.append(token)
        at = token.end()
    maybe = [k for k, token in enumerate(tokens) if token["maybe"]]
    found = [
        _shape(tokens, {k for k, there in zip(maybe, chosen, strict=True) if there})
        for chosen in itertools.product((False, True), repeat=len(maybe))
    ]
    return None if len(maybe) > 2 or None in found else [one for one in found if one]


def _shape(tokens: Sequence[re.Match[str]], there: set[int]) -> Shape | None:
    others, least, most, group = b"", [0], [0], None
    for k, token in enumerate(tokens):
        text = token["text"] or token["escaped"] or ("." if k in there else "")
        for character in text.encode():
            others += bytes([character])
            least.append(0)
            most.append(0)
        if token["group"] or token["digits"] or k in there:
            if most[-1]:
                return None  # digits beside digits
            least[-1], most[-1] = 1, int(token["most"] or _MANY)
        if token["group"]:
            if group is not None:
                return None
            group = len(least) - 1
    return None if group is None else Shape(others, tuple(least), tuple(most), group)


def numbers(data: bytes, wanted: Sequence[Shape]) -> "tuple[array[int], Flags] | None":
    """Return the numbers of the lines that have one of the shapes, and which lines these are.

    None if a number has more than 18 digits. Lines end with b"\n".
    """
    every = [_numbers(piece, wanted) for piece in _pieces(data)]
    known = [one for one in every if one is not None]
    if len(known) < len(every):
        return None
    found = np.concatenate([found for _, found in known])
    return as_array(np.concatenate([values for values, _ in known])), found


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut at the ends of lines."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _PIECE) + 1 or data.index(b"\n", start) + 1
        yield data[start:end]
        start = end


def _numbers(data: bytes, wanted: Sequence[Shape]) -> tuple[Ints, Flags] | None:
    block = np.frombuffer(data, np.uint8)
    at = places_of((block - np.uint8(48)) > 9)  # what is no digit
    others = block[at]
    ends = np.flatnonzero(others == 10)
    firsts = np.empty_like(ends)  # of each line, among what is no digit
    firsts[0], firsts[1:] = 0, ends[:-1] + 1
    starts = np.empty(len(ends), at.dtype)
    starts[0], starts[1:] = 0, at[ends[:-1]] + 1
    found, values = np.zeros(len(ends), np.bool_), np.zeros(len(ends), np.int64)
    for shape in wanted:
        width = len(shape.others) + 1
        alike = ends - firsts == width - 1
        lines = np.flatnonzero(alike)
        if len(lines) == len(ends):  # no need to take them apart
            fits, first, length = _fits(
                shape, at.reshape(-1, width), others.reshape(-1, width), starts
            )
        else:
            cells = firsts[lines, np.newaxis] + np.arange(width)
            fits, first, length = _fits(shape, at[cells], others[cells], starts[lines])
        if not fits.all():
            lines, first, length = lines[fits], first[fits], length[fits]
        if not len(lines):
            continue
        if length.max() > _MOST_DIGITS:
            return None
        found[lines] = True
        values[lines] = _values(data, first, length)
    return values[found], found


def _fits(shape: Shape, at: Ints, others: Ints, starts: Ints) -> tuple[Flags, Ints, Ints]:
    """Return which lines have a shape, and where their number begins and how long it is.

    `at` and `others` have a row for each line: where it has what is no digit, and what that is.
    """
    fits = np.ones(len(at), np.bool_)
    begin, first, length = starts, starts, starts
    for k, (least, most) in enumerate(zip(shape.least, shape.most, strict=True)):
        end = at[:, k]
        digits = end - begin
        if least:
            fits &= digits >= least
        if most < _MANY:
            fits &= digits <= most
        if k < len(shape.others):
            fits &= others[:, k] == shape.others[k]
        if k == shape.group:
            first, length = begin, digits
        begin = end + 1
    return fits, first, length


def _values(data: bytes, first: Ints, length: Ints) -> Ints:
    """Return the numbers that begin there and have so many digits, eight digits at a time."""
    padded = data + bytes(8)
    eights: Ints = np.ndarray(len(data) + 1, "<u8", padded, strides=(1,))  # from each byte on
    values: Ints = np.zeros(len(first), np.int64)
    while True:
        now = np.minimum(length, 8)
        values = values * _POWERS[now] + _of_digits(eights[first], now)
        length = length - now
        if not length.any():
            return values
        first = first + now


def _of_digits(eight: Ints, length: Ints) -> Ints:
    """Return the number of the first digits in each eight bytes.

    By three multiplications for all digits: Lemire, "Quickly parsing eight digits" (2018). The
    first digit is in the lowest byte.
    """
    digits = (eight << (8 * (8 - length)).astype(np.uint64)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    pairs = digits * np.uint64(10) + (digits >> np.uint64(8))
    every_fourth = np.uint64(0x000000FF000000FF)
    high = (pairs & every_fourth) * np.uint64(100 + (1_000_000 << 32))
    low = ((pairs >> np.uint64(16)) & every_fourth) * np.uint64(1 + (10_000 << 32))
    return ((high + low) >> np.uint64(32)).astype(np.int64)
