"""`fab matrix`: the claims of experiments x implementations, and what each way of leaving costs.

Like a sweep it has no state of its own: each run.json names the campaign and the cell to which it
belongs. A cell's name contains a hash of the implementation, of the experiment and of the lab.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pushpull.analysis.campaign import name_of
from pushpull.analysis.history import Run
from pushpull.analysis.matrix import (
    Answer,
    Asked,
    Matrix,
    MatrixCell,
    Row,
    Way,
    answer,
    not_applicable,
)
from pushpull.analysis.outcome_table import outcome
from pushpull.cli import arguments, run_series
from pushpull.cli.run_experiment import say
from pushpull.cli.sweep import Campaign, completing
from pushpull.core.errors import ExitCode, LabError, worst
from pushpull.core.verdict import Outcome
from pushpull.engine.experiment import Claim, Experiment
from pushpull.experiments import DEFAULT, catalogue, expectations, fingerprint, implementations
from pushpull.experiments.implementations import Choice
from pushpull.experiments.manifest import Manifest
from pushpull.machines.providers.registry import choose
from pushpull.report import matrix_files, matrix_page, matrix_text, page
from pushpull.runs.store import StoredRun

# The pause between messages, where an experiment's own is longer: so programs that take a second to
# start have their turns too.
_INTERVAL_S = 0.25
_TRIED_AT_ONCE = 4  # implementations by the conformance test, which mostly waits
_ERRORS = (ExitCode.BUG, ExitCode.INTERRUPTED, ExitCode.MISTAKE)


@dataclass(frozen=True, kw_only=True)
class MatrixCampaign(Campaign):
    """The experiments, by the names that the user gave them, and the columns of the matrix."""

    experiments: Mapping[str, Experiment]
    columns: Mapping[str, Choice]

    @property
    def id(self) -> str:
        return _hash(["matrix", self.call.provider, self.call.inventory.path.read_text()])

    @cached_property  # what changes during the runs is of the next campaign
    def parts(self) -> "list[Part]":
        """Everything that the matrix is about."""
        return list(self._parts())

    @property
    def cells(self) -> list[MatrixCell]:
        """Everything that can be run."""
        return [part.cell for part in self.parts if part.cell is not None]

    def _parts(self) -> "Iterator[Part]":
        programs = {name: implementations.fingerprint(c) for name, c in self.columns.items()}
        for name, experiment in self.experiments.items():
            code = fingerprint.code(experiment)
            for variant in experiment.variants:
                title = ":".join(filter(None, [experiment.name, variant]))
                for column, choice in self.columns.items():
                    lacking = implementations.lacking(experiment, variant, choice)
                    settings = [("implementation", str(choice))]
                    if experiment.interval > _INTERVAL_S:
                        settings.append(("interval", str(_INTERVAL_S)))
                    cell = MatrixCell(
                        variant=variant,
                        settings=tuple(settings),
                        experiment=catalogue.split(name)[0],
                        implementation=column,
                        code=_hash([code, programs[column]]),
                    )
                    yield Part(
                        title, experiment, variant, column, None if lacking else cell, lacking
                    )


@dataclass(frozen=True, slots=True)
class Part:
    """An experiment's variant with one implementation: its cell, or what is `lacking` for it."""

    title: str
    experiment: Experiment
    variant: str
    column: str
    cell: MatrixCell | None
    lacking: str


def _hash(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]


def run(campaign: MatrixCampaign, left_out: Mapping[str, str]) -> ExitCode:
    """Run what is missing; print and write the matrix; return what its verdicts come to.

    Arguments:
        campaign: what to run.
        left_out: the implementations that can't run here, and why.
    """
    with completing(campaign, campaign.cells) as (codes, done):
        found = _matrix(campaign, left_out, done)
        matrix_text.print_matrix(found)
        _write(campaign, found)
    ended_by = [code for code in codes if code in _ERRORS]
    return worst(ended_by or [code_of(found.rows)])


def code_of(rows: Sequence[Row]) -> ExitCode:
    """Return the exit code for a matrix; what is not applicable doesn't count."""
    answers = [one for row in rows for one in row.answers.values()]
    applicable = [one for one in answers if one.verdict != Outcome.NOT_APPLICABLE]
    if any(one.decided and not one.as_expected for one in applicable):
        return ExitCode.UNEXPECTED
    if not applicable or not all(one.as_expected or one.asked.by_chance for one in applicable):
        return ExitCode.NOT_OBSERVED
    return ExitCode.EXPECTED


def columns(texts: Sequence[str]) -> dict[str, Choice]:
    """Return whose programs each column stands for: `NAME`, or `SENDER+RECEIVER`.

    Raises:
        LabError: there is no such implementation.
    """
    found = {}
    for text in texts:
        sender, plus, receiver = text.partition("+")
        pair = f"sender={sender},receiver={receiver}"
        found[text] = implementations.chosen(pair if plus else sender)
    return found


