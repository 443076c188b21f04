"""`fab search`: draws schedules of faults, plays them, and shrinks what refutes a claim."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from command import fab

from pushpull.cli import search_flags, search_report
from pushpull.cli.search_loop import Limits, Search
from pushpull.cli.search_shrink import simpler
from pushpull.cli.search_space import FAULTS, Space, Victim, drawn, each_fault, every_drawn, key
from pushpull.cli.search_tried import Confirmation, Trial, Tried, came_up, coverage
from pushpull.core import faults
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.faults.planned import PlannedFault, Schedule, from_json
from pushpull.core.records import Event
from pushpull.experiments import catalogue, scheduled
from pushpull.experiments.scheduled import Scheduled

WORKER = Victim(program="pull", machine="pull-1", lines=20, is_awaited=False)
OTHER = Victim(program="pull", machine="pull-2", lines=20, is_awaited=False)
SENDER = Victim(program="push", machine="push", lines=40, is_awaited=True)
SPACE = Space(
    victims=[WORKER, OTHER, SENDER],
    faults=[faults.named(name) for name in ("kill", "pause", "hold", "partition", "lose")],
    interval=0.02,
)
FOUR_OF_FIVE = Confirmation(least=4, runs=5)
AMPLE = Limits(runs=100, seconds=None)
Judge = Callable[[Schedule, int], str]


class FakePlayer:
    """Plays a schedule in no time: `judge` says what becomes of its n-th run."""

    labs = 2

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.played: list[str] = []

    def submit(self, schedule: Schedule) -> "Future[Trial]":
        number = self.played.count(key(schedule))
        self.played.append(key(schedule))
        future: Future[Trial] = Future()
        future.set_result(trial(schedule, self._judge(schedule, number)))
        return future


def trial(schedule: Schedule, outcome: str) -> Trial:
    done = [True] * len(schedule)
    return Trial(schedule=schedule, outcome=outcome, came_up=done, run="r", why="because")


def search(player: FakePlayer, file: Path, limits: Limits = AMPLE) -> Search:
    return Search(player, Tried(file), FOUR_OF_FIVE, limits, lambda *_: None)


def partition_from_line_3_on(schedule: Schedule, _: int) -> str:
    is_it = any(fault.fault == "partition" and fault.at >= 3 for fault in schedule)
    return "refuted" if is_it else "holds"


# -- drawing ---------------------------------------------------------------------------------------


def test_a_seed_always_draws_the_same() -> None:
    first, again, other = (list(map(key, drawn(SPACE, seed, 30))) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == len(first) > 20


def test_what_is_drawn_is_possible() -> None:
    for schedule in drawn(SPACE, 3, 60):
        victims = [SPACE.victim(fault) for fault in schedule]
        assert 1 <= len(schedule) <= 2
        assert len(set(map(str, victims))) == len(schedule)
        for fault, victim in zip(schedule, victims, strict=True):
            assert victim is not None
            assert 0 <= fault.at < victim.lines
            # The scenario waits for the sender.
            assert (
                victim is not SENDER
                or fault.fault not in ("hold", "pause")
                or (fault.repaired_after is not None)
            )
            assert from_json(json.loads(json.dumps(fault.as_json()))) == fault


def test_each_fault_is_done_to_each_program_first() -> None:
    every = replace(SPACE, faults=FAULTS)
    begun = [*islice(every_drawn(every, 0), 60)]
    pairs = [(fault.fault, str(every.victim(fault))) for (fault,) in begun[: len(FAULTS) * 3]]
    assert pairs == [(fault.name, str(victim)) for fault in FAULTS for victim in every.victims]
    assert len(set(map(key, begun))) == 60
    assert [*map(key, each_fault(every, 0))] != [*map(key, each_fault(every, 1))]


def test_no_link_gets_two_queueing_disciplines() -> None:
    two = [replace(WORKER, program=program) for program in ("pull", "other")]
    slow_or_limited = [faults.named("slow"), faults.named("rate")]
    space = Space(victims=[*two, OTHER], faults=slow_or_limited, interval=0.02)
    found = drawn(space, 0, 40)
    assert any(len(schedule) == 2 for schedule in found)
    for schedule in found:
        assert len({fault.machine for fault in schedule}) == len(schedule)


# -- shrinking -------------------------------------------------------------------------------------


def test_it_shrinks_to_the_simplest_that_refutes(tmp_path: Path) -> None:
    player = FakePlayer(partition_from_line_3_on)
    found = search(player, tmp_path / "tried").smallest(SPACE, 0)
    assert found == [PlannedFault("partition", "pull", "pull-1", at=3)]
    assert player.played.count(key(found)) in (4, 5)


def test_shrinking_comes_to_an_end() -> None:
    """Whatever refutes, no schedule is simpler than itself by several steps."""
    every = replace(SPACE, faults=FAULTS)
    for schedule in drawn(every, 5, 20):
        steps, smallest = 0, schedule
        while following := simpler(smallest, every):
            assert key(smallest) not in map(key, following)
            assert all(len(each) <= len(smallest) for each in following)
            smallest, steps = following[-1], steps + 1
            assert steps < 60


def test_it_shrinks_two_faults_only_if_one_is_not_enough(tmp_path: Path) -> None:
    def both(schedule: Schedule, _: int) -> str:
        is_it = {fault.machine for fault in schedule} >= {"pull-1", "pull-2"}
        return "refuted" if is_it else "holds"

    found = search(FakePlayer(both), tmp_path / "tried").smallest(SPACE, 0)
    assert found is not None
    assert sorted((f.fault, f.machine, f.at, f.repaired_after) for f in found) == [
        ("kill", "pull-1", 0, None),
        ("kill", "pull-2", 0, None),
    ]


def test_a_claim_that_holds_is_not_refuted_within_the_limit(tmp_path: Path) -> None:
    player = FakePlayer(lambda *_: "holds")
    one = search(player, tmp_path / "tried", Limits(runs=40, seconds=None))
    assert one.smallest(SPACE, 0) is None
    assert not one.is_complete
    assert len(player.played) == len(set(player.played)) == 40


def test_what_is_not_observed_refutes_nothing(tmp_path: Path) -> None:
    player = FakePlayer(lambda *_: "not observed")
    one = search(player, tmp_path / "tried", Limits(runs=20, seconds=None))
    assert one.smallest(SPACE, 0) is None


def test_the_time_is_limited(tmp_path: Path) -> None:
    class Stuck(FakePlayer):
        def submit(self, schedule: Schedule) -> "Future[Trial]":
            return Future()

    player = Stuck(lambda *_: "holds")
    one = search(player, tmp_path / "tried", Limits(runs=9, seconds=0.05))
    assert one.smallest(SPACE, 0) is None
    assert not one.is_complete


# -- k of n ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "decided"),
    [
        ({}, None),
        ({"holds": 1}, False),
        ({"not observed": 1}, False),
        ({"failed": 1}, False),
        ({"refuted": 1}, None),
        ({"refuted": 3, "holds": 1}, None),
        ({"refuted": 1, "holds": 2}, False),
        ({"refuted": 4, "holds": 1}, True),
        ({"refuted": 4}, True),
    ],
)
def test_it_counts_if_it_refutes_in_4_of_5(counts: dict[str, int], decided: bool | None) -> None:
    assert FOUR_OF_FIVE.decided(counts) is decided


def test_a_flaky_schedule_is_counted_and_not_trusted(tmp_path: Path) -> None:
    def flaky(schedule: Schedule, number: int) -> str:
        kills = any(fault.fault == "kill" for fault in schedule)
        refutes = kills and number % 2 == 0
        return "refuted" if refutes else partition_from_line_3_on(schedule, number)

    player = FakePlayer(flaky)
    found = search(player, tmp_path / "tried").smallest(SPACE, 0)
    assert found is not None
    assert [fault.fault for fault in found] == ["partition"]
    said = search_report.flaky(Tried(tmp_path / "tried").trials, FOUR_OF_FIVE)
    assert any("runs only" in line and "was killed" in line for line in said)


# -- going on --------------------------------------------------------------------------------------


def test_it_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    whole = FakePlayer(partition_from_line_3_on)
    found = search(whole, tmp_path / "whole").smallest(SPACE, 0)
    file = tmp_path / "tried"
    some = FakePlayer(partition_from_line_3_on)
    search(some, file, Limits(runs=8, seconds=None)).smallest(SPACE, 0)
    with file.open("ab") as torn:
        torn.write(b'{"schedule": [')
    rest = FakePlayer(partition_from_line_3_on)
    assert search(rest, file).smallest(SPACE, 0) == found
    # Nothing is played again. What is known takes no lab, so more may be played in advance.
    both = Counter(some.played + rest.played)
    assert not Counter(whole.played) - both
    more = both - Counter(whole.played)
    assert more.total() <= FakePlayer.labs
    assert not more.keys() & {*whole.played}
    nothing = FakePlayer(partition_from_line_3_on)
    assert search(nothing, file).smallest(SPACE, 0) == found
    assert nothing.played == []


# -- what it covered -------------------------------------------------------------------------------


def test_it_says_what_it_covered_and_what_never_came_up() -> None:
    kill = PlannedFault("kill", "pull", "pull-1", at=0)
    late = PlannedFault("kill", "pull", "pull-1", at=19)
    missed = Trial(schedule=[late], outcome="holds", came_up=[False], run="", why="")
    rows = coverage(SPACE, [trial([kill], "holds"), missed])
    assert (rows[0].fault, rows[0].victim) == ("kill", "pull on pull-1")
    assert rows[0].drawn == {"before": 1, "early": 0, "middle": 0, "late": 1}
    assert rows[0].done == {"before": 1, "early": 0, "middle": 0, "late": 0}
    never = search_report.never_drawn(rows)
    assert never["kill"] == ["pull on pull-2", "push on push"]
    assert len(never["lose"]) == 3


def test_only_a_verified_fault_came_up() -> None:
    def event(verified: bool | None) -> Event:
        details = {"fault": "kill", "verified": verified}
        return Event(t=1.0, event="fault", machine="pull-1", process="pull", details=details)

    kill = PlannedFault("kill", "pull", "pull-1")
    cut = PlannedFault("cut_cable", "pull", "pull-1")
    assert came_up([kill], [event(True)]) == [True]
    assert came_up([kill, cut], [event(True)]) == [True, False]
    assert came_up([kill], [event(False)]) == came_up([kill], [event(None)]) == [False]


# -- what it writes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["under_faults", "ways_to_leave:pause_heartbeat", "round_robin"])
def test_an_experiment_with_a_schedule_is_one(name: str, tmp_path: Path) -> None:
    base = catalogue.load(name)
    faults = [
        PlannedFault("partition", "pull", "pull-1", 3, 0.2, {"one_way": True}),
        PlannedFault("kill", "pull", "pull-2"),
    ]
    claim = base.claims[-1]
    wanted = Scheduled(
        experiment=base, claim=claim, schedule=faults, count=7, interval=0.03, about='"""\\'
    )
    scheduled.write(wanted, tmp_path / "found", scheduled.copied)
    made = catalogue.load(str(tmp_path / "found"))
    assert (made.count, made.interval, made.variants) == (7, 0.03, base.variants)
    assert "partition" in made.faults[base.variants[0]]
    assert [each.statement for each in made.claims] == [claim.statement]
    text = (tmp_path / "found" / "experiment.py").read_text()
    call = 'lab.schedule("partition", "pull", on="pull-1", at=3, repaired_after=0.2, one_way=True)'
    assert f"    {call}\n" in text
    assert text.index(call) < text.index('lab.schedule("kill", "pull", on="pull-2", at=0)')


