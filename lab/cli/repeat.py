"""`fab run-experiment --repeat` and `--until decided`: the same experiments, many times.

Like a sweep it has no state of its own, and the same command goes on where it ended.
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pushpull.analysis.campaign import CampaignRun, Cell, name_of
from pushpull.analysis.figures import spreads
from pushpull.analysis.tally import Tally, add
from pushpull.cli import campaign_files
from pushpull.cli.call import Call
from pushpull.cli.capacity import Capacity
from pushpull.cli.run_experiment import experiments_of, remark_settings, say
from pushpull.cli.sweep import Campaign, alone_in, runs_of
from pushpull.cli.sweep_pool import Done, Pool
from pushpull.cli.sweep_worker import Answer
from pushpull.core.errors import ExitCode, LabError, worst
from pushpull.core.verdict import Outcome
from pushpull.experiments import catalogue, fingerprint
from pushpull.machines.providers.registry import choose
from pushpull.report import junit as junit_file
from pushpull.report.tallies import print_spreads, print_tallies
from pushpull.runs import store

# A claim that always holds is decided after 116 runs, with three exceptions after some 300.
MOST_UNTIL_DECIDED = 500
_MOST = 100_000


@dataclass(frozen=True, kw_only=True)
class Repeat(Campaign):
    """The experiments of a call, each in all of its variants."""

    @cached_property  # what changes during the runs is of the next ones
    def id(self) -> str:
        codes = {
            name: fingerprint.of_run(experiment, self.call.implementation)
            for name, experiment in experiments_of(self.call).items()
        }
        whole = [self.call.command(self.call.experiment), codes, self.call.inventory.digest]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:12]


def run(call: Call, most: int, *, until_decided: bool, junit: Path | None = None) -> ExitCode:
    """Run the experiments again and again, and say how often each claim held.

    Runs take place side by side, and count in the order of their beginning: otherwise, those that
    end early would decide before those that take longer, as failures often do.

    Arguments:
        call: what the user asked for.
        most: how many times at most.
        until_decided: whether to end as soon as every claim is decided.
        junit: a file to write it to as well, as JUnit XML.

    Returns EXPECTED if every claim holds as often as it must, UNEXPECTED if one doesn't, and
    NOT_OBSERVED if the runs are too few to tell; or the code of the error that ended the runs.
    """
    every = _cells(call)
    remark_settings(experiments_of(call).values(), call.options)
    campaign = Repeat(call=call, repeat=most, at_once=None)
    with alone_in(call.runs):
        return _run(campaign, every, until_decided=until_decided, junit=junit)


def _run(
    campaign: Repeat, every: Sequence[Cell], *, until_decided: bool, junit: Path | None
) -> ExitCode:
    call, most = campaign.call, campaign.repeat
    tallies: dict[str, Tally] = {}
    counted: list[CampaignRun] = []
    ended_by: list[ExitCode] = []
    try:
        with contextlib.closing(_rounds(campaign, every)) as rounds:
            for number, made in enumerate(rounds, 1):
                if ended_by := [done.answer.code for done in made if done.answer.failed]:
                    break
                runs = [_measured(done) for done in made if not done.answer.disturbed]
                counted += runs
                verdicts = [verdict for _, stored, _ in runs for verdict in stored.verdicts or ()]
                add(tallies, verdicts)
                said = _short(verdicts) if runs else "disturbed, so it does not count"
                print(f"run {number} of {most}: {said}", flush=True)
                if until_decided and _all_decided(tallies.values()):
                    break
    except KeyboardInterrupt:
        ended_by = [ExitCode.INTERRUPTED]
    print()
    print_tallies(tallies, anytime=until_decided, file=sys.stdout)
    if junit:
        junit_file.write(junit_file.of_tallies(tallies, anytime=until_decided), junit)
    for cell in every:
        outcomes = [outcome for its, _, outcome in counted if its == cell]
        print_spreads(str(cell) if len(every) > 1 else "", spreads(outcomes), file=sys.stdout)
    if counted:
        words = [call.command(call.experiment), f"--repeat {most}"]
        words += ["--until decided"] if until_decided else []
        campaign_files.write(
            call.runs, f"repeat-{campaign.id}", " ".join(words), every, counted,
            anytime=until_decided,
        )  # fmt: skip
    applicable = [tally for tally in tallies.values() if not tally.why_not_applicable]
    return worst(
        ended_by
        or [_code(tally.met(anytime=until_decided)) for tally in applicable]
        or [ExitCode.NOT_OBSERVED] * bool(tallies)
    )


def _cells(call: Call) -> list[Cell]:
    """Return what a round consists of: each experiment in each of its variants."""
    return [
        Cell(variant, experiment=catalogue.split(name)[0])
        for name, experiment in experiments_of(call).items()
        for variant in experiment.variants
    ]


def _rounds(campaign: Repeat, every: Sequence[Cell]) -> Generator[list[Done], None, None]:
    """Run what is missing, and yield the rounds in the order of their beginning.

    Those that exist already come first. A round with a failed run comes at once, and is the last.
    """
    ended = _existing(campaign, every)
    planned = enumerate(cell for _ in range(campaign.repeat) for cell in every)
    todo = [(number, cell) for number, cell in planned if number not in ended]
    if ended:
        print(f"{len(ended)} runs exist already, at most {len(todo)} are missing", flush=True)
    due = 0
    while all(due + k in ended for k in range(len(every))):
        yield [ended.pop(due + k) for k in range(len(every))]
        due += len(every)
    pool = Pool(campaign.call, limit_of(campaign.call), campaign.id)
    with contextlib.closing(pool.results(todo)) as results:
        for done in results:
            if done.again:
                say(f"{done.answer.directory}: disturbed, so it is made again")
                continue
            if done.answer.failed:
                say(done.answer.said)
                yield [done]
                return
            ended[done.number] = done
            while all(due + k in ended for k in range(len(every))):
                yield [ended.pop(due + k) for k in range(len(every))]
                due += len(every)


def _existing(campaign: Repeat, every: Sequence[Cell]) -> dict[int, Done]:
    """Return the runs that were made before and count, by their numbers."""
    places = {str(cell): (place, cell) for place, cell in enumerate(every)}
    following = dict.fromkeys(places, 0)  # round, by the name of a cell
    found = {}
    for stored in runs_of(campaign):
        name = name_of(stored)
        if name in places and following[name] < campaign.repeat:
            place, cell = places[name]
            number = following[name] * len(every) + place
            answer = Answer(code=ExitCode.EXPECTED, directory=str(stored.path))
            found[number] = Done(number=number, cell=cell, answer=answer)
            following[name] += 1
    return found


def limit_of(call: Call) -> Capacity:
    """Return how many labs run side by side."""
    if call.keep or choose(call.provider, call.inventory, say).is_shared():
        return Capacity.fixed(1)
    return Capacity.measured(len(call.inventory.machines))


def _measured(done: Done) -> CampaignRun:
    assert done.directory is not None
    return campaign_files.measured(done.cell, store.load(done.directory))


def wanted(repeat: str, until: str) -> tuple[int, bool]:
    """Return how often to run at most, and whether to end once all is decided, by the two flags.

    Raises:
        LabError: one of them says neither.
    """
    if until not in ("", "decided"):
        raise LabError(f"invalid --until '{until}'", hint="there is --until decided")
    if repeat and not (repeat.isascii() and repeat.isdigit() and 1 <= int(repeat[:9]) <= _MOST):
        hint = f"give a whole number from 1 to {_MOST:,}"
        raise LabError(f"invalid --repeat '{repeat}'", hint=hint)
    return int(repeat or MOST_UNTIL_DECIDED), until == "decided"


def _short(verdicts: Iterable[Mapping[str, Any]]) -> str:
    unexpected = [
        f"{verdict['id']} {verdict['verdict']}"
        for verdict in verdicts
        if verdict["verdict"] not in (verdict["expected"], Outcome.NOT_APPLICABLE)
        and not _by_chance(verdict)
    ]
    return ", ".join(unexpected) or "as expected"


def _by_chance(verdict: Mapping[str, Any]) -> bool:
    return bool(verdict["verdict"] == Outcome.NOT_OBSERVED and verdict["by_chance"])


def _all_decided(tallies: Iterable[Tally]) -> bool:
    return all(t.why_not_applicable or t.met(anytime=True) is not None for t in tallies)


def _code(met: bool | None) -> ExitCode:
    if met is None:
        return ExitCode.NOT_OBSERVED
    return ExitCode.EXPECTED if met else ExitCode.UNEXPECTED
