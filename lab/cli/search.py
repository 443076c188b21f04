"""`fab search`: looks for the schedule of faults that refutes a claim, and writes it down."""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis.configuration

from pushpull.cli import repeat, search_report
from pushpull.cli.call import Call
from pushpull.cli.run_experiment import experiments_of, say
from pushpull.cli.search_loop import Limits, Search, SearchLimit
from pushpull.cli.search_player import LabPlayer
from pushpull.cli.search_space import FAULTS, Space, space_of
from pushpull.cli.search_tried import FAILED, Confirmation, Trial, Tried
from pushpull.cli.sweep import alone_in
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.faults.fault import Scope
from pushpull.core.faults.planned import Schedule
from pushpull.core.os_errors import file_errors
from pushpull.experiments import catalogue, fingerprint, scheduled
from pushpull.experiments.scheduled import Scheduled
from pushpull.machines import provider_plugins
from pushpull.runs import store

_INTERVAL_S = 0.02
_REFUTED = "_refuted"
_LONGEST_NAME = 40
_SHOWN = 200  # characters of a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is searched for.

    Attributes:
        call: what each run is.
        claim: the id of a claim, perhaps with its experiment: `kill_worker.nothing_comes_twice`.
        seed: from which the schedules are drawn.
        confirmation: how often a schedule must refute the claim.
        limits: when to end without a result.
    """

    call: Call
    claim: str
    seed: int
    confirmation: Confirmation
    limits: Limits


def run(wanted: Wanted) -> ExitCode:
    """Search; print each run, what was found, and what was covered.

    Returns UNEXPECTED if a schedule refutes the claim, EXPECTED if none did, NOT_OBSERVED if no run
    said anything about the claim.
    """
    base = _base(wanted)
    folder = wanted.call.runs / f"search-{_id(wanted, base)}"
    call = replace(wanted.call, runs=folder, interval=None, count=None)
    with alone_in(folder):
        with file_errors(folder):
            (folder / "tried").mkdir(exist_ok=True)
        hypothesis.configuration.set_hypothesis_home_dir(folder / "tried" / ".hypothesis")
        tried = Tried(folder / "tried.jsonl")
        if tried.trials:
            print(f"{len(tried.trials)} runs exist already", flush=True)
        player = LabPlayer(call, base, _labs(call))
        with player.closing():
            search = Search(player, tried, wanted.confirmation, wanted.limits, _say)
            try:
                return _search(wanted, base, search, player, tried, folder)
            except SearchLimit:
                print("a limit ended the search before its first run did", flush=True)
                return ExitCode.NOT_OBSERVED
            except KeyboardInterrupt:
                print("interrupted; repeat the command to continue", flush=True)
                return ExitCode.INTERRUPTED


def _search(
    wanted: Wanted,
    base: Scheduled,
    search: Search,
    player: LabPlayer,
    tried: Tried,
    folder: Path,
) -> ExitCode:
    refusals = player.refusals()
    first = next(iter(tried.of([])), None) or search.play([])
    if first.outcome == FAILED:
        raise LabError("the experiment fails without any further fault", hint=first.why)
    space = _space(base, folder / first.run, refusals.result())
    found = search.smallest(space, wanted.seed)
    search_report.print_coverage(space, tried.trials, wanted.confirmation, file=sys.stdout)
    if found is None:
        return _nothing_found(search, tried.trials)
    _write(wanted, base, found, tried, folder)
    return ExitCode.UNEXPECTED


def _nothing_found(search: Search, trials: Sequence[Trial]) -> ExitCode:
    print("no schedule was found that refutes the claim")
    if not search.is_complete:
        print("a limit ended the search: repeat the command to continue, or try another --seed")
    seen = any(trial.outcome in ("holds", "refuted") for trial in trials)
    return ExitCode.EXPECTED if seen else ExitCode.NOT_OBSERVED


def _write(wanted: Wanted, base: Scheduled, found: Schedule, tried: Tried, folder: Path) -> None:
    """Write what was found as an experiment, and print it."""
    trials = tried.of(found)
    refuting = [trial for trial in trials if trial.outcome == "refuted"]
    count = f"{len(refuting)} of {len(trials)} runs"
    sentences = [f"{fault}." for fault in found] or ["No fault is needed."]
    name = f"{base.experiment.name[: _LONGEST_NAME - len(_REFUTED)]}{_REFUTED}"
    place, made = folder / name, folder / f".{name}"
    about = "\n".join(
        [f"What refutes “{base.claim.statement}”", "", *sentences, "", f"It did in {count}."]
    )
    shutil.rmtree(made, ignore_errors=True)
    result = replace(base, schedule=found, about=about)
    scheduled.write(result, made, scheduled.copied)
    shutil.rmtree(place, ignore_errors=True)
    made.rename(place)
    print(f"✗ {base.claim.statement}")
    print(f"  refuted in {count}, by the smallest schedule found:")
    for sentence in sentences:
        print(f"    {sentence}")
    print(f"  {search_report.shown(refuting[0].why)}\n")
    print(f"experiment: {place}")
    print(f"run:        {folder / refuting[0].run}")
    again = replace(wanted.call, interval=None)  # the experiment has it
    print(f"again:      {again.command(str(place))}")


def _say(number: int, trial: Trial) -> None:
    faults = " + ".join(map(str, trial.schedule)) or "no fault"
    print(search_report.shown(f"run {number}: {trial.outcome}: {faults}"), flush=True)
    if trial.outcome == FAILED:
        say(search_report.shown(trial.why))


def _base(wanted: Wanted) -> Scheduled:
    """Return the experiment with the claim; LabError if there is none, or more than one."""
    name, _, claim = wanted.claim.rpartition(".")
    call = wanted.call
    if not call.experiment:
        call = replace(call, experiment=name or _only_with(claim))
    (experiment,) = experiments_of(call).values()
    if len(experiment.variants) > 1:
        raise LabError(
            f"{call.experiment} has several variants, each a run of its own",
            hint=f"choose one: --experiment {call.experiment}:{experiment.variants[0]}",
        )
    judges = {each.id: each for each in experiment.claims}
    if claim not in judges:
        raise LabError(
            f"{call.experiment} has no claim '{claim}'", hint=f"it has: {', '.join(judges)}"
        )
    return Scheduled(
        experiment=experiment,
        claim=judges[claim],
        schedule=[],
        count=experiment.count if call.count is None else call.count,
        interval=_INTERVAL_S if call.interval is None else call.interval,
    )


def _only_with(claim: str) -> str:
    """Return the lab's experiment that has a claim."""
    every = {name: catalogue.load(name) for name in catalogue.names()}
    having = [name for name, found in every.items() if any(c.id == claim for c in found.claims)]
    if len(having) == 1:
        return having[0]
    if not having:
        raise LabError(
            f"no experiment of the lab has a claim '{claim}'",
            hint="`fab claims` lists them; for one of your own, give --experiment FOLDER",
        )
    raise LabError(
        f"several experiments have a claim '{claim}'",
        hint=f"choose one: --experiment {having[0]}; there are {', '.join(having)}",
    )


