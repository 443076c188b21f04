"""What every implementation of the program protocol must do: docs/program-protocol.md, tried out.

Each check is a function that raises Mismatch; its docstring says what is tried.
"""

import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pushpull.core.trace import parse
from pushpull.core.vocabulary import BROKER
from pushpull.experiments.conformance.local import Local, Running

_RECEIVED = re.compile(r"(\d+) , (\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Check:
    """A check, and what a program must offer to be tried by it: by program, a flag."""

    run: Callable[[Local], None]
    needs: Mapping[str, str]

    @property
    def words(self) -> str:
        """Return what it tries, in a sentence."""
        return (self.run.__doc__ or "").strip().splitlines()[0]

    def applies(self, local: Local) -> bool:
        """Return whether the programs offer what is tried."""
        return all(flag in local.offers(program) for program, flag in self.needs.items())


CHECKS: list[Check] = []


def check(**needs: str) -> Callable[[Callable[[Local], None]], Callable[[Local], None]]:
    """Mark a check, and name the flag that each program must have to be tried by it."""

    def mark(run: Callable[[Local], None]) -> Callable[[Local], None]:
        CHECKS.append(Check(run, needs))
        return run

    return mark


def numbers(receiver: Running) -> list[int]:
    """Return the numbers of the messages that a receiver printed."""
    return [int(match[1]) for line in receiver.lines if (match := _RECEIVED.fullmatch(line))]


def _expect(program: Running, is_right: object, what: str) -> None:
    if not is_right:
        raise program.mismatch(what)


def _await(pull: Running, wanted: list[int]) -> None:
    pull.wait_for(lambda p: len(p.lines) >= len(wanted), f"it prints {len(wanted)} messages")
    _expect(pull, numbers(pull) == wanted, f"it doesn't print exactly the messages {wanted}")


def _ended(push: Running) -> None:
    status = push.end()
    _expect(push, status == 0, f"it ends with status {status}, not 0")


def _flow(local: Local, *receiver: object, count: int = 5) -> tuple[Running, Running]:
    """Start a receiver and then a sender, and wait until all has come."""
    pull = local.start("pull", *receiver)
    pull.wait_ready()
    push = local.start("push", "--count", count, "--interval", 0.02)
    _ended(push)
    _await(pull, list(range(count)))
    return push, pull


@check()
def lines(local: Local) -> None:
    """The sender prints each number, the receiver the number and the time of sending."""
    before = time.time()
    push, pull = _flow(local)
    _expect(push, push.lines == [str(n) for n in range(5)], "it doesn't print 0 to 4")
    times = [float(match[2]) for line in pull.lines if (match := _RECEIVED.fullmatch(line))]
    now = time.time() + 1
    _expect(pull, all(before - 1 < t < now for t in times), "its times are not those of sending")


@check()
def lines_come_at_once(local: Local) -> None:
    """Lines come at once, into a pipe too: one held back would be useless to a trigger."""
    pull = local.start("pull")
    pull.wait_ready()
    push = local.start("push", "--count", 3, "--interval", 20)
    for program in (pull, push):
        program.wait_for(lambda p: p.lines, "it prints the first message at once")
    _expect(push, push.process.poll() is None, "it has ended before the second message")


@check()
def traces(local: Local) -> None:
    """Each line on stderr is a trace; the events are those of the manifest, in their order."""
    push, pull = _flow(local)
    pull.kill()
    expected = {"push": {"sent", "accepted", "connected"}, "pull": {"received", "connected"}}
    for name, program in (("push", push), ("pull", pull)):
        for line in program.said:
            _expect(program, parse(line) is not None, f"this is no trace: {line[:200]}")
        seen = {trace.event for trace in program.traces()}
        missing = ({"ready"} | (expected[name] & local.offers(name))) - seen
        _expect(program, not missing, f"{name} never reports {', '.join(sorted(missing))}")
        more = seen - local.offers(name)
        _expect(program, not more, f"{name} has no {', '.join(sorted(more))} in its manifest")
        found = [t.number for t in program.traces() if t.event in ("sent", "received")]
        _expect(program, found in ([], [0, 1, 2, 3, 4]), f"{name} reports messages {found}")


@check()
def ready(local: Local) -> None:
    """`ready` comes once and first, with versions, and its time is now."""
    for program in _flow(local):
        (first, *_), found = program.traces(), program.traces("ready")
        _expect(program, len(found) == 1, f"it reports `ready` {len(found)} times")
        _expect(program, abs(found[0].at.t - time.time()) < 60, "the time of `ready` is not now")
        versions = [value for value in found[0].details.values() if isinstance(value, str)]
        _expect(program, versions, "`ready` names no version, as text")
        late = [t.event for t in program.traces() if t.at.t < first.at.t - 1]
        _expect(program, not late, f"these are of a time before the first trace: {late}")


@check()
def quiet_without_trace(local: Local) -> None:
    """Without --trace nothing is written on stderr."""
    pull = local.start("pull", trace=False)
    push = local.start("push", "--count", 2, "--interval", 0.2, trace=False)
    _await(pull, [0, 1])
    _ended(push)
    pull.kill()
    for program in (push, pull):
        _expect(program, not program.said, "it writes on stderr")


@check()
def an_unknown_flag_is_refused(local: Local) -> None:
    """A flag that is silently passed over would make an experiment another one."""
    for name in ("push", "pull"):
        refused = local.start(name, "--no-such-flag")
        _expect(refused, refused.end() != 0, f"{name} passes over an unknown flag")
        _expect(refused, refused.said, f"{name} says nothing of an unknown flag")
        _expect(refused, not refused.traces("ready"), f"{name} is `ready` with an unknown flag")


@check()
def first_and_count(local: Local) -> None:
    """--first is the first message's number, --count how many there are."""
    pull = local.start("pull")
    pull.wait_ready()
    push = local.start("push", "--first", 40, "--count", 2, "--interval", 0.2)
    _await(pull, [40, 41])
    _ended(push)
    _expect(push, push.lines == ["40", "41"], "it doesn't print 40 and 41")


@check()
def the_sender_ends_by_itself_and_loses_nothing(local: Local) -> None:
    """The sender ends by itself, and loses nothing: also what it has sent just before."""
    pull = local.start("pull")
    pull.wait_ready()
    push = local.start("push", "--count", 200, "--interval", 0)
    _ended(push)
    _await(pull, list(range(200)))


@check()
def the_receiver_goes_on_until_it_is_ended(local: Local) -> None:
    """The receiver goes on after the last message, until SIGTERM ends it."""
    _, pull = _flow(local)
    _expect(pull, pull.process.poll() is None, "it has ended by itself")
    _expect(pull, pull.kill(signal.SIGTERM) != 0, "SIGTERM ends it with status 0")


@check(pull="reconnects")
def the_receiver_comes_back_to_another_sender(local: Local) -> None:
    """When the sender is killed and another one starts, the receiver gets its messages."""
    pull = local.start("pull")
    first = local.start("push", "--count", 1000, "--interval", 0.05)
    pull.wait_for(lambda p: p.lines, "it prints a message")
    first.kill()
    second = local.start("push", "--first", 5000, "--count", 3, "--interval", 0.05)
    pull.wait_for(lambda p: 5002 in numbers(p), "it prints a message of the second sender")
    _ended(second)


@check()
def two_receivers_share_the_messages(local: Local) -> None:
    """Two receivers share the messages, and both get some."""
    pulls = [local.start("pull"), local.start("pull")]
    for pull in pulls:
        pull.wait_ready()
    push = local.start("push", "--count", 60, "--interval", 0.03)
    _ended(push)
    for pull in pulls:
        pull.wait_for(lambda p: p.lines, "it gets a message")
    pulls[0].wait_for(lambda _: sum(len(p.lines) for p in pulls) >= 60, "all 60 messages come")
    together = sorted(n for pull in pulls for n in numbers(pull))
    _expect(push, together == list(range(60)), f"these of 60 messages came: {together}")


@check(push="--connect", pull="--bind")
def connecting_sender(local: Local) -> None:
    """The receiver binds, and the sender connects."""
    pull = local.start("pull", "--bind")
    pull.wait_ready()
    push = local.start("push", "--connect", "--count", 3, "--interval", 0.2)
    _await(pull, [0, 1, 2])
    _ended(push)


@check(pull="--work")
def work(local: Local) -> None:
    """A message is printed when its work is done, and its receipt traced before."""
    _, pull = _flow(local, "--work", 0.2, count=2)
    if received := pull.traces("received"):
        took = time.time() - received[0].at.t
        _expect(pull, took >= 0.2, f"it printed a message {took:.3f} s after its receipt")


@check(pull="--die-at")
def dying_at_a_message(local: Local) -> None:
    """With --die-at the receiver prints that message, traces `dies`, and kills itself."""
    pull = local.start("pull", "--die-at", 2)
    pull.wait_ready()
    local.start("push", "--count", 5, "--interval", 0.02)
    status = pull.end()
    _expect(pull, status == -signal.SIGKILL, f"it ends with {status}, not by SIGKILL")
    _expect(pull, numbers(pull) == [0, 1, 2], "it doesn't print 0, 1 and 2")
    _expect(pull, [t.number for t in pull.traces("dies")] == [2], "it doesn't report `dies`")


@check(push="--size")
def size(local: Local) -> None:
    """Messages of all lengths come through; what fills them up is not printed."""
    pulls: list[Running] = []
    for number, length in enumerate((0, 255, 256, 70_000)):
        if BROKER not in local.programs:  # that it connects again is not asked here
            for pull in pulls:
                pull.kill()
            pulls.clear()
        if not pulls:
            pulls.append(local.start("pull"))
            pulls[0].wait_ready()
        words = ("--first", number, "--count", 1, "--interval", 0, "--size", length)
        _ended(local.start("push", *words))
        _await_last(pulls[0], number)


def _await_last(pull: Running, number: int) -> None:
    """Wait for a message, the last of those that it was sent."""
    pull.wait_for(lambda p: number in numbers(p), f"it prints message {number}")
    found = numbers(pull)
    _expect(pull, found == [*range(number + 1)][-len(found) :], f"it prints {found}")


@check(push="--delay")
def delay(local: Local) -> None:
    """With --delay the first message is sent that much later."""
    started = time.monotonic()
    local.start("pull")
    push = local.start("push", "--delay", 0.5, "--count", 1, "--interval", 0)
    push.wait_for(lambda p: p.lines, "it prints a message")
    _expect(push, time.monotonic() - started >= 0.5, "it doesn't wait")
