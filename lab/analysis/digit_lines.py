"""Finds the numbers in very many lines that consist of digits and of what lies between them.

A regular expression costs 200 ns a line. Here NumPy looks at all lines of a block at once: a line
is told by the characters in it that are no digits, and by how many digits lie between those.
"""

import itertools
import re
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pushpull.analysis.vectors import Flags, Ints, as_array, places_of

_MOST_DIGITS = 18
_MANY = 1 << 40
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
    block = np.frombuffer(data, np.uint8)
    at = places_of((block - np.uint8(48)) > 9)  # what is no digit
    others = block[at]
    ends = np.flatnonzero(others == 10)
    firsts = np.empty_like(ends)  # of each line, among what is no digit
    firsts[0], firsts[1:] = 0, ends[:-1] + 1
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, at[ends[:-1]] + 1
    found, values = np.zeros(len(ends), np.bool_), np.zeros(len(ends), np.int64)
    for shape in wanted:
        alike = ends - firsts == len(shape.others)
        if alike.all():  # no need to take them apart
            lines = np.arange(len(ends))
            fits, first, length = _fits(shape, at, others, firsts, starts)
        else:
            lines = np.flatnonzero(alike)
            fits, first, length = _fits(shape, at, others, firsts[lines], starts[lines])
        if not fits.all():
            lines, first, length = lines[fits], first[fits], length[fits]
        if not len(lines):
            continue
        if length.max() > _MOST_DIGITS:
            return None
        found[lines] = True
        values[lines] = _values(block, first, length)
    return as_array(values[found]), found


def _fits(
    shape: Shape, at: Ints, others: Ints, firsts: Ints, starts: Ints
) -> tuple[Flags, Ints, Ints]:
    """Return which lines have a shape, and where their number begins and how long it is."""
    fits = np.ones(len(firsts), np.bool_)
    begin, first, length = starts, starts, starts
    for k, (least, most) in enumerate(zip(shape.least, shape.most, strict=True)):
        end = at[firsts + k]
        digits = end - begin
        fits &= (digits >= least) & (digits <= most)
        if k < len(shape.others):
            fits &= others[firsts + k] == shape.others[k]
        if k == shape.group:
            first, length = begin, digits
        begin = end + 1
    return fits, first, length


def _values(block: Ints, first: Ints, length: Ints) -> Ints:
    values = np.zeros(len(first), np.int64)
    least, most = int(length.min()), int(length.max())
    for k in range(most):
        if k < least:
            values = values * 10 + (block[first + k] - np.uint8(48))
        else:
            longer = length > k
            values[longer] = values[longer] * 10 + (block[first[longer] + k] - np.uint8(48))
    return values
