"""Pipelines: programs that receive messages and hand them on, so that each goes several hops."""

import shutil
from collections import Counter
from pathlib import Path

import command
import pytest
from made_runs import START

from pushpull.analysis.history import Run, exactly_once, never_twice, strict_turns
from pushpull.analysis.line_readers import LineReader, lines
from pushpull.analysis.outcome_table import outcome
from pushpull.analysis.side_by_side import side_by_side
from pushpull.analysis.timeline import timeline
from pushpull.core.records import Event, Record
from pushpull.engine.ledger import Ledger
from pushpull.report import chart_data, page_logs
from pushpull.report.setup import setup
from pushpull.runs.store import StoredRun

EXAMPLE = Path(__file__).parent.parent / "docs/examples/three_stages"
ONE_LINE = lines(
    sent={"source": r"deal (\d+)", "stage": r"work (\d+)"},
    received={"stage": r"work (\d+)", "sink": r"done (\d+)"},
)
TWO_LINES = lines(
    sent={"source": r"deal (\d+)", "stage": r"on (\d+)"},
    received={"stage": r"work (\d+)", "sink": r"done (\d+)"},
)
MACHINES = ("source", "a", "b", "sink")


def made(text: str, count: int = 4, step_s: float = 0.01) -> StoredRun:
    """Return a run that printed these lines, 10 ms apart: `machine/program line`, and `;`."""
    seen: Counter[tuple[str, str]] = Counter()
    records, events = [], []
    for k, (place, line) in enumerate(part.split(maxsplit=1) for part in text.split(";")):
        machine, _, process = place.partition("/")
        t = START + k * step_s
        if not seen[machine, process]:
            events.append(Event(t=START, event="start", machine=machine, process=process))
            by = {"by": "itself" if process == "source" else "harness", "status": 0}
            events.append(
                Event(t=START + 9, event="exit", machine=machine, process=process, details=by)
            )
        records.append(
            Record(machine=machine, process=process, stream="stdout", n=seen[machine, process],
                   t=t, text=line.strip(), offset=0, length=0)
        )  # fmt: skip
        seen[machine, process] += 1
    description = {
        "experiment": "made",
        "started": START,
        "parameters": {"count": count, "interval": 0.01},
    }
    return StoredRun(
        path=Path("nowhere"), description=description, state="finished",
        records=records, events=events, verdicts=None,
    )  # fmt: skip


def chain(*ways: str) -> str:
    """Return what is printed when message k goes from the source by `ways[k]` to the sink."""
    return ";".join(
        f"source/source deal {n};{way}/stage work {n};{way}/stage on {n};sink/sink done {n}"
        for n, way in enumerate(ways)
    )


CLEAN = chain("a", "b", "a", "b")


def swapped(one: str, other: str) -> str:
    return CLEAN.replace(f"{one};{other}", f"{other};{one}")


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (TWO_LINES, CLEAN),
        (ONE_LINE, CLEAN.replace("a/stage on 0;", "")),
        # The capture of machines is not in order: the sink's line may come before the stage's.
        (TWO_LINES, swapped("b/stage on 1", "sink/sink done 1")),
        (ONE_LINE, swapped("source/source deal 2", "a/stage work 2")),
    ],
)  # fmt: skip
def test_a_message_that_is_handed_on_arrives_once_on_each_hop(
    reader: LineReader, text: str
) -> None:
    run = Run(made(text), reader)
    assert [str(hop) for hop in run.hops] == ["from source to a and b", "from a and b to sink"]
    verdict = exactly_once(run, run.planned)
    verdict.require()
    assert "From source to a and b: 4 messages arrived" in verdict.why
    assert never_twice(run).outcome == "holds"
    assert strict_turns(run, list(run.planned), ["a", "b"]).outcome == "holds"
    assert run.senders == {"source"}
    assert run.sent_all
    counts = outcome(run, 0.01)
    assert (counts.sent, counts.received, counts.never, counts.twice) == (4, 4, 0, 0)
    found = timeline(made(text), run).deliveries
    ways = {(d.number, d.by, d.to, d.fate) for d in found}
    assert ways == {
        way
        for n, stage in enumerate("abab")
        for way in ((n, "source", stage, "arrived"), (n, stage, "sink", "arrived"))
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CLEAN.replace("sink/sink done 2;", ""), "From a and b to sink: Message 2 was received by"),
        (CLEAN + ";sink/sink done 3", "From a and b to sink: Message 3 was received twice."),
        (CLEAN + ";b/stage work 2", "From source to a and b: Message 2 was received twice."),
        (
            CLEAN.replace("b/stage on 1;sink/sink done 1;", ""),
            "From a and b to sink: Message 1 was",
        ),
    ],
)
def test_what_goes_wrong_is_said_of_its_hop(text: str, why: str) -> None:
    run = Run(made(text), TWO_LINES)
    verdict = exactly_once(run, run.planned)
    assert verdict.outcome != "holds"
    assert why in verdict.why
    assert "From source" not in verdict.why or "From a" not in verdict.why


