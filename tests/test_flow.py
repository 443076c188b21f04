"""The fate of each message, found from a run directory alone."""

from pathlib import Path

from made_runs import MadeRun, with_a_loss
from story import LEAVING

from pushpull.analysis.history import Run
from pushpull.analysis.timeline import Timeline, timeline
from pushpull.experiments import catalogue
from pushpull.report import chart_data
from pushpull.runs import store
from pushpull.runs.directory import describe


def _flow(path: Path) -> Timeline:
    stored = store.load(path)
    reader = catalogue.reader(stored)
    return timeline(stored, Run(stored, reader))


def test_each_message_has_its_fate(tmp_path: Path) -> None:
    found = _flow(with_a_loss(tmp_path))
    fates = {p.number: p.fate for p in found.deliveries}
    assert fates == dict.fromkeys(range(12), "arrived") | {5: "lost", 8: "late"}
    lost = next(p for p in found.deliveries if p.number == 5)
    assert (lost.by, lost.to, lost.got) == ("push", "", None)
    assert lost.sent is not None


def test_who_was_connected_when(tmp_path: Path) -> None:
    found = _flow(with_a_loss(tmp_path))
    assert [period.text for period in found.periods] == [
        "nobody was connected",
        "only pull-1 was connected",
        "pull-1 and pull-2 were connected",
        "only pull-2 was connected",
    ]
    (fault,) = (span for span in found.spans if span.kind == "fault")
    assert (fault.machine, fault.end) == ("pull-1", found.end)


def test_a_worker_of_two_pushers_is_connected_until_both_have_ended(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, count=1)
    run.begin()
    run.happened(0.2, "connected", "pull-1")
    run.sent(0.25, 0)
    run.got(0.26, 0, "pull-1")
    run.happened(0.3, "disconnected", "pull-1")
    found = _flow(run.end(0.4))
    assert [period.text for period in found.periods][-1] == "pull-1 and pull-2 were connected"


def test_a_program_that_is_started_again_has_two_lives() -> None:
    found = _flow(LEAVING / "coming_back.kill")
    lives = [span.text for span in found.spans if span.kind == "life" and span.machine == "pull-2"]
    assert lives == ["pull runs", "pull.2 runs"]


def test_a_duplicate_and_an_arrival_that_was_never_sent(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, count=1)
    run.begin()
    run.sent(0.2, 0)
    run.got(0.21, 0, "pull-1")
    run.got(0.22, 0, "pull-2")
    run.got(0.23, 7, "pull-2")
    found = _flow(run.end(0.3))
    assert [(p.number, p.fate) for p in found.deliveries] == [
        (0, "arrived"),
        (0, "again"),
        (7, "unsent"),
    ]


def test_a_send_that_never_returned_is_not_called_lost(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, count=2)
    run.begin()
    run.sent(0.2, 0)
    run.got(0.21, 0, "pull-1")
    run.printed(0.3, "push", b"1")
    found = _flow(run.end(0.4))
    assert [(p.number, p.fate) for p in found.deliveries] == [(0, "arrived"), (1, "stuck")]


def test_a_machines_clock_offset_is_subtracted(tmp_path: Path) -> None:
    path = with_a_loss(tmp_path)
    before = _flow(path).deliveries[0]
    clocks = store.load(path).description["clocks"]
    changed = clocks | {"pull-2": {"offset_s": -5.0, "uncertainty_s": 0.001}}
    describe(path, store.load(path).description | {"clocks": changed})
    after = _flow(path).deliveries[0]
    assert before.to == "pull-2"
    assert before.got is not None
    assert after.got is not None
    assert round(after.got - before.got, 6) == 5.0


def test_machines_that_are_kept_apart_have_a_fault_each(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.begin()
    run.happened(
        0.5,
        "fault",
        "pull-1",
        verified=True,
        took_s=0.0,
        **{"fault": "partition", "from": ["push"]},
    )
    run.happened(0.9, "repair", "pull-1", repair="heal")
    found = _flow(run.end(1.0))
    faults = [s for s in found.spans if s.kind == "fault"]
    assert [(s.machine, round(s.start, 3), round(s.end, 3)) for s in faults] == [
        ("pull-1", 0.5, 0.9),
        ("push", 0.5, 0.9),
    ]
    assert all("was cut off from push" in s.text for s in faults)
    assert [row["label"] != "" for row in chart_data.spans(found, "fault")] == [True, False]
