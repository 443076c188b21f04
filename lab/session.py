"""One call of `fab run-experiment`: machines up, one experiment after another, the verdicts."""

import contextlib
import secrets
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import catalogue, fitness, front, runner
from lab.errors import ExitCode, LabError, worst
from lab.experiment import Experiment
from lab.experiments import DEFAULT, ROLES
from lab.inventory import Inventory
from lab.providers import Machines
from lab.providers.choice import choose
from lab.remote import Remote
from lab.report.terminal import View
from lab.report.verdicts import show_verdicts
from lab.runner import Result, Wish

# A trigger's thread waits at most this long for the one that is painting; Python's own is 5 ms.
_SWITCH_S = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the user asked for, every value checked; `interval` in seconds."""

    experiment: str
    provider: str
    inventory: Inventory
    count: int | None
    interval: float | None
    options: Sequence[str]
    keep: bool
    packets: bool
    runs: Path

    def command(self, experiment: str) -> str:
        """Return the command line that repeats it, or one experiment of it."""
        words = ["./fab", "run-experiment"]
        words += ["--experiment", experiment] if experiment else []
        words += ["--provider", self.provider, "--inventory", str(self.inventory.path)]
        words += [] if self.count is None else ["--count", str(self.count)]
        words += [] if self.interval is None else ["--interval", str(self.interval)]
        words += [word for option in self.options for word in ("--set", option)]
        words += ["--capture"] if self.packets else []
        return shlex.join([*words, "--runs", str(self.runs)])


def quick_call(provider: str, inventory: str, runs: Path) -> Call:
    """Return the call that runs any of the lab's experiments as it is."""
    return Call(
        experiment="",
        provider=provider,
        inventory=front.inventory(inventory, ROLES),
        count=None,
        interval=None,
        options=(),
        keep=False,
        packets=False,
        runs=runs,
    )


def roles(experiment: str) -> Sequence[str]:
    """Return the roles that machines must have; a user's own experiment says so at its start."""
    return ROLES if not experiment or experiment in catalogue.names() else ()


def run(call: Call) -> ExitCode:
    """Run the experiments, all of them whatever one comes to; return the worst exit code."""
    names = [call.experiment] if call.experiment else DEFAULT
    found = {name: catalogue.load(name) for name in names}
    never_ran = not call.runs.exists()
    sys.setswitchinterval(_SWITCH_S)
    with connected(call) as (machines, remotes):
        results = run_all(call, found, machines, remotes)
    _show(call, results, never_ran)
    _make_pages(results)
    return worst(result.code for result in results)


@contextlib.contextmanager
def connected(call: Call) -> Iterator[tuple[Machines, dict[str, Remote]]]:
    """Give the machines that a call asks for, connected; LabError where one isn't fit."""
    provider = choose(call.provider, call.inventory, say)
    with provider.lab(keep=call.keep) as machines, runner.connected(machines) as remotes:
        if machines.foreign:
            fitness.require(remotes)
        yield machines, remotes


def run_all(
    call: Call,
    found: Mapping[str, Experiment],
    machines: Machines,
    remotes: dict[str, Remote],
) -> list[Result]:
    """Run experiments, by the names that the user gave them, on machines that are connected."""
    results: list[Result] = []
    call_id = secrets.token_hex(8)
    for name, experiment, variant in _parts(found):
        wish = Wish(
            experiment=experiment,
            variant=variant,
            count=call.count,
            interval=call.interval,
            options=call.options,
            packets=call.packets,
            call=call_id,
            command=call.command(name),
        )
        results.append(_run_seen(wish, machines, remotes, call.runs))
        if error := results[-1].error:
            front.show_error(error)
        if results[-1].code == ExitCode.INTERRUPTED:
            break
    return results


def _parts(found: Mapping[str, Experiment]) -> Iterator[tuple[str, Experiment, str]]:
    """Give each run's full name, its experiment and its variant."""
    for name, experiment in found.items():
        for variant in experiment.variants:
            full = f"{name.partition(':')[0]}:{variant}" if variant else name
            yield full, experiment, variant


def _run_seen(wish: Wish, machines: Machines, remotes: dict[str, Remote], runs: Path) -> Result:
    view = View(list(remotes))
    try:
        return runner.run(wish, machines, remotes, view, runs)
    finally:
        view.close()


def _show(call: Call, results: Sequence[Result], never_ran: bool) -> None:
    for result in results:
        if result.note:
            print(f"{result.path.name}: {result.note}")
    verdicts = [verdict for result in results for verdict in result.verdicts]
    if verdicts:
        show_verdicts(verdicts, file=sys.stdout)
        if never_ran:
            _greet_newcomer(verdicts)
    for result in results:
        print(f"run:   {result.path}")
    print(f"again: {call.command(call.experiment)}")


def _make_pages(results: Sequence[Result]) -> None:
    """Make the runs' pages, when all that the user waits for is on the screen.

    A page takes a tenth of a second; the first one of all, which fills the cache, 4 s more.
    """
    sys.stdout.flush()
    from lab.report import page

    for result in results:
        try:
            print(f"page:  {page.make(result.path)}")
        except LabError as error:
            front.show_error(error)


def _greet_newcomer(verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Say in three sentences what there was to see, and where to look next."""
    seen = next((v for v in verdicts if v["verdict"] == "holds"), None)
    refuted = next((v for v in verdicts if v["verdict"] == v["expected"] == "refuted"), None)
    print()
    if seen:
        print(f"What you saw: {seen['why']}")
    if refuted:
        print(f"One explanation was refuted, as known: “{refuted['statement']}” {refuted['why']}")
    print("Look next at the run's page, which tells each message's story: ./fab open\n")


def say(line: str) -> None:
    """Tell the user what isn't part of the result."""
    print(line, file=sys.stderr)
