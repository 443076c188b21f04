"""Judges of claims about machines that fall silent, as after a power cut or a cut cable.

TCP doesn't learn that the other machine is dead, so the library keeps sending to its connection:
messages go into the kernel's buffer, and `send` succeeds. With ZMQ_HEARTBEAT_IVL the library sends
PINGs, and closes the connection if nothing arrives for ZMQ_HEARTBEAT_TIMEOUT (zmq_setsockopt(3));
what it had sent there is dropped (RFC 30, PIPELINE).
"""

from collections.abc import Sequence

from pushpull.analysis import history
from pushpull.analysis.history import Run
from pushpull.core import wording
from pushpull.core.records import Event
from pushpull.core.verdict import Outcome, Verdict
from pushpull.experiments.judges import leaving
from pushpull.runs import pcap

# Why silence isn't noticed, and why heartbeats help.
UNHEARD = (
    "tcp(7), tcp_retries2: some 15 minutes; libzmq 4.3.5, src/stream_engine_base.cpp, lines"
    " 359-364 (not even a failed write ends a connection, only a read)"
)
PING = (
    "libzmq 4.3.5, src/zmtp_engine.cpp, lines 465-468 (a PING starts the time-out), and"
    " src/stream_engine_base.cpp, lines 619-622 (any traffic stops it) and 742-744"
)
# Why a silent peer keeps its turn.
BLIND = (
    "libzmq 4.3.5, src/lb.cpp, lines 71-76 and 122-123 (sendpipe: the turn skips only full pipes)"
)
BY_AVAILABILITY = "adhdecode: PUSH balances by availability (then the others would get its turn)"
HEAVY_LIFTING = "the article: 'ZeroMQ does a lot of the heavy lifting', dropouts among it"

_NO_FAULT = "The fault did not happen in time, or was not verified."
_GRACE_S = 0.5  # for a busy pusher's timers
_LONG_S = 2.0


def sent_unnoticed(run: Run) -> Sequence[int]:
    """What was sent between the fault and its notice (or the end)."""
    if run.fault is None:
        return []
    end = leaving.noticed(run)
    return run.dealt_between(run.fault.t, end.t if end else float("inf"))


def is_not_noticed(run: Run) -> Verdict:
    """The sender's library reported no end of a connection, and everything was sent."""
    if run.fault is None:
        return Verdict.not_observed(_NO_FAULT)
    end = leaving.noticed(run)
    # After its last message it is the sender that leaves, and ends its connections.
    if end is not None and end.t <= max(run.dealt.values(), default=end.t):
        after_s = max(0.0, end.t - run.fault.t)
        return Verdict.refuted(
            f"The sender noticed the fault after {after_s:.1f} s.", events=[run.fault, end]
        )
    numbers = sent_unnoticed(run)
    if not numbers:
        return Verdict.not_observed("Nothing was sent after the fault.")
    if not run.sent_all:
        return Verdict.not_observed("The sender did not finish.")
    span = run.dealt[numbers[-1]] - run.fault.t
    return Verdict.holds(
        f"In the {span:.1f} s after the fault the sender sent {len(numbers)} messages, and noticed"
        " nothing.",
        messages=numbers,
        events=[run.fault],
    )


def is_noticed_within(run: Run, least_s: float, most_s: float) -> Verdict:
    """The sender's library reported the end of the connection after `least_s` to `most_s`."""
    if run.fault is None:
        return Verdict.not_observed(_NO_FAULT)
    end = leaving.noticed(run)
    if end is None:
        last = max(run.dealt.values(), default=run.fault.t)
        if last - run.fault.t < most_s + _GRACE_S:
            return Verdict.not_observed("The run ended too soon after the fault.")
        return Verdict.refuted("The sender never noticed the fault.", events=[run.fault])
    after = end.t - run.fault.t
    why = f"The sender noticed the fault after {max(0.0, after):.1f} s."
    if least_s - _GRACE_S <= max(0.0, after) <= most_s + _GRACE_S:
        return Verdict.holds(why, events=[run.fault, end])
    return Verdict.refuted(why, events=[run.fault, end])


