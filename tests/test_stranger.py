"""On loopback machines any user of the computer can connect; then a run proves nothing."""

import json
from dataclasses import replace
from pathlib import Path

import command
import pytest
import zmq
from story import EXPERIMENTS, outcomes, recorded

from pushpull.analysis import cut
from pushpull.core.records import Event
from pushpull.runs.store import StoredRun, load


def on_loopback(experiment: str) -> StoredRun:
    run = recorded(experiment)
    return replace(run, description={**run.description, "provider": "loopback"})


def with_one_more(run: StoredRun) -> StoredRun:
    """The pusher reports a handshake that no puller of the run made."""
    told = next(e for e in run.events if e.event == "connected" and e.machine == "push")
    return replace(run, events=(*run.events, replace(told, t=told.t + 0.1)))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_labs_own_connections_are_no_strangers(experiment: str) -> None:
    assert cut.reason(on_loopback(experiment)) == ""


def test_a_connection_from_outside_the_run() -> None:
    run = with_one_more(on_loopback("return_worker"))
    assert "1 connection to push on push came from outside the lab" in cut.reason(run)
    assert set(outcomes(run, "return_worker").values()) == {"not observed"}
    assert cut.reason(with_one_more(recorded("return_worker"))) == ""  # a network of its own


def test_a_run_says_itself_whether_its_network_was_open() -> None:
    """Whatever its provider is called; a run that doesn't say so is an older one."""
    run = with_one_more(recorded("return_worker"))
    anywhere = replace(run, description={**run.description, "provider": "moon"})
    assert cut.reason(anywhere) == ""
    as_open = replace(run, description={**anywhere.description, "open_network": True})
    assert "came from outside the lab" in cut.reason(as_open)
    closed = {**anywhere.description, "provider": "loopback", "open_network": False}
    assert cut.reason(replace(run, description=closed)) == ""


def test_a_program_that_reports_no_handshake_may_have_made_it() -> None:
    def is_of_the_second(event: Event) -> bool:
        return event.event == "connected" and event.machine == "pull-2"

    run = with_one_more(on_loopback("round_robin"))
    mute = replace(run, events=tuple(e for e in run.events if not is_of_the_second(e)))
    assert cut.reason(mute) == ""


@pytest.mark.slow
def test_a_stranger_takes_messages_of_a_real_run(tmp_path: Path) -> None:
    with (
        command.started(
            "run-experiment", "--experiment", "round_robin", "--provider", "loopback",
            "--interval", "0.2", "--runs", tmp_path,
        ) as fab,
        zmq.Context() as context,
        context.socket(zmq.PULL) as stranger,
    ):  # fmt: skip
        said = command.read_until(fab, "1 , ")
        description = json.loads((command.only_run(tmp_path) / "run.json").read_text())
        address = description["inventory"]["push"]["address"]
        assert address.startswith("127.")
        stranger.connect(f"tcp://{address}:1234")
        stranger.setsockopt(zmq.RCVTIMEO, 20_000)
        assert stranger.recv_string().partition(" ")[0].isdecimal()
        said += fab.communicate()[0]
    assert fab.returncode == 3, said
    verdicts = load(command.only_run(tmp_path)).verdicts
    assert verdicts is not None
    assert {v["verdict"] for v in verdicts} == {"not observed"}
    assert "came from outside the lab" in " ".join(said.split())


def test_a_run_of_its_own_on_loopback_is_judged(tmp_path: Path) -> None:
    done = command.fab(
        "run-experiment", "--experiment", "return_worker", "--provider", "loopback",
        "--interval", "0.1", "--runs", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "came from outside the lab" not in done.stdout
