"""What is known about messages during a run, and when it ends: pure functions, so fast tests."""

import random
from collections import Counter

import pytest
from captured_lines import captured

from pushpull.core.records import Event, Message
from pushpull.engine.balance import Balance
from pushpull.engine.ending import (
    AT_WORK_S,
    PATIENCE_S,
    Ends,
    Living,
    Plan,
    may_take_its_time,
    silence_s,
    still_open,
)
from pushpull.engine.isolation import Isolation
from pushpull.engine.ledger import KEPT_LINES, Ledger, Look
from pushpull.engine.standstill import Standstill, read
from pushpull.runs.lines import Lines

PUSH, PULL, OTHER = ("push", "push"), ("pull-1", "pull"), ("pull-2", "pull")
_MEANING = {
    "+": ("sent", PUSH),
    "-": ("received", PULL),
    "=": ("received", OTHER),
    "&": ("sent", ("push-2", "push")),
}
PLAN = Plan(count=20, interval=0.05, takes=0)
OURS, FOREIGN = Living(place=PULL, traces=True), Living(place=PULL, traces=False)


def line(place: tuple[str, str], n: int, text: str, t: float = 0.0) -> Lines:
    return captured([text], place, n=n, t=t)


def accounted(*steps: str) -> Ledger:
    """Return a ledger of these steps: `+7` was sent, `-7` received, `!7` traced as received.

    `&7` was sent by another sender, `=7` received by another receiver, which ends at `x`. At `/`
    machines are kept apart.
    """
    ledger = Ledger()
    for word in steps:
        if word[0] == "!":
            ledger.taken(PULL, int(word[1:]))
            continue
        if word[0] == "x":
            ledger.ended(OTHER)
            continue
        if word[0] == "/":
            ledger.cut_off()
            continue
        number = int(word[1:])
        kind, place = _MEANING[word[0]]
        ledger.message(
            Message(kind=kind, number=number, machine=place[0], process=place[1], n=0, t=0.0)
        )
    return ledger


@pytest.mark.parametrize(
    ("steps", "outstanding", "all_came"),
    [
        ("", 0, False),
        ("+0", 1, False),
        ("+0 -0", 0, True),
        ("-0 +0", 0, True),  # two streams: the receiver's line may be here first
        ("+0 +0 -0", 1, False),  # two senders with one number each, or one that sends it again
        ("+0 -0 +0", 1, False),
        ("+0 +0 -0 -0", 0, True),
        ("+0 +1 -0 -0", 1, False),  # a copy too many of one stands for none of another
        ("+0 -0 -0", 0, False),
        ("+0 !0", 1, False),
        ("+0 !0 -0", 0, True),
        ("+0 -0 !0", 0, True),  # the trace of a receipt came after its line
        ("+0 !0 !1 -0", 0, False),  # it holds one of which the sender's line isn't here yet
    ],
)
def test_messages_are_accounted_for_by_number_and_copy(
    steps: str, outstanding: int, all_came: bool
) -> None:
    ledger = accounted(*steps.split())
    assert (ledger.outstanding, ledger.all_came) == (outstanding, all_came)