def is_noticed_when_killed(run: Run) -> Verdict:
    """The sender's library noticed nothing until the silent program was killed, then at once."""
    kill = next((e for e in run.events("fault")[1:] if e.details.get("verified")), None)
    if run.fault is None or kill is None:
        return Verdict.not_observed(_NO_FAULT)
    end = leaving.noticed(run)
    if end is None:
        return Verdict.refuted("It noticed nothing.", events=[run.fault, kill])
    silent_s, after_s = kill.t - run.fault.t, end.t - kill.t
    if end.t < leaving.ordered(kill) - run.no_order_s:
        why = f"It noticed {-after_s:.1f} s before the kill."
        return Verdict.refuted(why, events=[run.fault, end, kill])
    why = f"It noticed nothing for {silent_s:.1f} s, and the kill after {max(0.0, after_s):.1f} s."
    if after_s > _GRACE_S:
        return Verdict.refuted(why, events=[run.fault, kill, end])
    return Verdict.holds(why, events=[run.fault, kill, end])


def stays_connected(run: Run) -> Verdict:
    """While messages were sent, the sender's library reported no end of a connection."""
    if not run.connections or not run.dealt:
        return Verdict.not_observed("No connection was reported, or nothing was sent.")
    # A sender that waits for ever, as nobody is left, is ended by the lab.
    exits = [] if run.sent_all else run.events("exit", by=run.senders)
    last = max([*run.dealt.values(), *(e.t - _GRACE_S for e in exits)])
    ends = [e for e in run.at_the_source("disconnected") if e.t < last]
    if ends:
        times = "once" if len(ends) == 1 else f"{len(ends)} times"
        return Verdict.refuted(
            f"In {last - run.connections[0].t:.1f} s a connection ended {times}, though nothing"
            " was broken.",
            events=ends,
        )
    return Verdict.holds(
        f"All {len(run.connections)} connections lasted for the {len(run.dealt)} messages.",
        events=run.connections,
    )


def loses_nothing(run: Run) -> Verdict:
    """Each message arrived once; if a connection ended, that all arrived shows nothing."""
    verdict = history.exactly_once(run, run.planned)
    if verdict.outcome != Outcome.HOLDS or stays_connected(run).outcome != Outcome.REFUTED:
        return verdict
    return Verdict.not_observed(
        "All arrived: whenever a connection ended, no message was under way there.",
        events=run.at_the_source("disconnected"),
    )


def wire_tells(run: Run, *, goodbye: bool) -> Verdict:
    """The sender's machine saw a FIN or RST from the victim; or, without `goodbye`, saw none."""
    fault = run.fault
    if fault is None or not run.dealt:
        return Verdict.not_observed(_NO_FAULT)
    end = leaving.noticed(run)
    until = max(run.dealt.values()) if end is None else end.t
    since = leaving.ordered(fault) - run.no_order_s
    (sender,) = run.senders
    flags = run.flags_heard(sender, fault.machine, since, until + (_GRACE_S if goodbye else 0.0))
    if flags is None:
        return Verdict.not_observed("No packets were captured: use --capture.")
    seen = [name for name, bit in (("FIN", pcap.FIN), ("RST", pcap.RST)) if flags & bit]
    why = f"{sender} saw {' and '.join(seen) or 'neither FIN nor RST'} from {fault.machine}."
    if bool(seen) == goodbye:
        return Verdict.holds(why, events=[fault])
    return Verdict.refuted(why, events=[fault])


def its_turns_are_lost(run: Run, numbers: Sequence[int]) -> Verdict:
    """Of `numbers`, exactly those of the victim's turn were lost."""
    fault = run.fault
    if fault is None:
        return Verdict.not_observed(_NO_FAULT)
    if len(numbers) <= len(run.receivers):
        return Verdict.not_observed(
            "Too few messages were sent before the sender noticed the fault."
        )
    sent = run.known_sent(numbers)
    lost = [n for n in sent if not run.takers.get(n)]
    every = len(run.receivers)
    turn = list(sent[sent.index(lost[0]) :: every]) if lost else []
    end = leaving.noticed(run)
    # It is reported late: the last of them may have been sent after it was noticed.
    until = float("inf") if end is None else end.t - run.report_late_s
    spared = turn[len(lost) :]
    if not lost or lost != turn[: len(lost)] or any(run.dealt.get(n, 0.0) < until for n in spared):
        return Verdict.refuted(
            f"Exactly the messages of {fault.machine}'s turn were to be lost; lost was"
            f" {wording.listed(lost) if lost else 'nothing'}.",
            messages=lost or numbers,
        )
    return Verdict.holds(
        f"Every {_ordinal(every)} message from {lost[0]} to {lost[-1]} was lost: {len(lost)} of"
        f" {len(sent)}. The others arrived.",
        messages=lost,
        events=[fault],
    )


