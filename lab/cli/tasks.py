"""The tasks of `fab`: each reads its flags, calls one function of the package and prints."""

from dataclasses import replace
from pathlib import Path

from fabric import task
from invoke import Context

from pushpull.cli import arguments

_EXPERIMENT = "one experiment, by name or by your own folder; without it, the default ones"
_INVENTORY = "the file that names the machines (inventory.yaml)"
_MACHINE = "the machine's name, as in the inventory"
_PROVIDER = "where machines come from: auto, or one of those that `fab providers` lists"
_AT_ONCE = "how many labs run side by side (as many as this computer carries)"
_RUN = "a run, by name or path; default: the last"
_RUNS = "the folder of the run directories"


@task(
    help={
        "experiment": _EXPERIMENT,
        "implementation": "whose programs play: NAME, or sender=NAME,receiver=NAME (pyzmq)",
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "count": "how many messages (20)",
        "interval": "seconds between two messages (1)",
        "set": "a socket option of the programs, such as SNDHWM=1; may be repeated",
        "keep": "leave the lab up afterwards",
        "capture": "record each machine's packets on the lab network, as pcap",
        "repeat": "how often to run it; prints how often each claim held",
        "until": "decided: repeat it until each claim is decided, see docs/repeats.md",
        "runs": _RUNS,
    },
    iterable=["set"],
)
@arguments.exits
def run_experiment(  # new flags come last: Invoke gives out the short ones in this order
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
    implementation: str = "",
    repeat: str = "",
    until: str = "",
) -> int:
    """Run experiments on the machines, and judge their claims."""
    from pushpull.cli.call import Call, roles
    from pushpull.cli.run_experiment import run
    from pushpull.experiments import implementations

    call = Call(
        experiment=experiment,
        implementation=implementations.chosen(implementation),
        provider=provider,
        inventory=arguments.inventory(inventory, roles(experiment)),
        count=arguments.whole_number("--count", count),
        interval=arguments.seconds("--interval", interval),
        options=arguments.options("--set", set or []),
        keep=keep,
        packets=capture,
        runs=Path(runs),
    )
    if repeat or until:
        from pushpull.cli import repeat as repeating

        most, until_decided = repeating.wanted(repeat, until)
        return repeating.run(call, most, until_decided=until_decided)
    return run(call)


@task(
    help={
        "experiment": "one experiment, by name or by your own folder",
        "vary": "a setting and its values, as interval=0.1,1 or pullers=2,5; may be repeated",
        "repeat": "how many runs of each combination (5)",
        "at-once": _AT_ONCE,
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "runs": _RUNS,
        "scheduler": "run it on the workers of this Dask scheduler: tcp://HOST:PORT",
    },
    iterable=["vary"],
)
@arguments.exits
def sweep(
    _: Context,
    experiment: str,
    vary: list[str] | None = None,
    repeat: str = "5",
    at_once: str = "",
    provider: str = "auto",
    inventory: str = "",
    runs: str = "runs",
    scheduler: str = "",
) -> int:
    """Run every variant of an experiment several times, and print one table."""
    from pushpull.cli import sweep as sweeping
    from pushpull.cli.call import quick_call

    if scheduler:
        from pushpull.cli.sweep_dask import require_scheduler

        require_scheduler(scheduler)

    call = replace(quick_call(provider, inventory, Path(runs)), experiment=experiment)
    wanted = sweeping.Sweep(
        call=call,
        vary=sweeping.varied(call, vary or []),
        repeat=sweeping.whole("--repeat", repeat, 1000),
        at_once=arguments.labs_at_once(at_once),
        scheduler=scheduler,
    )
    return sweeping.run(wanted)


@task(
    help={
        "experiments": "experiments, separated by commas; default: the article's",
        "implementations": "those to compare, NAME or SENDER+RECEIVER, separated by commas; "
        "default: all that are installed",
        "repeat": "how many runs of each combination (5)",
        "at-once": _AT_ONCE,
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "runs": _RUNS,
    },
)
@arguments.exits
def matrix(
    _: Context,
    experiments: str = "",
    implementations: str = "",
    repeat: str = "5",
    at_once: str = "",
    provider: str = "auto",
    inventory: str = "",
    runs: str = "runs",
) -> int:
    """Compare implementations: each claim, and what each way of leaving costs."""
    from pushpull.cli import matrix as comparing
    from pushpull.cli.call import quick_call
    from pushpull.cli.sweep import whole
    from pushpull.experiments import implementations as known

    campaign = comparing.MatrixCampaign(
        call=quick_call(provider, inventory, Path(runs)),
        experiments=comparing.experiments(arguments.words(experiments)),
        columns=comparing.columns(arguments.words(implementations) or known.titles()),
        repeat=whole("--repeat", repeat, 1000),
        at_once=arguments.labs_at_once(at_once),
    )
    return comparing.run(*comparing.installed(campaign, required=bool(implementations)))


