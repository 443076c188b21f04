"""Runs one experiment on machines that are up: deploy, play the scenario, end it, judge it."""

import contextlib
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab.analysis.cut import clock_step, disturbed_reason, lost_machines
from lab.analysis.history import joined
from lab.analysis.line_readers import unread
from lab.core import clock, os_errors, user_code
from lab.core.errors import ExitCode, LabError
from lab.engine import disturbance
from lab.engine.disturbance import Lateness, MachineLateness
from lab.engine.ending import Plan
from lab.engine.experiment import Experiment
from lab.engine.faults import Faults
from lab.engine.judge import exit_code, judged
from lab.engine.monitor import LimitReached, RunMonitor, View
from lab.engine.network_faults import NetworkFaults
from lab.engine.process_manager import ProcessManager
from lab.engine.request import RunRequest, description
from lab.engine.scenario import Lab, TriggerMissed
from lab.machines import clock_offset, requirements
from lab.machines.agent import launcher
from lab.machines.connection import ANSWER_TIMEOUT_S, ssh_errors
from lab.machines.pool import at_once
from lab.machines.providers.base import Machines
from lab.machines.remote import Remote
from lab.machines.remote_process import RemoteProcess
from lab.runs import records_file, store
from lab.runs.capture import Capture
from lab.runs.directory import MODULE, RunDirectory

_KERNEL = "/proc/sys/kernel/osrelease"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Where a run is, what its claims came to or what spoiled it, and its exit code."""

    path: Path
    code: ExitCode
    verdicts: Sequence[Mapping[str, Any]] = ()
    note: str = ""
    error: LabError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a scenario went: what the user is to know, and why the run is cut, in sentences."""

    note: str = ""
    cut: str = ""
    interrupted: bool = False


def run(
    request: RunRequest,
    machines: Machines,
    remotes: dict[str, Remote],
    view: View,
    root: Path,
    *,
    meanwhile: Callable[[], None],
) -> Result:
    """Run one experiment and judge it; whatever happens, what was captured stays.

    `meanwhile` is called in a thread of its own once the scenario waits for nothing but the end of
    its programs, so that it delays no fault.

    A run that was cut (see `cut`) is judged as far as it can be, with the exit code NOT_OBSERVED;
    after Ctrl-C with INTERRUPTED. One that lost a machine on its way has an error too, which names
    it; one that was spoiled has an error alone.
    Raises LabError where no run directory can be made. Any other exception is a bug of ours: its
    traceback is in the run directory, and further experiments still run.
    """
    _need_machines(request, machines)
    _need_faults(request, machines)
    directory = RunDirectory.create(root, request.experiment.name, description(request, remotes))
    state = "interrupted"
    try:
        if request.experiment.is_own:
            directory.carry({MODULE: request.experiment.file, **request.files})
        played = _deploy_and_play(request, machines, remotes, view, directory, meanwhile)
        stored = store.load(directory.path)
        if lost := _lost(lost_machines(stored.events)):
            directory.update(error=str(lost))
        verdicts, why_cut = judged(stored, request.experiment)
        reads = request.experiment.reads
        notes = [played.note, disturbed_reason(stored), clock_step(stored)]
        notes += [unread(stored.records, reads)] if reads else []
        if why_cut:
            directory.update(cut=why_cut)
        directory.write_verdicts(verdicts)
        state = "interrupted" if why_cut else "finished"
        if len(stored.records) <= records_file.MOST_UNASKED:
            with contextlib.suppress(LabError):  # `fab records` makes it, or says why it can't
                records_file.write(stored)
    except LabError as error:
        directory.update(error=str(error), cut="An error ended the run.")
        return Result(path=directory.path, error=error, code=ExitCode.MISTAKE)
    except Exception as error:
        refused = os_errors.diagnose(error)
        if refused:
            directory.update(error=str(refused), cut="An error ended the run.")
            return Result(path=directory.path, error=refused, code=ExitCode.MISTAKE)
        directory.attach("traceback.txt", traceback.format_exc())
        return Result(path=directory.path, error=_bug(directory.path), code=ExitCode.BUG)
    finally:
        directory.finish(state)
    code = ExitCode.MISTAKE if lost else exit_code(verdicts, cut=bool(why_cut))
    return Result(
        path=directory.path,
        verdicts=verdicts,
        note=" ".join(filter(None, notes)),
        error=lost,
        code=ExitCode.INTERRUPTED if played.interrupted else code,
    )


