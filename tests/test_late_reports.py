"""A busy machine reports late what its library did: that may leave a claim open, not refute it."""

import json
from dataclasses import replace

import pytest
from story import START, event, killed, outcomes, puller, run_of

from pushpull.core.records import Record

HOLDS, REFUTED, UNSEEN = "holds", "refuted", "not observed"


def test_a_late_report_of_a_connection_leaves_no_order() -> None:
    """As on a busy machine: the pusher's thread reported the connection 30 messages late."""
    run = run_of("A" * 20 + "BABA" * 10, {"A": -0.01, "B": 0.0185}, interval=0.001)
    late = replace(run, events=tuple(
        replace(e, t=e.t + 0.03) if e.event == "connected" and e.machine == "push" else e
        for e in run.events
    ))  # fmt: skip
    assert outcomes(late, "round_robin")["alone_for_k_gets_one_more"] == UNSEEN
    assert outcomes(late, "round_robin")["turns_are_strict"] == HOLDS


@pytest.mark.parametrize("interval", [0.0001, 0.001, 0.02, 0.1])
def test_late_reports_of_both_ends_refute_nothing(interval: float) -> None:
    """As on a busy machine: neither end reported the connection for up to 0.4 s."""
    for late in (0.06, 0.16, 0.4):
        run = run_of(
            "A" * 10 + "BA" * 30, {"A": -0.01, "B": 8.5 * interval + late}, interval=interval
        )
        assert REFUTED not in outcomes(run, "round_robin").values()


def test_a_send_that_began_before_a_connection_is_not_after_it() -> None:
    """The pusher was held up between its send and its report of it, without a pause to its next."""
    run = run_of("AAAAAAABABAB", {"A": -0.01, "B": 0.0495}, interval=0.01)
    held = {f"{n} , ": 0.06 + n / 1000 for n in range(5, 12)}

    def later(record: Record) -> Record:
        trace = json.loads(record.text or "") if record.stream == "stderr" else {}
        t = next((t for text, t in held.items() if trace.get("text", "").startswith(text)), None)
        return record if t is None else replace(record, text=json.dumps(trace | {"t": START + t}))

    run = replace(run, records=tuple(map(later, run.records)))
    found = outcomes(run, "round_robin")
    assert found["turns_are_strict"] == HOLDS
    assert found["alone_for_k_gets_one_more"] != REFUTED


def test_a_late_report_of_a_send_counts_from_its_receipt() -> None:
    """The pusher's thread was held up between the send and its trace; the puller's was not."""
    run = run_of("AABABABA", {"A": -0.01, "B": 0.02})
    came = {"t": START + 0.001, "event": "received", "number": "0"}
    first, second, *others = run.records
    assert second.text is not None
    held = json.loads(second.text) | {"t": START + 0.03}
    trace = replace(first, machine="pull-1", process="pull", stream="stderr", text=json.dumps(came))
    late = replace(run, records=(first, replace(second, text=json.dumps(held)), trace, *others))
    assert outcomes(late, "round_robin")["alone_for_k_gets_one_more"] == HOLDS


@pytest.mark.parametrize(("start", "survivor"), [(0.47, UNSEEN), (0.53, REFUTED)])
def test_a_return_may_be_reported_late(start: float, survivor: str) -> None:
    """What went to it after its start may have been sent after its connection."""
    connects = {"A": -0.01, "B": -0.01, "b": 0.68}
    back = event("start", start, puller("b"))
    run = run_of("ABABABABAAbAbAbAb", connects, *killed("B", 0.36, 0.358), back)
    assert outcomes(run, "return_worker")["survivor_gets_the_rest"] == survivor
