"""The lanes in which a run is shown: one for each machine, or for each of its programs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pushpull.analysis.run import Run
from pushpull.analysis.side_by_side import natural, ordered_machines
from pushpull.core.names import program_of
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import sources_of


@dataclass(frozen=True, slots=True)
class Lanes:
    """The names of lanes in their order; `programs` are those of machines that have several."""

    names: tuple[str, ...]
    programs: dict[str, tuple[str, ...]]

    def of(self, machine: str, process: str) -> str:
        """Return the lane of a process; without a process, the machine's first."""
        return self.all_of(machine, process)[0]

    def all_of(self, machine: str, process: str = "") -> Sequence[str]:
        """Return the lanes of a machine, or only that of one of its processes."""
        programs = self.programs.get(machine, ())
        wanted = program_of(process)
        chosen = [wanted] if wanted in programs else programs
        return [_name(machine, program) for program in chosen] or [machine]


def lanes_of(stored: StoredRun, run: Run, *, by_program: bool) -> Lanes:
    """Return the lanes of a run: senders first, hop by hop.

    With `by_program`, a machine on which several programs print has a lane for each of them.
    """
    senders = [hop.sent.line_lives() for hop in run.hops]
    machines = ordered_machines(stored, [{machine for machine, _ in hop} for hop in senders])
    printing = defaultdict[str, dict[str, None]](dict)
    for machine, process, stream in sources_of(stored.records) if by_program else ():
        if stream == "stdout":
            printing[machine][program_of(process)] = None
    programs = {name: tuple(found) for name, found in printing.items() if len(found) > 1}

    def rank(place: tuple[str, str]) -> int:
        sent = (k for k, hop in enumerate(senders) if _sends(place, hop))
        return next(sent, len(senders))

    places = [(name, program) for name in machines for program in programs.get(name, ("",))]
    places.sort(key=lambda place: (rank(place), natural(place[0])))
    names = tuple(_name(name, program) if program else name for name, program in places)
    return Lanes(names, programs)


def _sends(place: tuple[str, str], lives: set[tuple[str, str]]) -> bool:
    machine, program = place
    return any(name == machine and program in ("", program_of(process)) for name, process in lives)


def _name(machine: str, program: str) -> str:
    return f"{program} on {machine}"
