"""The schedules of faults that a search can draw, and the drawing and shrinking. Pure.

Hypothesis draws schedules from a seed, and shrinks one that refutes a claim: to fewer faults, then
to simpler ones, which come first in the lists below. See https://hypothesis.readthedocs.io.
"""

import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from pushpull.core.faults.fault import Fault
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, SHUT_DOWN
from pushpull.core.faults.network import CUT_AFTER, LOSE, PARTITION, REJECT
from pushpull.core.faults.planned import PlannedFault, Schedule
from pushpull.core.faults.process import HOLD, KILL, PAUSE, TERMINATE
from pushpull.runs.store import StoredRun

# The simplest first.
FAULTS: Sequence[Fault] = (
    *(KILL, PAUSE, HOLD, TERMINATE, PARTITION, REJECT, CUT_CABLE, CUT_POWER, SHUT_DOWN),
    *(LOSE, CUT_AFTER),
)
PHASES = ("before", "early", "middle", "late")
_MOST_FAULTS = 2
_LONGEST_BREAK = 20  # intervals from a fault to its repair
_LEAST_S = 0.01  # what counts as an interval where there is none
_MOST_DRAWN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A program that a run without faults started, and how many lines it printed.

    `is_awaited` says that it ended by itself. A scenario waits for that, so it can't stand still.
    """

    program: str
    machine: str
    lines: int
    is_awaited: bool

    def __str__(self) -> str:
        return f"{self.program} on {self.machine}"

    def phase(self, at: int) -> str:
        """Return in which part of its output a line is."""
        return PHASES[0 if at == 0 else 1 + min(2, 3 * (at - 1) // max(1, self.lines))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What can be drawn: victims and faults, the simplest first; `interval` in seconds."""

    victims: Sequence[Victim]
    faults: Sequence[Fault]
    interval: float

    def victim(self, fault: PlannedFault) -> Victim | None:
        """Return the victim of a planned fault."""
        place = fault.program, fault.machine
        return next((v for v in self.victims if (v.program, v.machine) == place), None)


def space_of(run: StoredRun, faults: Iterable[Fault], interval: float) -> Space:
    """Return what can be drawn for an experiment, by a run of it without further faults."""
    lines = Counter((r.machine, r.process) for r in run.records if r.stream == "stdout")
    ended = {
        (e.machine, e.process)
        for e in run.events
        if e.event == "exit" and e.details["by"] == "itself"
    }
    victims = [
        Victim(
            program=e.process,
            machine=e.machine,
            lines=lines[e.machine, e.process],
            is_awaited=(e.machine, e.process) in ended,
        )
        for e in run.events
        if e.event == "start" and e.details.get("program") == e.process
    ]
    alone = len({victim.machine for victim in victims}) < 2
    possible = [f for f in faults if not (alone and f in (PARTITION, REJECT))]
    possible.sort(key=FAULTS.index)
    victims.sort(key=lambda victim: victim.is_awaited)
    return Space(victims=victims, faults=possible, interval=interval)


def key(schedule: Schedule) -> str:
    """Return a text that identifies a schedule."""
    return json.dumps([fault.as_json() for fault in schedule], sort_keys=True)


class _Enough(BaseException):
    """Ends the drawing; no exception that Hypothesis would catch."""


def drawn(space: Space, seed: int, most: int) -> list[Schedule]:
    """Return the first schedules that `smallest` draws as long as none refutes, each once."""
    found: dict[str, Schedule] = {}

    def note(schedule: Schedule) -> bool:
        found.setdefault(key(schedule), schedule)
        if len(found) == most:
            raise _Enough
        return False

    with contextlib.suppress(_Enough):
        smallest(space, seed, note)
    return [*found.values()]


def smallest(space: Space, seed: int, refutes: Callable[[Schedule], bool]) -> Schedule | None:
    """Draw schedules until one refutes, shrink it, and return it; None if none of them does.

    Arguments:
        space: what to draw from.
        seed: the same one draws the same schedules.
        refutes: plays a schedule; it must always answer the same for it.
    """
    chosen = settings(
        max_examples=_MOST_DRAWN,
        database=None,  # what was tried is kept in a file of the search's own
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[*HealthCheck],
    )
    try:
        return find(_schedules(space), refutes, settings=chosen, random=random.Random(seed))
    except NoSuchExample:
        return None


def _schedules(space: Space) -> st.SearchStrategy[Schedule]:
    def victim(fault: PlannedFault) -> tuple[str, str]:
        return fault.program, fault.machine

    drawable = [(fault, victim) for fault in space.faults for victim in space.victims]
    planned = st.one_of([_planned(fault, victim, space) for fault, victim in drawable])
    return st.lists(planned, min_size=1, max_size=_MOST_FAULTS, unique_by=victim)


def _planned(fault: Fault, victim: Victim, space: Space) -> st.SearchStrategy[PlannedFault]:
    pauses = [n * max(space.interval, _LEAST_S) for n in range(1, _LONGEST_BREAK + 1)]
    seconds: list[float | None] = [round(pause, 4) for pause in pauses]
    if not (victim.is_awaited and fault in (HOLD, PAUSE)):
        seconds.insert(0, None)
    return st.builds(
        PlannedFault,
        st.just(fault.name),
        st.just(victim.program),
        st.just(victim.machine),
        st.integers(0, max(0, victim.lines - 1)),
        st.sampled_from(seconds),
        _parameters(fault),
    )


def _parameters(fault: Fault) -> st.SearchStrategy[Mapping[str, Any]]:
    if fault == PARTITION:
        return st.sampled_from([{}, {"one_way": True}])
    if fault == LOSE:
        every = st.builds(lambda n: {"every": n}, st.integers(1, 10))
        numbers = st.lists(st.integers(1, 50), min_size=1, max_size=3, unique=True)
        return every | st.builds(lambda ns: {"packets": sorted(ns)}, numbers)
    if fault == CUT_AFTER:
        return st.builds(lambda n: {"bytes": n}, st.integers(1, 10_000))
    return st.just({})
