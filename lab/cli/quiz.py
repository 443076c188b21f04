"""`fab quiz`: asks for a prediction of each claim, runs it, and shows what was wrong."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pushpull.cli import run_experiment
from pushpull.cli.call import Call
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.project import COMMAND
from pushpull.core.text import harmless
from pushpull.core.verdict import Outcome
from pushpull.engine.experiment import Experiment
from pushpull.runs.directory import attach

_ANSWERS = {"y": Outcome.HOLDS, "n": Outcome.REFUTED, "": None}
_FILE = "quiz.txt"
_LONGEST = 2000  # characters of a sentence

Predictions = Mapping[str, Outcome | None]


def run(call: Call) -> ExitCode:
    """Ask, run the experiment, and print what was predicted rightly and wrongly; keep it too.

    Raises:
        LabError: the experiment has several variants, or there is nobody to ask.
    """
    (experiment,) = run_experiment.experiments_of(call).values()
    if len(experiment.variants) > 1:
        raise LabError(
            f"{call.experiment} has several variants, each a run of its own",
            hint=f"choose one, such as {call.experiment}:{experiment.variants[0]}",
        )
    predictions = _ask(experiment)
    print("\nNow see:")
    (result,) = run_experiment.run_all(call)
    if not result.verdicts:
        return result.code
    lines = [*compared(predictions, result.verdicts)]
    print("\n".join(["", *lines]))
    attach(result.path, _FILE, "\n".join(lines) + "\n")
    print(f"kept:    {result.path / _FILE}")
    print(f"hand in: {COMMAND} bundle --run {result.path}")
    run_experiment.make_pages([result])
    return result.code


def _ask(experiment: Experiment) -> Predictions:
    print(f"{experiment.summary}\nWhat will this run show? y: the claim holds, n: it is refuted,")
    print("Enter: I don't know.\n")
    return {claim.id: _asked(k, claim.statement) for k, claim in enumerate(experiment.claims, 1)}


def _asked(number: int, statement: str) -> Outcome | None:
    while True:
        print(f"{number}. {harmless(statement, _LONGEST)}  [y/n] ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            raise LabError(
                "there are no more answers",
                where="standard input",
                hint="answer in a terminal, or give a line for each claim",
            )
        if (answer := line.strip().lower()) in _ANSWERS:
            return _ANSWERS[answer]


def compared(predictions: Predictions, verdicts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line or two for each claim, and the score.

    Arguments:
        predictions: by the claims' ids; None where nothing was predicted.
        verdicts: as in verdicts.json.
    """
    right = decided = 0
    for number, verdict in enumerate(verdicts, 1):
        outcome, predicted = Outcome(verdict["verdict"]), predictions.get(_claim(verdict["id"]))
        statement, why = (harmless(verdict[key], _LONGEST) for key in ("statement", "why"))
        if outcome not in (Outcome.HOLDS, Outcome.REFUTED):
            yield f"- {number}. {statement}\n     This run doesn't decide it: {why}"
            continue
        decided += 1
        right += predicted is outcome
        if predicted is outcome:
            yield f"✓ {number}. {statement}"
        else:
            said = f"You said that it {_verb(predicted)}" if predicted else "You didn't say"
            yield f"✗ {number}. {statement}\n     {said}; it {_verb(outcome)}: {why}"
    yield f"{right} of {decided} predicted rightly"


def _verb(outcome: Outcome) -> str:
    return "holds" if outcome is Outcome.HOLDS else "is refuted"


def _claim(identifier: str) -> str:
    """Return the claim's own name, without its experiment's."""
    return identifier.rpartition(".")[2]
