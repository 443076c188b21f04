"""Traces that say what did not happen, and ends that leave a fate open: no verdict is false."""

from pathlib import Path

from made_runs import START, MadeRun

from pushpull.analysis.history import Run, exactly_once
from pushpull.core.verdict import Verdict
from pushpull.experiments.judges import leaving, line_formats
from pushpull.runs import store


def traced(run: MadeRun, t: float, machine: str, event: str, number: int) -> None:
    line = b'{"t": %.6f, "event": "%s", "number": %d}' % (START + t, event.encode(), number)
    run.printed(t, machine, line, "stderr")


def judged(path: Path) -> Run:
    return Run(store.load(path), line_formats.read)


def killed_at_4(root: Path, *, until: int = 12) -> MadeRun:
    """Make a run up to message `until`: pull-1 is killed after message 4, and nothing is lost."""
    run = MadeRun(root)
    run.begin()
    for number in range(until):
        t = 0.2 + number / 10
        run.sent(t, number)
        run.got(t + 0.001, number, "pull-1" if number % 2 == 0 and number < 5 else "pull-2")
        if number == 4:
            run.happened(t + 0.02, "disconnected", "push")
            run.happened(t + 0.03, "exit", "pull-1", status=137, by="fault")
            details = {"fault": "kill", "verified": True, "took_s": 0.02}
            run.happened(t + 0.03, "fault", "pull-1", **details)
    return run


def test_a_receiver_that_traces_sends_has_sent_nothing(tmp_path: Path) -> None:
    made = killed_at_4(tmp_path)
    for number in (3, 99):
        traced(made, 1.5, "pull-2", "sent", number)
    run = judged(made.end(1.8))
    assert run.receivers == ["pull-1", "pull-2"]
    assert run.senders == {"push"}
    assert exactly_once(run, run.planned).outcome == "holds"
    assert leaving.survivors_get_all(run, leaving.after_the_fault(run)).outcome == "holds"


def test_a_sender_that_traces_receipts_has_received_nothing(tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    made.begin()
    traced(made, 0.15, "push", "received", 9)
    for number in range(12):
        made.sent(0.2 + number / 10, number)
        made.got(0.201 + number / 10, number, "pull-1")
    run = judged(made.end(1.8))
    assert run.dealt[9] > START + 1
    assert not {machine for machine, _ in run.taken.speakers()} & {"push"}


def not_known(verdict: Verdict) -> bool:
    return verdict.outcome == "not observed" and "message 11" in verdict.why.lower()


def test_what_a_sender_sent_just_before_it_died_is_not_known_to_have_arrived(
    tmp_path: Path,
) -> None:
    made = killed_at_4(tmp_path, until=11)
    made.sent(1.3, 11)
    made.happened(1.31, "exit", "push", status=-9, by="itself")
    run = judged(made.path)
    after = leaving.after_the_fault(run)
    assert not_known(leaving.none_is_lost(run, after))
    assert not_known(leaving.survivors_get_all(run, after))
    assert not_known(leaving.all_since_the_fault_arrive(run))


def test_what_it_printed_and_did_not_send_is_no_question(tmp_path: Path) -> None:
    made = killed_at_4(tmp_path, until=11)
    made.printed(1.3, "push", b"11")
    made.happened(1.31, "exit", "push", status=-9, by="itself")
    run = judged(made.path)
    assert leaving.none_is_lost(run, leaving.after_the_fault(run)).outcome == "holds"


def test_a_receipt_of_what_was_never_sent_does_not_settle_what_was_before(tmp_path: Path) -> None:
    made = killed_at_4(tmp_path, until=11)
    made.sent(1.3, 11)
    made.printed(1.31, "pull-2", b"99 , 1.5")
    made.happened(1.32, "exit", "push", status=-9, by="itself")
    run = judged(made.path)
    assert run.last_known == 10
    assert not_known(leaving.none_is_lost(run, leaving.after_the_fault(run)))
