"""Deploys to machines that are up, and leaves them unchanged afterwards, whatever happens."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from pushpull.core import clock
from pushpull.core.errors import LabError, RunStoreError
from pushpull.engine import disturbance, versions
from pushpull.engine.build import Parts, Setting, build_parts
from pushpull.engine.disturbance import Lateness, MachineLateness
from pushpull.engine.monitor import RunMonitor
from pushpull.engine.program import ahead
from pushpull.engine.request import RunRequest
from pushpull.engine.sniffers import Sniffers
from pushpull.machines import clock_offset, requirements
from pushpull.machines.connection import ssh_errors
from pushpull.machines.pool import at_once
from pushpull.machines.remote import Remote

_KERNEL = "/proc/sys/kernel/osrelease"
_Versions = dict[str, dict[str, str]]  # by machine and program


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A run on machines that have its files; `lateness` measures how it is disturbed."""

    parts: Parts
    sniffers: Sniffers
    lateness: Lateness


class Removal:
    """Removes a run's folder from its machines; the end of the block waits for that.

    So the harness can go on, once nothing is needed of the folder any more.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._begun: Future[object] | None = None

    def begin(self) -> None:
        """Begin to remove it, if that hasn't begun."""
        if self._begun is None:
            pool = ThreadPoolExecutor(1)
            self._begun = pool.submit(at_once, self._setting.remotes, self._remove)
            pool.shutdown(wait=False)

    def _remove(self, remote: Remote) -> None:
        remote.remove(self._setting.folder)

    def __enter__(self) -> "Removal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._begun is not None:
            with _uninterrupted():
                self._begun.result()


@contextlib.contextmanager
def deployed(request: RunRequest, setting: Setting, removal: Removal) -> Iterator[Deployed]:
    """Deploy a run's files; at the end of the block end its processes, and store what is left.

    Then begin the removal of the run's folder. Raises LabError if a machine can't take part.
    """
    clocks, known = _prepare(setting, request, removal)
    wall_ahead_s = clock.wall_ahead_s()
    with Lateness() as lateness:
        parts = build_parts(request, setting, clocks, lateness.stopped_s)
        others = [name for name in setting.remotes if clocks[name].monotonic_ahead_s is None]
        theirs = MachineLateness.measure(setting.remotes, others)
        sniffers = Sniffers(setting, parts.monitor)
        try:
            yield Deployed(parts=parts, sniffers=sniffers, lateness=lateness)
        finally:
            with _uninterrupted():
                parts.stop()
                sniffers.end()
                found = disturbance.description(lateness, theirs.end())
                try:
                    _store_the_rest(setting, parts, wall_ahead_s, found, known)
                finally:
                    removal.begin()


def _prepare(
    setting: Setting, request: RunRequest, removal: Removal
) -> tuple[dict[str, clock.Clock], _Versions]:
    """Deploy the user's files on all machines, and measure each clock's offset from ours.

    Return the clocks, and the versions of the user's programs.
    """
    ours = clock_offset.our_boot_id()
    programs = ahead(request.programs)
    answers: dict[str, versions.Answer] = {}

    def prepare(remote: Remote) -> clock.Clock:
        requirements.require(remote, request.experiment.needs)
        remote.deploy(setting.folder, request.files, programs, (*clock_offset.READS, _KERNEL))
        answers[remote.name] = versions.ask(remote, request.experiment.versions, setting.folder)
        with ssh_errors(remote.access, "ask it for its time"):
            return clock_offset.measure(remote, ours)

    try:
        clocks = at_once(setting.remotes, prepare)
        versions.require_known(answers, request.experiment.versions)
        setting.directory.update(clocks={name: asdict(found) for name, found in clocks.items()})
    except BaseException:
        removal.begin()
        raise
    return clocks, {name: answer.found for name, answer in answers.items()}


def _store_the_rest(
    setting: Setting,
    parts: Parts,
    wall_ahead_s: float,
    found: dict[str, Any],
    known: _Versions,
) -> None:
    """Store what is known only at the end."""
    try:
        parts.manager.fetch_all()
        setting.directory.make_room()
        step_s = round(clock.wall_ahead_s() - wall_ahead_s, 3)
        if abs(step_s) > clock.SET_S:
            setting.directory.update(clock_step_s=step_s)
        facts = _facts(setting, parts.monitor, known)
        setting.directory.update(machines=facts, disturbance=found)
    except RunStoreError as error:
        parts.monitor.fail(error)


def _facts(setting: Setting, monitor: RunMonitor, known: _Versions) -> dict[str, Any]:
    """Return what each machine runs: its kernel, and the versions that its programs reported."""
    facts: dict[str, Any] = {}
    for remote in setting.remotes.values():
        versions_there = monitor.versions.get(remote.name, {}) | known[remote.name]
        with contextlib.suppress(LabError):  # a machine that died doesn't say
            versions_there["kernel"] = remote.read_once(_KERNEL).strip()
        facts[remote.name] = versions_there
    return facts


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore further Ctrl-C, so that nothing is left behind; the block has its own time-outs."""
    if threading.current_thread() is not threading.main_thread():  # it gets no signals
        yield
        return
    before = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
