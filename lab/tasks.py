"""The tasks of `fab`: each reads its flags, calls one function of the package and prints."""

from pathlib import Path

from fabric import task
from invoke import Context

from lab import front

_EXPERIMENT = "one experiment, by its name or your own's path; else the default ones"
_INVENTORY = "the file that names the machines (inventory.yaml)"
_MACHINE = "the machine's name, as in the inventory"
_PROVIDER = "where machines come from: auto, vagrant, namespaces, loopback or ssh"
_RUNS = "the folder of the run directories"


@task(
    help={
        "experiment": _EXPERIMENT,
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "count": "how many messages (20)",
        "interval": "seconds between two messages (1)",
        "set": "a socket option of the programs, as SNDHWM=1; may be given again",
        "keep": "leave the lab up afterwards",
        "capture": "record each machine's packets on the lab network, as pcap",
        "runs": _RUNS,
    },
    iterable=["set"],
)
@front.exits
def run_experiment(
    _: Context,
    experiment: str = "",
    provider: str = "auto",
    inventory: str = "",
    count: str = "",
    interval: str = "",
    set: list[str] | None = None,
    keep: bool = False,
    capture: bool = False,
    runs: str = "runs",
) -> int:
    """Run experiments on the machines, and judge their claims."""
    from lab import session

    call = session.Call(
        experiment=experiment,
        provider=provider,
        inventory=front.inventory(inventory, session.roles(experiment)),
        count=front.whole_number("--count", count),
        interval=front.seconds("--interval", interval),
        options=front.options("--set", set or []),
        keep=keep,
        packets=capture,
        runs=Path(runs),
    )
    return session.run(call)


@task(
    help={
        "experiment": "an experiment with variants",
        "repeat": "how many runs of each variant (5)",
        "at-once": "how many labs stand side by side (3)",
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "runs": _RUNS,
    }
)
@front.exits
def sweep(
    _: Context,
    experiment: str,
    repeat: str = "5",
    at_once: str = "3",
    provider: str = "auto",
    inventory: str = "",
    runs: str = "runs",
) -> int:
    """Run every variant of an experiment several times, and print one table."""
    from lab import sweep as sweeping

    wanted = sweeping.Sweep(
        experiment=experiment,
        provider=provider,
        inventory=front.inventory(inventory),
        repeat=sweeping.whole("--repeat", repeat, 1000),
        at_once=sweeping.whole("--at-once", at_once, 64),
        runs=Path(runs),
    )
    return sweeping.run(wanted)


@task(
    help={
        "run": "a run, by its name or path; else those of the last call",
        "against": "another run to compare it with",
        "runs": _RUNS,
    }
)
@front.exits
def compare(_: Context, run: str = "", against: str = "", runs: str = "runs") -> int:
    """Show a run's machines beside each other, or two runs (--against)."""
    from lab import by_hand

    if against:
        return by_hand.compare_runs(Path(runs), run or None, against)
    return by_hand.compare_machines(Path(runs), run or None)


@task(help={"provider": _PROVIDER, "inventory": _INVENTORY})
@front.exits
def up(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Bring the lab up by hand, to stay until `fab down`."""
    from lab import by_hand

    by_hand.up(front.inventory(inventory), provider)


@task(help={"provider": _PROVIDER, "inventory": _INVENTORY})
@front.exits
def down(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Take down the lab that `fab up` or --keep left up."""
    from lab import by_hand

    by_hand.down(front.inventory(inventory), provider)


@task(help={"provider": _PROVIDER, "inventory": _INVENTORY})
@front.exits
def status(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Show each machine's address and state."""
    from lab import by_hand

    by_hand.status(front.inventory(inventory), provider)


@task(help={"machine": _MACHINE, "provider": _PROVIDER, "inventory": _INVENTORY})
@front.exits
def ssh(_: Context, machine: str, provider: str = "auto", inventory: str = "") -> None:
    """Open a shell on a machine of the lab that is up."""
    from lab import by_hand

    by_hand.shell(front.inventory(inventory), provider, machine)


@task(help={"machine": _MACHINE, "run": "a run, by its name or path; else the last", "runs": _RUNS})
@front.exits
def logs(_: Context, machine: str, run: str = "", runs: str = "runs") -> None:
    """Print what a machine printed in a run, and follow it while the run goes on."""
    from lab import by_hand

    by_hand.logs(Path(runs), run or None, machine)


@task
@front.exits
def wheels(_: Context) -> None:
    """Fill provision/wheels/, for machines that can't reach the internet."""
    from lab import by_hand

    by_hand.wheels()


@task
@front.exits
def experiments(_: Context) -> None:
    """List what can be run: name, one line, its source."""
    from lab import by_hand

    by_hand.experiments()


@task(
    help={
        "experiment": "the claims of one experiment; else of all that come with the lab",
        "quick": "run what takes under two minutes first, and list only that",
        "json": "a file to write the list to, for machines",
        "junit": "a file to write it to in the XML that CI systems read",
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "runs": _RUNS,
    }
)
@front.exits
def claims(
    _: Context,
    experiment: str = "",
    quick: bool = False,
    json: str = "",
    junit: str = "",
    provider: str = "auto",
    inventory: str = "",
    runs: str = "runs",
) -> int:
    """List every claim with its last verdict: an evaluator's checklist."""
    from lab import checklist, session

    found = checklist.quick() if quick and not experiment else checklist.listed(experiment)
    if quick:
        checklist.run_quick(session.quick_call(provider, inventory, Path(runs)), found)
    return checklist.show(found, Path(runs), json=front.file(json), junit=front.file(junit))


@task(help={"path": "the folder to make; its name is the experiment's"})
@front.exits
def new_experiment(_: Context, path: str) -> None:
    """Make a first experiment of your own, that runs."""
    from lab import by_hand

    by_hand.new_experiment(Path(path))


@task(help={"provider": _PROVIDER, "inventory": _INVENTORY})
@front.exits
def check(_: Context, provider: str = "auto", inventory: str = "") -> int:
    """Say whether this computer and each machine is fit; if not, why and what to do."""
    from lab import fitness

    return fitness.check(front.inventory(inventory), provider)


@task(help={"quick": "only the part that takes under two minutes"})
@front.exits
def test(_: Context, quick: bool = False) -> int:  # noqa: PT028  # a task, not a test
    """Run the test suite: style, types and tests."""
    from lab import test_suite

    return test_suite.run(quick=quick)
