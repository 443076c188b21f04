"""Judges of what a pusher does when workers are missing, late or shared."""

from collections.abc import Callable, Sequence

from pushpull.analysis import history
from pushpull.analysis.history import Run
from pushpull.analysis.measures import values
from pushpull.core import wording
from pushpull.core.verdict import Verdict
from pushpull.experiments.judges import connecting, leaving

_COMES_BACK_S = 2.0  # by then a worker has connected, also by a late report


def blocked_until_one_came(run: Run) -> Verdict:
    """Message 0's send did not return before the first worker was connected."""
    if not run.sent or not run.connections or 0 not in run.dealt:
        return Verdict.not_observed("Message 0 was not sent, or no worker connected.")
    first = run.connections[0]
    early = [n for n, t in run.dealt.items() if t < first.t - run.report_late_s]
    if early:
        return Verdict.refuted(
            f"{wording.listed(early).capitalize()} left before a worker was there.",
            messages=early,
            events=[first],
        )
    # One that has no such send tries again, and reports how often: docs/program-protocol.md.
    times = sum(number for number in values(run, "refused").numbers if number > 0)
    if times:
        return Verdict.refuted(
            f"Messages were refused {times:.0f} times, and sent again by the program.",
            messages=[0],
            events=[first],
        )
    waited = run.dealt[0] - run.sent[0].t
    return Verdict.holds(
        f"The pusher printed 0; its send returned {waited:.1f} s later, when a worker connected.",
        messages=[0],
        events=[first],
    )


def blocked_while_gone(run: Run) -> Verdict:
    """Nothing was sent while the only worker was gone."""
    return _left_while_gone(run, none=Verdict.holds, some=Verdict.refuted)


def sent_while_gone(run: Run) -> Verdict:
    """Messages were sent while the only worker was gone."""
    return _left_while_gone(run, none=Verdict.refuted, some=Verdict.holds)


def _left_while_gone(
    run: Run, none: Callable[..., Verdict], some: Callable[..., Verdict]
) -> Verdict:
    """The verdicts for none and for some messages that left while the only worker was gone."""
    back = leaving.returned(run)
    if back is None:
        return Verdict.not_observed("The worker was not killed and started again in time.")
    numbers = leaving.while_it_is_gone(run)
    if not numbers:
        return none("No send returned while it was gone.", events=[back.first])
    left = f"{wording.listed(numbers).capitalize()} left"
    if not leaving.while_it_is_gone(run, certainly=True):
        return Verdict.not_observed(f"{left} before its return was reported, perhaps late.")
    return some(f"{left} while it was gone.", messages=numbers)


def came_late(run: Run) -> Verdict:
    """What was sent while the only worker was gone arrived when it was back."""
    numbers = leaving.while_it_is_gone(run)
    if leaving.returned(run) is None or not numbers:
        return Verdict.not_observed("Nothing was sent while the worker was gone.")
    return history.all_taken(run, numbers, by=run.receivers)


def absent_is_dealt_to(run: Run) -> Verdict:
    """Some messages that left before the absent machine's start were for it."""
    for_it = dealt_to_the_absent(run)
    if for_it is None:
        return Verdict.not_observed("Nothing left before the absent worker was started.")
    why = f"{len(for_it)} of {len(run.dealt)} were sent to it before it was started."
    return (Verdict.holds if for_it else Verdict.refuted)(why, messages=for_it)


def present_gets_all(run: Run) -> Verdict:
    """Everything sent before the absent machine's start went to the present one."""
    for_it = dealt_to_the_absent(run)
    if for_it is None or not run.received:
        return Verdict.not_observed("Nothing left before the absent worker was started.")
    return history.all_taken(run, sorted(run.dealt), by=run.receivers[:1])


def dealt_to_the_absent(run: Run) -> list[int] | None:
    """Return what was sent to the last machine before its start; None if that is unknown."""
    starts = run.events("start", by=run.receivers)
    if len(starts) < 2 or not run.dealt:
        return None
    absent = starts[-1]
    early = [n for n, t in run.dealt.items() if t < absent.t - run.no_order_s]
    return [n for n in early if absent.machine in run.takers.get(n, [])] if early else None


def of_the_second(run: Run) -> range:
    """Return the numbers of a pusher's second life, which continue after the first's range."""
    return range(len(run.planned), 2 * len(run.planned))


def once_each(run: Run, numbers: Sequence[int]) -> Verdict:
    """Each of `numbers` was sent, and arrived once."""
    sent = {message.number for message in run.sent}
    unsent = [n for n in numbers if n not in sent]
    wrong = [n for n in numbers if n in sent and len(run.takers.get(n, [])) != 1]
    if wrong:
        each = "; ".join(f"{n} arrived {len(run.takers.get(n, []))} times" for n in wrong[:5])
        return Verdict.refuted(f"{each}.", messages=wrong)
    if unsent:
        return Verdict.not_observed(f"{wording.listed(unsent).capitalize()} was never sent.")
    return Verdict.holds(
        f"{len(numbers)} messages arrived, each once: {history.shares(run, numbers)}.",
        messages=numbers,
    )


