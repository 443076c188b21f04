"""The schedules of faults that a search can draw, and the drawing. Pure.

Hypothesis draws them from a seed. See https://hypothesis.readthedocs.io.
"""

import contextlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from pushpull.core.faults.clock import SET_CLOCK
from pushpull.core.faults.fault import Check, Fault
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, SHUT_DOWN
from pushpull.core.faults.network import CUT_AFTER, LOSE, PARTITION, RATE, REJECT, SLOW
from pushpull.core.faults.planned import PlannedFault, Schedule
from pushpull.core.faults.process import HOLD, KILL, PAUSE, TERMINATE
from pushpull.runs.store import StoredRun

# The simplest first.
FAULTS: Sequence[Fault] = (
    *(KILL, PAUSE, HOLD, TERMINATE, PARTITION, REJECT, CUT_CABLE, CUT_POWER, SHUT_DOWN),
    *(LOSE, CUT_AFTER, SLOW, RATE, SET_CLOCK),
)
PHASES = ("before", "early", "middle", "late")
_MOST_FAULTS = 2
_BREAKS = (1, 2, 5, 10, 20)  # intervals from a fault to its repair
_LEAST_S = 0.01  # what counts as an interval where there is none
_AHEAD = "ahead_s"
_FIRST_DRAWN, _MOST_DRAWN = 40, 10_000
# The simplest parameters of each fault first.
_PARAMETERS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    PARTITION.name: [{}, {"one_way": True}],
    LOSE.name: [
        *({"every": n} for n in range(1, 11)),
        *({"packets": [first, first + 1 + gap]} for first in range(1, 11) for gap in (0, 2, 9)),
    ],
    CUT_AFTER.name: [{"bytes": n} for n in (1, 100, 300, 1000, 3000, 10_000)],
    SLOW.name: [
        *({"delay_ms": n} for n in (20, 100, 500)),
        {"delay_ms": 100, "jitter_ms": 100, "seed": 1},
        *({"loss_percent": n, "seed": 1} for n in (10, 50)),
    ],
    RATE.name: [{"kbit": n} for n in (8, 32, 128)],
    SET_CLOCK.name: [{_AHEAD: n} for n in (3600.0, -3600.0, 1.0, -1.0)],
}


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


def victim_of(fault: PlannedFault) -> tuple[str, str]:
    """Return the program and the machine; a schedule has no two faults of one program."""
    return fault.program, fault.machine


def parameters_of(fault: Fault) -> Sequence[Mapping[str, Any]]:
    """Return the parameters that can be drawn for a fault, the simplest first."""
    return _PARAMETERS.get(fault.name, [{}])


def pauses(fault: Fault, victim: Victim, interval: float) -> Sequence[float | None]:
    """Return the seconds until a repair that can be drawn; None, for no repair, comes first.

    A scenario that waits for its victim needs one that stands still to be repaired.
    """
    seconds = [round(n * max(interval, _LEAST_S), 4) for n in _BREAKS]
    return seconds if victim.is_awaited and fault in (HOLD, PAUSE) else [None, *seconds]


def every_drawn(space: Space, seed: int) -> Iterator[Schedule]:
    """Yield what is played: first each kind of fault for each victim, then what Hypothesis draws.

    The same seed yields the same, each schedule once.
    """
    known = {key(schedule): schedule for schedule in each_fault(space, seed)}
    yield from known.values()
    most, before = _FIRST_DRAWN, 0
    while before < most <= _MOST_DRAWN:
        found = drawn(space, seed, most)
        yield from (schedule for schedule in found[before:] if key(schedule) not in known)
        before, most = len(found), min(10 * most, _MOST_DRAWN) if len(found) == most else 0


def each_fault(space: Space, seed: int) -> list[Schedule]:
    """Return a schedule of one fault for each fault and victim, at a line that the seed chooses.

    The fault is not repaired, or late enough to be noticed. Then the same for each other kind of
    parameters that the fault has, such as a clock that is behind instead of ahead, repaired if it
    was not, and the other way round.
    """
    chance = random.Random(seed)
    found: list[Schedule] = []
    others: list[Schedule] = []
    for fault in space.faults:
        for victim in space.victims:
            breaks = pauses(fault, victim, space.interval)
            late = breaks[-2]
            planned = PlannedFault(
                fault.name,
                victim.program,
                victim.machine,
                chance.randrange(1, max(2, victim.lines)) if victim.lines else 0,
                late if breaks[0] is not None else chance.choice([None, late]),
                chance.choice(parameters_of(fault)),
            )
            found.append([planned])
            known = {_kind(planned.parameters)}
            for parameters in parameters_of(fault):
                if _kind(parameters) not in known:
                    known.add(_kind(parameters))
                    others.append([_otherwise(planned, parameters, late, chance, victim)])
    return [*found, *others]


def _kind(parameters: Mapping[str, Any]) -> Sequence[tuple[str, bool]]:
    """Return what parameters have in common with others of which one is tried in their place."""
    return tuple((name, name == _AHEAD and value < 0) for name, value in parameters.items())


def _otherwise(
    planned: PlannedFault,
    parameters: Mapping[str, Any],
    late: float | None,
    chance: random.Random,
    victim: Victim,
) -> PlannedFault:
    return replace(
        planned,
        parameters=parameters,
        at=chance.randrange(1, max(2, victim.lines)) if victim.lines else 0,
        repaired_after=late if planned.repaired_after is None else None,
    )


class _Enough(BaseException):
    """Ends the drawing; no exception that Hypothesis would catch."""


def drawn(space: Space, seed: int, most: int) -> list[Schedule]:
    """Return the first schedules that a seed draws; fewer if there are no more."""
    found: dict[str, Schedule] = {}

    def note(schedule: Schedule) -> bool:
        found.setdefault(key(schedule), schedule)
        if len(found) == most:
            raise _Enough
        return False

    chosen = settings(
        max_examples=2 * _MOST_DRAWN,
        database=None,  # what was tried is kept in a file of the search's own
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=[*HealthCheck],
    )
    with contextlib.suppress(_Enough, NoSuchExample):
        find(_schedules(space), note, settings=chosen, random=random.Random(seed))
    return [*found.values()]


def _schedules(space: Space) -> st.SearchStrategy[Schedule]:
    drawable = [(fault, victim) for fault in space.faults for victim in space.victims]
    planned = st.one_of([_planned(fault, victim, space) for fault, victim in drawable])
    some = st.lists(planned, min_size=1, max_size=_MOST_FAULTS, unique_by=victim_of)
    return some.filter(_is_possible)


def _planned(fault: Fault, victim: Victim, space: Space) -> st.SearchStrategy[PlannedFault]:
    return st.builds(
        PlannedFault,
        st.just(fault.name),
        st.just(victim.program),
        st.just(victim.machine),
        st.integers(0, max(0, victim.lines - 1)),
        st.sampled_from(pauses(fault, victim, space.interval)),
        st.sampled_from(parameters_of(fault)),
    )


def _is_possible(schedule: Schedule) -> bool:
    """Return whether no link gets two queueing disciplines."""
    queued = [fault.machine for fault in schedule if fault.value.check is Check.QUEUED]
    return len(queued) == len(set(queued))
