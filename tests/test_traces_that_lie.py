"""Traces that say what did not happen, and ends that leave a fate open: no verdict is false."""

from pathlib import Path

import pytest
from made_runs import START, MadeRun

from pushpull.analysis.history import Run, exactly_once
from pushpull.core.verdict import Verdict
from pushpull.experiments.judges import arriving, leaving, line_formats
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


def test_a_receipt_that_is_traced_too_early_moves_no_send(tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    made.begin()
    traced(made, 0.15, "pull-1", "received", 9)
    for number in range(12):
        made.sent(0.2 + number / 10, number)
        made.got(0.201 + number / 10, number, "pull-1")
    run = judged(made.end(1.8))
    assert run.dealt[8] <= run.dealt[9] <= START + 1.2


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


def all_arrive(root: Path) -> MadeRun:
    """Make a run in which a text is traced with each message, and all come to pull-1."""
    run = MadeRun(root, "round_robin")
    run.begin()
    for number in range(12):
        t = 0.2 + number / 10
        run.printed(t, "push", b"%d" % number)
        text = b"%d , %.6f" % (number, START + t)
        trace = b'{"t": %.6f, "event": "sent", "number": %d, "text": "%s"}'
        run.printed(t, "push", trace % (START + t, number, text), "stderr")
        run.printed(t + 0.001, "pull-1", text)
    return run


def test_half_of_a_line_is_no_other_text(tmp_path: Path) -> None:
    made = all_arrive(tmp_path)
    made.wrote(1.5, "pull-1", b"1")
    assert arriving.as_sent(judged(made.end(1.8))).outcome == "holds"


def test_a_text_of_several_lines_arrives_as_several_lines(tmp_path: Path) -> None:
    made = all_arrive(tmp_path)
    line = b'{"t": %.6f, "event": "sent", "number": 12, "text": "12 , 1.5\\n13 of them"}'
    made.printed(1.5, "push", line % (START + 1.5), "stderr")
    made.printed(1.6, "pull-1", b"12 , 1.5\n13 of them")
    assert arriving.as_sent(judged(made.end(1.8))).outcome == "holds"


def test_a_text_that_a_receiver_traces_was_not_sent(tmp_path: Path) -> None:
    made = all_arrive(tmp_path)
    line = b'{"t": %.6f, "event": "sent", "number": 5, "text": "5 , 1.5"}' % (START + 1.5)
    made.printed(1.5, "pull-1", line, "stderr")
    made.printed(1.6, "pull-1", b"5 , 1.5")
    assert arriving.as_sent(judged(made.end(1.8))).outcome == "refuted"


def test_the_order_of_sends_that_were_only_traced(tmp_path: Path) -> None:
    made = MadeRun(tmp_path, "round_robin")
    made.begin()
    for number in range(12):
        traced(made, 0.2 + number / 10, "push", "sent", number)
    for number in (0, 1, 3, 2):
        made.printed(1.6, "pull-1", b"%d , 1.5" % number)
    verdict = arriving.in_order(judged(made.end(1.8)))
    assert (verdict.outcome, verdict.messages) == ("refuted", (2,))


def test_without_a_word_of_senders_there_is_no_order(tmp_path: Path) -> None:
    made = MadeRun(tmp_path, "round_robin")
    made.begin()
    made.printed(1.6, "pull-1", b"0 , 1.5\n1 , 1.5")
    verdict = arriving.in_order(judged(made.end(1.8)))
    assert verdict.why == "No sender printed or traced what it sent."


@pytest.mark.parametrize(("status", "sent_twice"), [(0, [1]), (137, [])])
def test_what_a_sender_was_printing_when_it_was_killed_is_no_message(
    tmp_path: Path, status: int, sent_twice: list[int]
) -> None:
    """The `1` may be half of `12`; a program that ends by itself has printed what it wanted to."""
    made = all_arrive(tmp_path)
    made.wrote(1.5, "push", b"1")
    run = judged(made.end(1.8, status=status))
    numbers = list(run.sent.numbers)
    assert [n for n in set(numbers) if numbers.count(n) > 1] == sent_twice
