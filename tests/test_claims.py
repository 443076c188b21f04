"""Verdicts on runs that are made message by message: where each boundary lies."""

from dataclasses import replace

import pytest
from story import (
    PUSH,
    deals,
    event,
    killed,
    outcomes,
    puller,
    recorded,
    run_of,
    with_messages,
)

from pushpull.analysis.history import Run, strict_turns
from pushpull.core import wording
from pushpull.core.errors import ExitCode
from pushpull.core.records import Event, Record
from pushpull.engine.judge import exit_code, judge
from pushpull.experiments import catalogue
from pushpull.experiments.judges import leaving
from pushpull.experiments.judges.line_formats import read
from pushpull.runs.store import StoredRun

HOLDS, REFUTED, UNSEEN = "holds", "refuted", "not observed"
AB = {"A": -0.01, "B": -0.01}


def seen(run: StoredRun) -> Run:
    return Run(run, read)


# -- the beginning ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "second", "pair", "law", "why"),
    [
        # The second connects: before message 0, between 0 and 1, between 1 and 2.
        ("ABABABAB", -0.02, UNSEEN, HOLDS, UNSEEN),
        ("AABABABA", 0.02, HOLDS, HOLDS, REFUTED),
        ("AAABABAB", 0.07, UNSEEN, HOLDS, UNSEEN),
        # The law is broken: the pair is missing, too short, too long, or there though it mustn't.
        ("AAABABAB", 0.02, HOLDS, REFUTED, UNSEEN),
        # Too short, or too early, unless the report of the connection was late.
        ("ABABABAB", 0.02, UNSEEN, UNSEEN, UNSEEN),
        ("AABABABA", 0.07, UNSEEN, UNSEEN, UNSEEN),
        ("AABABABA", -0.02, UNSEEN, REFUTED, REFUTED),
        # Less than 5 ms from message 0: with k = 0 or 1, one or two in a row say nothing.
        ("ABABABAB", 0.003, UNSEEN, UNSEEN, UNSEEN),
        ("AABABABA", 0.003, HOLDS, UNSEEN, REFUTED),
        ("AABABABA", -0.004, HOLDS, UNSEEN, REFUTED),
        ("AAAABABA", 0.003, HOLDS, REFUTED, UNSEEN),
        # Less than 5 ms from message 1, on either side: k = 1 or 2.
        ("AABABABA", 0.047, HOLDS, UNSEEN, UNSEEN),
        ("AAABABAB", 0.053, HOLDS, UNSEEN, UNSEEN),
        ("ABABABAB", 0.047, UNSEEN, UNSEEN, UNSEEN),
        # The end of the row is not seen.
        ("AAAAAAAA", 0.36, UNSEEN, UNSEEN, UNSEEN),
        ("AA", 0.02, HOLDS, UNSEEN, REFUTED),
        ("AAAAAAAA", 0.02, HOLDS, REFUTED, UNSEEN),
        ("A", 0.02, UNSEEN, UNSEEN, UNSEEN),
        # Message 0 was lost: nobody was the first.
        (".ABABABA", 0.02, UNSEEN, UNSEEN, UNSEEN),
    ],
)
def test_the_beginning(order: str, second: float, pair: str, law: str, why: str) -> None:
    found = outcomes(run_of(order, {"A": -0.03, "B": second}), "round_robin")
    assert found["first_gets_two"] == pair
    assert found["alone_for_k_gets_one_more"] == law
    assert found["because_second_is_not_connected"] == why


@pytest.mark.parametrize(
    ("order", "second", "pair", "law", "why"),
    [
        ("AABABABA", 0.6, HOLDS, HOLDS, REFUTED),
        ("ABABABAB", 0.6, REFUTED, REFUTED, UNSEEN),
        ("AABABABA", 1.6, UNSEEN, REFUTED, HOLDS),
        ("AABABABA", 2.4, UNSEEN, REFUTED, HOLDS),
        ("ABABABAB", 0.997, REFUTED, REFUTED, UNSEEN),
        ("ABABABAB", 0.4, UNSEEN, UNSEEN, UNSEEN),
    ],
)
def test_the_beginning_at_the_articles_pace(
    order: str, second: float, pair: str, law: str, why: str
) -> None:
    """Then even a late report leaves no doubt, unless it is one of the first half second."""
    run = run_of(order, {"A": -0.03, "B": second}, interval=1.0)
    found = outcomes(run, "round_robin")
    assert found["first_gets_two"] == pair
    assert found["alone_for_k_gets_one_more"] == law
    assert found["because_second_is_not_connected"] == why