def test_four_stages_and_the_words_of_the_page() -> None:
    text = ";".join(
        f"source/source deal {n};a/stage work {n};b/stage work {n};sink/sink done {n}"
        for n in range(4)
    )
    stored = made(text)
    run = Run(stored, ONE_LINE)
    ways = ["from source to a", "from a to b", "from b to sink"]
    assert [str(hop) for hop in run.hops] == ways
    exactly_once(run, run.planned).require()
    found = timeline(stored, run)
    assert found.machines == MACHINES
    assert setup(stored, found) == (
        "source sent 4 messages to a, about one every 40 ms; a sent 4 on to b; b sent 4 on to sink."
        " 4 reached the end, none was lost."
    )
    labels = {row["machine"]: row["label"] for row in chart_data.shares(found)}
    assert labels == dict.fromkeys(("a", "b", "sink"), "4 (100.0%)")


def test_programs_that_share_a_machine_have_lanes_of_their_own() -> None:
    stored = made(CLEAN.replace("sink/sink", "source/sink"))
    run = Run(stored, TWO_LINES)
    exactly_once(run, run.planned).require()
    assert timeline(stored, run).machines == ("source", "a", "b")
    found = timeline(stored, run, by_program=True)
    assert found.machines == ("source on source", "a", "b", "sink on source")
    assert {(d.by, d.to) for d in found.deliveries if d.number == 0} == {
        ("source on source", "a"),
        ("a", "sink on source"),
    }
    assert {span.machine for span in found.spans if span.kind == "life"} == {*found.machines}
    assert "a and b" in setup(stored, found)
    assert "4 reached the end" in setup(stored, found)
    rows = page_logs.columns(stored, run, found)
    lanes = {text: lane for text, lane in zip(rows["text"], rows["lane"], strict=True) if text}
    assert found.machines[lanes["deal 0"]] == "source on source"
    assert found.machines[rows["lane2"][rows["text"].index("on 0")]] == "sink on source"


@pytest.mark.parametrize("reader", [ONE_LINE, TWO_LINES])
def test_machines_beside_each_other(reader: LineReader) -> None:
    found = side_by_side(made(CLEAN), reader)
    assert found.machines == MACHINES
    rows = [row for row in found.rows if row.number is not None]
    assert not any(row.note for row in rows)
    ways = [tuple(record.machine for record in row.records) for row in rows if row.number == 1]
    assert ways == [("source", "b"), ("b", "sink")]


FILTER = lines(
    sent={"source": r"deal (\d+)", "stage": r"work (\d+)"},
    received={"stage": r"(?:work|drop) (\d+)", "sink": r"done (\d+)"},
)


def test_a_filter_says_by_one_line_what_it_hands_on_or_drops() -> None:
    text = CLEAN.replace("b/stage work", "b/stage drop")
    for n in (1, 3):
        text = text.replace(f"b/stage on {n};sink/sink done {n}", f"b/stage idle {n}")
    run = Run(made(text.replace("a/stage on", "a/stage idle")), FILTER)
    into, out = run.hops
    exactly_once(into, run.planned).require()
    assert strict_turns(into, list(run.planned), ["a", "b"]).outcome == "holds"
    exactly_once(out, [0, 2]).require()
    assert never_twice(run).outcome == "holds"
    stored = made(text.replace("a/stage on", "a/stage idle"))
    assert setup(stored, timeline(stored, run)).endswith(
        " 2 reached the end, 2 were not handed on, none was lost."
    )
    counts = outcome(run, 0.01)
    assert (counts.sent, counts.received, counts.never, counts.not_handed_on) == (4, 2, 0, 2)


def test_a_hop_on_which_nobody_received_names_only_its_senders() -> None:
    run = Run(made(";".join(f"a/stage work {n}" for n in range(3))), FILTER)
    assert [str(hop) for hop in run.hops] == ["to a", "from a"]
    stored = made(";".join(f"a/stage work {n}" for n in range(3)))
    assert setup(stored, timeline(stored, run)).startswith(
        "No program reported sending what a received; a sent 3 on. None reached the end, 3 were"
    )


def test_a_client_that_gets_its_message_back_hands_nothing_on() -> None:
    reader = lines(
        sent={"ask": r"ask (\d+)"}, received={"ask": r"reply (\d+)", "serve": r"serve (\d+)"}
    )
    text = ";".join(f"a/ask ask {n};b/serve serve {n};a/ask reply {n}" for n in range(4))
    run = Run(made(text), reader)
    assert len(run.hops) == 1