@task(
    help={
        "file": "the author's table, YAML or CSV, see docs/reproduce.md",
        "at-once": "how many labs run side by side (as many as this computer carries)",
        "json": "a file to write the result to, as JSON",
        "junit": "a file to write the result to, as the JUnit XML that CI systems read",
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "runs": _RUNS,
    }
)
@arguments.exits
def reproduce(
    _: Context,
    file: str,
    at_once: str = "",
    json: str = "",
    junit: str = "",
    provider: str = "auto",
    inventory: str = "",
    runs: str = "runs",
) -> int:
    """Say which rows of an author's table the runs reproduce, and make those that are missing."""
    from pushpull.cli import reproduce as reproducing
    from pushpull.cli.call import quick_call

    return reproducing.run(
        quick_call(provider, inventory, Path(runs)),
        Path(file),
        at_once=arguments.labs_at_once(at_once),
        json=arguments.file(json),
        junit=arguments.file(junit),
    )


@task(
    help={
        "run": "a run, by name or path; default: all runs of the last call",
        "against": "another run to compare it with",
        "runs": f"{_RUNS}; if it has bundles, all of them are compared",
    }
)
@arguments.exits
def compare(_: Context, run: str = "", against: str = "", runs: str = "runs") -> int:
    """Show a run's machines side by side, compare two runs (--against), or many (--runs)."""
    from pushpull.cli import lab_by_hand
    from pushpull.runs import collection

    if against:
        return lab_by_hand.compare_runs(Path(runs), run or None, against)
    if not run and collection.is_collection(Path(runs)):
        from pushpull.cli import compare_many

        return compare_many.compare(Path(runs))
    return lab_by_hand.compare_machines(Path(runs), run or None)


@task(
    help={
        "run": f"{_RUN}; may be a packed run",
        "judge": "judge the run again first; this executes a packed run's own experiment",
        "runs": _RUNS,
    }
)
@arguments.exits
def report(_: Context, run: str = "", judge: bool = False, runs: str = "runs") -> int:
    """Make a run's page again, and print its path."""
    from pushpull.cli import show

    return show.report(Path(runs), run or None, again=judge)


@task(name="open", help={"run": _RUN, "runs": _RUNS})
@arguments.exits
def open_page(_: Context, run: str = "", runs: str = "runs") -> None:
    """Open a run's page in the browser."""
    from pushpull.cli import show

    show.open_page(Path(runs), run or None)


@task(help={"run": _RUN, "format": "svg or png", "runs": _RUNS})
@arguments.exits
def plot(_: Context, run: str = "", format: str = "svg", runs: str = "runs") -> None:
    """Write a run's charts as files, for papers and slides."""
    from pushpull.cli import show

    show.plot(Path(runs), run or None, format)


@task(help={"run": _RUN, "runs": _RUNS})
@arguments.exits
def records(_: Context, run: str = "", runs: str = "runs") -> None:
    """Write every line that a run captured to its records.jsonl, and say where that is."""
    from pushpull.cli import show

    show.records(Path(runs), run or None)


@task(help={"run": _RUN, "runs": _RUNS})
@arguments.exits
def bundle(_: Context, run: str = "", runs: str = "runs") -> None:
    """Pack a run into one file that can be judged again elsewhere, without a lab."""
    from pushpull.cli import show

    show.pack(Path(runs), run or None)