def _id(wanted: Wanted, base: Scheduled) -> str:
    """Return a hash of all on which the results depend."""
    call = wanted.call
    code = fingerprint.code(base.experiment)
    whole = {
        "experiment": [base.experiment.name, base.experiment.variants, code],
        "claim": base.claim.id,
        "implementation": str(call.implementation),
        "machines": [call.provider, call.inventory.path.read_text()],
        "messages": [base.count, base.interval],
        "seed": wanted.seed,
    }
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:12]


def _labs(call: Call) -> int:
    """Return how many labs play at once: most runs wait for messages that never come."""
    labs = repeat.limit_of(call).labs
    return labs if labs == 1 else 2 * labs


def _space(base: Scheduled, first: Path, refusals: Mapping[str, str]) -> Space:
    """Return what can be drawn, by the run without faults and what its machines can do."""
    stored = store.load(first)
    plugin = provider_plugins.found().get(stored.description["provider"])
    of_machines = plugin.value.faults if plugin is not None and plugin.error is None else ()
    declared = [fault for fault in FAULTS if fault.scope is Scope.PROCESS or fault in of_machines]
    for fault in declared:
        if fault.name in refusals:
            say(search_report.shown(f"not drawn: {fault}: {refusals[fault.name]}"))
    possible = [fault for fault in declared if fault.name not in refusals]
    return space_of(stored, possible, base.interval)
