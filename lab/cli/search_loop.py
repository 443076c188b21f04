"""The search itself: plays what is drawn until something refutes the claim, and shrinks that."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Protocol

from pushpull.cli import search_space
from pushpull.cli.search_shrink import simpler, size
from pushpull.cli.search_space import Space, key
from pushpull.cli.search_tried import REFUTED, Confirmation, Trial, Tried
from pushpull.core.faults.planned import Schedule

_AHEAD = 2  # times as many schedules as there are labs are looked at, so that none is idle


class Player(Protocol):
    """Plays schedules; `labs` of them side by side."""

    labs: int

    def submit(self, schedule: Schedule) -> "Future[Trial]": ...


class SearchLimit(Exception):
    """The search has used up its time or its runs."""


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
        self._running: dict[Future[Trial], Schedule] = {}
        self._confirmed: list[Schedule] = []
        self.is_complete = True  # unless a limit ends it

    def smallest(self, space: Space, seed: int) -> Schedule | None:
        """Return the smallest schedule found that refutes the claim; None if there is none."""
        try:
            if self._is_confirmed([]):
                return []
            drawn = search_space.every_drawn(space, seed)
            for schedule in self._suspicious(drawn):
                if self._is_confirmed(schedule):
                    return self._shrunk(schedule, space)
        except SearchLimit:
            self.is_complete = False
            return min(self._confirmed, key=size, default=None)
        return None

    def play(self, schedule: Schedule) -> Trial:
        """Play a schedule once; SearchLimit if that takes too long."""
        self._begin(schedule)
        while True:
            for trial in self._ended():
                if key(trial.schedule) == key(schedule):
                    return trial

    def _shrunk(self, confirmed: Schedule, space: Space) -> Schedule:
        """Return the smallest confirmed schedule on the way to simpler ones.

        On the way one run is enough. If the last one then turns out to refute the claim too rarely,
        it is known to be so, and another way is taken.
        """
        while True:
            smallest = confirmed
            while following := next(self._suspicious(simpler(smallest, space)), None):
                smallest = following
            if smallest == confirmed or self._is_confirmed(smallest):
                return smallest

    def _suspicious(self, schedules: Iterable[Schedule]) -> Iterator[Schedule]:
        """Play schedules side by side; yield, in their order, those whose first run refutes."""
        following, waiting = iter(schedules), deque[Schedule]()
        while True:
            found = any(self._tried.counts(each).get(REFUTED) for each in waiting)
            while not found and self._free and len(waiting) < _AHEAD * self._player.labs:
                if (new := next(following, None)) is None:
                    break
                waiting.append(new)
                if not self._tried.counts(new) and not self._in_progress(new):
                    self._begin(new)
                found = bool(self._tried.counts(new).get(REFUTED))
            if not waiting:
                return
            while not self._tried.counts(waiting[0]):
                self._ended()
            first = waiting.popleft()
            if self._tried.counts(first).get(REFUTED) and self._decided(first) is not False:
                yield first

    def _is_confirmed(self, schedule: Schedule) -> bool:
        """Play a schedule as often as needed; return whether it refutes the claim often enough."""
        while (decided := self._decided(schedule)) is None:
            counts = self._tried.counts(schedule)
            runs = self._confirmation.runs if counts else 1
            needed = runs - sum(counts.values()) - self._in_progress(schedule)
            for _ in range(min(needed, self._free)):
                self._begin(schedule)
            self._ended()
        if decided:
            self._confirmed.append(schedule)
        return decided

    def _decided(self, schedule: Schedule) -> bool | None:
        return self._confirmation.decided(self._tried.counts(schedule))

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