def installed(campaign: MatrixCampaign, *, required: bool) -> tuple[MatrixCampaign, dict[str, str]]:
    """Return the campaign with the columns that can run here, and why the others can't.

    Raises:
        LabError: one can't, and all are `required`.
    """
    found = campaign.experiments.values()
    needed = {name: implementations.playing(found, c) for name, c in campaign.columns.items()}
    distinct = {one.title: one for playing in needed.values() for one in playing}
    provider = choose(campaign.call.provider, campaign.call.inventory, say)
    with (
        provider.lab(keep=False) as machines,
        run_series.connected_and_fit(machines) as remotes,
    ):

        def trouble(one: Manifest) -> LabError | None:
            try:
                run_series.require_implementation(one, remotes)
            except LabError as error:
                return error
            return None

        with ThreadPoolExecutor(_TRIED_AT_ONCE) as threads:
            troubles = dict(zip(distinct, threads.map(trouble, distinct.values()), strict=True))
    left_out: dict[str, str] = {}
    for column, playing in needed.items():
        for error in filter(None, (troubles[one.title] for one in playing)):
            if required:
                raise error
            left_out.setdefault(column, str(error))
    kept = {name: c for name, c in campaign.columns.items() if name not in left_out}
    return replace(campaign, columns=kept), left_out


def experiments(names: Sequence[str]) -> dict[str, Experiment]:
    """Return the experiments of these names, or the default ones; LabError if there is none."""
    return {name: catalogue.load(name) for name in names or DEFAULT}


def _matrix(
    campaign: MatrixCampaign, left_out: Mapping[str, str], done: Sequence[StoredRun]
) -> Matrix:
    runs: dict[str, list[StoredRun]] = {}
    for stored in done:
        runs.setdefault(name_of(stored), []).append(stored)
    rows: dict[tuple[str, str], dict[str, Answer]] = {}
    ways: dict[str, dict[str, list[StoredRun]]] = {}
    for part in campaign.parts:
        played = runs.get(str(part.cell), [])[: campaign.repeat]
        choice = campaign.columns[part.column]
        for claim in expectations.applied(part.experiment, part.variant, choice).claims:
            asked = _asked(claim, part.experiment)
            rows.setdefault((part.title, claim.id), {})[part.column] = (
                not_applicable(asked, f"it needs {part.lacking}")
                if part.lacking
                else answer(asked, _verdicts(played, f"{part.title}.{claim.id}"))
            )
        ways.setdefault(part.title, {})[part.column] = played
    return Matrix(
        columns=tuple(campaign.columns),
        summaries={
            name: " to ".join(dict.fromkeys(implementations.get(n).summary for n in _names(choice)))
            for name, choice in campaign.columns.items()
        },
        rows=tuple(Row(title=t, claim=c, answers=found) for (t, c), found in rows.items()),
        ways=tuple(filter(None, (_way(title, found) for title, found in ways.items()))),
        left_out=left_out,
        repeat=campaign.repeat,
    )


def _names(choice: Choice) -> list[str]:
    return list(choice.of_kind.values()) or [choice.rest]


def _asked(claim: Claim, experiment: Experiment) -> Asked:
    return Asked(
        statement=claim.statement,
        source=claim.source or experiment.source,
        expected=claim.expected.value,
        because=claim.because,
        rests_on=claim.rests_on,
        by_chance=claim.by_chance,
    )


def _verdicts(played: Sequence[StoredRun], claim: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(s.path.name, v) for s in played for v in s.verdicts or () if v["id"] == claim]


def _way(title: str, played: Mapping[str, Sequence[StoredRun]]) -> Way | None:
    """Return what became of the messages, if something left in these runs."""
    counts = {
        column: [
            outcome(Run(s, catalogue.reader(s)), float(s.description["parameters"]["interval"]))
            for s in runs
        ]
        for column, runs in played.items()
    }
    if not any(one.had_fault for found in counts.values() for one in found):
        return None
    runs = {column: found[-1].path.name for column, found in played.items() if found}
    return Way(title=title, counts=counts, runs=runs)


def _write(campaign: MatrixCampaign, found: Matrix) -> None:
    linked = {a.run for row in found.rows for a in row.answers.values()}
    linked |= {name for way in found.ways for name in way.runs.values()}
    for name in sorted(filter(None, linked)):
        if not (campaign.call.runs / name / "report.html").exists():
            try:
                page.make(campaign.call.runs / name, catalogue.reader)
            except LabError as error:
                arguments.show_error(error)
    paths = [
        *matrix_files.write(found, campaign.call.runs / "matrix"),
        matrix_page.write(found, campaign.call.runs / "matrix.html"),
    ]
    print("\n" + "\n".join(f"{path.suffix[1:]}: {path}" for path in paths))
