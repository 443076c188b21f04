"""The checked arguments of `fab run-experiment`."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.cli import arguments
from lab.experiments import ROLES, catalogue
from lab.machines.inventory import Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The user's arguments, every value checked; `interval` in seconds."""

    experiment: str
    provider: str
    inventory: Inventory
    count: int | None
    interval: float | None
    options: Sequence[str]
    keep: bool
    packets: bool
    runs: Path

    def command(self, experiment: str) -> str:
        """Return the command line that repeats this call, for one experiment or (if "") for all."""
        words = ["./fab", "run-experiment"]
        words += ["--experiment", experiment] if experiment else []
        words += ["--provider", self.provider, "--inventory", str(self.inventory.path)]
        words += [] if self.count is None else ["--count", str(self.count)]
        words += [] if self.interval is None else ["--interval", str(self.interval)]
        words += [word for option in self.options for word in ("--set", option)]
        words += ["--capture"] if self.packets else []
        return shlex.join([*words, "--runs", str(self.runs)])


def quick_call(provider: str, inventory: str, runs: Path) -> Call:
    """Return a call that runs any of the lab's experiments with its defaults."""
    return Call(
        experiment="",
        provider=provider,
        inventory=arguments.inventory(inventory, ROLES),
        count=None,
        interval=None,
        options=(),
        keep=False,
        packets=False,
        runs=runs,
    )


def roles(experiment: str) -> Sequence[str]:
    """Return the roles that machines need; a user's own experiment checks its own."""
    return ROLES if not experiment or experiment in catalogue.names() else ()
