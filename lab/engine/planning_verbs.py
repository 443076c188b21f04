"""How a scenario plans faults for programs that it starts later."""

from typing import Any

from pushpull.core.faults.planned import PlannedFault
from pushpull.engine.build import Parts


class PlanningVerbs:
    """The method of a `Lab` that plans faults."""

    _parts: Parts

    def schedule(
        self,
        fault: str,
        program: str,
        *,
        on: str,
        at: int,
        repaired_after: float | None = None,
        **parameters: Any,
    ) -> None:
        """Plan a fault before the scenario starts the program at whose line it is to be done.

        It is done beside the scenario, once the program is ready; see docs/search.md.

        Arguments:
            fault: its name.
            program: the name of the program, which stands at the line while the fault is done.
            on: the machine where it runs; faults of machines and networks are done to this one, and
                separate it from all others.
            at: the number of the line; 0 is before the first one.
            repaired_after: seconds until the repair; by default it is not repaired.
            parameters: those of the fault, such as `every=10` of `lose`.

        Raises LabError if there is no such fault or machine.
        """
        when: dict[str, Any] = {"at": at, "repaired_after": repaired_after}
        planned = PlannedFault(fault, program, on, **when, parameters=parameters)
        self._parts.schedule.add(planned)
