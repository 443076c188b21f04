"""`fab run-experiment --repeat` and `--until decided`: the same experiments, many times."""

import contextlib
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from lab.analysis.tally import Tally, add
from lab.cli import run_series
from lab.cli.call import Call
from lab.cli.run_experiment import experiments_of, say
from lab.core.errors import ExitCode, LabError, worst
from lab.core.records import Event, Record
from lab.core.verdict import Outcome
from lab.engine.runner import Result
from lab.machines.providers.registry import choose
from lab.report.tallies import print_tallies

# A claim that always holds is decided after 116 runs, with three exceptions after some 300.
MOST_UNTIL_DECIDED = 500
_MOST = 100_000


class Silent:
    """Shows nothing of a single run."""

    def __init__(self, machines: Sequence[str]) -> None: ...

    def experiment(self, name: str, summary: str, seconds: float) -> None: ...

    def records(self, records: Sequence[Record]) -> None: ...

    def event(self, event: Event) -> None: ...

    def close(self) -> None: ...


def run(call: Call, most: int, *, until_decided: bool) -> ExitCode:
    """Run the experiments again and again on one lab, and say how often each claim held.

    Arguments:
        call: what the user asked for.
        most: how many times at most.
        until_decided: whether to end as soon as every claim is decided.

    Returns EXPECTED if every claim holds as often as it must, UNEXPECTED if one doesn't, and
    NOT_OBSERVED if the runs are too few to tell; or the code of the error that ended the runs.
    """
    tallies: dict[str, Tally] = {}
    ended_by: list[ExitCode] = []
    try:
        with contextlib.closing(_runs(call, most)) as runs:
            for results in runs:
                for result in results:
                    add(tallies, result.verdicts)
                ended_by = [r.code for r in results if r.error or r.code == ExitCode.INTERRUPTED]
                if ended_by or (until_decided and _all_decided(tallies.values())):
                    break
    except KeyboardInterrupt:
        ended_by = [ExitCode.INTERRUPTED]
    print()
    print_tallies(tallies, anytime=until_decided, file=sys.stdout)
    applicable = [tally for tally in tallies.values() if not tally.why_not_applicable]
    return worst(
        ended_by
        or [_code(tally.met(anytime=until_decided)) for tally in applicable]
        or [ExitCode.NOT_OBSERVED] * bool(tallies)
    )


def _runs(call: Call, most: int) -> Generator[list[Result], None, None]:
    """Run the experiments, give their results, and so on, on one lab."""
    found = experiments_of(call)
    with choose(call.provider, call.inventory, say).lab(keep=call.keep) as machines:  # noqa: SIM117
        with run_series.connected_and_fit(machines) as remotes:
            run_series.require_programs(call, found, remotes)
            for number in range(1, most + 1):
                results = run_series.run_connected(call, found, machines, remotes, view_of=Silent)
                print(f"run {number} of {most}: {_short(results)}", flush=True)
                yield results


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


def _short(results: Sequence[Result]) -> str:
    unexpected = [
        f"{verdict['id']} {verdict['verdict']}"
        for result in results
        for verdict in result.verdicts
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
