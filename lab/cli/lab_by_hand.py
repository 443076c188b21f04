"""The lab by hand: up, down, status, a shell; and what runs left: logs, comparisons."""

import contextlib
import shlex
import sys
from pathlib import Path

from lab.analysis.side_by_side import differences, side_by_side
from lab.cli import interrupts
from lab.core.errors import ExitCode, LabError
from lab.core.output import drawing
from lab.core.text import harmless
from lab.experiments import catalogue, user_folder
from lab.machines import provider_plugins
from lab.machines.inventory import Inventory
from lab.machines.providers import registry
from lab.machines.providers.registry import choose
from lab.report.compare_text import print_differences, print_side_by_side
from lab.runs import following, store
from lab.runs.directory import MODULE

_LONGEST_LINE = 300


def up(inventory: Inventory, provider: str) -> None:
    """Bring the lab up, and say what is up."""
    choose(provider, inventory, _say).up()
    status(inventory, provider)


def down(inventory: Inventory, provider: str) -> None:
    """Take the lab down, and say whether there was one."""
    was_up = choose(provider, inventory, _say).down()
    print("the lab is down" if was_up else "no lab was up")


def status(inventory: Inventory, provider: str) -> None:
    """Print a line for each machine: name, role, address, state."""
    states = choose(provider, inventory, _say).status()
    for machine in inventory.machines:
        state = states.get(machine.name, "unknown")
        print(f"{machine.name:12} {machine.role:10} {machine.address:16} {state}")


def shell(inventory: Inventory, provider: str, name: str) -> None:
    """Give the user a shell on a machine of the lab that is up; LabError if it isn't."""
    from lab.machines.remote import Remote

    inventory.machine(name)
    chosen = choose(provider, inventory, _say)
    if chosen.own_shell(name):
        return
    if chosen.status()[name] == "not up":
        raise LabError("no lab is up", where=f"machine {name}", hint="bring one up: fab up")
    if not sys.stdin.isatty():
        raise LabError(
            "there is no terminal to open a shell on",
            where="standard input",
            hint="call it on a terminal; programs are started by an experiment: fab new-experiment",
        )
    with chosen.lab(keep=True) as machines:
        remote = Remote(machines.access[name])
        # The shell draws on the terminal and gets each Ctrl-C; a kill or a closed terminal ends it.
        with interrupts.closing(remote.close), contextlib.redirect_stdout(drawing(sys.stdout)):
            remote.shell()


def logs(root: Path, run: str | None, machine: str) -> None:
    """Print a machine's lines of a run, harmless ones; while it goes on, follow it to its end."""
    path = store.find(root, run)
    stored = store.load(path)
    if machine not in stored.description.get("inventory", {}):
        raise LabError(f"there is no machine '{machine}' in this run", where=str(path))
    ended = following.end_of(path)
    if stored.state != "running":
        ended.wait()  # nobody holds it
    printed = False
    for line in following.lines(path / machine, until=ended):
        printed = True
        print(harmless(line, _LONGEST_LINE), flush=True)
    if not printed:
        print(f"nothing was printed on {machine} in this run: {path}", file=sys.stderr)


def compare_machines(root: Path, run: str | None) -> ExitCode:
    """Print the machines of a run beside each other; without one, those of the last call's runs."""
    for path in [store.find(root, run)] if run else store.last_call(root):
        stored = store.load(path)
        summary = str(stored.description.get("summary", stored.description["experiment"]))
        print(f"{path}: {harmless(summary, _LONGEST_LINE)}")
        print_side_by_side(side_by_side(stored, catalogue.reader(stored)), file=sys.stdout)
    return ExitCode.EXPECTED


def compare_runs(root: Path, run: str | None, against: str) -> ExitCode:
    """Print where two runs differ, and make a page of both; UNEXPECTED if their verdicts do."""
    from lab.report import compare_page

    one, other = (store.load(store.find(root, name)) for name in (run, against))
    found = differences(one, other)
    print_differences(found, file=sys.stdout)
    print(f"\npage:  {compare_page.make(one, other, catalogue.reader)}")
    return ExitCode.UNEXPECTED if found.verdicts_differ else ExitCode.EXPECTED


def wheels() -> None:
    """Fetch what provisioning installs, and name it."""
    from lab.machines import offline_packages as packages

    for path in packages.fetch():
        print(path)


def experiments() -> None:
    """Print what can be run: name, one line, its source."""
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
    """Make a first experiment in a new folder, and say how to run it."""
    user_folder.create(path, catalogue.names())
    print(f"made:  {path / MODULE}, and the program that it starts")
    print(f"run:   {shlex.join(['./fab', 'run-experiment', '--experiment', str(path)])}")
    print("learn: docs/own-experiment.md, and docs/chapters")


def _say(line: str) -> None:
    print(line, file=sys.stderr)
