"""Builds the parts of one run: what observes, starts processes, and injects faults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pushpull.core.clock import Clock
from pushpull.core.parameters import text
from pushpull.engine import stillborn, unconnected
from pushpull.engine.fault_schedule import FaultSchedule
from pushpull.engine.faults import Faults
from pushpull.engine.monitor import RunMonitor, View
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.request import RunRequest
from pushpull.machines.providers.base import Machines
from pushpull.machines.remote import Remote
from pushpull.runs.capture import Capture
from pushpull.runs.directory import RunDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where one run takes place: its machines, its directory, and its view.

    `meanwhile` is called in its own thread once the scenario only waits for the end of its
    programs.
    """

    machines: Machines
    remotes: dict[str, Remote]
    directory: RunDirectory
    view: View
    meanwhile: Callable[[], None]

    @property
    def folder(self) -> str:
        """The run's folder on each machine."""
        return self.directory.path.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one run, which a `Lab` controls for a scenario."""

    monitor: RunMonitor
    manager: ProcessManager
    faults: Faults
    schedule: FaultSchedule

    def stop(self) -> None:
        """End every process, then repair what is broken.

        This order prevents the arrival of what a paused process or a cut cable held back.
        """
        self.schedule.close()
        self.manager.stop()
        self.schedule.join()
        self.faults.undo()


def build_parts(
    request: RunRequest,
    setting: Setting,
    clocks: Mapping[str, Clock],
    stopped_s: Callable[[], float],
) -> Parts:
    """Return the parts of one run, with nothing started yet.

    Arguments:
        request: what the user wants of the run.
        setting: where it takes place.
        clocks: each machine's clock, compared with ours.
        stopped_s: returns for how many seconds this process itself was stopped.
    """
    experiment, directory = request.experiment, setting.directory
    monitor = RunMonitor(
        directory,
        setting.view,
        experiment.reads,
        clocks,
        request.plan,
        setting.meanwhile,
        stopped_s,
    )
    manager = ProcessManager(
        remotes=setting.remotes,
        run=directory.path,
        programs=request.programs,
        files=request.files,
        folder=setting.folder,
        options=request.options,
        grace_s=experiment.grace,
        load={
            "LAB_COUNT": str(request.messages),
            "LAB_INTERVAL": str(request.pause),
            **{
                f"LAB_PARAMETER_{name.upper()}": text(value)
                for name, value in request.parameters.items()
            },
        },
        capture=Capture(directory, monitor.records),
        monitor=monitor,
    )
    monitor.hopeless = partial(_hopeless, manager, monitor)
    faults = Faults.of(setting.machines, manager)
    schedule = FaultSchedule.of(manager, faults)
    return Parts(monitor=monitor, manager=manager, faults=faults, schedule=schedule)


def _hopeless(manager: ProcessManager, monitor: RunMonitor) -> str:
    """Return why the programs will never talk; LabError if one failed before it could."""
    stillborn.require_none(manager.processes, monitor)
    return unconnected.reason(manager.processes, monitor)