def _need_machines(request: RunRequest, machines: Machines) -> None:
    for role, least in request.experiment.machines.items():
        found = sum(access.role == role for access in machines.access.values())
        if found < least:
            raise LabError(
                f"{request.title} needs {least} machines with the role {role}, there "
                + ("is 1" if found == 1 else f"are {found}"),
                hint="add them to the inventory: a machine's `count` makes several of it",
            )


def _need_faults(request: RunRequest, machines: Machines) -> None:
    missing = [fault for fault in request.faults if fault not in machines.faults]
    if missing:
        provider = next(iter(machines.access.values())).provider
        raise LabError(
            f"{request.title} needs {' and '.join(missing)}, which the provider '{provider}'"
            " can't do",
            hint="run it on another one: --provider namespaces, or --provider vagrant",
        )


def _lost(machines: Sequence[str]) -> LabError | None:
    if not machines:
        return None
    return LabError(
        "the connection broke in the midst of the run, which went on without it",
        where=f"machine {joined(machines)}",
        hint="is it up, is the way to it? `fab check` tells; what was captured is kept",
    )


def _bug(run: Path) -> LabError:
    return LabError(
        "this run met a bug of the lab itself",
        where=str(run),
        hint="its traceback.txt says where: please report it; what was captured is kept",
    )


def _deploy_and_play(
    request: RunRequest,
    machines: Machines,
    remotes: dict[str, Remote],
    view: View,
    directory: RunDirectory,
    meanwhile: Callable[[], None],
) -> Played:
    clocks = _prepare(remotes, directory.path.name, request.files, request.experiment.needs)
    directory.update(clocks={name: asdict(found) for name, found in clocks.items()})
    wall_ahead_s = clock.wall_ahead_s()
    with Lateness() as lateness:
        plan = Plan(count=request.messages, interval=request.pause, takes=request.experiment.takes)
        monitor = RunMonitor(
            directory, view, request.experiment.reads, clocks, plan, meanwhile, lateness.stopped_s
        )
        lab = _build(request, machines, remotes, directory, monitor)
        others = [name for name in remotes if clocks[name].monotonic_ahead_s is None]
        theirs = MachineLateness.measure(remotes, others)
        view.experiment(request.title, request.experiment.summary, request.planned_s)
        sniffers: list[RemoteProcess] = []
        try:
            lab.network_faults.try_out(request.faults)
            sniffers += _sniff(remotes, directory) if request.packets else []
            monitor.begin()
            played = _play(request.experiment, lab)
        except KeyboardInterrupt:
            note = "interrupted: these verdicts are of a part of the run"
            played = Played(note=note, cut="The run was interrupted.", interrupted=True)
        finally:
            with _uninterrupted():
                lab.stop()
                _end(sniffers)
                found = disturbance.description(lateness, theirs.end())
                try:
                    step_s = round(clock.wall_ahead_s() - wall_ahead_s, 3)
                    if abs(step_s) > clock.SET_S:
                        directory.update(clock_step_s=step_s)
                    directory.update(machines=_facts(remotes, monitor), disturbance=found)
                    lab.manager.fetch_all()
                finally:
                    _remove(remotes, directory.path.name)
    if monitor.leases_lost:
        why = _why_silent(lateness.stopped_s())
        cut = f"{why}; its programs were ended by their lease."
        played = replace(played, cut=cut, note=cut)
    if played.cut:
        directory.update(cut=played.cut)
    return played


