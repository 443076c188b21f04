"""Judges of what leaving and coming back does to messages, shared by several experiments."""

import functools
from collections import Counter
from collections.abc import Sequence

from pushpull.analysis import history
from pushpull.analysis.history import Handshake, Run
from pushpull.core import wording
from pushpull.core.records import Event
from pushpull.core.verdict import Outcome, Verdict
from pushpull.experiments.judges import connecting

# Why a closed connection is noticed at once, and nothing more is sent to it.
GOODBYE = (
    "libzmq 4.3.5, src/stream_engine_base.cpp, lines 262-268 and 750-761 (a read that ends or"
    " fails ends the connection); src/lb.cpp, lines 24-42 (pipe_terminated)"
)
# Why no other worker gets what was sent to one that has left.
DISCARDED = (
    "libzmq 4.3.5, src/stream_engine_base.cpp, line 357 (what the kernel has is in no queue);"
    " src/pipe.cpp, lines 363-369 (the queue is discarded, as in tests/test_spec_pushpull.cpp,"
    " lines 142-144)"
)

_NO_FAULT = "The fault did not happen in time, or was not verified."
_UNNOTICED = (
    "No sender reported the end of a connection after the fault, so when it learned of that, if"
    " ever, is not known."
)
_NO_ARRIVAL = (
    "No machine was started and connected while messages were sent: a longer --interval or a"
    " higher --count gives it more time."
)


def ordered(fault: Event) -> float:
    """When the fault was ordered; the time of its event is when it took effect."""
    return fault.t - float(fault.details["took_s"])


def noticed(run: Run) -> Event | None:
    """The end of a connection that the sender's library saw after the fault was ordered."""
    if run.fault is None:
        return None
    since = ordered(run.fault) - run.no_order_s
    return next((e for e in run.at_the_source("disconnected") if e.t >= since), None)


def returned(run: Run) -> Handshake | None:
    """The connection of a later life of the program that the fault hit."""
    fault = run.fault
    if fault is None or noticed(run) is None:
        return None
    there = (h for h in run.handshakes if h.own.machine == fault.machine)
    return next((h for h in there if h.own.process != fault.process), None)


def late_one(run: Run) -> Handshake | None:
    """The connection of the program that was started while messages were being sent."""
    starts = run.events("start", by=run.receivers)
    if not starts or not run.dealt or starts[-1].t < min(run.dealt.values()):
        return None
    return next((h for h in run.handshakes if h.own.machine == starts[-1].machine), None)


def after_the_fault(run: Run) -> Sequence[int]:
    """What was sent after the sender knew of the fault; earlier messages count as in flight."""
    end = noticed(run)
    return [] if end is None else run.dealt_between(end.t)


def while_it_is_gone(run: Run, *, certainly: bool = False) -> Sequence[int]:
    """What was sent after the sender knew that it was gone, until it came back (if it did).

    Its return may be reported late; `certainly` leaves out what may have been sent after it.
    """
    end, back = noticed(run), returned(run)
    if end is None or run.fault is None:
        return []
    if back is not None:
        return run.dealt_between(end.t, back.not_before if certainly else back.first.t)
    # Where no connection is reported, it may be back as soon as it is started again.
    starts = (e.t for e in run.events("start", by=[run.fault.machine]) if e.t > run.fault.t)
    return run.dealt_between(end.t, next(starts, float("inf")))


def survivors_get_all_while_it_is_gone(run: Run) -> Verdict:
    """What was sent while the victim was gone went to the others."""
    certain = while_it_is_gone(run, certainly=True)
    judged = functools.partial(survivors_get_all, run)
    return _unless_late(judged(while_it_is_gone(run)), judged(certain))


def in_flight(run: Run) -> list[int]:
    """What was sent before the sender knew of the fault, and had not arrived when that began."""
    fault, end = run.fault, noticed(run)
    if fault is None or end is None:
        return []
    arrived = {m.number for m in run.received if m.t < ordered(fault)}
    return [n for n, t in run.dealt.items() if t <= end.t + run.no_order_s and n not in arrived]


def survivors_get_all(run: Run, numbers: Sequence[int]) -> Verdict:
    """Each of `numbers` went to a machine that the fault did not hit."""
    if run.fault is None:
        return Verdict.not_observed(_NO_FAULT)
    if noticed(run) is None:
        return Verdict.not_observed(_UNNOTICED, events=[run.fault])
    survivors = [machine for machine in run.receivers if machine != run.fault.machine]
    return _all_taken(run, numbers, survivors)


def none_is_lost(run: Run, numbers: Sequence[int]) -> Verdict:
    """Each of `numbers` that was sent arrived; messages in flight are counted separately."""
    if run.fault is None:
        return Verdict.not_observed(_NO_FAULT)
    if noticed(run) is None:
        return Verdict.not_observed(_UNNOTICED, events=[run.fault])
    numbers = run.known_sent(numbers)
    verdict = _all_taken(run, numbers, run.receivers)
    if verdict.outcome != "holds":
        return verdict
    flying = in_flight(run)
    lost = [n for n in flying if not run.takers.get(n)]
    return Verdict.holds(
        f"{wording.listed(numbers).capitalize()} arrived. {_in_flight(len(flying), len(lost))}",
        messages=numbers,
        events=[run.fault],
    )


