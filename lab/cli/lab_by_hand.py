"""Commands besides running: up, down, status, a shell; and for finished runs logs, comparisons."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from pushpull.cli import interrupts, warm_process
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.output import drawing
from pushpull.core.project import COMMAND
from pushpull.core.text import harmless
from pushpull.machines import provider_plugins
from pushpull.machines.inventory import Inventory
from pushpull.machines.providers import registry
from pushpull.machines.providers.registry import choose
from pushpull.runs import bundle, collection, following, store
from pushpull.runs.directory import MODULE
from pushpull.runs.store import StoredRun

_LONGEST_LINE = 300


def up(inventory: Inventory, provider: str) -> None:
    """Bring the lab up, and print its status."""
    chosen = choose(provider, inventory, _say)
    chosen.up()
    if folder := chosen.kept_in():
        warm_process.start(folder)
    status(inventory, provider)


def down(inventory: Inventory, provider: str) -> None:
    """Take the lab down, and print whether there was one."""
    chosen = choose(provider, inventory, _say)
    folder = chosen.kept_in()
    was_up = chosen.down()
    if folder:
        warm_process.wait_for_end(folder)
    print("the lab is down" if was_up else "no lab was up")


def status(inventory: Inventory, provider: str) -> None:
    """Print a line for each machine: name, role, address, state."""
    states = choose(provider, inventory, _say).status()
    for machine in inventory.machines:
        state = states.get(machine.name, "unknown")
        print(f"{machine.name:12} {', '.join(machine.roles):10} {machine.address:16} {state}")


def shell(inventory: Inventory, provider: str, name: str, command: str = "") -> int:
    """Open a shell on a machine, or run a command line there, whose exit status is returned.

    Raises LabError if no lab is up.
    """
    from pushpull.machines.remote import Remote

    inventory.machine(name)
    chosen = choose(provider, inventory, _say)
    if not command and chosen.own_shell(name):
        return 0
    if chosen.status()[name] == "not up":
        raise LabError("no lab is up", where=f"machine {name}", hint="bring one up: fab up")
    if not command and not sys.stdin.isatty():
        raise LabError(
            "a shell needs a terminal",
            where="standard input",
            hint="run it in a terminal, or give a command, such as -- sh to run what is piped in",
        )
    with chosen.look() as machines:
        remote = Remote(machines.access[name])
        # The shell owns the terminal and gets every Ctrl-C; SIGTERM or a closed terminal ends it.
        with interrupts.closing(remote.close), contextlib.redirect_stdout(drawing(sys.stdout)):
            if command:
                return remote.call(command)
            remote.shell()
            return 0


def logs(root: Path, run: str | None, machine: str) -> None:
    """Print a machine's output in a run, escaped; if the run goes on, follow it to its end."""
    path = store.find(root, run)
    stored = store.load(path)
    if machine not in stored.description.get("inventory", {}):
        raise LabError(f"there is no machine '{machine}' in this run", where=str(path))
    ended = following.end_of(path)
    if stored.state != "running":
        ended.wait()  # returns at once: no process holds the lock
    printed = False
    for line in following.lines(path / machine, until=ended):
        printed = True
        print(harmless(line, _LONGEST_LINE), flush=True)
    if not printed:
        print(f"{machine} printed nothing in this run: {path}", file=sys.stderr)


def compare_machines(root: Path, run: str | None) -> ExitCode:
    """Print a run's machines side by side; without a name, for each run of the last call."""
    from pushpull.analysis.side_by_side import side_by_side
    from pushpull.experiments import catalogue
    from pushpull.report.compare_text import print_side_by_side

    for name in [run] if run else map(str, store.last_call(root)):
        with _opened(root, name) as (stored, _):
            summary = str(stored.description.get("summary", stored.description["experiment"]))
            print(
                f"{name if bundle.is_bundle(name) else stored.path}: "
                f"{harmless(summary, _LONGEST_LINE)}"
            )
            print_side_by_side(side_by_side(stored, catalogue.reader(stored)), file=sys.stdout)
    return ExitCode.EXPECTED


def compare_runs(root: Path, run: str | None, against: str) -> ExitCode:
    """Print how two runs differ, and make a page of both; UNEXPECTED if their verdicts differ."""
    from pushpull.analysis.history import Run
    from pushpull.analysis.quantities import quantities
    from pushpull.analysis.side_by_side import differences
    from pushpull.experiments import catalogue
    from pushpull.report import compare_page
    from pushpull.report.compare_text import print_differences, print_values

    with _opened(root, run) as (one, folder), _opened(root, against) as (other, _):
        found = differences(one, other)
        print_differences(found, file=sys.stdout)
        measured = [quantities(Run(each, catalogue.reader(each)).values) for each in (one, other)]
        print_values(*measured, file=sys.stdout)
        print(f"\npage:  {compare_page.make(one, other, catalogue.reader, folder)}")
    return ExitCode.UNEXPECTED if found.verdicts_differ else ExitCode.EXPECTED


@contextlib.contextmanager
def _opened(root: Path, run: str | None) -> Iterator[tuple[StoredRun, Path]]:
    """Give a run, packed or not, and the folder for pages about it: a bundle's is where that is.

    Raises:
        LabError: there is none, or it can't be read.
    """
    if run is not None and bundle.is_bundle(run):
        source = collection.Source(run, Path(run))
        with source.opened() as stored:
            yield stored, source.path.parent
    else:
        path = store.find(root, run)
        yield store.load(path), path


def wheels() -> None:
    """Download the packages that provisioning installs, and print their paths."""
    from pushpull.machines import offline_packages as packages

    for path in packages.fetch():
        print(path)


def experiments() -> None:
    """Print each experiment's name, summary and source."""
    from pushpull.experiments import catalogue

    for name in catalogue.names():
        experiment = catalogue.load(name)
        print(f"{name}\n    {experiment.summary}\n    {experiment.source}")


def providers() -> None:
    """Print where machines can come from: name, one line."""
    print(f"auto\n    {', else '.join(registry.order_of_auto())}")
    for plugin in provider_plugins.found().values():
        origin = f" ({plugin.origin})" if plugin.origin else ""
        about = f"can't be used: {plugin.error.what}" if plugin.error else plugin.value.summary
        print(harmless(f"{plugin.name}{origin}", _LONGEST_LINE))
        print(harmless(f"    {about}", _LONGEST_LINE))


def new_experiment(path: Path) -> None:
    """Create a first experiment in a new folder, and print how to run it."""
    from pushpull.experiments import catalogue, user_folder

    user_folder.create(path, catalogue.names())
    print(f"made:  {path / MODULE}, and the program that it starts")
    print(f"run:   {shlex.join([COMMAND, 'run-experiment', '--experiment', str(path)])}")
    print("learn: docs/own-experiment.md, and docs/chapters")


def _say(line: str) -> None:
    print(line, file=sys.stderr)
