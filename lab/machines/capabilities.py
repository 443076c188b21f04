"""Finds out which faults are possible on a machine, and why others aren't, by harmless trials."""

import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pushpull.core import faults
from pushpull.core.errors import LabError
from pushpull.core.faults.clock import SET_CLOCK
from pushpull.core.faults.fault import Fault, Scope
from pushpull.core.faults.process import HOLD
from pushpull.machines import traffic_rules, wall_clock
from pushpull.machines.providers.base import Machines
from pushpull.machines.providers.registry import can_do
from pushpull.machines.remote import Remote

_TIMEOUT_S = 10
_PRINTS = "print(1, flush=True)"
_PATIENT = "import signal; print(flush=True); signal.pause()"


@dataclass(frozen=True, slots=True)
class Ability:
    """A fault or another action on a machine; it is impossible if there is a `refusal`."""

    name: str
    refusal: LabError | None = None


def abilities(machines: Machines, remote: Remote) -> Iterator[Ability]:
    """Try each action on a machine, except for those that its provider carries out."""
    missing = _missing(
        remote, (faults.of(Scope.MACHINE) | faults.of(Scope.NETWORK)) - machines.faults
    )
    known = [fault for fault in faults.ALL.values() if fault.kind == "fault"]
    for fault in known:
        if fault.scope is Scope.MACHINE:
            yield Ability(fault.name, None if fault in machines.faults else missing)
    folder = f"trial-{secrets.token_hex(4)}"
    remote.deploy(folder, {})
    try:
        signals = ", ".join(fault.name for fault in known if fault.signal)
        yield _tried(signals, lambda: _pause_and_kill(remote, folder))
        yield _tried(f"{HOLD} and exact kills", lambda: _hold(remote, folder))
        for fault in known:
            if fault.trial or fault == SET_CLOCK:
                yield _ability(fault, machines, remote, folder)
        yield _tried("capture", lambda: remote.sniff(folder, lambda _: None).end())
    finally:
        remote.remove(folder)


def refusals(machines: Machines, remote: Remote) -> dict[Fault, str]:
    """Return why faults of networks and clocks are impossible on a machine, of those that are."""
    folder = f"trial-{secrets.token_hex(4)}"
    remote.deploy(folder, {})
    try:
        tried = {
            fault: _ability(fault, machines, remote, folder).refusal
            for fault in faults.ALL.values()
            if fault.trial or fault == SET_CLOCK
        }
    finally:
        remote.remove(folder)
    return {fault: refusal.what for fault, refusal in tried.items() if refusal is not None}


def _ability(fault: Fault, machines: Machines, remote: Remote, folder: str) -> Ability:
    """Try a fault of networks or clocks."""
    if fault not in machines.faults:
        return Ability(fault.name, _missing(remote, frozenset({fault})))
    if fault.trial is None:
        return _tried(fault.name, lambda: _prepare_clock(remote, folder))
    trial = fault.trial()
    return _tried(fault.name, lambda: traffic_rules.try_out(remote, folder, trial))


def _prepare_clock(remote: Remote, folder: str) -> None:
    wall_clock.environment(remote, folder)


def _tried(name: str, attempt: Callable[[], None]) -> Ability:
    try:
        attempt()
    except LabError as error:
        return Ability(name, error)
    return Ability(name)


def _missing(remote: Remote, missing: frozenset[Fault]) -> LabError:
    """Return that the provider can't do faults which it doesn't declare, and which one can."""
    what = f"the provider '{remote.access.provider}' can't do it"
    return LabError(what, hint=can_do(missing))


def _pause_and_kill(remote: Remote, folder: str) -> None:
    """Start an idle program, stop it and kill it, as the faults do."""
    runs, gone = threading.Event(), threading.Event()
    process = remote.start(
        folder,
        "trial",
        [remote.access.python, "-ISc", _PATIENT],
        {},
        stdout=lambda _: runs.set(),
        stderr=lambda _: None,
        ended=lambda *_: gone.set(),
    )
    runs.wait(_TIMEOUT_S)
    process.signal(signal.SIGSTOP)
    stopped = remote.stopped_at(folder, "trial", stopped=True, timeout=_TIMEOUT_S)
    process.signal(signal.SIGKILL)
    if stopped is None or not gone.wait(_TIMEOUT_S):
        raise LabError(
            "a process did not stop, or did not end, when it was signalled",
            hint="the lab's launcher needs Linux, and /proc, on the machine",
        )


def _hold(remote: Remote, folder: str) -> None:
    """Start a program and hold it at a line, as the fault does."""
    printed, gone = threading.Event(), threading.Event()
    process = remote.start(
        folder,
        "held",
        [remote.access.python, "-ISc", _PRINTS],
        {},
        stdout=lambda _: printed.set(),
        stderr=lambda _: None,
        ended=lambda *_: gone.set(),
        held=True,
    )
    process.order("count 1")
    printed.wait(_TIMEOUT_S)
    notes = remote.notes(folder, "held")
    process.end()
    gone.wait(_TIMEOUT_S)
    if "stands" not in notes:
        raise LabError(
            f"it can't hold a program at a line: {notes.get('not-held', 'it did not answer')}",
            hint="that needs seccomp's user notification: Linux 5.0, outside of containers that"
            " refuse it; kills and holds are then some lines late",
        )