def test_it_keeps_the_files_of_your_own_experiment(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "words").write_text("w")
    text = """from pushpull import api as a

@a.experiment(source="s", **{"takes": 3})
def mine(l):
\t'''What it does.'''
\tl.start(["true"], on="pusher")


@a.claim("One.")
def one(run):
\treturn a.Verdict.holds("h")


@a.claim("Two.")
def two(run):
\treturn a.Verdict.holds("h")
"""
    (folder / "experiment.py").write_text(text)
    base = catalogue.load(str(folder))
    kill = PlannedFault("kill", "true", "push")
    wanted = Scheduled(
        experiment=base, claim=base.claims[0], schedule=[kill], count=5, interval=0.1
    )
    for name, put in (("linked", scheduled.linked), ("copied", scheduled.copied)):
        scheduled.write(wanted, tmp_path / name, put)
        made = catalogue.load(str(tmp_path / name))
        assert (made.takes, [claim.id for claim in made.claims]) == (3, ["one"])
        assert catalogue.files(made).keys() == {"data/words"}
        assert (
            '\tl.schedule("kill", "true", on="push", at=0)\n\tl.start'
            in (tmp_path / name / "experiment.py").read_text()
        )


def test_a_scenario_on_one_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "experiment.py").write_text(
        'from pushpull.api import experiment, claim, Verdict\n@experiment(source="s")\n'
        'def one(lab): lab.let_pass(0)\n@claim("c")\ndef c(run):\n    return Verdict.holds("h")\n'
    )
    folder = tmp_path.rename(tmp_path.with_name("one_line"))
    base = catalogue.load(str(folder))
    wanted = Scheduled(experiment=base, claim=base.claims[0], schedule=[], count=1, interval=0)
    with pytest.raises(LabError, match="single line"):
        scheduled.write(wanted, folder / "x", scheduled.copied)


