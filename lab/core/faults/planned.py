"""A fault that is planned before a run: whom it hits, at which line, and when it is repaired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pushpull.core import faults
from pushpull.core.faults.fault import Fault


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault at a line of a program, as `Lab.schedule` has it.

    Attributes:
        fault: its name.
        program: the name of the program at whose line it is done.
        machine: where that program runs; faults of machines and of the network are done there.
        at: the number of the line; 0 is before the first one.
        repaired_after: seconds from the fault to its repair; None if it is not repaired.
        parameters: those of the fault, such as `every` of `lose`.
    """

    fault: str
    program: str
    machine: str
    at: int = 0
    repaired_after: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> Fault:
        """The fault itself; LabError if there is none of this name."""
        return faults.named(self.fault)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object, in which nothing is left out."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def as_call(self, lab: str = "lab") -> str:
        """Return the line of a scenario that plans it; `lab` is the name of the scenario's lab."""
        words = [as_code(self.fault), as_code(self.program), f"on={as_code(self.machine)}"]
        words.append(f"at={self.at}")
        if self.repaired_after is not None:
            words.append(f"repaired_after={self.repaired_after!r}")
        words += [f"{name}={as_code(value)}" for name, value in self.parameters.items()]
        return f"{lab}.schedule({', '.join(words)})"

    def __str__(self) -> str:
        """Return it as a sentence for a reader."""
        when = f"at its line {self.at:,}" if self.at else "before its first line"
        of_process = self.value.scope.value == "process"
        whom = f"{self.program} on {self.machine}"
        if of_process:
            what = f"{whom} {self.value.words} {when}"
        else:
            what = f"{self.machine} {self.value.words}, with {self.program} {when}"
        if self.parameters:
            what += f" ({', '.join(f'{name}={value}' for name, value in self.parameters.items())})"
        if self.repaired_after is None or self.value.repair is None:
            return what
        return f"{what}, and {self.value.repair.words} {self.repaired_after:g} s later"


def from_json(content: Mapping[str, Any]) -> PlannedFault:
    """Return a planned fault that `as_json` described; raises TypeError for anything else."""
    return PlannedFault(**content)


def as_code(value: object) -> str:
    """Return a value as Python has it, with this project's quotes where that is possible."""
    code = repr(value)
    return code if '"' in code or "\\" in code else code.replace("'", '"')


Schedule = Sequence[PlannedFault]
