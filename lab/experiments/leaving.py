"""What leaving and coming back does to the messages: the judges of several experiments' claims."""

from collections.abc import Sequence

from lab import claims
from lab.claims import Run
from lab.records import Event
from lab.verdict import Verdict

_NO_FAULT = "Nobody was killed in time, or it couldn't be verified."


def noticed(run: Run) -> Event | None:
    """The sender's library saw a connection end, after the fault was ordered."""
    fault = run.fault
    if fault is None:
        return None
    ordered = fault.t - fault.details["took_s"]
    ends = run.events("disconnected", by=run.senders)
    return next((event for event in ends if event.t >= ordered - claims.NO_ORDER_S), None)


def returned(run: Run) -> Event | None:
    """The sender's library saw a connection begin, after it had seen one end."""
    end = noticed(run)
    return next((e for e in run.connections if end is not None and e.t > end.t), None)


def after_the_fault(run: Run) -> list[int]:
    """What was sent when the sender knew of the fault; what was sent before that is in flight."""
    end = noticed(run)
    return [] if end is None else run.dealt_between(end.t)


def while_it_is_gone(run: Run) -> list[int]:
    """What was sent between the end of a connection and the next one's beginning."""
    end, back = noticed(run), returned(run)
    return [] if end is None or back is None else run.dealt_between(end.t, back.t)


def in_flight(run: Run) -> list[int]:
    """What was dealt after the fault was ordered and before the sender knew of it."""
    fault, end = run.fault, noticed(run)
    if fault is None or end is None:
        return []
    ordered = fault.t - fault.details["took_s"]
    return [n for n, t in run.dealt.items() if ordered <= t <= end.t + claims.NO_ORDER_S]


def survivors_get_all(run: Run, numbers: Sequence[int]) -> Verdict:
    """Each of `numbers` went to a machine that the fault did not hit."""
    if run.fault is None:
        return Verdict.not_observed(_NO_FAULT)
    if not numbers:
        return _nothing_sent(run)
    survivors = [machine for machine in run.receivers if machine != run.fault.machine]
    if (unsent := _unsent(run, numbers)) is not None:
        return unsent
    return claims.all_taken(run, numbers, by=survivors)


def none_is_lost(run: Run, numbers: Sequence[int]) -> Verdict:
    """Each of `numbers` came; those in flight are named apart."""
    if run.fault is None:
        return Verdict.not_observed(_NO_FAULT)
    if not numbers:
        return _nothing_sent(run)
    if (unsent := _unsent(run, numbers)) is not None:
        return unsent
    verdict = claims.all_taken(run, numbers, by=run.receivers)
    flying = in_flight(run)
    lost = [n for n in flying if not run.takers.get(n)]
    if verdict.outcome != "holds":
        return verdict
    apart = f"; in flight at the kill: {len(flying)}, of which lost: {len(lost)}"
    return Verdict.holds(
        f"All {len(numbers)} messages from {numbers[0]} on came{apart}.",
        messages=numbers,
        events=[run.fault],
    )


def late_one(run: Run) -> tuple[str, Event] | None:
    """The machine that was started while messages were sent, and its connection."""
    starts = [event for event in run.events("start") if event.machine in run.receivers]
    if not starts or not run.dealt or starts[-1].t < min(run.dealt.values()):
        return None
    connection = next((e for e in run.connections if e.t > starts[-1].t), None)
    return None if connection is None else (starts[-1].machine, connection)


def late_connection(run: Run) -> Event | None:
    """The connection of the machine that was started while messages were sent."""
    late = late_one(run)
    return None if late is None else late[1]


def all_before_the_late_one(run: Run) -> Verdict:
    """What was dealt before the late machine connected went to the others."""
    late = late_one(run)
    if late is None:
        return Verdict.not_observed(
            "No machine was started and connected while messages were sent."
        )
    machine, connection = late
    numbers = run.dealt_between(float("-inf"), connection.t)
    if (unsent := _unsent(run, numbers)) is not None:
        return unsent
    return claims.all_taken(run, numbers, by=[m for m in run.receivers if m != machine])


def turns_after(run: Run, connection: Event | None) -> Verdict:
    """Strict turns over all receivers from a connection on."""
    if connection is None:
        return Verdict.not_observed("No machine connected while messages were sent.")
    return claims.strict_turns(run, run.dealt_between(connection.t), len(run.receivers))


def connected_by_itself(run: Run, connection: Event | None) -> Verdict:
    """The sender was started once and said once that it was ready; the connection just came."""
    if connection is None:
        return Verdict.not_observed("No machine connected while messages were sent.")
    started, ready = run.events("start", by=run.senders), run.events("ready", by=run.senders)
    if len(started) > len(run.senders) or len(ready) > len(run.senders):
        return Verdict.refuted(
            f"The sender was started {len(started)} times and ready {len(ready)} times.",
            events=[*started, *ready],
        )
    return Verdict.holds(
        f"{claims.joined(sorted(run.senders))} was started once and then only sent; the connection"
        f" came {connection.t - started[0].t:.2f} s later, by the library alone.",
        events=[*started, connection],
    )


def none_comes_twice(run: Run) -> Verdict:
    """No message came a second time, though a machine left."""
    return Verdict.not_observed(_NO_FAULT) if run.fault is None else claims.never_twice(run)


def _nothing_sent(run: Run) -> Verdict:
    if noticed(run) is None:
        return Verdict.not_observed("The sender's library did not report the end of a connection.")
    return Verdict.not_observed("Nothing was sent in that time.")


def _unsent(run: Run, numbers: Sequence[int]) -> Verdict | None:
    """A message that should have been sent and wasn't says something of the sender, or nothing."""
    sent = {message.number for message in run.sent}
    missing = [n for n in numbers if n not in sent]
    if not missing:
        return None
    what = f"The sender never sent {claims.listed(missing)}"
    if run.sent_all:
        return Verdict.refuted(f"{what}, and ended well.", messages=missing)
    return Verdict.not_observed(f"{what}: it did not come to its end.")
