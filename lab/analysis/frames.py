"""Runs as Polars data frames: a row for each run, claim, event, message and value.

Every column has its type here. No library guesses it from the first lines, which silently drops a
key that first comes later, or rounds a number that first has a fraction later.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from pushpull.analysis import cut
from pushpull.analysis.by_number import Times
from pushpull.analysis.deliveries import FATES, Delivery
from pushpull.analysis.history import Run
from pushpull.analysis.line_readers import NO_MESSAGE
from pushpull.analysis.schedule import intended
from pushpull.analysis.timeline import timeline
from pushpull.analysis.values import Values
from pushpull.core.errors import LabError
from pushpull.core.parameters import of_run, text
from pushpull.core.records import Event, Reader
from pushpull.core.verdict import Outcome
from pushpull.runs.collection import Source
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import times_of

_OUTCOME: pl.DataType = pl.Enum([outcome.value for outcome in Outcome])
UNREADABLE = "unreadable"


def _schema(columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.Schema:
    return pl.Schema(columns)


RUNS = _schema(
    {
        "run": pl.String,
        "experiment": pl.String,
        "variant": pl.String,
        "state": pl.Enum(["running", "finished", "interrupted", "died", UNREADABLE]),
        "started": pl.Datetime("us", "UTC"),
        "count": pl.Int64,
        "interval_s": pl.Float64,
        "options": pl.List(pl.String),
        "parameters": pl.List(pl.String),
        "implementation": pl.String,
        "provider": pl.String,
        "machines": pl.UInt32,
        "python": pl.String,
        "kernel": pl.String,
        "git_revision": pl.String,
        "call": pl.String,
        "sweep": pl.String,
        "cell": pl.String,
        "disturbed": pl.Boolean,
        "cut": pl.String,
        "error": pl.String,
        "path": pl.String,
    }
)
CLAIMS = _schema(
    {
        "run": pl.String,
        "experiment": pl.String,
        "variant": pl.String,
        "claim": pl.String,
        "statement": pl.String,
        "verdict": _OUTCOME,
        "expected": _OUTCOME,
        "need": pl.String,
        "by_chance": pl.Boolean,
        "partial": pl.Boolean,
        "why": pl.String,
        "messages": pl.List(pl.Int64),
        "source": pl.String,
    }
)
EVENTS = _schema(
    {
        "run": pl.String,
        "t_s": pl.Float64,
        "event": pl.String,
        "machine": pl.String,
        "process": pl.String,
        "details": pl.String,
    }
)
MESSAGES = _schema(
    {
        "run": pl.String,
        "number": pl.Int64,
        "sender": pl.String,
        "receiver": pl.String,
        "sent_s": pl.Float64,
        "received_s": pl.Float64,
        "latency_s": pl.Float64,
        "lateness_s": pl.Float64,
        "fate": pl.Enum(list(FATES)),
    }
)
VALUES = _schema(
    {
        "run": pl.String,
        "name": pl.String,
        "value": pl.Float64,
        "t_s": pl.Float64,
        "machine": pl.String,
        "process": pl.String,
        "number": pl.Int64,
    }
)
_Row = Sequence[Any]
_ReaderOf = Callable[[StoredRun], Reader]
_LARGEST = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Runs as data frames, joined by the column `run`; docs/data-frames.md explains each column.

    Attributes:
        runs: a row for each run, also for one that can't be read.
        claims: a row for each claim of each run.
        events: a row for each event.
        messages: a row for each message. It is read from the logs when it is collected, one run
            after another, and not before: a run may have millions.
        values: a row for each value that a line or a trace carries, read in the same way.
    """

    runs: pl.DataFrame
    claims: pl.DataFrame
    events: pl.DataFrame
    messages: pl.LazyFrame
    values: pl.LazyFrame


def frames(sources: Sequence[Source], reader_of: _ReaderOf) -> Frames:
    """Return the data frames of runs.

    Arguments:
        sources: where the runs are. Bundles must stay there until the lazy frames are collected.
        reader_of: returns the reader of a run's lines.
    """
    runs: list[_Row] = []
    claims: list[_Row] = []
    events: list[_Row] = []
    readable: list[Source] = []
    for source in sources:
        try:
            with source.opened() as stored:
                runs.append(_run(source, stored))
                claims += _claims(source.name, stored)
                events += _events(source.name, stored)
            readable.append(source)
        except LabError as error:
            runs.append(_unreadable(source, error))
    return Frames(
        runs=_frame(RUNS, runs),
        claims=_frame(CLAIMS, claims),
        events=_frame(EVENTS, events),
        messages=_lazily(readable, MESSAGES, partial(_messages, reader_of)),
        values=_lazily(readable, VALUES, partial(_values, reader_of)),
    )