# -- its flags -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "0/5", "6/5", "4", "4/", "a/b", "-1/5", "4/5/6"])
def test_a_wrong_number_of_confirmations(text: str) -> None:
    with pytest.raises(LabError, match="--confirm"):
        search_flags.confirmation(text)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--claim", "no_such_claim"), "no experiment of the lab has a claim"),
        (("--claim", "nothing_comes_twice"), "several experiments"),
        (("--claim", "kill_worker.nope"), "it has: survivor_gets_the_rest"),
        (("--claim", "c", "--seed", "x"), "invalid --seed"),
        (("--claim", "ways_to_leave.wire_tells_the_same"), "has several variants"),
    ],
)
def test_a_mistake(flags: tuple[str, ...], words: str, tmp_path: Path) -> None:
    done = fab("search", *flags, "--runs", tmp_path / "runs")
    assert done.returncode == ExitCode.MISTAKE
    assert words in done.stderr
    assert not (tmp_path / "runs").exists()


def test_each_kind_of_a_fault_is_played_before_anything_is_drawn() -> None:
    """A clock that goes back shows what one that is ahead doesn't, and the other way round."""
    victim = Victim(program="worker", machine="pull-1", lines=40, is_awaited=False)
    space = Space(victims=[victim], faults=FAULTS, interval=0.1)
    first = [fault for (fault,) in each_fault(space, 0)]
    assert [fault.fault for fault in first[: len(FAULTS)]] == [fault.name for fault in FAULTS]
    clocks = [f for f in first if f.fault == "set_clock"]
    assert {f.parameters["ahead_s"] < 0 for f in clocks} == {True, False}
    assert {f.repaired_after is None for f in clocks} == {True, False}
    assert {tuple(f.parameters) for f in first if f.fault == "lose"} == {("every",), ("packets",)}
    assert {tuple(f.parameters) for f in first if f.fault == "partition"} == {(), ("one_way",)}
    slow = {tuple(f.parameters) for f in first if f.fault == "slow"}
    assert slow == {("delay_ms",), ("delay_ms", "jitter_ms", "seed"), ("loss_percent", "seed")}
