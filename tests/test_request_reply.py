"""Requests and replies: what the page and the claims say, whichever of their lines are read.

The example among the docs is run for real.
"""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import command
import polars as pl
import pytest
from test_pipelines import made

from pushpull import api
from pushpull.analysis.history import Run, exactly_once
from pushpull.analysis.line_readers import lines
from pushpull.analysis.timeline import timeline
from pushpull.report import chart_data
from pushpull.report.setup import setup

EXAMPLE = command.PROJECT / "docs/examples/request_reply"
ASK, SERVE = {"client": r"ask (\d+)"}, {"server": r"serve (\d+)"}
GOT = {"client": r"got (\d+)"}
SENT, RECEIVED = ASK | {"server": r"reply (\d+)"}, SERVE | GOT
ALL = ";".join(
    f"client/client ask {n};server/server serve {n};server/server reply {n};client/client got {n}"
    for n in range(4)
)
LAST = ";client/client ask 4"


@pytest.mark.parametrize(
    ("text", "sent", "received", "said", "judged"),
    [
        (ALL, SENT, RECEIVED,
         "client sent 4 messages to server, about one every 40 ms; server sent 4 back to client."
         " 4 came back, none was lost.",
         "From client to server: 4 messages arrived, each at one machine: server 4."
         " From server to client: 4 messages arrived, each at one machine: client 4."),
        (ALL, ASK, GOT,
         "client sent 4 messages, about one every 40 ms. 4 came back, none was lost.",
         "4 messages arrived, each at one machine: client 4."),
        (ALL, ASK, SERVE,
         "client sent 4 messages to server, about one every 40 ms. 4 arrived, none was lost.",
         "4 messages arrived, each at one machine: server 4."),
        (ALL + LAST, ASK, SERVE,
         "client sent 5 messages to server, about one every 40 ms."
         " 4 arrived, none was lost, the fate of 1 is not known.",
         "Whether message 4 arrived is not known."),
        (ALL, ASK, {},
         "client sent 4 messages, about one every 40 ms. No program reported receiving any.",
         "Whether messages 0 to 3 arrived is not known."),
        ("client/client ask 0;server/server serve 0", ASK, SERVE,
         "client sent 1 message to server. 1 arrived, none was lost.",
         "1 message arrived, each at one machine: server 1."),
    ],
)  # fmt: skip
def test_a_run_in_a_sentence(
    text: str, sent: dict[str, str], received: dict[str, str], said: str, judged: str
) -> None:
    stored = made(text, text.count("ask"))
    run = Run(stored, lines(sent=sent, received=received))
    found = timeline(stored, run)
    assert setup(stored, found) == said
    assert exactly_once(run, run.planned).why == judged
    assert bool(chart_data.cells(found)) == bool(received)


def test_of_a_disturbed_run_no_pace_is_said() -> None:
    """Its lines came all at once, as the lab had stalled."""
    stored = made(ALL, 4)
    disturbance = {
        "harness_late_s": 0.6, "suspended_s": 0.0, "machines_late_s": {}, "disturbed": True,
    }  # fmt: skip
    stored = replace(stored, description=stored.description | {"disturbance": disturbance})
    run = Run(stored, lines(sent=ASK, received=SERVE))
    said = setup(stored, timeline(stored, run))
    assert said == "client sent 4 messages to server. 4 arrived, none was lost."


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0.0, 0.0002, 0.0004, 0.0006], " without a pause"),
        ([0.0, 0.0001, 0.0002, 0.2], ""),  # read in bursts, or sent in bursts
        ([0.0, 0.01, 0.02, 0.9], ", about one every 10 ms"),
    ],
)
def test_a_pace_is_said_where_there_is_one(times: list[float], said: str) -> None:
    stored = made(";".join(f"client/client ask {n}" for n in range(4)), 4)
    records = [replace(r, t=1.0 + t) for r, t in zip(stored.records, times, strict=True)]
    stored = replace(stored, records=records)
    found = setup(stored, timeline(stored, Run(stored, lines(sent=ASK))))
    assert found.startswith(f"client sent 4 messages{said}. ")


def test_the_example_of_percentiles(tmp_path: Path) -> None:
    assert sum(len(file.read_text().splitlines()) for file in EXAMPLE.iterdir()) <= 60
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "request_reply"))
    ran = command.fab(
        "run-experiment", "--experiment", str(folder), "--runs", str(tmp_path / "runs"),
        "--inventory", str(folder / "inventory.yaml"), "--count", "30",
    )  # fmt: skip
    (run,) = tmp_path.glob("runs/*-request_reply")
    served, hidden = json.loads((run / "verdicts.json").read_text())
    assert served["verdict"] == "holds", ran.stdout + ran.stderr
    # On a busy computer half of the replies may take longer, but every tenth never less.
    assert "the 99th percentile" in hidden["why"] or hidden["verdict"] == "not observed"
    found = api.load(run).values.collect()
    slow = found.filter(name="work_ms").filter(pl.col("value") >= 50)
    assert sorted(slow["number"].to_list()) == [9, 19, 29]
    assert sorted(found.filter(name="latency_ms")["number"].to_list()) == list(range(30))
    page = (run / "report.html").read_text("utf-8")
    # The client itself waits for 10 ms between two; on a busy computer the lab may not see that.
    assert re.search(r"<p>client sent 30 messages to server(, about one every .*)?[.] 30 ", page)
    assert "without a pause" not in page
    assert '<div class="chart" id="quantiles-2"></div>' in page