def test_the_beginning_with_more_machines() -> None:
    """The row is ended by the second machine; the turn is judged when the last is there."""
    run = run_of("AABACBACBACB", {"A": -0.01, "B": 0.02, "C": 0.13})
    assert list(outcomes(run, "round_robin").values()) == [HOLDS] * 7 + [REFUTED]


def test_clocks_that_may_be_wrong_leave_no_order() -> None:
    run = run_of("AABABABA", {"A": -0.01, "B": 0.02}, uncertainty=0.01)
    assert outcomes(run, "round_robin")["alone_for_k_gets_one_more"] == UNSEEN


# -- divided, exactly once, in turns ---------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "connects", "divided", "turns"),
    [
        ("ABABAB", AB, HOLDS, HOLDS),
        ("AB", AB, HOLDS, UNSEEN),
        ("A", AB, UNSEEN, UNSEEN),
        ("AAAAAA", AB, REFUTED, REFUTED),
        ("AAAAAA", {"A": -0.01, "B": 0.24}, UNSEEN, UNSEEN),  # too late to have had a turn
        ("AAAAAA", {"A": -0.01, "B": 1}, UNSEEN, UNSEEN),
        ("AAAAAA", {"A": -0.01}, UNSEEN, UNSEEN),  # there is but one
        ("A.A.A.", AB, REFUTED, REFUTED),  # a turn of nobody's is no turn
        ("ABAB.B", AB, HOLDS, REFUTED),
        ("ABABBA", AB, HOLDS, REFUTED),
        ("ABABBB", AB, HOLDS, REFUTED),
        ("ABABAB", AB | {"C": -0.01}, REFUTED, REFUTED),
        ("ABCABC", AB | {"C": -0.01}, HOLDS, HOLDS),
        ("ABCACB", AB | {"C": -0.01}, HOLDS, REFUTED),
        ("ABC", AB | {"C": -0.01}, HOLDS, UNSEEN),
    ],
)
def test_division_and_turns(
    order: str, connects: dict[str, float], divided: str, turns: str
) -> None:
    found = outcomes(run_of(order, connects), "round_robin")
    assert found["work_is_divided"] == divided
    assert found["turns_are_strict"] == turns


def test_verdicts_on_a_run_that_was_cut_short() -> None:
    """What came before its end counts; what was never to come, or on its way, does not."""
    found = outcomes(run_of("ABABAB..", AB, count=20, cut_short=True), "round_robin")
    assert found["turns_are_strict"] == HOLDS
    assert found["each_to_exactly_one"] == UNSEEN
    found = outcomes(run_of("ABA.AB", AB, count=20, cut_short=True), "round_robin")
    assert found["turns_are_strict"] == REFUTED
    assert found["each_to_exactly_one"] == REFUTED


def test_a_refuted_turn_says_that_the_sender_left_the_order_of_the_numbers() -> None:
    swapped = [replace(d, printed=d.sent ^ (d.sent > 3), sent=d.sent ^ (d.sent > 3))
               for d in deals(run_of("ABABAB", AB))]  # fmt: skip
    run = seen(with_messages(run_of("ABABAB", AB), swapped))
    assert "did not send these in order" in strict_turns(run, run.planned, run.receivers).why
    run = seen(run_of("ABABBA", AB))
    assert "in order" not in strict_turns(run, run.planned, run.receivers).why


def test_exactly_once_looks_beyond_the_plan() -> None:
    run = run_of("ABABAB", AB, count=5)
    every = [replace(deal, times=2 if deal.sent == 5 else 1) for deal in deals(run)]
    assert outcomes(run, "round_robin")["each_to_exactly_one"] == HOLDS
    assert outcomes(with_messages(run, every), "round_robin")["each_to_exactly_one"] == REFUTED


def test_nothing_ran() -> None:
    for experiment in ("round_robin", "kill_worker", "rejoin_worker", "return_worker"):
        found = outcomes(run_of("", {}, count=20, cut_short=True), experiment)
        assert set(found.values()) == {UNSEEN}


def test_a_program_without_traces() -> None:
    """What it printed still counts; of its connections nothing is known."""
    run = recorded("round_robin")
    mute = replace(
        run,
        records=tuple(r for r in run.records if r.stream == "stdout"),
        events=tuple(e for e in run.events if e.event != "connected"),
    )
    found = outcomes(mute, "round_robin")
    printed = ("work_is_divided", "each_to_exactly_one", "each_gets_them_in_order")
    assert {found.pop(claim) for claim in printed} == {HOLDS}
    assert set(found.values()) == {UNSEEN}
    code = exit_code(judge(mute, catalogue.load("round_robin"), partial=False))
    assert code == ExitCode.NOT_OBSERVED  # of the turns: what is by chance isn't counted


