"""One call of `fab run-experiment`, from its arguments to the verdicts."""

import contextlib
import importlib
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushpull.cli import arguments
from pushpull.cli.call import Call
from pushpull.core import parameters
from pushpull.core.errors import ExitCode, LabError, worst
from pushpull.core.project import COMMAND
from pushpull.experiments import DEFAULT, catalogue, implementations
from pushpull.machines import ssh_library
from pushpull.machines.providers.registry import choose

if TYPE_CHECKING:
    from pushpull.engine.experiment import Experiment
    from pushpull.engine.runner import Result
    from pushpull.machines.providers.base import Machines, Provider

# A trigger's thread waits at most this long for the painter's; Python's default is 5 ms.
_SWITCH_S = 0.0005


def run(call: Call, junit: Path | None = None) -> ExitCode:
    """Run the experiments, show their results, and return the worst exit code.

    The verdicts are also written to the file `junit`, as JUnit XML, if there is one.
    """
    never_ran = not call.runs.exists()
    results = run_all(call)
    _show(call, results, never_ran)
    if junit:
        _write_junit(results, junit)
    make_pages(results)
    return worst(result.code for result in results)


def _write_junit(results: "Sequence[Result]", file: Path) -> None:
    from pushpull.engine.judge import exit_code
    from pushpull.report import junit
    from pushpull.runs import store

    cases = []
    for result in results:
        cases += junit.of_verdicts(result.verdicts)
        if result.code != exit_code(result.verdicts):
            name = store.description(result.path)["experiment"]
            why = result.error or result.note or "the run was cut"
            cases.append(junit.of_spoiled(name, str(why)))
    junit.write(cases, file)


def experiments_of(call: Call, flag: str = "--set") -> "dict[str, Experiment]":
    """Return the experiments of a call, by the names that the user gave them.

    `flag` is where the user gave the settings, for messages.

    Raises:
        LabError: there is none, or the chosen implementation can't play it, or it has no such
            parameter.
    """
    names = [call.experiment] if call.experiment else DEFAULT
    found = {name: catalogue.load(name) for name in names}
    for experiment in found.values():
        parameters.given(experiment.parameters, call.options, experiment=experiment.name, flag=flag)
        implementations.require_playable(
            experiment, call.implementation, parameters.socket_options(call.options)
        )
    return found


def remark_settings(
    experiments: "Iterable[Experiment]", settings: Sequence[str], flag: str = "--set"
) -> None:
    """Say that programs of the user's own must see to socket options themselves, if there are."""
    options = parameters.socket_options(settings)
    if options and any(experiment.is_own for experiment in experiments):
        say(
            f"{flag} {' '.join(options)}: only the lab's own programs set it; yours find it in "
            "LAB_SET, see docs/own-experiment.md"
        )


def run_all(call: Call) -> "list[Result]":
    """Run all experiments, even if one fails."""
    found = experiments_of(call)
    remark_settings(found.values(), call.options)
    sys.setswitchinterval(_SWITCH_S)
    provider = choose(call.provider, call.inventory, say)
    # Importing this takes as long as bringing up the machines, so do both at once.
    threading.Thread(target=_import_the_rest, daemon=True).start()
    with _lab(call, provider) as machines:
        from pushpull.cli import run_series

        return run_series.run(call, found, machines)


def _import_the_rest() -> None:
    importlib.import_module("pushpull.cli.run_series")
    ssh_library.get_ready()
    importlib.import_module("pushpull.engine.request").git_revision()


@contextlib.contextmanager
def _lab(call: Call, provider: "Provider") -> Iterator["Machines"]:
    """Yield the lab; where a prompt may open, `fab ssh` finds it until the end of the block."""
    stays = call.stop_on_refuted and not call.keep and sys.stdin.isatty()
    if not (stays and provider.makes_machines and not provider.is_shared()):
        with provider.lab(keep=call.keep) as machines:
            yield machines
        return
    try:
        with provider.lab(keep=True) as machines:
            yield machines
    finally:
        provider.down()


def _show(call: Call, results: "Sequence[Result]", never_ran: bool) -> None:
    from pushpull.report.verdicts import show_verdicts

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


def make_pages(results: "Sequence[Result]") -> None:
    """Make the runs' pages, after everything that the user waits for is on the screen.

    A page takes a tenth of a second; the very first, which fills the cache, takes 4 s more.
    """
    sys.stdout.flush()
    from pushpull.report import page

    for result in results:
        try:
            print(f"page:  {page.make(result.path, catalogue.reader)}")
        except LabError as error:
            arguments.show_error(error)


def _greet_newcomer(verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Print in three sentences what there was to see, and where to look next."""
    seen = next((v for v in verdicts if v["verdict"] == "holds"), None)
    refuted = next((v for v in verdicts if v["verdict"] == v["expected"] == "refuted"), None)
    print()
    if seen:
        print(f"What you saw: {seen['why']}")
    if refuted:
        claim = f"“{refuted['statement']}”"
        print(f"One explanation was refuted (as expected): {claim} {refuted['why']}")
    print(f"Look next at the run's page, which traces every message: {COMMAND} open\n")


def say(line: str) -> None:
    """Print a remark that isn't part of the result."""
    print(line, file=sys.stderr)
