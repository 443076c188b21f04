"""What the user wants of a run, and how run.json describes it."""

import functools
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushpull import __version__
from pushpull.core.faults.fault import Fault
from pushpull.core.parameters import Value
from pushpull.core.project import SHIPPED
from pushpull.engine.ending import Plan
from pushpull.engine.experiment import Experiment
from pushpull.engine.program import Program
from pushpull.machines.remote import Remote

if TYPE_CHECKING:
    from pushpull.engine.process_manager import ProcessManager

# It gets the Lab, whose module imports this one, its processes, and what is no longer true.
WhenBroken = Callable[[Any, "ProcessManager", str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What the user wants of a run; None leaves it to the experiment. `interval` in seconds.

    `programs` can be started, by their names; `implementation` says whose they are, as the user
    chose it. `files` are the user's beside the experiment, which are deployed and kept with the
    run; `code` is the fingerprint of what judges it. `patience_s` is a script's, see `Plan`.
    `when_broken` is called when what is always to be true is not, before anything is ended.
    `parameters` has a value for each that the experiment declares.
    """

    experiment: Experiment
    programs: Mapping[str, Program]
    files: Mapping[str, Path]
    code: Mapping[str, str]
    implementation: str
    variant: str
    count: int | None
    interval: float | None
    options: Sequence[str]
    packets: bool
    call: str
    command: str
    sweep: Mapping[str, str] | None = None
    patience_s: float | None = None
    when_broken: WhenBroken | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)

    @property
    def faults(self) -> Sequence[Fault]:
        return self.experiment.faults_of(self.variant)

    @property
    def title(self) -> str:
        name = self.experiment.name
        return f"{name}:{self.variant}" if self.variant else name

    @property
    def heading(self) -> str:
        """The title, with whose programs play if the experiment says that it uses some."""
        return f"{self.title} ({self.implementation})" if self.experiment.uses else self.title

    @property
    def messages(self) -> int:
        return self.experiment.count if self.count is None else self.count

    @property
    def pause(self) -> float:
        return self.experiment.interval if self.interval is None else self.interval

    @property
    def plan(self) -> Plan:
        return Plan(
            count=self.messages,
            interval=self.pause,
            takes=self.experiment.takes,
            patience_s=self.patience_s,
        )

    @property
    def planned_s(self) -> float:
        return self.experiment.planned_s(self.count, self.interval)


def description(request: RunRequest, remotes: Mapping[str, Remote]) -> dict[str, Any]:
    """Return what run.json says about a run on these machines before it begins."""
    one = next(iter(remotes.values())).access
    return {
        **({"code": dict(request.code)} if request.code else {}),
        **({} if request.sweep is None else {"sweep": dict(request.sweep)}),
        "call": request.call,
        "command": request.command,
        "implementation": request.implementation,
        "module": str(request.experiment.file.resolve()) if request.experiment.is_own else None,
        "summary": request.experiment.summary,
        "source": request.experiment.source,
        "parameters": {
            "count": request.messages,
            "interval": request.pause,
            "options": list(request.options),
            "variant": request.variant,
            **request.parameters,
        },
        "provider": one.provider,
        "open_network": one.open_network,
        "environment": {
            "python": platform.python_version(),
            "kernel": platform.release(),
            "lab": __version__,
            "git_revision": git_revision(),
        },
        "inventory": {
            remote.name: {"role": ", ".join(remote.access.roles), "address": remote.access.address}
            for remote in remotes.values()
        },
    }


@functools.cache  # a sweep asks for each of its runs
def git_revision() -> str | None:
    """Return the commit of the lab's clone; None if it isn't one."""
    git = shutil.which("git")
    if git is None or not (SHIPPED / ".git").exists():
        return None
    asked = subprocess.run(
        [git, "-C", str(SHIPPED), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None
