"""What is simpler than a schedule, the simplest first. Pure.

A simpler schedule has fewer faults, or one that is easier to understand: without a repair, of a
process, with the simplest parameters, at the first of several like programs, at an earlier line,
or repaired sooner.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pushpull.cli.search_space import FAULTS, Space, key, parameters_of, pauses, victim_of
from pushpull.core.faults.fault import Fault, Scope
from pushpull.core.faults.network import PARTITION
from pushpull.core.faults.planned import PlannedFault, Schedule

_PARTS = 4  # into which lines are divided: that many runs take place at once


def simpler(schedule: Schedule, space: Space) -> list[Schedule]:
    """Return the schedules that are one step simpler, each once; none has more faults."""
    if len(schedule) > 1:
        fewer: list[Schedule] = [[fault] for fault in schedule]
    else:
        fewer = []
    changed = [
        [*schedule[:n], other, *schedule[n + 1 :]]
        for n, fault in enumerate(schedule)
        for other in _simpler_faults(fault, space)
    ]
    possible = [each for each in changed if len(set(map(victim_of, each))) == len(each)]
    return list({key(each): each for each in [*fewer, *possible]}.values())


def size(schedule: Schedule) -> tuple[int, int, int]:
    """Return what makes a schedule long: its faults, their repairs, and their lines."""
    repaired = sum(fault.repaired_after is not None for fault in schedule)
    return len(schedule), repaired, sum(fault.at for fault in schedule)


def _simpler_faults(fault: PlannedFault, space: Space) -> Iterator[PlannedFault]:
    victim = space.victim(fault)
    if victim is None:
        return
    breaks = pauses(fault.value, victim, space.interval)
    if fault.repaired_after is not None and breaks[0] is None:
        yield replace(fault, repaired_after=None)
    for kind in _plainer(fault, space):
        if fault.repaired_after in pauses(kind, victim, space.interval):
            yield replace(fault, fault=kind.name, parameters=parameters_of(kind)[0])
    simplest = parameters_of(fault.value)[0]
    if fault.parameters != simplest:
        yield replace(fault, parameters=simplest)
    for other in space.victims[: space.victims.index(victim)]:
        if other.program == fault.program and fault.at < max(1, other.lines):
            yield replace(fault, machine=other.machine)
            break
    for line in _earlier(fault.at):
        yield replace(fault, at=line)
    if fault.repaired_after in breaks:
        for sooner in breaks[: breaks.index(fault.repaired_after)]:
            if sooner is not None:
                yield replace(fault, repaired_after=sooner)


def _plainer(fault: PlannedFault, space: Space) -> list[Fault]:
    """Return the faults that a reader understands more easily, of those that are possible."""
    before = FAULTS[: FAULTS.index(fault.value)]
    return [
        kind
        for kind in before
        if kind in space.faults and (kind.scope is Scope.PROCESS or kind == PARTITION)
    ]


def _earlier(line: int) -> Sequence[int]:
    """Return some of the lines before one, the earliest first: those that part the rest equally."""
    parts = {line * n // _PARTS for n in range(1, _PARTS)}
    return sorted({0, 1, line - 1, *parts} & {*range(line)})
