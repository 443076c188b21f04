"""What to expect of claims with a given implementation: its manifest's `[[expected]]`.

Claims are written for the default implementation. What is known to be otherwise with another one
is in its own folder, so that a new implementation changes no experiment.
"""

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase

from pushpull.core.errors import LabError
from pushpull.core.verdict import Need
from pushpull.engine.experiment import Claim, Experiment
from pushpull.experiments import implementations, protocol
from pushpull.experiments.implementations import Choice
from pushpull.experiments.manifest import Expectation
from pushpull.runs.store import StoredRun

_DEFAULT_LIBRARY = "libzmq"


def applied(experiment: Experiment, variant: str, choice: Choice) -> Experiment:
    """Return an experiment whose claims expect what is known of the implementations that play."""
    if choice == Choice() or (experiment.uses is not None and variant not in experiment.uses):
        return experiment
    known = list(_known(experiment, variant, choice))
    title = f"{experiment.name}:{variant}" if variant else experiment.name
    claims = (_adjusted(claim, f"{title}.{claim.id}", known) for claim in experiment.claims)
    return replace(experiment, claims=tuple(claims))


def of_run(experiment: Experiment, stored: StoredRun) -> Experiment:
    """Return what `applied` does for a stored run; unchanged if it has no such implementation."""
    variant = str(stored.description["parameters"].get("variant", ""))
    try:
        choice = implementations.chosen(str(stored.description.get("implementation", "")))
        return applied(experiment, variant, choice)
    except LabError:  # it was made where there are other implementations
        return experiment


def _known(experiment: Experiment, variant: str, choice: Choice) -> Iterator[Expectation]:
    """Yield what is known of those that play, in the order of the programs."""
    programs = implementations.uses(experiment, variant)
    players = {protocol.KINDS[name]: choice.of(name) for name in programs}
    for kind, name in players.items():
        for one in implementations.get(name).expected:
            if one.kind in ("", kind):
                yield one


def _adjusted(claim: Claim, identity: str, known: list[Expectation]) -> Claim:
    for one in known:
        if any(fnmatchcase(identity, pattern) for pattern in one.claims):
            return replace(
                claim,
                expected=one.verdict,
                because=one.because,
                rests_on=one.source,
                need=Need.usual(one.verdict),
            )
    return replace(claim, rests_on=_without_the_default(claim.rests_on))


def _without_the_default(rests_on: str) -> str:
    """Return what a claim rests on, without the lines of the default implementation's library."""
    parts = rests_on.split("; ")
    return "; ".join(p for p in parts if _DEFAULT_LIBRARY not in p and not p.startswith("src/"))
