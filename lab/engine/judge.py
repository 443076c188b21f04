"""From a run directory to verdicts, and from verdicts to an exit code. Pure: no lab is needed."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pushpull.analysis.history import Run
from pushpull.analysis.line_readers import nothing
from pushpull.core import user_code
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.verdict import Outcome, Verdict, is_sound
from pushpull.engine.experiment import Claim, Experiment
from pushpull.runs.store import StoredRun


class Judged(NamedTuple):
    """The verdicts on a run.

    Attributes:
        verdicts: the content of verdicts.json: one object for each claim. Those of a cut run (see
            `cut`) are marked `partial`; in it all claims are not observed, except for a refutation
            that is `final`.
        cut: why the run is cut; empty if it isn't.
        mistake: that of the first of a user's own claims that raised; these are not observed.
    """

    verdicts: list[dict[str, Any]]
    cut: str
    mistake: LabError | None


def judge(stored: StoredRun, experiment: Experiment, *, partial: bool) -> list[dict[str, Any]]:
    """Return the content of verdicts.json, see `Judged`; with `partial`, mark all as partial.

    Raises LabError if a user's own claim raises.
    """
    found = judged(stored, experiment)
    if found.mistake:
        raise found.mistake
    return [verdict | ({"partial": True} if partial else {}) for verdict in found.verdicts]


def judged(stored: StoredRun, experiment: Experiment) -> Judged:
    """Judge a run by each claim. Raises LabError if a user's own `reads` raises."""
    with _mistakes_of(experiment, experiment.reads):
        run = Run(stored, experiment.reads or nothing)
    verdicts, mistakes = [], []
    for claim in experiment.claims:
        try:
            verdict = _judged(claim, run, experiment)
        except user_code.UserMistake as error:
            mistakes.append(error)
            verdict = Verdict.not_observed(f"Its own code failed: {error.where}: {error.what}")
        partial = {"partial": True} if run.cut else {}
        verdicts.append(_stored(claim, verdict, _title(run, experiment), experiment) | partial)
    return Judged(verdicts, run.cut, mistakes[0] if mistakes else None)


def exit_code(
    verdicts: Iterable[Mapping[str, Any]], *, cut: bool = False, given_up: bool = False
) -> ExitCode:
    """Return the exit code for a run's verdicts; NOT_OBSERVED if the run was cut.

    It is never EXPECTED if the scenario was given up: then it did not do what its claims are about.
    Claims that are not applicable don't count; if none is applicable, nothing was observed.
    """
    found = list(verdicts)
    applicable = [v for v in found if v["verdict"] != Outcome.NOT_APPLICABLE]
    if cut or (found and not applicable):
        return ExitCode.NOT_OBSERVED
    code = ExitCode.NOT_OBSERVED if given_up else ExitCode.EXPECTED
    for verdict in applicable:
        if verdict["verdict"] == verdict["expected"]:
            continue
        if verdict["verdict"] != Outcome.NOT_OBSERVED:
            return ExitCode.UNEXPECTED
        if not verdict["by_chance"]:
            code = ExitCode.NOT_OBSERVED
    return code


def _judged(claim: Claim, run: Run, experiment: Experiment) -> Verdict:
    if claim.expected is Outcome.NOT_APPLICABLE:
        return Verdict.not_applicable(claim.because)
    with _mistakes_of(experiment, claim.judge):
        verdict = claim.judge(run)
        if not isinstance(verdict, Verdict):
            raise TypeError(f"{claim.id} returned {verdict!r} instead of a Verdict")
        if not is_sound(verdict):
            raise TypeError(f"{claim.id}: a verdict must have a text, whole numbers and events")
    if run.cut and not verdict.final:
        return Verdict.not_observed(run.cut)
    if claim.timed and run.disturbed:
        return Verdict.not_observed(run.disturbed)
    return verdict


def _stored(claim: Claim, verdict: Verdict, title: str, experiment: Experiment) -> dict[str, Any]:
    return {
        "id": f"{title}.{claim.id}",
        "statement": claim.statement,
        "source": claim.source or experiment.source,
        "verdict": verdict.outcome.value,
        "expected": claim.expected.value,
        "because": claim.because,
        "need": claim.need.value,
        "by_chance": claim.by_chance,
        "evidence": verdict.evidence(),
        "why": verdict.why,
    } | {
        name: text
        for name, text in (("rests_on", claim.rests_on), ("disputed_by", claim.disputed_by))
        if text
    }


def _title(run: Run, experiment: Experiment) -> str:
    return f"{experiment.name}:{run.variant}" if run.variant else experiment.name


@contextlib.contextmanager
def _mistakes_of(experiment: Experiment, what: object) -> Iterator[None]:
    """Report an exception from a user's own function as a mistake in it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if not experiment.is_own:
            raise
        raise user_code.mistake(error, experiment.file, what) from error