def _frame(schema: pl.Schema, rows: Sequence[_Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema, orient="row")


def _run(source: Source, stored: StoredRun) -> _Row:
    about = stored.description
    parameters, environment = about["parameters"], about.get("environment", {})
    sweep, disturbance = about.get("sweep", {}), about.get("disturbance")
    disturbed = isinstance(disturbance, dict) and disturbance.get("disturbed") is True
    texts = (about.get("implementation"), about.get("provider"))
    facts = (environment.get(name) for name in ("python", "kernel", "git_revision"))
    return (
        _text(source.name),
        about["experiment"],
        parameters.get("variant", ""),
        stored.state,
        round(_origin(stored) * 1e6),
        parameters["count"],
        float(parameters["interval"]),
        [_text(option) for option in parameters.get("options", ())],
        [_text(f"{name}={text(value)}") for name, value in of_run(about).items()],
        *map(_text, texts),
        len(about.get("inventory", ())),
        *map(_text, facts),
        *map(_text, (about.get("call"), sweep.get("id"), sweep.get("cell"))),
        disturbed,
        _text(cut.reason(stored) or None),
        _text(about.get("error")),
        _text(source.path),
    )


def _unreadable(source: Source, error: LabError) -> _Row:
    known: Mapping[str, Any] = {
        "run": _text(source.name),
        "state": UNREADABLE,
        "error": _text(f"{error.where}: {error.what}" if error.where else error.what),
        "path": _text(source.path),
    }
    return [known.get(column) for column in RUNS]


def _claims(name: str, stored: StoredRun) -> Iterator[_Row]:
    experiment = stored.description["experiment"]
    variant = stored.description["parameters"].get("variant", "")
    for verdict in stored.verdicts or ():
        yield (
            _text(name),
            experiment,
            variant,
            _text(verdict["id"].rpartition(".")[2]),
            _text(verdict["statement"]),
            verdict["verdict"],
            verdict["expected"],
            verdict.get("need"),
            verdict["by_chance"],
            verdict.get("partial", False),
            _text(verdict["why"]),
            [_whole(number) for number in verdict["evidence"].get("messages", ())],
            _text(verdict["source"]),
        )


def _events(name: str, stored: StoredRun) -> Iterator[_Row]:
    origin = _origin(stored)
    for event in sorted(stored.events, key=lambda event: event.t):
        yield (
            _text(name),
            event.t - origin,
            event.event,
            event.machine or None,
            event.process or None,
            _details(event),
        )


def _details(event: Event) -> str | None:
    return json.dumps(event.details) if event.details else None


def _lazily(
    sources: Sequence[Source], schema: pl.Schema, frame_of: Callable[[str, StoredRun], pl.DataFrame]
) -> pl.LazyFrame:
    """Return a frame that reads one run after another when it is collected."""

    def read(
        columns: list[str] | None, wanted: pl.Expr | None, most: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for source in sources:
            if most == 0:
                return
            with source.opened() as stored:
                found = frame_of(source.name, stored)
            found = found if most is None else found.head(most)
            most = None if most is None else most - found.height
            found = found if wanted is None else found.filter(wanted)
            yield found if columns is None else found.select(columns)

    return register_io_source(read, schema=schema)


def _messages(reader_of: _ReaderOf, name: str, stored: StoredRun) -> pl.DataFrame:
    run = Run(stored, reader_of(stored))
    found = timeline(stored, run)
    due = intended(run, float(stored.description["parameters"]["interval"]))
    rows = [
        (
            _text(name),
            _whole(one.number),
            one.by or None,
            one.to or None,
            one.sent,
            one.got,
            one.latency_s,
            _lateness(one, found.origin, due),
            one.fate,
        )
        for one in found.deliveries
    ]
    return _frame(MESSAGES, rows)


def _values(reader_of: _ReaderOf, name: str, stored: StoredRun) -> pl.DataFrame:
    origin = _origin(stored)
    found = [
        _of_quantity(name, origin, one) for one in Run(stored, reader_of(stored)).values.values()
    ]
    return pl.concat([pl.DataFrame(schema=VALUES), *found])


def _of_quantity(name: str, origin: float, found: Values) -> pl.DataFrame:
    """Return the values of one quantity, column by column: there may be millions."""
    sources = pl.DataFrame(
        found.sources, {"machine": pl.String, "process": pl.String}, orient="row"
    )
    numbers = pl.Series("number", found.messages, pl.Int64)
    columns = {"value": found.numbers, "t_s": found.times - origin}
    return (
        pl.DataFrame(columns)
        .with_columns(run=pl.lit(_text(name)), name=pl.lit(_text(found.name)))
        .hstack(sources[found.places])
        .hstack([numbers.replace(NO_MESSAGE, None)])
        .select(VALUES.names())
    )


def _lateness(one: Delivery, origin: float, due: Times) -> float | None:
    if one.got is None or one.number not in due:
        return None
    return origin + one.got - due[one.number]


def _origin(stored: StoredRun) -> float:
    """Return the UNIX time of a run's second 0, as its page has it."""
    times = [*times_of(stored.records), *(event.t for event in stored.events)]
    return float(min(times, default=stored.description["started"]))


def _whole(number: float) -> int | None:
    return int(number) if -_LARGEST <= number < _LARGEST else None


def _text(value: object) -> str | None:
    """Return text that UTF-8 can have: JSON can have halves of surrogate pairs."""
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()
