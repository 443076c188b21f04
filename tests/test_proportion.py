"""Proportions over many runs: intervals and decisions are wrong no more often than they say."""

import random
from collections.abc import Iterator

import pytest

from pushpull.analysis.proportion import ERROR, Proportion
from pushpull.core.verdict import Need

CAMPAIGNS = 1_000


def first(need: Need, *, held: bool) -> int:
    """Return after how many runs without exception it is decided."""
    runs = (Proportion(n if held else 0, n) for n in range(1, 1_000))
    return next(one.runs for one in runs if one.meets(need, anytime=True) is not None)


def campaigns(p: float, runs: int) -> Iterator[list[int]]:
    """Give for each campaign how often the claim had held after 1, 2, ... runs; seeded."""
    chance = random.Random(f"{p}, {runs}")
    for _ in range(CAMPAIGNS):
        held, so_far = 0, []
        for _ in range(runs):
            held += chance.random() < p
            so_far.append(held)
        yield so_far


def test_the_thresholds_end_without_exception() -> None:
    assert first(Need.MOST, held=True) == 7
    assert first(Need.ALWAYS, held=True) == 116
    assert first(Need.NEVER, held=False) == 116


@pytest.mark.parametrize(
    ("held", "runs", "need", "met"),
    [
        (0, 0, Need.MOST, None),
        (6, 6, Need.MOST, None),
        (7, 7, Need.MOST, True),
        (0, 7, Need.MOST, False),
        (97, 100, Need.ALWAYS, None),
        (80, 100, Need.ALWAYS, False),
        (400, 400, Need.ALWAYS, True),
        (1, 400, Need.NEVER, True),
        (40, 100, Need.NEVER, False),
    ],
)
def test_decisions(held: int, runs: int, need: Need, met: bool | None) -> None:
    assert Proportion(held, runs).meets(need, anytime=True) is met


def test_a_fixed_number_of_runs_decides_by_its_own_interval() -> None:
    assert Proportion(72, 72).meets(Need.ALWAYS, anytime=False) is None
    assert Proportion(73, 73).meets(Need.ALWAYS, anytime=False) is True
    assert Proportion(0, 73).meets(Need.NEVER, anytime=False) is True
    assert Proportion(60, 100).meets(Need.MOST, anytime=False) is True
    assert Proportion(60, 100).meets(Need.MOST, anytime=True) is None


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    for held, runs, low, high in (
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):  # fmt: skip
        assert Proportion(held, runs).wilson() == pytest.approx((low, high), abs=0.00005)
    assert Proportion(0, 0).wilson() == (0.0, 1.0)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("runs", [200, 500])
def test_wilsons_interval_covers_as_it_says(p: float, runs: int) -> None:
    covered = 0
    for so_far in campaigns(p, runs):
        low, high = Proportion(so_far[-1], runs).wilson()
        covered += low <= p <= high
    assert 0.93 <= covered / CAMPAIGNS <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("need", list(Need))
def test_a_look_after_every_run_is_wrong_no_more_often_than_it_says(need: Need) -> None:
    """On the threshold itself nothing may be decided, whenever one stops."""
    wrong = 0
    for so_far in campaigns(need.threshold, 300):
        wrong += any(
            Proportion(held, n).meets(need, anytime=True) is not None
            for n, held in enumerate(so_far, 1)
        )
    assert wrong / CAMPAIGNS <= ERROR


def test_a_look_after_every_run_at_a_fixed_intervals_end_is_wrong_too_often() -> None:
    """Why there are two intervals: this is what peeking costs."""
    wrong = 0
    for so_far in campaigns(0.5, 300):
        ends = (Proportion(held, n).wilson() for n, held in enumerate(so_far, 1))
        wrong += any(not low <= 0.5 <= high for low, high in ends)
    assert wrong / CAMPAIGNS > 4 * ERROR
