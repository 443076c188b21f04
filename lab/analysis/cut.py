"""Why a run doesn't show what became of every message, for reasons outside the experiment.

Such a run is cut: by its limit, by Ctrl-C, by a lost connection, by lost output, or by a stall of
the lab itself. What is missing in it was not lost by the programs. All functions are pure.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from pushpull.core.records import GIVEN_UP, LEASE, LOST, Event, Record
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import too_long

_SIGNALLED = 128  # plus the number of the signal: the status of a program that one has ended


def reason(stored: StoredRun) -> str:
    """Return a sentence that says why a run is cut; empty if it isn't.

    A lost connection or an outsider explains what is missing better than what the lab noted when it
    waited for that.
    """
    given = str(stored.description.get("cut") or "")
    if not given and stored.state == "died":
        return "The lab's own process died before the end of this run."
    return (
        lost_reason(lost_machines(stored.events))
        or stranger_reason(stored)
        or given
        or killed_reason(stored.events)
    )


def disturbed_reason(stored: StoredRun) -> str:
    """Return a sentence that says why times in a run mean nothing; empty if it wasn't disturbed."""
    found = stored.description.get("disturbance") or {}
    if not found.get("disturbed"):
        return ""
    late = {name: found["machines_late_s"][name] for name in found["machines_late_s"]}
    late["the lab itself"] = max(found["harness_late_s"], found["suspended_s"])
    name = max(late, key=lambda one: late[one])
    return f"Disturbed: {name} stalled for {late[name]:.1f} s, so times in this run mean nothing."


def notices(stored: StoredRun) -> list[str]:
    """Return what a reader must know: why the run is cut, why its times mean nothing."""
    incomplete = reason(stored) or given_up(stored.events)
    return list(filter(None, (incomplete, disturbed_reason(stored), clock_step(stored))))


def given_up(events: Iterable[Event]) -> str:
    """Return a sentence that says why the scenario was not played to its end; empty if it was."""
    why = [str(event.details.get("why")) for event in events if event.event == GIVEN_UP]
    return f"The scenario was given up: {why[0]}." if why else ""


def clock_step(stored: StoredRun) -> str:
    """Return a sentence that says how the wall clock was set during a run; empty if it wasn't."""
    step_s = stored.description.get("clock_step_s")
    if not step_s:
        return ""
    way = "back" if step_s < 0 else "forward"
    return (
        f"The computer's clock was set {way} by {abs(step_s):.2f} s during the run; its times and"
        " verdicts don't depend on that."
    )


def lost_machines(events: Iterable[Event]) -> list[str]:
    """Return the machines whose connection broke while a program ran there."""
    return _machines(events, LOST)


def ended_by_lease(events: Iterable[Event]) -> list[str]:
    """Return the machines whose programs ended because the lab was silent for too long."""
    return _machines(events, LEASE)


def lost_reason(machines: list[str]) -> str:
    if not machines:
        return ""
    names = _joined(machines)
    return f"The connection to {names} broke: what was received there after that is not known."


def killed(events: Iterable[Event]) -> set[tuple[str, str]]:
    """Return the processes that a signal ended, but not the lab's: perhaps within a line."""
    return {
        event.place
        for event in events
        if event.event == "exit"
        and event.details.get("by") in ("fault", "itself")
        and (event.details.get("status") or 0) > _SIGNALLED
    }


def killed_reason(events: Iterable[Event]) -> str:
    """Return in a sentence that the lab killed programs before their end; empty if it didn't.

    They had been asked to end by SIGTERM, and might have printed what is missing.
    """
    killed = [e for e in events if e.event == "exit" and "killed_after_s" in e.details]
    if not killed:
        return ""
    names = _joined([f"{e.process} on {e.machine}" for e in killed])
    seconds = max(e.details["killed_after_s"] for e in killed)
    return (
        f"The lab killed {names} {seconds:g} s after SIGTERM: what would still have been printed"
        " isn't known. `grace` of the experiment gives its programs longer."
    )


def stranger_reason(stored: StoredRun) -> str:
    """Return a sentence that says that an outsider connected to a program; empty if none did.

    Where the lab's network is open, any user of the computer can. Programs that bind and programs
    that connect both report their handshakes; if those that bind report more, an outsider
    connected. Nothing is known if a program that connects reports no handshake.
    """
    # Older runs don't say so: then only the provider loopback had an open network.
    was_open = stored.description.get("provider") == "loopback"
    if not stored.description.get("open_network", was_open):
        return ""
    made = Counter((e.machine, e.process) for e in stored.events if e.event == "connected")
    accepting = {(e.machine, e.process) for e in stored.events if e.event == "accepted"}
    started = {(e.machine, e.process) for e in stored.events if e.event == "start"}
    connecting = started - accepting
    if not accepting or not all(made[life] for life in connecting):
        return ""
    more = sum(made[life] for life in accepting) - sum(made[life] for life in connecting)
    if more <= 0:
        return ""
    names = ", ".join(sorted(f"{process} on {machine}" for machine, process in accepting))
    connections = "1 connection" if more == 1 else f"{more} connections"
    return (
        f"{connections} to {names} came from outside the lab: any user of this computer can connect"
        " on loopback. So which messages arrived where is not known."
    )


def unreadable_reason(records: Sequence[Record]) -> str:
    """Return a sentence that says that lines are too long to be read as messages; empty if none."""
    found = [source for source in too_long(records) if source[2] == "stdout"]
    if not found:
        return ""
    places = sorted({f"{process} on {machine}" for machine, process, _ in found})
    lines = "1 line" if len(found) == 1 else f"{len(found)} lines"
    return (
        f"{lines} over 64 KiB ({', '.join(places)}) can't be read as messages: which messages"
        " they are about is not known."
    )


def _machines(events: Iterable[Event], by: str) -> list[str]:
    found = (e.machine for e in events if e.event == "exit" and e.details.get("by") == by)
    return list(dict.fromkeys(found))


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
