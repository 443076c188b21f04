"""Every claim with its last verdict: an evaluator's checklist."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pushpull.cli import run_series
from pushpull.cli.call import Call
from pushpull.cli.run_experiment import say
from pushpull.core.errors import ExitCode
from pushpull.core.verdict import Outcome
from pushpull.engine.experiment import Claim, Experiment
from pushpull.engine.judge import exit_code
from pushpull.experiments import DEFAULT, catalogue
from pushpull.experiments.implementations import DEFAULT as DEFAULT_PROGRAMS
from pushpull.machines.providers.registry import choose
from pushpull.report.claims_list import ListedClaim, print_checklist, write_json, write_junit
from pushpull.runs import store

_LOOKED_AT = 20  # newest runs of an experiment; chance hides no claim in more runs than that
_QUICK_INTERVAL_S = 0.1
_QUICK_PLANNED_S = 85  # of the experiments; starting them, and repeats, come on top
_QUICK_LAST_START_S = 95


def show(
    experiments: Sequence[Experiment], root: Path, *, json: Path | None, junit: Path | None
) -> ExitCode:
    """Print the checklist, also write it to files, and return the exit code for the verdicts.

    Arguments:
        experiments: the experiments whose claims to list.
        root: the folder of all runs.
        json, junit: files to write the list to, in these formats.
    """
    items = [item for experiment in experiments for item in _items(experiment, root)]
    print_checklist(items)
    if json:
        write_json(items, json)
    if junit:
        write_junit(items, junit)
    return exit_code(_judged(item) for item in items)


def _judged(item: ListedClaim) -> dict[str, Any]:
    """Return a verdict for the exit code: a claim that never ran was not observed."""
    found = Outcome.NOT_OBSERVED.value if item.verdict is None else item.verdict["verdict"]
    return {"verdict": found, "expected": item.expected, "by_chance": item.by_chance}


def listed(wanted: str) -> list[Experiment]:
    """Return the wanted experiment, or all of the lab's own."""
    return [catalogue.load(name) for name in ([wanted] if wanted else catalogue.names())]


def quick() -> list[Experiment]:
    """Return experiments that fit in two minutes: the default ones, then the shortest."""
    every = listed("")
    default = [e for e in every if e.name in DEFAULT]
    # Not every provider can inject machine faults.
    rest = (e for e in every if e not in default and not any(e.faults.values()))
    # Where all is left to chance, or to `fab search`, two minutes may decide nothing.
    rest = (e for e in rest if not all(claim.by_chance for claim in e.claims))
    others = sorted(rest, key=_quick_s)
    chosen, planned = list(default), sum(map(_quick_s, default))
    for experiment in others:
        planned += _quick_s(experiment)
        if planned <= _QUICK_PLANNED_S:
            chosen.append(experiment)
    return chosen


def run_quick(call: Call, experiments: Sequence[Experiment]) -> None:
    """Run these at a short interval; repeat those where chance left a claim undecided."""
    begun = time.monotonic()
    provider = choose(call.provider, call.inventory, say)
    with (
        provider.lab(keep=call.keep) as machines,
        run_series.connected_and_fit(machines) as remotes,
    ):
        every = {experiment.name: experiment for experiment in experiments}
        run_series.require_programs(call, every, remotes)
        waiting = list(experiments)
        while waiting:
            for experiment in list(waiting):
                if time.monotonic() - begun > _QUICK_LAST_START_S:
                    return
                request = replace(call, interval=min(experiment.interval, _QUICK_INTERVAL_S))
                run_series.run_connected(request, {experiment.name: experiment}, machines, remotes)
            waiting = [e for e in waiting if not all(map(_is_settled, _items(e, call.runs)))]


def _is_settled(item: ListedClaim) -> bool:
    return item.decided or not item.applicable


def _quick_s(experiment: Experiment) -> float:
    seconds = experiment.planned_s(interval=min(experiment.interval, _QUICK_INTERVAL_S))
    return seconds * len(experiment.variants)


def _items(experiment: Experiment, root: Path) -> Iterator[ListedClaim]:
    most = _LOOKED_AT * len(experiment.variants)
    found = store.last_verdicts(root, experiment.name, most, counts=_is_of_the_default)
    every = ((variant, claim) for variant in experiment.variants for claim in experiment.claims)
    for variant, claim in every:
        item = _never_run(experiment, variant, claim)
        name = f"{item.title}.{claim.id}"
        judged = [(run, v) for run, verdicts in found for v in verdicts if v["id"] == name]
        decided = [(run, v) for run, v in judged if Outcome(v["verdict"]).decides]
        # If a claim depends on chance, take the last run that decided it.
        for run, verdict in (decided if claim.by_chance and decided else judged)[:1]:
            item = replace(item, verdict=verdict, run=run)
        yield item


def _is_of_the_default(description: Mapping[str, Any]) -> bool:
    """Whether a run's verdicts are of the implementation for which they are expected."""
    return bool(description.get("implementation", DEFAULT_PROGRAMS) == DEFAULT_PROGRAMS)


def _never_run(experiment: Experiment, variant: str, claim: Claim) -> ListedClaim:
    return ListedClaim(
        title=f"{experiment.name}:{variant}" if variant else experiment.name,
        experiment=experiment.name,
        experiment_source=experiment.source,
        planned_s=experiment.planned_s(),
        id=claim.id,
        statement=claim.statement,
        source=claim.source,
        expected=claim.expected.value,
        need=claim.need.value,
        by_chance=claim.by_chance,
        rests_on=claim.rests_on,
        disputed_by=claim.disputed_by,
    )
