"""The search itself: plays what is drawn until something refutes the claim, and shrinks that."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Protocol

from pushpull.cli import search_space
from pushpull.cli.search_space import Space, key
from pushpull.cli.search_tried import Confirmation, Trial, Tried
from pushpull.core.faults.planned import Schedule

_MOST_AHEAD = 1000  # schedules that are drawn in advance, to be played side by side


class Player(Protocol):
    """Plays schedules; `labs` of them side by side."""

    labs: int

    def submit(self, schedule: Schedule) -> "Future[Trial]": ...


class SearchLimit(BaseException):
    """The search has used up its time or its runs; no exception that Hypothesis would catch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many runs and seconds a search may take; None for no limit."""

    runs: int | None
    seconds: float | None


class Search:
    """One search.

    Arguments:
        player: plays the schedules.
        tried: what was tried already.
        confirmation: how often a schedule must refute the claim.
        limits: when to end without a result.
        say: gets each trial, with its number among those of this search.
    """

    def __init__(
        self,
        player: Player,
        tried: Tried,
        confirmation: Confirmation,
        limits: Limits,
        say: Callable[[int, Trial], None],
    ) -> None:
        self._player = player
        self._tried = tried
        self._confirmation = confirmation
        self._limits = limits
        self._say = say
        self._began = time.monotonic()
        self._made = 0
        self._ahead: Iterator[Schedule] = iter(())
        self._running: dict[Future[Trial], Schedule] = {}
        self._confirmed: list[Schedule] = []
        self.is_complete = True  # unless a limit ends it

    def smallest(self, space: Space, seed: int) -> Schedule | None:
        """Return the smallest schedule found that refutes the claim; None if there is none."""
        ahead = min(self._limits.runs or _MOST_AHEAD, _MOST_AHEAD)
        self._ahead = iter(search_space.drawn(space, seed, ahead))
        try:
            if self._refutes([]):
                return []
            return search_space.smallest(space, seed, self._refutes)
        except SearchLimit:
            self.is_complete = False
            return min(self._confirmed, key=_size, default=None)

    def play(self, schedule: Schedule) -> Trial:
        """Play a schedule once; SearchLimit if that takes too long."""
        self._begin(schedule)
        while True:
            for trial in self._ended():
                if key(trial.schedule) == key(schedule):
                    return trial

    def _refutes(self, schedule: Schedule) -> bool:
        """Play a schedule as often as needed; return whether it refutes the claim often enough."""
        while (decided := self._decided(schedule)) is None:
            self._begin_all(schedule)
            self._ended()
        if decided:
            self._confirmed.append(schedule)
        return decided

    def _decided(self, schedule: Schedule) -> bool | None:
        return self._confirmation.decided(self._tried.counts(schedule))

    def _begin_all(self, schedule: Schedule) -> None:
        """Let every lab play: this schedule as often as it takes, and what may be drawn next."""
        counts = self._tried.counts(schedule)
        runs = self._confirmation.runs if counts else 1
        needed = runs - sum(counts.values()) - self._in_progress(schedule)
        for _ in range(min(needed, self._free)):
            self._begin(schedule)
        if self._confirmed or counts:
            return
        while self._free and (following := next(self._ahead, None)) is not None:
            if not self._tried.counts(following) and not self._in_progress(following):
                self._begin(following)

    @property
    def _free(self) -> int:
        return self._player.labs - len(self._running)

    def _in_progress(self, schedule: Schedule) -> int:
        return sum(key(each) == key(schedule) for each in self._running.values())

    def _begin(self, schedule: Schedule) -> None:
        self._require_within_limits()
        self._running[self._player.submit(schedule)] = schedule
        self._made += 1

    def _ended(self) -> Sequence[Trial]:
        """Wait until runs have ended, and keep them."""
        done, _ = wait(self._running, self._seconds_left(), FIRST_COMPLETED)
        if not done:
            raise SearchLimit
        trials = []
        for future in done:
            del self._running[future]
            trials.append(future.result())
            self._tried.add(trials[-1])
            self._say(len(self._tried.trials), trials[-1])
        return trials

    def _require_within_limits(self) -> None:
        left = self._seconds_left()
        if (left is not None and left <= 0) or self._made == self._limits.runs:
            if not self._running:
                raise SearchLimit
            self._ended()
            self._require_within_limits()

    def _seconds_left(self) -> float | None:
        if self._limits.seconds is None:
            return None
        return max(0.0, self._began + self._limits.seconds - time.monotonic())


def _size(schedule: Schedule) -> tuple[int, int, int]:
    repaired = sum(fault.repaired_after is not None for fault in schedule)
    return len(schedule), repaired, sum(fault.at for fault in schedule)
