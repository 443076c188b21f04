"""The published JSON Schemas of a run's files accept what the lab accepts."""

import json
from pathlib import Path
from typing import Any

import pytest
from command import PROJECT
from jsonschema import Draft202012Validator

from pushpull.core import run_schema

CORE = PROJECT / "lab/core"
RECORDED = sorted((PROJECT / "tests/recorded").glob("*/run.json"))


def editor(name: str) -> Draft202012Validator:
    schema = json.loads((CORE / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_they_are_written_from_what_the_code_judges_by() -> None:
    """Else: .venv/bin/python -m pushpull.core.run_schema"""
    for name, schema in run_schema.schemas().items():
        assert (CORE / name).read_text() == json.dumps(schema, indent=2) + "\n"


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.parent.name)
def test_recorded_runs_fit_them(file: Path) -> None:
    assert not list(editor("run.schema.json").iter_errors(json.loads(file.read_text())))
    events = file.with_name("events.jsonl").read_text().splitlines()
    assert events
    for line in events:
        assert not list(editor("event.schema.json").iter_errors(json.loads(line)))
    verdicts = json.loads(file.with_name("verdicts.json").read_text())
    assert not list(editor("verdicts.schema.json").iter_errors(verdicts))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state", "odd"),
        ("started", -1),
        ("parameters", {"count": 1}),
        ("inventory", {"Host": {"role": "a", "address": "b"}}),
        ("clocks", {"host": {"offset_s": "0"}}),
        ("experiment", 7),
        ("open_network", "no"),
    ],
)
def test_what_the_lab_refuses_does_not_fit(key: str, value: Any) -> None:
    description = json.loads(RECORDED[0].read_text()) | {key: value}
    with pytest.raises(ValueError, match=key):
        run_schema.require_description(description)
    assert list(editor("run.schema.json").iter_errors(description))


@pytest.mark.parametrize(
    "event",
    [
        {"t": 1.0},
        {"t": -1.0, "event": "ready"},
        {"t": 1.0, "event": "fault", "fault": "kill", "took_s": 0.1},
        {"t": 1.0, "event": "exit", "by": "itself", "status": "0"},
    ],
)
def test_an_event_that_the_lab_refuses_does_not_fit(event: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        run_schema.require_event(event)
    assert list(editor("event.schema.json").iter_errors(event))