def all_since_the_fault_arrive(run: Run) -> Verdict:
    """Each message arrived that was sent after the fault, whether or not the sender knew of it."""
    if run.fault is None:
        return Verdict.not_observed(_NO_FAULT)
    numbers = run.known_sent(run.dealt_between(run.fault.t))
    verdict = _all_taken(run, numbers, run.receivers)
    again = [n for n, times in _lives(run).items() if len(run.takers.get(n, [])) < times > 1]
    if verdict.outcome != Outcome.HOLDS or not again:
        return verdict
    what = f"{wording.listed(sorted(again)).capitalize()} arrived less often than pushers sent it"
    return Verdict.not_observed(f"{what}: which of them was lost is not known.")


def none_comes_twice(run: Run) -> Verdict:
    """No message arrived twice, though a machine left.

    A pusher that is started again sends its numbers once more, which are other messages.
    """
    if run.fault is None:
        return Verdict.not_observed(_NO_FAULT)
    verdict = history.never_twice(run)
    if verdict.outcome != Outcome.REFUTED:
        return verdict
    lives = _lives(run)
    twice = [n for n in run.takers.twice if len(run.takers[n]) > lives[n]]
    if not twice:
        return Verdict.holds("Only numbers arrived twice that a restarted pusher had sent again.")
    what = f"{wording.listed(twice).capitalize()} arrived more often than pushers sent it."
    return Verdict.refuted(what, messages=twice, final=True)


def _lives(run: Run) -> Counter[int]:
    """Return how many lives of senders printed each number."""
    sent = set(zip(run.sent.numbers, run.sent.places, strict=True))
    return Counter(number for number, _ in sent)


def all_before(run: Run, late: Handshake | None) -> Verdict:
    """What was sent before the late machine connected went to the others."""
    if late is None:
        return Verdict.not_observed(_NO_ARRIVAL)
    others = [machine for machine in run.receivers if machine != late.own.machine]
    numbers, certain = (
        run.dealt_between(float("-inf"), t) for t in (late.first.t, late.not_before)
    )
    return _unless_late(_all_taken(run, numbers, others), _all_taken(run, certain, others))


def turns_after(run: Run, late: Handshake | None) -> Verdict:
    """Strict turns over all receivers since the late machine connected."""
    if late is None:
        return Verdict.not_observed(_NO_ARRIVAL)
    verdict = history.strict_turns(run, run.dealt_between(late.last.t), run.receivers)
    return connecting.unless_full(run, verdict)


def connected_by_itself(run: Run, late: Handshake | None) -> Verdict:
    """No program except the victim's was started twice, and the sender became ready only once."""
    if late is None:
        return Verdict.not_observed(_NO_ARRIVAL)
    started = [event for event in run.events("start") if event.place not in run.brokers]
    ready = run.events("ready", by=run.senders)
    victim = run.fault.machine if run.fault else None
    lives = [event.machine for event in started if event.machine != victim]
    if len(lives) > len(set(lives)) or len(ready) > len(run.senders):
        return Verdict.refuted(
            "A program was started a second time, or the sender became ready again.",
            events=[*started, *ready],
        )
    return Verdict.holds(
        f"{wording.joined(sorted(run.senders))} was started and bound once, then only sent;"
        f" the library alone connected {late.own.machine}.",
        events=[*ready, late.last],
    )


def _unless_late(verdict: Verdict, certain: Verdict) -> Verdict:
    """Return a verdict on what was sent before a report, unless it may be due to a late report.

    `certain` is the one on what was certainly sent before what is reported.
    """
    if verdict.outcome != Outcome.REFUTED or certain.outcome == Outcome.REFUTED:
        return verdict
    return Verdict.not_observed(f"{verdict.why} Its connection may have been reported late.")


def _all_taken(run: Run, numbers: Sequence[int], by: Sequence[str]) -> Verdict:
    """Each of `numbers` went to one of the machines `by`, and no later one's fate is unknown."""
    verdict = _unsent(run, numbers) or history.all_taken(run, numbers, by=by)
    if verdict.outcome != Outcome.HOLDS or run.sent_all or numbers[-1] < run.last_known:
        return verdict
    unknown = sorted(n for n in run.dealt if n > run.last_known)
    if not unknown:
        return verdict
    what = f"{wording.listed(unknown).capitalize()} did not arrive, and the sender did not finish"
    return Verdict.not_observed(f"{what}: whether anything was lost on the way is not known.")


def _in_flight(flying: int, lost: int) -> str:
    """Return a sentence about the messages that were on their way at a fault."""
    if not flying:
        return "None was in flight at the fault."
    were = f"{wording.counted(flying, 'message')} {'was' if flying == 1 else 'were'}"
    return f"{were} in flight at the fault; never arrived: {lost or 'none'}."


def _unsent(run: Run, numbers: Sequence[int]) -> Verdict | None:
    """The verdict if `numbers` can't be judged: there are none, or the sender left some out."""
    if not numbers:
        return Verdict.not_observed("Nothing was sent in the time that the claim is about.")
    sent = set(run.known_sent(numbers))
    missing = [n for n in numbers if n not in sent]
    if not missing:
        return None
    what = f"The sender never sent {wording.listed(missing)}"
    if run.sent_all:
        return Verdict.refuted(f"{what}, yet it finished without an error.", messages=missing)
    return Verdict.not_observed(f"{what}, and did not finish.")