@pytest.mark.parametrize(
    ("steps", "all_came", "sources"),
    [
        ("source+0 stage-0", False, {"source"}),  # the stage has still to send it on
        ("source+0 stage-0 stage+0", False, {"source"}),
        ("source+0 stage-0 stage+0 sink-0", True, {"source"}),
        ("source+0 stage=0", False, {"source"}),  # one line says both
        ("source+0 stage=0 sink-0", True, {"source"}),
        ("source+0 stage=0 source+1 sink-0 stage-1", True, {"source"}),  # a filter drops it
        ("source+0 stage.2-0 source+1 stage=1 sink-1", True, {"source"}),
        ("source+0 stage+7 source-0 sink-7", True, {"source", "stage"}),  # it sends its own, too
    ],
)
def test_a_run_is_over_when_nobody_has_still_to_hand_a_message_on(
    steps: str, all_came: bool, sources: set[str]
) -> None:
    ledger = Ledger()
    ledger.may_hand_on(("m", "stage"))
    kinds = {"+": "sent", "-": "received", "=": "handed on"}
    for step in steps.split():
        ledger.messages(kinds[step[-2]], ("m", step[:-2]), [int(step[-1])])
    assert ledger.all_came == all_came
    assert {process for _, process in ledger.sources} == sources


def test_the_example_of_three_stages(tmp_path: Path) -> None:
    assert sum(len(file.read_text().splitlines()) for file in EXAMPLE.iterdir()) <= 60
    folder = tmp_path / "three_stages"
    shutil.copytree(EXAMPLE, folder)
    ran = command.fab(
        "run-experiment", "--experiment", str(folder), "--runs", str(tmp_path / "runs"),
        "--inventory", str(folder / "inventory.yaml"), "--count", "6",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    page = next(tmp_path.glob("runs/*-three_stages/report.html")).read_text("utf-8")
    assert "<p>source sent 6 messages to stage-" in page
    assert "sent 6 on to sink. 6 reached the end, none was lost.</p>" in page


@pytest.mark.parametrize(
    ("programs", "ways"),
    [
        (["sieve", "clean"], ["from source to a", "from a to b", "from b to sink"]),
        (["clean", "sieve"], ["from source to b", "from b to a", "from a to sink"]),
    ],
)
def test_lines_captured_within_milliseconds_have_the_order_in_which_the_author_names_programs(
    programs: list[str], ways: list[str]
) -> None:
    both = {program: rf"{program} (\d+)" for program in programs}
    reader = lines(sent={"source": r"deal (\d+)"} | both, received=both | {"sink": r"done (\d+)"})
    text = ""
    for n in range(4):
        stages = [f"a/sieve sieve {n};", f"b/clean clean {n};"]
        first, second = stages if n % 2 else reversed(stages)
        text += f"source/source deal {n};{first}{second}sink/sink done {n};"
    run = Run(made(text.rstrip(";"), step_s=0.001), reader)
    assert [str(hop) for hop in run.hops] == ways
    exactly_once(run, run.planned).require()


def test_what_a_filter_drops_matters_more_than_times_and_names() -> None:
    both = {program: rf"{program} (\d+)" for program in ("clean", "sieve")}
    reader = lines(
        sent={"source": r"deal (\d+)"} | both,
        received=both | {"sieve": r"(?:sieve|drop) (\d+)", "sink": r"done (\d+)"},
    )
    text = ""
    for n in range(6):  # the stage that comes later was captured first
        kept = f"b/clean clean {n};a/sieve sieve {n};sink/sink done {n};"
        text += f"source/source deal {n};" + (kept if n % 2 else f"a/sieve drop {n};")
    run = Run(made(text.rstrip(";")), reader)
    assert [str(hop) for hop in run.hops] == ["from source to a", "from a to b", "from b to sink"]


def test_a_program_without_a_pattern_for_it_is_no_receiver() -> None:
    reader = lines(sent={"ask": r"ask (\d+)"}, received={"serve": r"serve (\d+)"})
    text = ";".join(f"a/ask ask {n};b/broker relayed;c/serve serve {n}" for n in range(3))
    run = Run(made(f"d/serve.2 ready;{text}", count=3), reader)
    assert run.receivers == ["d", "c"]
    assert exactly_once(run, run.planned).why.endswith("each at one machine: d 0, c 3.")


def test_a_hop_within_a_machine_names_the_programs() -> None:
    text = ";".join(f"a/source deal {n};a/stage work {n};sink/sink done {n}" for n in range(3))
    hops = Run(made(text), ONE_LINE).hops
    assert [str(hop) for hop in hops] == ["from source on a to stage on a", "from a to sink"]