# -- a puller is killed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "gone", "noticed", "survivor", "lost"),
    [
        ("ABABABABAAAA", 0.36, 0.358, HOLDS, HOLDS),
        ("ABABABAB.AAA", 0.41, 0.42, HOLDS, HOLDS),  # 8 was in flight
        ("ABABABAB.AAA", 0.36, 0.396, HOLDS, HOLDS),  # within 5 ms: it may have been
        ("ABABABAB.AAA", 0.36, 0.358, REFUTED, REFUTED),
        ("ABABABABABAA", 0.36, 0.358, REFUTED, HOLDS),  # 9 went to the dead one
        ("ABABABAB", 0.36, 0.358, UNSEEN, UNSEEN),  # nothing was sent after
        ("ABABABABAAAA", 0.36, None, UNSEEN, UNSEEN),  # the pusher never noticed
        ("ABABABABAAAA", 0.36, 0.1, UNSEEN, UNSEEN),  # that was another's end
    ],
)
def test_a_kill(order: str, gone: float, noticed: float | None, survivor: str, lost: str) -> None:
    found = outcomes(run_of(order, AB, *killed("B", gone, noticed)), "kill_worker")
    assert found["survivor_gets_the_rest"] == survivor
    assert found["nothing_sent_later_is_lost"] == lost
    assert found["nothing_comes_twice"] == HOLDS


def test_with_more_machines_each_survivor_counts() -> None:
    run = run_of("ABCABCABCACAC", AB | {"C": -0.01}, *killed("B", 0.36, 0.358))
    assert set(outcomes(run, "kill_worker").values()) == {HOLDS}


def test_no_survivor_is_left() -> None:
    """The only puller is killed and the pusher waits for ever: that is neither lost nor taken."""
    run = run_of("AAAAAAAA", {"A": -0.01}, *killed("A", 0.36, 0.358), count=20, cut_short=True)
    assert outcomes(run, "kill_worker")["survivor_gets_the_rest"] == UNSEEN


@pytest.mark.parametrize(
    ("times", "again_by", "found"),
    [
        (1, None, HOLDS),
        (2, None, REFUTED),
        (1, "push.2", HOLDS),  # a pusher that is started again sends its numbers once more
        (2, "push.2", REFUTED),
        (1, "push", REFUTED),  # one that repeats itself
    ],
)
def test_what_comes_twice_though_a_machine_left(
    times: int, again_by: str | None, found: str
) -> None:
    run = run_of("ABABABABAAAA", AB, *killed("B", 0.36, 0.358))
    first, *rest = deals(run)
    last = replace(first, at=rest[-1].at + 0.05, sender=("push", again_by or ""))
    again = [last] if again_by else []
    run = with_messages(run, [replace(first, times=times), *rest, *again])
    assert leaving.none_comes_twice(seen(run)).outcome == found


def test_messages_in_flight_at_the_kill() -> None:
    """All that had not come when the kill was ordered: also what was dealt before, and is lost."""
    run = seen(run_of("ABABABA..AAA", AB, *killed("B", 0.36, 0.405)))
    assert leaving.in_flight(run) == [7, 8]
    assert (
        "2 messages were in flight at the fault; never arrived: 2."
        in leaving.none_is_lost(run, [9, 10]).why
    )


# -- a puller comes later, or again ----------------------------------------------------------

BACK = (
    event("start", 0.47, puller("b")),
    event("repair", 0.5, puller("b"), repair="start again"),
)


@pytest.mark.parametrize(
    ("order", "back", "survivor", "shared", "no_code"),
    [
        ("ABABABABAAAABABAB", 0.58, HOLDS, HOLDS, HOLDS),
        ("ABABABABA.AABABAB", 0.58, REFUTED, HOLDS, HOLDS),
        ("ABABABABAAAAAABAB", 0.58, HOLDS, REFUTED, HOLDS),
        ("ABABABABAAAAAAAAA", 0.78, HOLDS, UNSEEN, HOLDS),
        ("ABABABABAAAAAAAAA", None, HOLDS, UNSEEN, UNSEEN),  # not back while messages were sent
    ],
)
def test_a_return(order: str, back: float | None, survivor: str, shared: str, no_code: str) -> None:
    connects = AB if back is None else AB | {"b": back}
    found = outcomes(run_of(order, connects, *killed("B", 0.36, 0.358), *BACK), "return_worker")
    assert found["survivor_gets_the_rest"] == survivor
    assert found["work_is_shared_again"] == shared
    assert found["reconnecting_takes_no_code"] == no_code