@pytest.mark.parametrize("seed", range(5))
def test_any_numbers_in_any_order_are_accounted_for(seed: int) -> None:
    chance, balance, plain = random.Random(seed), Balance(), Counter[int]()
    for step in range(6000):
        number = chance.choice([step // 2, 10 ** chance.randrange(18), 5000 - step, -step % 7])
        by = chance.choice([1, -1])
        balance.move(number, by)
        plain[number] += by
    assert balance.missing() == sorted(n for n, out in plain.items() if out > 0)
    assert balance.outstanding == sum(out for out in plain.values() if out > 0)
    assert balance.surplus == -sum(out for out in plain.values() if out < 0)
    for number, out in plain.items():
        assert not balance.is_even()
        for _ in range(abs(out)):
            balance.move(number, -1 if out > 0 else 1)
    assert balance.is_even()


@pytest.mark.parametrize(
    ("steps", "holds"),
    [
        ("!0", True),
        ("!0 !1 -0", True),
        ("!0 !1 -1", False),  # it prints in order: it has passed over 0
        ("-0 -1 !0 !1", False),
        ("+0 +1 !0 -1 !1", False),  # the trace of 1 came after its line: 0 was passed over
        ("+0 +1 -1 !0 !1", False),
    ],
)
def test_what_a_receiver_holds(steps: str, holds: bool) -> None:
    assert list(accounted(*steps.split()).in_hand()) == ([PULL] if holds else [])


def test_a_trigger_finds_the_earliest_line_and_sees_each_line_once() -> None:
    ledger = Ledger()
    ledger.lines(line(PULL, 0, "b", t=2.0))
    ledger.lines(line(PUSH, 0, "a", t=1.0))
    first, seen = Look([PUSH, PULL], lambda _: True), []
    ledger.look(first)
    assert first.found is not None
    assert first.found.text == "a"
    later = Look([PULL], lambda text: seen.append(text) is not None)
    ledger.look(later)
    ledger.lines(line(PULL, 1, "c", t=3.0))
    assert seen == ["b", "c"]
    ledger.forget(later)
    ledger.lines(line(PULL, 2, "d", t=4.0))
    assert seen == ["b", "c"]


@pytest.mark.slow
def test_a_flood_takes_bounded_memory_and_is_counted() -> None:
    ledger = Ledger()
    for n in range(KEPT_LINES + 10):
        ledger.lines(line(PULL, n, "x"))
    seen: list[str] = []
    ledger.look(Look([PULL], lambda text: bool(seen.append(text))))
    assert len(seen) == KEPT_LINES
    assert ledger.printed([PULL]) == KEPT_LINES + 10


# --- How much silence ends a run. -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "living", "silence"),
    [
        ("+0 -0", [OURS], PLAN.quiet_s),
        ("+0", [], PLAN.quiet_s),  # nobody is left to print it
        ("+0", [OURS], PATIENCE_S),
        ("+0", [FOREIGN], PATIENCE_S),
        ("+0 !0", [OURS], AT_WORK_S),
        ("+0 !0", [], PLAN.quiet_s),  # it died with it
        ("+0 -0 -0", [OURS], PATIENCE_S),  # to several: another may be still to come
        ("+0 -0", [Living(place=PUSH, traces=True)], PATIENCE_S),  # the sender may send more
    ],
)
def test_silence_that_ends_a_run(steps: str, living: list[Living], silence: float) -> None:
    ledger = accounted(*steps.split())
    assert silence_s(PLAN, ledger, living, reads=True) == silence


def test_a_program_that_was_slow_may_be_slow_again() -> None:
    ledger = accounted("+0", "+1", "+2")
    ledger.lines(line(PULL, 0, "x", t=10.0))
    ledger.lines(line(PULL, 1, "x", t=12.5))
    assert silence_s(PLAN, ledger, [FOREIGN], reads=True) == pytest.approx(7.5)


def test_without_a_reader_each_running_program_may_print_more() -> None:
    assert silence_s(PLAN, Ledger(), [FOREIGN], reads=False) == PATIENCE_S
    assert silence_s(PLAN, Ledger(), [], reads=False) == PLAN.quiet_s


def test_a_run_lasts_as_planned_while_only_the_plan_knows_how_long_a_program_needs() -> None:
    plan = Plan(count=20, interval=0.05, takes=10)
    assert may_take_its_time(plan, accounted("+0"), [FOREIGN], reads=True)
    assert may_take_its_time(plan, accounted("+0", "!0"), [OURS], reads=True)
    assert not may_take_its_time(
        plan, accounted("+0"), [OURS], reads=True
    )  # it would have traced it
    assert not may_take_its_time(plan, accounted("+0", "-0"), [FOREIGN], reads=True)
    assert not may_take_its_time(PLAN, accounted("+0"), [FOREIGN], reads=True)


@pytest.mark.parametrize(
    ("steps", "one", "takes", "broken", "is_open"),
    [
        ("+0", OURS, 0, False, True),  # it may rest, and take it later
        ("+0", OURS, 5, False, False),  # it had the time that it says it takes
        ("+0 +1 +2 !0 -0 !1 -1", OURS, 0, False, True),  # it may rest after 1
        ("+0 +1 !1 -1", OURS, 0, False, False),  # 0 was sent before 1, and waits no longer
        ("+0 !0", OURS, 0, False, True),
        ("+0 +1 !1 -1 !9", OURS, 0, False, False),  # what it holds was never sent
        ("+0 !0", OURS, 0, True, True),  # whatever was done to others
        ("+0 +1 !0 !1 -1", OURS, 0, False, False),  # it has passed over 0
        ("+0", FOREIGN, 0, False, True),
        ("+0", FOREIGN, 10, False, False),  # it had the time that it says it takes
        ("+0", FOREIGN, 0, True, True),  # a fault of others does not empty its queue
        ("+0 +1 -1", FOREIGN, 0, True, False),
        ("+0 -0", FOREIGN, 0, False, False),
        ("+0 +1 !0 -0 !99", OURS, 0, False, True),  # a trace of what was never sent proves nothing
        ("+0 +1 -0 -99", OURS, 0, True, True),  # neither does a line
        ("+0 +1 +2 +0 +1 -0 -1 -2", OURS, 0, False, True),  # numbers that begin anew
        ("+0 +1 +2 +0 +1 -1 -2 -1", OURS, 0, False, True),  # it may wait behind the second 1
        ("+0 +1 +2 +3 +0 +4 -0 -1 -2 -4", OURS, 0, False, False),
    ],
)
def test_what_is_open_after_silence(
    steps: str, one: Living, takes: float, broken: bool, is_open: bool
) -> None:
    plan = Plan(count=20, interval=0.05, takes=takes)
    ledger = accounted(*steps.split())
    found = still_open(plan, ledger, Ends(living=[one], broken=broken))
    assert found == ([PULL] if is_open else [])


@pytest.mark.parametrize(
    ("steps", "ends", "is_open"),
    [
        # Of every second message the other receiver had its turn, and it is silent.
        ("+0 +1 +2 +3 -0 =1 -2", Ends(living=[OURS], silent=[OTHER], broken=True), False),
        ("+0 +1 +2 +3 +4 -0 =1 -2", Ends(living=[OURS], silent=[OTHER], broken=True), True),
        ("+0 +1 -0 =1 x +2 +3 -2", Ends(living=[OURS], silent=[OTHER], broken=True), False),
        # Its connection is over: all that came later went to the one that lives.
        ("+0 +1 +2 +3 -0 =1 -2", Ends(living=[OURS], silent=[OTHER], spare=0, broken=True), True),
        ("+0 +1 -0 =1 x +2 +3", Ends(living=[OURS], ended=[OTHER], broken=True), True),
        ("+0 +1 -0 =1 x +2 +3 -2", Ends(living=[OURS], ended=[OTHER], broken=True), True),
        ("+0 +1 +2 +3 -0 =1 -2 x", Ends(living=[OURS], ended=[OTHER], broken=True), False),
        ("+0 +1 +2 -0 =1 x", Ends(living=[OURS], ended=[OTHER], broken=True), True),  # not its turn
        ("+0 +1 +2 -0 =2 x", Ends(living=[OURS], ended=[OTHER], broken=True), True),  # it passed 1
        ("+0 +1 -0", Ends(living=[OURS], broken=True, silence_s=9.9), True),
        ("+0 +1 -0", Ends(living=[OURS], broken=True, silence_s=10), False),  # it fell silent
        ("+0 +1 -0", Ends(living=[OURS], silence_s=10), True),  # after no fault it may rest
        ("+0 +1 -0 !1", Ends(living=[OURS], broken=True, silence_s=10), True),  # it is at work
        # A fault keeps it from the senders.
        ("+0 +1 +2", Ends(living=[OURS], cut_off={PULL}, silent=[PULL], broken=True), False),
        ("+0 !0", Ends(living=[OURS], cut_off={PULL}, silent=[PULL], broken=True), True),
        ("+0 / +1 -0", Ends(living=[OURS], cut_off={PULL}, silent=[PULL], broken=True), False),
        # What came before that may wait there still.
        ("+0 +1 / +2 -0", Ends(living=[OURS], cut_off={PULL}, silent=[PULL], broken=True), True),
        # It sleeps: nobody knows whose the last one was, whoever else had its turn.
        ("+0 +1 -0 x", Ends(living=[OURS], ended=[OTHER], resting={PULL}, broken=True), True),
        ("+0 +1 -1 x", Ends(living=[OURS], ended=[OTHER], resting={PULL}, broken=True), False),
        # A sender that has failed may not have sent what it printed last; the others it did.
        ("+0 +1 !0 -0", Ends(living=[OURS], unsent={1}), False),
        ("+0 +1 +2 !0 -0", Ends(living=[OURS], unsent={2}), True),
    ],
)
def test_what_silent_receivers_and_failed_senders_explain(
    steps: str, ends: Ends, is_open: bool
) -> None:
    ledger = accounted(*steps.split())
    assert still_open(PLAN, ledger, ends) == ([PULL] if is_open else [])


def test_what_one_sender_sent_last_says_nothing_of_another() -> None:
    ledger = accounted("+0", "+1", "&10", "&11", "-0", "-1", "-10")
    assert ledger.waiting_for(PULL) == [11]
    same = accounted("+0", "+1", "&0", "&1", "-0", "-1")  # whose copy of 1 it was is not known
    assert same.waiting_for(PULL) == [0, 1]


def test_a_sender_whose_numbers_begin_anew_very_often_has_no_order() -> None:
    ledger = accounted(*["+1", "+0"] * 1_500, "+5", "-5")
    assert ledger.waiting_for(PULL) == [0, 1]


def test_which_machines_faults_keep_apart() -> None:
    isolation = Isolation()

    def note(event: str, what: str, machine: str, **details: object) -> None:
        isolation.note(Event(t=0.0, event=event, machine=machine, details={event: what, **details}))

    note("fault", "slow", "a")
    note("fault", "partition", "a", **{"from": ["b"]})
    assert isolation.are_apart("b", "a")
    assert not isolation.are_apart("c", "a")
    note("fault", "partition", "a", **{"from": ["c"]})
    assert isolation.are_apart("a", "c")
    note("repair", "heal", "a")
    note("fault", "cut_power", "c")
    assert not isolation.are_apart("a", "b")
    assert isolation.are_apart("a", "c")
    assert isolation.is_off("c")
    note("repair", "power_on", "c")
    assert not isolation.are_apart("a", "c")


# --- The limit. -----------------------------------------------------------------------------------


def test_the_limit_grows_with_the_messages_that_arrive() -> None:
    plan = Plan(count=100_000, interval=0, takes=0)
    assert plan.limit(0.0, 0.0, 0.0) == 10.0
    assert plan.limit(0.0, 9.0, 0.0) == 19.0
    assert plan.limit(0.0, 1000.0, 0.0) == 1010.0
    assert plan.limit(0.0, 1e6, 0.0) == 10.0 + 0.02 * 100_000
    assert Plan(count=10, interval=1, takes=5).limit(100.0, 100.0, 0.0) == 155.0


@pytest.mark.parametrize("text", ["up", "up\r", "[#  ]\r[###]\rup", "\rup\r\r"])
def test_a_trigger_sees_what_a_terminal_shows(text: str) -> None:
    look = Look({PULL}, "up".__eq__)
    ledger = Ledger()
    ledger.look(look)
    ledger.lines(line(PULL, 0, text))
    assert look.found is not None
    assert look.found.text == text


def test_a_wait_of_a_script_is_limited_alone() -> None:
    plan = Plan(count=0, interval=0, takes=0, patience_s=60)
    assert plan.limit(0.0, 0.0, waiting_since=1000.0) == 1060.0
    assert plan.limit(0.0, 1030.0, waiting_since=1000.0) == 1090.0


def test_what_a_machine_says_of_a_standstill_is_read() -> None:
    said = read("sleeps 71 12\nwhatever it is\nsleeps 72 so\nsleeps\n\ncomputes 72 3\n")
    assert said == Standstill(stopped=False, computes=True, sleeps={"71": 12})
    assert read("stopped 71 12\n").stopped
    assert read("") == Standstill()
    assert read(f"sleeps 71 {'9' * 5000}\nsleeps 71 many\n") == Standstill()


@pytest.mark.parametrize(
    ("before", "now", "is_rest"),
    [
        ("", "sleeps 71 12", True),
        ("sleeps 71 12", "sleeps 71 12", True),
        ("sleeps 71 12", "sleeps 71 13", True),  # a second rest, at once after the first one
        ("sleeps 71 12", "sleeps 71 14", False),  # it polls
        ("sleeps 71 12", "sleeps 71 40\nsleeps 72 1", True),  # another process of it
        ("sleeps 71 12", "computes 71 12", True),
        ("", "stopped 71 12", False),
        ("", "", False),
    ],
)
def test_one_long_sleep_is_a_rest_and_many_short_ones_are_none(
    before: str, now: str, is_rest: bool
) -> None:
    assert read(now).is_rest(read(before)) == is_rest
