"""What a search has tried, in a file with a line for each run: so the same command goes on."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pushpull.cli.search_space import PHASES, Space, key
from pushpull.core.faults.planned import PlannedFault, Schedule, from_json
from pushpull.core.os_errors import file_errors
from pushpull.core.records import Event

REFUTED = "refuted"
# Besides the verdicts: the run has an error; the computer held it up, three times in a row.
FAILED, DISTURBED = "failed", "disturbed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A run of a schedule.

    Attributes:
        schedule: its faults; none in the run with which a search begins.
        outcome: the claim's verdict, FAILED or DISTURBED.
        came_up: for each fault, whether it was done and verified.
        run: the name of its run directory.
        why: the sentence of the verdict, or of the error.
    """

    schedule: Schedule
    outcome: str
    came_up: Sequence[bool]
    run: str
    why: str


class Tried:
    """All trials of a search; each new one is on the disk before it counts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.trials: list[Trial] = []
        with file_errors(file):
            file.touch()
            lines = file.read_bytes().split(b"\n")
            for line in lines[:-1]:
                self.trials.append(_trial(json.loads(line)))
            if lines[-1]:  # it was being written when the search was killed
                os.truncate(file, file.stat().st_size - len(lines[-1]))
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        for trial in self.trials:
            self._counts[key(trial.schedule)][trial.outcome] += 1

    def add(self, trial: Trial) -> None:
        """Keep a trial."""
        content = asdict(trial) | {"schedule": [fault.as_json() for fault in trial.schedule]}
        with file_errors(self._file), self._file.open("ab") as file:
            file.write(json.dumps(content).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.trials.append(trial)
        self._counts[key(trial.schedule)][trial.outcome] += 1

    def counts(self, schedule: Schedule) -> Mapping[str, int]:
        """Return how many trials of a schedule had each outcome."""
        return self._counts[key(schedule)]

    def of(self, schedule: Schedule) -> list[Trial]:
        """Return the trials of a schedule."""
        wanted = key(schedule)
        return [trial for trial in self.trials if key(trial.schedule) == wanted]


def _trial(content: dict[str, Any]) -> Trial:
    return Trial(**content | {"schedule": [from_json(each) for each in content["schedule"]]})


def came_up(schedule: Schedule, events: Sequence[Event]) -> list[bool]:
    """Return for each fault of a schedule whether a run's events have it, verified."""
    done = {
        (event.details.get("fault"), event.machine, event.process or fault.program)
        for event in events
        for fault in schedule
        if event.event == "fault" and event.details.get("verified")
    }
    return [(fault.fault, fault.machine, fault.program) in done for fault in schedule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """In how many runs (`least`) of how many (`runs`) a schedule must refute the claim."""

    least: int
    runs: int

    def decided(self, counts: Mapping[str, int]) -> bool | None:
        """Return whether a schedule refutes the claim; None if that takes more runs.

        One whose first run doesn't refute it isn't played again.
        """
        refuted = counts.get(REFUTED, 0)
        others = sum(counts.values()) - refuted
        if refuted >= self.least:
            return True
        if (others and not refuted) or others > self.runs - self.least:
            return False
        return None

    def __str__(self) -> str:
        return f"{self.least} of {self.runs}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """How often a fault was drawn for a victim in each phase, and how often it was done."""

    fault: str
    victim: str
    drawn: Mapping[str, int]
    done: Mapping[str, int]


def coverage(space: Space, trials: Sequence[Trial]) -> list[Cover]:
    """Return what the runs covered: a row for each fault and victim of the space."""
    drawn: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    done: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for planned, is_done in _faults(trials):
        if (victim := space.victim(planned)) is not None:
            place, phase = (planned.fault, str(victim)), victim.phase(planned.at)
            drawn[place][phase] += 1
            done[place][phase] += is_done
    pairs = [(fault.name, str(victim)) for fault in space.faults for victim in space.victims]
    return [
        Cover(
            fault=fault,
            victim=victim,
            drawn={phase: drawn[fault, victim][phase] for phase in PHASES},
            done={phase: done[fault, victim][phase] for phase in PHASES},
        )
        for fault, victim in pairs
    ]


def _faults(trials: Sequence[Trial]) -> Iterator[tuple[PlannedFault, bool]]:
    for trial in trials:
        yield from zip(trial.schedule, trial.came_up, strict=False)