def _why_silent(stopped_s: float) -> str:
    if stopped_s > launcher.PULSE_S:
        return f"The lab was suspended for {stopped_s:.0f} s"
    return f"Nothing that the lab said came through to a machine for {launcher.LEASE_S} s"


def _build(
    request: RunRequest,
    machines: Machines,
    remotes: dict[str, Remote],
    directory: RunDirectory,
    monitor: RunMonitor,
) -> Lab:
    """Return the lab as the scenario is to see it."""
    processes = ProcessManager(
        remotes=remotes,
        run=directory.path,
        programs=request.programs,
        files=request.files,
        folder=directory.path.name,
        options=request.options,
        grace_s=request.experiment.grace,
        load={"LAB_COUNT": str(request.messages), "LAB_INTERVAL": str(request.pause)},
        capture=Capture(directory, monitor.records),
        monitor=monitor,
    )
    return Lab(
        variant=request.variant,
        count=request.messages,
        interval=request.pause,
        manager=processes,
        faults=Faults(machines, monitor),
        network_faults=NetworkFaults(processes, monitor),
        monitor=monitor,
    )


def _sniff(remotes: Mapping[str, Remote], directory: RunDirectory) -> list[RemoteProcess]:
    """Capture the packets of every machine, until the processes that are returned are ended.

    Where one machine refuses, those of the others are ended.
    """
    begun: list[RemoteProcess] = []

    def sniff(remote: Remote) -> None:
        file = directory.packets(remote.name)

        def keep(data: bytes) -> None:
            file.write(data) if data else file.close()

        begun.append(remote.sniff(directory.path.name, keep))

    try:
        at_once(remotes, sniff)
    except BaseException:
        _end(begun)
        raise
    return begun


def _end(sniffers: Sequence[RemoteProcess]) -> None:
    """End sniffers, and wait until what they have seen is on the disk."""
    for sniffer in sniffers:
        sniffer.end()
    for sniffer in sniffers:
        sniffer.wait(ANSWER_TIMEOUT_S)


def _play(experiment: Experiment, lab: Lab) -> Played:
    note = ""
    try:
        try:
            experiment.scenario(lab)
        except TriggerMissed as missed:
            note = str(missed)
        still_open = lab.finish()
    except LimitReached as stuck:
        note = f"the run took too long: it waited for {stuck}"
        return Played(note=note, cut=f"The run took too long, and waited for {stuck}.")
    except Exception as error:
        if not experiment.is_own or (isinstance(error, LabError) and error.where):
            raise
        raise user_code.mistake(error, experiment.file, experiment.scenario) from error
    return Played(note=" ".join(filter(None, [note, still_open])), cut=still_open)


def _prepare(
    remotes: Mapping[str, Remote], folder: str, files: Mapping[str, Path], wanted: Sequence[str]
) -> dict[str, clock.Clock]:
    """Put the user's files on all machines, and learn how far each one's clock is from ours."""
    ours = clock_offset.our_boot_id()

    def prepare(remote: Remote) -> clock.Clock:
        requirements.require(remote, wanted)
        remote.deploy(folder, files)
        remote.warm_up(folder)
        with ssh_errors(remote.access, "ask it for its time"):
            return clock_offset.measure(remote, ours)

    try:
        return at_once(remotes, prepare)
    except BaseException:
        _remove(remotes, folder)
        raise


def _remove(remotes: Mapping[str, Remote], folder: str) -> None:
    at_once(remotes, lambda remote: remote.remove(folder))


def _facts(remotes: Mapping[str, Remote], monitor: RunMonitor) -> dict[str, Any]:
    """Return what each machine runs: its kernel, and the versions that its programs told."""
    facts: dict[str, Any] = {}
    for remote in remotes.values():
        with contextlib.suppress(LabError):  # a machine that died has none
            facts[remote.name] = {"kernel": remote.read(_KERNEL).strip()}
            facts[remote.name] |= monitor.versions.get(remote.name, {})
    return facts


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let no second Ctrl-C leave anything behind; what is done here has time-outs of its own."""
    before = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
