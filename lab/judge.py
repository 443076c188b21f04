"""From a run directory to verdicts, and from verdicts to an exit code. Pure: no lab is needed."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lab import user_code
from lab.claims import Run, joined
from lab.errors import ExitCode
from lab.experiment import Claim, Experiment
from lab.reading import nothing
from lab.records import LOST
from lab.runs import StoredRun
from lab.verdict import Outcome, Verdict


def judge(stored: StoredRun, experiment: Experiment, *, partial: bool) -> list[dict[str, Any]]:
    """Return what verdicts.json is to hold: one object for each claim of the experiment.

    Those of a run that did not come to its end are marked `partial`. None is observed in a run
    that lost a machine: nobody knows what that one received. Raises LabError where a user's own
    claim raises.
    """
    with _mistakes_of(experiment, experiment.reads):
        run = Run(stored, experiment.reads or nothing)
    lost = lost_machines(stored)
    return [
        _stored(claim, _judged(claim, run, experiment, lost), _title(run, experiment), experiment)
        | ({"partial": True} if partial else {})
        for claim in experiment.claims
    ]


def lost_machines(stored: StoredRun) -> list[str]:
    """Return the machines to which the way broke while a program ran there."""
    lost = [e.machine for e in stored.events if e.event == "exit" and e.details.get("by") == LOST]
    return list(dict.fromkeys(lost))


def exit_code(verdicts: Iterable[Mapping[str, Any]]) -> ExitCode:
    """Return the exit code that a run's verdicts stand for."""
    code = ExitCode.EXPECTED
    for verdict in verdicts:
        if verdict["verdict"] == verdict["expected"]:
            continue
        if verdict["verdict"] != Outcome.NOT_OBSERVED:
            return ExitCode.UNEXPECTED
        if not verdict["by_chance"]:
            code = ExitCode.NOT_OBSERVED
    return code


def _judged(claim: Claim, run: Run, experiment: Experiment, lost: Sequence[str]) -> Verdict:
    if lost:
        return Verdict.not_observed(
            f"The connection to {joined(lost)} broke: what was received there then isn't known."
        )
    with _mistakes_of(experiment, claim.judge):
        verdict = claim.judge(run)
        if not isinstance(verdict, Verdict):
            raise TypeError(f"{claim.id} returned {verdict!r}, no Verdict")
    return verdict


def _stored(claim: Claim, verdict: Verdict, title: str, experiment: Experiment) -> dict[str, Any]:
    return {
        "id": f"{title}.{claim.id}",
        "statement": claim.statement,
        "source": claim.source or experiment.source,
        "verdict": verdict.outcome.value,
        "expected": claim.expected.value,
        "because": claim.because,
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
    """Tell what a user's own function raises as a mistake in it."""
    try:
        yield
    except Exception as error:
        if experiment.folder is None:
            raise
        raise user_code.mistake(error, experiment.file, what) from error