def test_another_that_connects_after_the_kill_is_not_the_one_that_returns() -> None:
    run = run_of("AAAAAAAABBBBABAB", {"A": -0.01, "B": 0.39, "a": 0.58}, *killed("A", 0.36, 0.358))
    arrival = leaving.returned(seen(run))
    assert arrival is not None
    assert arrival.own.machine == "pull-1"
    assert outcomes(run, "return_worker")["survivor_gets_the_rest"] == HOLDS


def late_start(order: str, late: float, *events: Event) -> StoredRun:
    """B is started 0.35 s after message 0, and connects at `late`."""
    run = run_of(order, {"A": -0.01, "B": late})
    start = event("start", 0.35, puller("B"))
    others = (e for e in run.events if (e.event, e.machine) != ("start", "pull-2"))
    return replace(run, events=(*others, start, *events))


@pytest.mark.parametrize(
    ("order", "late", "others", "shared"),
    [
        ("AAAAAAAAAABABABA", 0.47, HOLDS, HOLDS),
        ("AAA.AAAAAABABABA", 0.47, REFUTED, HOLDS),
        ("AAAAABAAAABABABA", 0.47, REFUTED, HOLDS),
        ("AAAAAAAAAABABAAA", 0.47, HOLDS, REFUTED),
        ("AAAAAAAAAA", 0.47, HOLDS, UNSEEN),
    ],
)
def test_a_late_start(order: str, late: float, others: str, shared: str) -> None:
    found = outcomes(late_start(order, late), "rejoin_worker")
    assert found["others_get_all_at_first"] == others
    assert found["work_is_shared_again"] == shared
    assert found["connecting_takes_no_code"] == HOLDS


@pytest.mark.parametrize("who", [PUSH, puller("A")])
def test_a_second_start_is_code(who: tuple[str, str]) -> None:
    run = late_start("AAAAAAAAAABABABA", 0.47, event("start", 0.2, who))
    assert outcomes(run, "rejoin_worker")["connecting_takes_no_code"] == REFUTED


# -- the readers of lines, and the words -----------------------------------------------------


@pytest.mark.parametrize(
    ("process", "stream", "text", "message"),
    [
        ("push", "stdout", "7", ("sent", 7)),
        ("pull", "stdout", "7 , 1353761234.5", ("received", 7)),
        ("pull.2", "stdout", "7 , 1353761234", ("received", 7)),
        ("pull", "stdout", "7 , 13537612", ("received", 7)),  # it died in the midst of the line
        ("pull", "stdout", "\u0661\u0662 , 1.5", ("received", 12)),  # as int() reads them
        ("pull", "stdout", "7 , ", None),
        ("pull", "stdout", "7", None),
        ("pull", "stdout", "-7 , 1.5", None),
        ("pull", "stdout", "7 , 1.5 ", None),
        ("pull", "stdout", "9" * 19 + " , 1.5", None),
        ("pull", "stdout", None, None),
        ("push", "stdout", "7 , 1.5", None),
        ("push", "stderr", '{"t": 1.5, "event": "sent", "number": 7}', ("dealt", 7)),
        ("pull", "stderr", '{"t": 1.5, "event": "received", "number": "7"}', ("taken", 7)),
        ("pull", "stderr", '{"t": 1.5, "event": "received", "number": "x"}', None),
        ("pull", "stderr", '{"t": null, "event": "sent", "number": 7}', None),
        ("pull", "stderr", '{"event": "sent", "number": 7', None),
        ("pull", "stderr", '["number"]', None),
        ("pull", "stderr", '"number"', None),
    ],
)
def test_a_line_is_read(
    process: str, stream: str, text: str | None, message: tuple[str, int] | None
) -> None:
    found = read(
        Record(machine="m", process=process, stream=stream, n=0, t=0, text=text, offset=0, length=0)
    )
    assert (found and (found.kind, found.number)) == message


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([7], "message 7"),
        ([7, 8], "messages 7 and 8"),
        ([1, 3, 5, 6, 7], "messages 1, 3 and 5 to 7"),
        ([1, 3, 5, 6], "messages 1, 3, 5 and 6"),
        (
            [0, 2, 4, 6, 8, 10, 12, *range(14, 1015)],
            "messages 0, 2, 4, 6, 8, 10, 12 and 14 to 1014",
        ),
        ([*range(0, 16, 2), *range(20, 24)], "messages 0, 2, 4, 6, 8, 10, 12 and 5 more"),
        (range(0, 40, 2), "messages 0, 2, 4, 6, 8, 10, 12 and 13 more"),
    ],
)
def test_numbers_in_words(numbers: list[int], words: str) -> None:
    assert wording.listed(numbers) == words
