"""Verdicts at other paces, with more machines, and with senders that begin anew."""

import json
import string
from dataclasses import replace

import pytest
from story import PUSH, START, deals, event, killed, outcomes, puller, run_of, with_messages

from pushpull.core.records import Event, Record
from pushpull.runs.store import StoredRun

HOLDS, REFUTED, UNSEEN = "holds", "refuted", "not observed"
AGAIN = ("push", "push.2")


def with_parameters(run: StoredRun, **more: object) -> StoredRun:
    parameters = run.description["parameters"] | more
    return replace(run, description={**run.description, "parameters": parameters})


def back_at(letter: str, t: float) -> list[Event]:
    return [
        event("start", t - 0.4, puller(letter)),
        event("repair", t, puller(letter), repair="start again"),
        event("ready", t, puller(letter)),
    ]


@pytest.mark.parametrize(
    ("order", "interval", "served"),
    [
        ("ABABABABAAAAAAbAbAbAbA", 1.0, HOLDS),  # on its next turn, 1.6 s later
        ("ABCABCABCACACACACACACACACACACbCAbCAbCAb", 0.5, HOLDS),
        ("ABABABABAAAAAAAAAAbAbA", 1.0, REFUTED),
    ],
)
def test_who_comes_back_waits_for_its_turn(order: str, interval: float, served: str) -> None:
    connects = {letter: -0.01 for letter in set(order) if letter.isupper()} | {"b": 12.45}
    gone = killed("B", 7.5 * interval, 7.501 * interval)
    run = run_of(order, connects, *gone, *back_at("b", 12.4), interval=interval)
    run = with_parameters(run, variant="kill", interval=interval)
    assert list(outcomes(run, "coming_back").values()) == [served]


@pytest.mark.parametrize(("machines", "interval"), [(6, 0.02), (2, 0.0)])
def test_a_worker_that_keeps_up_is_no_busy_one(machines: int, interval: float) -> None:
    letters = string.ascii_uppercase[:machines]
    order = (letters * 60)[:60]
    connects = {letter: -0.01 - k / 1000 for k, letter in enumerate(letters)}
    run = run_of(order, connects, interval=interval or 0.0001)
    run = with_parameters(run, interval=interval)
    assert REFUTED not in outcomes(run, "busy_worker").values()
    assert REFUTED not in outcomes(run, "full_worker").values()


def two_lives(order: str, *, second: float, lost: tuple[int, ...] = (), anew: int = 0) -> StoredRun:
    """From message 8 on a second life of the pusher sends, and numbers its messages from `anew`."""
    run = run_of(order, {"A": -0.02, "B": -0.02}, interval=0.2, count=12)
    messages = deals(run)
    for k, deal in enumerate(messages[8:]):
        at, number = START + 3 + k * second, anew + k
        messages[8 + k] = replace(
            deal, printed=number, sent=number, at=at, sender=AGAIN, times=int(k not in lost)
        )
    run = with_messages(run, messages)
    events = [
        *(e for e in run.events if e.event != "exit"),
        event("fault", 1.5, PUSH, fault="kill", verified=True, took_s=0.004),
        event("exit", 1.5, PUSH, by="fault", status=137),
        event("start", 2.5, AGAIN),
        event("ready", 2.7, AGAIN),
        event("exit", 6, AGAIN, by="itself", status=0),
    ]
    for letter, t in (("A", 2.8), ("B", 3.1)):
        events += [event("connected", t, AGAIN), event("connected", t + 0.0005, puller(letter))]
    return replace(run, events=tuple(sorted(events, key=lambda e: e.t)))


def test_numbers_that_are_sent_again_tell_no_order_and_hide_a_loss() -> None:
    run = two_lives("ABABABAB" + "BA" * 6, second=0.2)
    assert outcomes(run, "round_robin")["each_gets_them_in_order"] == UNSEEN
    run = two_lives("ABABABAB" + "BA" * 6, second=0.2, lost=(2, 3))
    assert outcomes(run, "under_faults")["nothing_sent_after_the_fault_is_lost"] != HOLDS


def test_all_was_sent_before_the_second_worker_was_connected_again() -> None:
    run = two_lives("ABABABAB" + "A" * 12, second=0.001, anew=12)
    assert outcomes(run, "restart_pusher")["workers_come_back"] != REFUTED


def test_a_full_queue_is_skipped_also_when_a_worker_is_back() -> None:
    order = "A" * 1500 + "AB" * 500 + "BBBBB" + "AB" * 700
    run = run_of(order, {"A": -0.01, "B": 0.15}, interval=0.0001)
    slow = {r.n: k for k, r in enumerate(r for r in run.records if _is_slow(r))}
    records = [
        replace(r, t=max(r.t, START + 0.001 * slow[r.n])) if _is_slow(r) else r for r in run.records
    ]
    start = event("start", 0.05, puller("B"))
    others = (e for e in run.events if (e.event, e.machine) != ("start", "pull-2"))
    run = replace(run, records=tuple(records), events=(*others, start))
    assert outcomes(run, "rejoin_worker")["work_is_shared_again"] == UNSEEN


def _is_slow(record: Record) -> bool:
    return (record.machine, record.stream) == ("pull-1", "stdout")


def test_a_send_that_waited_for_a_connection_was_not_after_the_next_one() -> None:
    """Message 0 went to A as soon as that was connected; only its report came after B's."""
    run = run_of("AABABABABA", {"A": -0.001, "B": 0.001})

    def later(record: Record) -> Record:
        if record.stream == "stderr":
            trace = json.loads(record.text or "")
            return replace(record, text=json.dumps(trace | {"t": trace["t"] + 0.03}))
        if record.machine == "push":
            return replace(record, t=record.t - 0.05) if record.text == "0" else record
        return replace(record, t=record.t + 0.032)

    run = replace(run, records=tuple(map(later, run.records)))
    found = outcomes(run, "round_robin")
    assert found["turns_are_strict"] == HOLDS
    assert found["alone_for_k_gets_one_more"] != REFUTED
