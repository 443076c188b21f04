"""What a scenario may name as the target of a fault: processes, machines, roles."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from pushpull.core.errors import LabError
from pushpull.engine.observed import Observed
from pushpull.engine.processes import Process, Processes

Chosen = Process | Processes | str | Sequence[Process | str]
_T = TypeVar("_T")

# A function chooses a target that isn't known before the run; it returns None until it can.
Target = Chosen | Callable[[Observed], Chosen | None]


def processes_in(target: object) -> list[Process]:
    """Return the processes in a target; LabError for anything else."""
    members = list(_members(target))
    for one in members:
        if not isinstance(one, Process):
            raise _wrong(one, "a process", "give what `lab.start` or `lab.first` returned")
    return members  # type: ignore[return-value]  # just checked


def places_in(target: object) -> list[str]:
    """Return the machines and roles in a target; a process stands for its machine."""
    return list(dict.fromkeys(map(_place, _members(target))))


def only(found: Sequence[_T], kind: str) -> _T:
    """Return the one that was found; LabError if there are more, or none."""
    if len(found) != 1:
        raise LabError(f"this needs one {kind}, but the target has {len(found)}", hint="name one")
    return found[0]


def _members(target: object) -> Iterator[object]:
    if isinstance(target, Processes | list | tuple | set):
        yield from target
    else:
        yield target


def _place(one: object) -> str:
    if isinstance(one, Process):
        return one.machine
    if isinstance(one, str):
        return one
    raise _wrong(one, "a machine", "give its name, a role, or a process that runs on it")


def _wrong(target: object, wanted: str, hint: str) -> LabError:
    return LabError(f"{target!r} is not {wanted}", hint=hint)
