"""What claims about numbers are made of: percentiles, rates and intervals.

They take any numbers or times: values of a run, `run.received.ts`, or a list.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import NumPy, for which not every command needs to wait
    from pushpull.analysis.history import Run
    from pushpull.analysis.values import Values
    from pushpull.analysis.vectors import Floats

    Numbers = Sequence[float] | Floats | Values


def values(run: "Run", name: str, *, by: str = "") -> "Values":
    """Return the values of a quantity in the order of time; empty if the run has none.

    Arguments:
        run: the run.
        name: what the pattern's group or the key in a trace's `values` is called.
        by: the machine that they come from; by default any.
    """
    from pushpull.analysis.values import none

    found = run.values.get(name) or none(name)
    return found.of(by) if by else found


def percentile(numbers: "Numbers", percent: float) -> float | None:
    """Return a percentile by the nearest rank: always a number that was measured.

    It is the smallest number such that at least `percent` % of all are not larger: of 1 to 10 the
    50th is 5, the 90th is 9, the 91st is 10; the 0th is the smallest. What is not a number (NaN)
    does not count; infinity does.

    Returns:
        None if there are no numbers.

    Raises:
        ValueError: `percent` is not from 0 to 100.
    """
    import numpy as np

    if not 0 <= percent <= 100:
        raise ValueError(f"a percentile is from 0 to 100, not {percent}")
    known = np.asarray(numbers, np.float64)
    known = known[~np.isnan(known)]
    return float(np.percentile(known, percent, method="inverted_cdf")) if len(known) else None


def intervals(times: "Sequence[float] | Floats | Values") -> "Floats":
    """Return the seconds between each two neighbours of some times, which may be in any order.

    Of values it takes the times. Of fewer than two times there is none.
    """
    import numpy as np

    return np.diff(np.sort(np.asarray(getattr(times, "times", times), np.float64)))


def rate(times: "Sequence[float] | Floats | Values") -> float | None:
    """Return how many of some times there are in a second: intervals divided by their sum.

    Of values it takes the times.

    Returns:
        None of fewer than two times, or if all are the same.
    """
    gaps = intervals(times)
    span = float(gaps.sum())
    return len(gaps) / span if span > 0 else None