def its_turns_are(run: Run, *, late: bool) -> Verdict:
    """Messages to the silent machine arrived late if its silence ended, and never otherwise."""
    return its_turns_are_late(run) if late else its_turns_are_lost(run, sent_unnoticed(run))


def its_turns_are_late(run: Run) -> Verdict:
    """All arrived, and those of the victim's turn during the fault arrived after the repair."""
    repair = next(iter(run.events("repair")), None)
    if run.fault is None or repair is None:
        return Verdict.not_observed(_NO_FAULT)
    missing = [n for n in run.known_sent(run.planned) if not run.takers.get(n)]
    if missing:
        gone = wording.listed(missing).capitalize()
        return Verdict.refuted(f"{gone} never arrived.", messages=missing)
    between = run.dealt_between(run.fault.t, repair.t)
    arrived = {message.number: message.t for message in run.by(run.fault.machine)}
    its = [n for n in between if n in arrived]
    if not its:
        return Verdict.not_observed("Between the fault and the repair nothing was sent to it.")
    begun = repair.t - float(repair.details.get("took_s", 0.0))  # it took effect before it was seen
    early = [n for n in its if arrived[n] < begun - run.no_order_s]
    if early:
        why = f"{wording.listed(early).capitalize()} arrived before the repair."
        return Verdict.refuted(why, messages=early)
    longest = max(arrived[n] - run.dealt[n] for n in its)
    return Verdict.holds(
        f"{wording.listed(its).capitalize()} arrived up to {longest:.1f} s late; none was lost.",
        messages=its,
        events=[run.fault, repair],
    )


def is_served_within(run: Run, most_s: float) -> Verdict:
    """The victim's machine got a message at most `most_s` seconds after it was back.

    At a slow pace, or among many, it may have to wait for its turn besides.
    """
    most_s += _round_s(run)
    fault, back = run.fault, _back(run)
    if fault is None or back is None:
        return Verdict.not_observed("No machine left and came back.")
    first = next((m for m in run.by(fault.machine) if m.t >= back.t), None)
    if first is None:
        if _left_s(run, back) < most_s + _GRACE_S:
            return _back_too_late(run, back)
        return Verdict.refuted(
            f"{fault.machine} was back, but received no message.", events=[fault, back]
        )
    waited = first.t - back.t
    why = f"{fault.machine} received message {first.number} {waited:.2f} s after its return."
    if waited > most_s + _GRACE_S:
        return Verdict.refuted(why, messages=[first.number], events=[fault, back])
    return Verdict.holds(why, messages=[first.number], events=[fault, back])


def is_never_served(run: Run) -> Verdict:
    """The victim's machine got no more messages, though it was back in time."""
    fault, back = run.fault, _back(run)
    if fault is None or back is None or not run.dealt:
        return Verdict.not_observed("No machine left and came back.")
    left_s = _left_s(run, back)
    later = [message.number for message in run.by(fault.machine) if message.t >= back.t]
    if later:
        return Verdict.refuted(
            f"After its return {fault.machine} received {wording.listed(later)}.", messages=later
        )
    if left_s < _LONG_S + _round_s(run):
        return _back_too_late(run, back)
    return Verdict.holds(
        f"In the {left_s:.1f} s after its return {fault.machine} received nothing.",
        events=[fault, back],
    )


def _back(run: Run) -> Event | None:
    """The event when the victim was back: repaired, and its program (if started again) ready."""
    fault = run.fault
    if fault is None:
        return None
    signs = [*run.events("repair", by=[fault.machine]), *run.events("ready", by=[fault.machine])]
    return max((e for e in signs if e.t > fault.t), key=lambda event: event.t, default=None)


def _left_s(run: Run, back: Event) -> float:
    """The seconds between its return and the last message."""
    return max(0.0, max(run.dealt.values(), default=back.t) - back.t)


def _round_s(run: Run) -> float:
    """The seconds until each receiver had its turn, by the pace of the messages."""
    return len(run.receivers) * run.dealt.usual_gap if len(run.dealt) > 1 else 0.0


def _back_too_late(run: Run, back: Event) -> Verdict:
    return Verdict.not_observed(
        f"The last message was sent only {_left_s(run, back):.1f} s after the return of"
        f" {back.machine}."
    )


def _ordinal(number: int) -> str:
    return "second" if number == 2 else f"{number}th"