def shared_by_all(run: Run, numbers: Sequence[int]) -> Verdict:
    """Each machine got some of `numbers`."""
    arrived = [n for n in numbers if run.takers.get(n)]
    shares = history.shares(run, arrived)
    if len(arrived) < 2 * len(run.receivers):
        return Verdict.not_observed(f"Too few messages arrived: {shares}.")
    missing = [m for m in run.receivers if not any(m in run.takers[n] for n in arrived)]
    if missing and _too_few(run, "push.2", numbers):
        return Verdict.not_observed(f"Too few were sent while all were connected: {shares}.")
    return (Verdict.refuted if missing else Verdict.holds)(f"{shares}.", messages=arrived)


def _while_all_are_connected(run: Run, process: str, numbers: Sequence[int]) -> list[int] | None:
    """Return those of `numbers` that a pusher sent with all workers; None if it never had all."""
    mine = [event for event in run.connections if event.process == process]
    if len(mine) < len(run.receivers):
        return None
    since = mine[len(run.receivers) - 1].t + run.no_order_s
    # The send of the first may have been under way: its report may be late.
    return [n for n in numbers if n in run.dealt and run.dealt[n] > since][1:]


def _too_few(run: Run, process: str, numbers: Sequence[int]) -> bool:
    """Return whether a pusher sent too few of `numbers` for all workers to have their turn."""
    shared = _while_all_are_connected(run, process, numbers)
    if shared is not None:
        return len(shared) < len(run.receivers)
    times = [run.dealt[n] for n in numbers if n in run.dealt]
    return not times or max(times) - min(times) < _COMES_BACK_S


def turns_of_each(run: Run) -> Verdict:
    """Each of two pushers sent in strict turns once all workers were connected."""
    count, whys = len(run.planned), []
    for process, first in (("push", 0), ("push.2", count)):
        numbers = _while_all_are_connected(run, process, range(first, first + count))
        if numbers is None or len(run.receivers) < 2:
            return Verdict.not_observed("Not every worker was connected to both.")
        verdict = connecting.unless_full(run, history.strict_turns(run, numbers, run.receivers))
        if verdict.outcome != "holds":
            return verdict
        whys.append(verdict.why)
    return Verdict.holds(" ".join(whys))


def all_take_from_both(run: Run) -> Verdict:
    """Each machine got messages of the first and of the second pusher."""
    count = len(run.planned)
    both = {m: {message.number < count for message in run.by(m)} for m in run.receivers}
    lacking = [machine for machine, seen in both.items() if len(seen) < 2]
    if not run.received or not run.sent_all:
        return Verdict.not_observed("The pushers did not finish.")
    first, second = (
        history.shares(run, numbers) for numbers in (range(count), range(count, 2 * count))
    )
    why = f"Of the first pusher's messages {first}; of the second's {second}."
    if lacking and any(
        _too_few(run, process, range(start, start + count))
        for process, start in (("push", 0), ("push.2", count))
    ):
        return Verdict.not_observed(f"Too few were sent while all were connected. {why}")
    return Verdict.refuted(why) if lacking else Verdict.holds(why)


def first_gets_all(run: Run) -> Verdict:
    """What was sent while only one machine was connected went to that one."""
    alone = connecting.alone(run)
    if not run.connections or not run.received:
        return Verdict.not_observed("No worker was connected, or nothing arrived.")
    numbers = sorted(run.dealt)[: len(run.dealt) if alone is None else alone.fewest]
    if len(numbers) < 2:
        return Verdict.not_observed("Another one was connected before two were sent.")
    receivers = {machine for n in numbers for machine in run.takers.get(n, [])}
    what = f"{len(numbers)} of {len(run.dealt)} were sent to {wording.joined(sorted(receivers))}"
    what += " before another one was connected"
    if len(receivers) == 1:
        return Verdict.holds(f"{what}.", messages=numbers)
    certain = numbers if alone is None else numbers[: alone.certain]
    if len({machine for n in certain for machine in run.takers.get(n, [])}) > 1:
        return Verdict.refuted(f"{what}.", messages=numbers)
    return Verdict.not_observed(f"{what}, by reports that may be late.")


def strict_from_the_first(run: Run) -> Verdict:
    """Strict turns over all messages, if all workers were connected before the first."""
    machines = len(run.receivers)
    if len(run.connections) < machines or 0 not in run.dealt:
        return Verdict.not_observed("Not every worker was connected, or nothing was sent.")
    if run.connections[machines - 1].t > run.dealt[0] - run.no_order_s:
        return Verdict.not_observed("Not every worker was connected before message 0.")
    return history.strict_turns(run, list(run.planned), run.receivers)
