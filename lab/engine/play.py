"""Plays one experiment: deploys, runs the scenario, ends everything, and stores the results."""

import contextlib
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pushpull.core import clock, user_code
from pushpull.core.errors import LabError, RunStoreError
from pushpull.engine import disturbance
from pushpull.engine.build import BuiltLab, Setting, build_lab
from pushpull.engine.disturbance import Lateness, MachineLateness
from pushpull.engine.experiment import Experiment
from pushpull.engine.monitor import LimitReached, NeverConnected, RunMonitor
from pushpull.engine.request import RunRequest
from pushpull.engine.scenario import TriggerMissed
from pushpull.engine.sniffers import Sniffers
from pushpull.machines import clock_offset, requirements
from pushpull.machines.agent import launcher
from pushpull.machines.connection import ssh_errors
from pushpull.machines.pool import at_once
from pushpull.machines.remote import Remote

_KERNEL = "/proc/sys/kernel/osrelease"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a scenario went: a note for the user, and why the run is cut, in sentences.

    `error` is why its files could not be written completely; `never_connected` says that it was
    cut because its programs can't talk to each other, as they won't next time.
    """

    note: str = ""
    cut: str = ""
    interrupted: bool = False
    error: LabError | None = None
    never_connected: bool = False


def deploy_and_play(request: RunRequest, setting: Setting) -> Played:
    """Play an experiment on machines that are up, and leave them unchanged, whatever happens.

    Raises LabError if a machine can't take part, or if the scenario has a mistake.
    """
    clocks = _prepare(setting, request.files, request.experiment.needs)
    wall_ahead_s = clock.wall_ahead_s()
    with Lateness() as lateness:
        built = build_lab(request, setting, clocks, lateness.stopped_s)
        others = [name for name in setting.remotes if clocks[name].monotonic_ahead_s is None]
        theirs = MachineLateness.measure(setting.remotes, others)
        sniffers = Sniffers(setting, built.monitor)
        try:
            played = _perform(request, setting, built, sniffers)
        except KeyboardInterrupt:
            note = "interrupted: these verdicts are about a part of the run"
            played = Played(note=note, cut="The run was interrupted.", interrupted=True)
        finally:
            with _uninterrupted():
                built.lab.stop()
                sniffers.end()
                found = disturbance.description(lateness, theirs.end())
                _store_the_rest(setting, built, wall_ahead_s, found)
    return _cut_short(played, built.monitor, lateness.stopped_s())


def _prepare(
    setting: Setting, files: Mapping[str, Path], needs: Sequence[str]
) -> dict[str, clock.Clock]:
    """Deploy the user's files on all machines, and measure each clock's offset from ours."""
    ours = clock_offset.our_boot_id()

    def prepare(remote: Remote) -> clock.Clock:
        requirements.require(remote, needs)
        remote.deploy(setting.folder, files)
        remote.warm_up(setting.folder)
        with ssh_errors(remote.access, "ask it for its time"):
            return clock_offset.measure(remote, ours)

    try:
        clocks = at_once(setting.remotes, prepare)
        setting.directory.update(clocks={name: asdict(found) for name, found in clocks.items()})
    except BaseException:
        _remove(setting)
        raise
    return clocks


def _perform(request: RunRequest, setting: Setting, built: BuiltLab, sniffers: Sniffers) -> Played:
    """Run the scenario, after a trial of everything that it needs."""
    experiment = request.experiment
    setting.view.experiment(request.heading, experiment.summary, request.planned_s)
    built.faults.network.try_out(request.faults)
    if request.packets:
        sniffers.begin()
    built.monitor.begin()
    return _play(experiment, built)


def _play(experiment: Experiment, built: BuiltLab) -> Played:
    lab, note = built.lab, ""
    try:
        try:
            experiment.scenario(lab)
        except TriggerMissed as missed:
            note = str(missed)
        still_open = lab.finish()
    except RunStoreError as error:  # what was captured so far is judged
        built.monitor.fail(error)
        return Played()
    except LimitReached as stuck:
        note = f"the run took too long while waiting for {stuck}"
        return Played(note=note, cut=f"The run took too long while waiting for {stuck}.")
    except NeverConnected as apart:
        return Played(note=str(apart), cut=str(apart), never_connected=True)
    except Exception as error:
        if not experiment.is_own or (isinstance(error, LabError) and error.where):
            raise
        raise user_code.mistake(error, experiment.file, experiment.scenario) from error
    return Played(note=" ".join(filter(None, [note, still_open])), cut=still_open)


def _store_the_rest(
    setting: Setting, built: BuiltLab, wall_ahead_s: float, found: dict[str, Any]
) -> None:
    """Store what is known only at the end; then remove the run's folder from the machines."""
    try:
        built.manager.fetch_all()
        setting.directory.make_room()
        step_s = round(clock.wall_ahead_s() - wall_ahead_s, 3)
        if abs(step_s) > clock.SET_S:
            setting.directory.update(clock_step_s=step_s)
        facts = _facts(setting, built.monitor)
        setting.directory.update(machines=facts, disturbance=found)
    except RunStoreError as error:
        built.monitor.fail(error)
    finally:
        _remove(setting)


def _cut_short(played: Played, monitor: RunMonitor, stopped_s: float) -> Played:
    """Add to the result what cut the run short without the scenario's knowledge, if anything."""
    if isinstance(monitor.trouble, RunStoreError):
        why = monitor.trouble.what.removeprefix("Cannot write this: ")
        cut = f"Not all of this run could be kept: {why}"
        played = replace(played, cut=cut, error=monitor.trouble)
    if monitor.leases_lost:
        cut = f"{_why_silent(stopped_s)}; the lease of its programs ended them."
        played = replace(played, cut=cut, note=cut)
    return played


def _why_silent(stopped_s: float) -> str:
    if stopped_s > launcher.PULSE_S:
        return f"The lab was suspended for {stopped_s:.0f} s"
    return f"A machine heard nothing from the lab for {launcher.LEASE_S} s"


def _remove(setting: Setting) -> None:
    at_once(setting.remotes, lambda remote: remote.remove(setting.folder))


def _facts(setting: Setting, monitor: RunMonitor) -> dict[str, Any]:
    """Return what each machine runs: its kernel, and the versions that its programs reported."""
    facts: dict[str, Any] = {}
    for remote in setting.remotes.values():
        with contextlib.suppress(LabError):  # a machine that died has none
            facts[remote.name] = {"kernel": remote.read(_KERNEL).strip()}
            facts[remote.name] |= monitor.versions.get(remote.name, {})
    return facts


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore further Ctrl-C, so that nothing is left behind; the block has its own time-outs."""
    before = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
