"""Programs that can't talk to each other: noticed within seconds, not when the run's limit comes.

Both ends run, and each waits for the other for ever: they speak different protocols, or one does
not reach the other. Programs of the protocol report their connections, so that this shows.
"""

import time
from collections.abc import Sequence

from pushpull.core.wording import joined
from pushpull.engine.monitor import RunMonitor
from pushpull.engine.processes import Process
from pushpull.engine.program import ProtocolProgram

CONNECT_S = 5.0  # a connection takes milliseconds, and a retry some 0.1 s

_ENDS = ("sender", "receiver")


def reason(processes: Sequence[Process], monitor: RunMonitor) -> str:
    """Return in a sentence why these programs will never talk; empty if they may, or if they did.

    That is so if all that run are senders and receivers and have been ready for CONNECT_S, some of
    them report connections, none has been reported, nothing has arrived, and the lab itself has
    broken nothing. Where anything else runs, a broker perhaps, they may be waiting for that.
    """
    if monitor.understood or monitor.received or monitor.faults:
        return ""
    since = time.monotonic() - CONNECT_S
    alive = [p for p in processes if not p.ended and not p.paused]
    ends = {kind: [p for p in alive if _kind(p) == kind] for kind in _ENDS}
    if not all(ends.values()) or len(alive) > sum(map(len, ends.values())):
        return ""
    if not all(monitor.ready.get(p.place, since + 1) <= since for p in alive):
        return ""
    if not any(map(_reports_connections, alive)):
        return ""
    names = [joined(_names(ends[kind])) for kind in _ENDS]
    return f"{names[0]} and {names[1]} ran for {CONNECT_S:.0f} s without a connection: " + (
        "the network connects them, but they don't understand each other."
        if monitor.accepted or monitor.connected
        else "either they speak different protocols, or they don't reach each other."
    )


def _kind(process: Process) -> str:
    return process.program.kind if isinstance(process.program, ProtocolProgram) else ""


def _reports_connections(process: Process) -> bool:
    program = process.program
    return isinstance(program, ProtocolProgram) and "connected" in program.offers - program.watched


def _names(processes: Sequence[Process]) -> list[str]:
    """Return each program that runs, with its machines."""
    places: dict[str, list[str]] = {}
    for process in processes:
        places.setdefault(process.program.file, []).append(process.machine)
    return [f"{program} on {joined(machines)}" for program, machines in places.items()]