@task(help={"provider": _PROVIDER, "inventory": _INVENTORY})
@arguments.exits
def up(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Bring the lab up until `fab down`."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.up(arguments.inventory(inventory), provider)


@task(help={"provider": _PROVIDER, "inventory": _INVENTORY})
@arguments.exits
def down(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Take down the lab that `fab up` or --keep left up."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.down(arguments.inventory(inventory), provider)


@task(help={"provider": _PROVIDER, "inventory": _INVENTORY})
@arguments.exits
def status(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Show each machine's address and state."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.status(arguments.inventory(inventory), provider)


@task(
    help={
        "machine": _MACHINE,
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "command": "a command line to run there instead; or give it after --",
    }
)
@arguments.exits
def ssh(
    _: Context, machine: str, provider: str = "auto", inventory: str = "", command: str = ""
) -> int:
    """Open a shell on a machine of a lab that is up, or run a command there."""
    from pushpull.cli import lab_by_hand

    return lab_by_hand.shell(arguments.inventory(inventory), provider, machine, command)


@task(help={"machine": _MACHINE, "run": _RUN, "runs": _RUNS})
@arguments.exits
def logs(_: Context, machine: str, run: str = "", runs: str = "runs") -> None:
    """Print a machine's output in a run, and follow it while the run goes on."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.logs(Path(runs), run or None, machine)


@task
@arguments.exits
def wheels(_: Context) -> None:
    """Fill provision/wheels/, for machines without internet access."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.wheels()


@task
@arguments.exits
def experiments(_: Context) -> None:
    """List the experiments: name, summary, source."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.experiments()


@task(
    help={
        "install": "install this one, NAME or NAME@VERSION, for labs on this computer",
        "test": "try whether this one does what docs/program-protocol.md demands",
        "script": "print the script that installs this one on another machine: ... | ssh HOST sh",
    }
)
@arguments.exits
def implementations(_: Context, install: str = "", test: str = "", script: str = "") -> int:
    """List the implementations of the lab's programs; install or test one."""
    from pushpull.cli import conformance
    from pushpull.cli import implementations as listed

    if install:
        listed.install(install)
    if script:
        listed.print_script(script)
    if test:
        return conformance.test(test)
    if not install and not script:
        listed.print_all()
    return 0


@task
@arguments.exits
def providers(_: Context) -> None:
    """List where machines can come from: name, one line, what `auto` does."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.providers()


@task(
    help={
        "experiment": "the claims of one experiment; default: of all the lab's own",
        "quick": "first run what fits in two minutes, and list only that",
        "json": "a file to write the list to, as JSON",
        "junit": "a file to write the list to, as the JUnit XML that CI systems read",
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "runs": _RUNS,
    }
)
@arguments.exits
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
    from pushpull.cli import checklist
    from pushpull.cli.call import quick_call

    found = checklist.quick() if quick and not experiment else checklist.listed(experiment)
    if quick:
        checklist.run_quick(quick_call(provider, inventory, Path(runs)), found)
    return checklist.show(found, Path(runs), json=arguments.file(json), junit=arguments.file(junit))


@task(
    help={
        "experiment": "one experiment, by name or by your own folder",
        "interval": "seconds between two messages (0.2)",
        "provider": _PROVIDER,
        "inventory": _INVENTORY,
        "runs": _RUNS,
    }
)
@arguments.exits
def quiz(
    _: Context,
    experiment: str,
    interval: str = "0.2",
    provider: str = "auto",
    inventory: str = "",
    runs: str = "runs",
) -> int:
    """Predict each claim of an experiment, run it, and see where you were wrong."""
    from dataclasses import replace

    from pushpull.cli import quiz as asking
    from pushpull.cli.call import quick_call

    call = quick_call(provider, inventory, Path(runs))
    pause = arguments.seconds("--interval", interval)
    return asking.run(replace(call, experiment=experiment, interval=pause))


@task(help={"path": "the folder to create; its name becomes the experiment's"})
@arguments.exits
def new_experiment(_: Context, path: str) -> None:
    """Create a first experiment of your own that already runs."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.new_experiment(Path(path))


@task(help={"provider": _PROVIDER, "inventory": _INVENTORY})
@arguments.exits
def check(_: Context, provider: str = "auto", inventory: str = "") -> int:
    """Check this computer and every machine; each problem comes with its cause and a fix."""
    from pushpull.machines import preflight

    return preflight.check(arguments.inventory(inventory), provider)


@task(help={"quick": "only the part that takes under two minutes"})
@arguments.exits
def test(_: Context, quick: bool = False) -> int:  # noqa: PT028  # a task, not a test
    """Run the test suite: style, types and tests."""
    from pushpull.cli import test_suite

    return test_suite.run(quick=quick)
