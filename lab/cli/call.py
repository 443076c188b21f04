"""The checked arguments of `fab run-experiment`."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pushpull.cli import arguments
from pushpull.core.errors import LabError
from pushpull.core.project import COMMAND
from pushpull.experiments import DEFAULT, catalogue, implementations
from pushpull.experiments.implementations import Choice
from pushpull.machines.inventory import Inventory, resized


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The user's arguments, every value checked; `interval` in seconds."""

    experiment: str
    implementation: Choice
    provider: str
    inventory: Inventory
    count: int | None
    interval: float | None
    options: Sequence[str]
    keep: bool
    packets: bool
    runs: Path
    sweep: Mapping[str, str] | None = None
    stop_on_refuted: bool = False

    def command(self, experiment: str) -> str:
        """Return the command line that repeats this call, for one experiment or (if "") for all."""
        words = [COMMAND, "run-experiment"]
        words += ["--experiment", experiment] if experiment else []
        if self.implementation != Choice():
            words += ["--implementation", str(self.implementation)]
        words += ["--provider", self.provider, "--inventory", str(self.inventory.path)]
        words += [] if self.count is None else ["--count", str(self.count)]
        words += [] if self.interval is None else ["--interval", str(self.interval)]
        words += [word for option in self.options for word in ("--set", option)]
        words += ["--capture"] if self.packets else []
        return shlex.join([*words, "--runs", str(self.runs)])


def quick_call(provider: str, inventory: str, runs: Path, experiment: str = "") -> Call:
    """Return a call that runs an experiment, or any of the lab's, with its defaults."""
    return Call(
        experiment=experiment,
        implementation=Choice(),
        provider=provider,
        inventory=inventory_for(experiment, inventory),
        count=None,
        interval=None,
        options=(),
        keep=False,
        packets=False,
        runs=runs,
    )


def inventory_for(experiment: str, path: str) -> Inventory:
    """Load an inventory; LabError if the experiment, or one of the default ones, lacks a role."""
    wanted = [experiment] if experiment else DEFAULT
    roles = dict.fromkeys(role for name in wanted for role in catalogue.load(name).machines)
    return arguments.inventory(path, list(roles), needed_by=wanted[0])


def role_of(call: Call, setting: str) -> str | None:
    """Return the role whose number of machines a setting is, such as `workers`; None for others.

    A parameter that the experiment declares comes first.
    """
    role = setting.removesuffix("s")
    if role == setting or not call.inventory.with_role(role):
        return None
    declared = catalogue.load(call.experiment).parameters if call.experiment else {}
    return None if setting in declared else role


def with_setting(call: Call, name: str, value: str) -> Call:
    """Return a call with one setting changed.

    It is `implementation`, `count`, `interval`, a socket option, a parameter of the experiment, or
    the number of machines with a role, by its plural: `workers`.

    Raises:
        LabError: the setting or its value is invalid.
    """
    flag = f"--vary {name}"
    if not value:
        raise LabError(f"{flag} has no value", hint=f"give some: --vary {name}=1,2")
    if name == "implementation":
        return replace(call, implementation=implementations.chosen(value))
    if name == "count":
        return replace(call, count=arguments.whole_number(flag, value))
    if name == "interval":
        return replace(call, interval=arguments.seconds(flag, value))
    if (role := role_of(call, name)) is not None:
        number = arguments.whole_number(flag, value) or 0
        return replace(call, inventory=resized.resized(call.inventory, role, number, call.runs))
    option = arguments.options(flag, [f"{name}={value}"])
    return replace(call, options=[*call.options, *option])
