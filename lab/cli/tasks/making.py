"""Tasks that make runs."""

from dataclasses import replace
from pathlib import Path

from invoke import Context, task

from pushpull.cli import arguments
from pushpull.cli.tasks import help_texts
from pushpull.core.errors import LabError


@task(
    help={
        "experiment": help_texts.EXPERIMENT,
        "implementation": "whose programs play: NAME, or sender=NAME,receiver=NAME (pyzmq)",
        "provider": help_texts.PROVIDER,
        "inventory": help_texts.INVENTORY,
        "count": "how many messages (20)",
        "interval": "seconds between two messages (1)",
        "set": "a socket option such as SNDHWM=1, or one of the experiment's parameters such as "
        "workers=5; may be repeated",
        "keep": "leave the lab up afterwards",
        "capture": "record each machine's packets on the lab network, as pcap",
        "repeat": "how often to run it; prints how often each claim held",
        "until": "decided: repeat it until each claim is decided, see docs/repeats.md",
        "runs": help_texts.RUNS,
        "stop-on-refuted": "when a `lab.always` breaks, keep all running and open a prompt",
        "junit": "a file to write the verdicts to, as the JUnit XML that CI systems read",
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
    stop_on_refuted: bool = False,
    junit: str = "",
) -> int:
    """Run experiments on the machines, and judge their claims."""
    from pushpull.cli.call import Call, inventory_for
    from pushpull.cli.run_experiment import run
    from pushpull.experiments import implementations

    call = Call(
        experiment=experiment,
        implementation=implementations.chosen(implementation),
        provider=provider,
        inventory=inventory_for(experiment, inventory),
        count=arguments.whole_number("--count", count),
        interval=arguments.seconds("--interval", interval),
        options=arguments.options("--set", set or []),
        keep=keep,
        packets=capture,
        runs=Path(runs),
        stop_on_refuted=stop_on_refuted,
    )
    if stop_on_refuted and (repeat or until):
        raise LabError(
            "--stop-on-refuted can't be combined with --repeat and --until",
            hint="leave one of them out",
        )
    if repeat or until:
        from pushpull.cli import repeat as repeating

        most, until_decided = repeating.wanted(repeat, until)
        return repeating.run(call, most, until_decided=until_decided, junit=arguments.file(junit))
    return run(call, arguments.file(junit))


@task(
    help={
        "experiment": "one experiment, by name or by your own folder",
        "vary": "a setting and its values, as interval=0.1,1 or ROLEs=2,5; may be repeated",
        "repeat": "how many runs of each combination (5)",
        "at-once": help_texts.AT_ONCE,
        "provider": help_texts.PROVIDER,
        "inventory": help_texts.INVENTORY,
        "runs": help_texts.RUNS,
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

    call = quick_call(provider, inventory, Path(runs), experiment)
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
        "experiments": "experiments, separated by commas; default: those that run by default",
        "implementations": "those to compare, NAME or SENDER+RECEIVER, separated by commas; "
        "default: all that are installed",
        "repeat": "how many runs of each combination (5)",
        "at-once": help_texts.AT_ONCE,
        "provider": help_texts.PROVIDER,
        "inventory": help_texts.INVENTORY,
        "runs": help_texts.RUNS,
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
        "provider": help_texts.PROVIDER,
        "inventory": help_texts.INVENTORY,
        "runs": help_texts.RUNS,
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
        "experiment": "one experiment, by name or by your own folder",
        "interval": "seconds between two messages (0.2)",
        "provider": help_texts.PROVIDER,
        "inventory": help_texts.INVENTORY,
        "runs": help_texts.RUNS,
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

    from pushpull.cli import quiz as asking
    from pushpull.cli.call import quick_call

    call = quick_call(provider, inventory, Path(runs))
    pause = arguments.seconds("--interval", interval)
    return asking.run(replace(call, experiment=experiment, interval=pause))


@task(
    help={
        "experiment": "the claims of one experiment; default: of all the lab's own",
        "quick": "first run what fits in two minutes, and list only that",
        "json": "a file to write the list to, as JSON",
        "junit": "a file to write the list to, as the JUnit XML that CI systems read",
        "provider": help_texts.PROVIDER,
        "inventory": help_texts.INVENTORY,
        "runs": help_texts.RUNS,
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
        "claim": "the claim to refute: its id, or EXPERIMENT.ID, as `fab claims` lists them",
        "experiment": "the experiment that is disturbed, by name or by your own folder",
        "seed": "from which schedules of faults are drawn (0)",
        "runs-limit": "how many runs it may make (as many as fit into the time)",
        "time-limit": "how many seconds it may take (600)",
        "interval": "seconds between two messages (0.02)",
        "confirm": "a schedule counts if it refutes the claim in so many of so many runs (4/5)",
        "provider": help_texts.PROVIDER,
        "inventory": help_texts.INVENTORY,
        "runs": help_texts.RUNS,
        "implementation": "whose programs play, as in run-experiment (pyzmq)",
    }
)
@arguments.exits
def search(
    _: Context,
    claim: str,
    experiment: str = "",
    seed: str = "0",
    runs_limit: str = "",
    time_limit: str = "600",
    interval: str = "",
    confirm: str = "4/5",
    provider: str = "auto",
    inventory: str = "",
    runs: str = "runs",
    implementation: str = "",
) -> int:
    """Look for the faults that refute a claim, and write the smallest as an experiment."""
    from pushpull.cli import search_flags
    from pushpull.cli.call import quick_call

    search_flags.require_hypothesis()
    from pushpull.cli import search as searching
    from pushpull.experiments import implementations

    call = quick_call(provider, inventory, Path(runs), experiment)
    call = replace(
        call,
        interval=arguments.seconds("--interval", interval),
        implementation=implementations.chosen(implementation),
    )
    wanted = searching.Wanted(
        call=call,
        claim=claim,
        seed=search_flags.seed(seed),
        confirmation=search_flags.confirmation(confirm),
        limits=search_flags.limits(runs_limit, time_limit),
    )
    return searching.run(wanted)


@task(help={"path": "the folder to create; its name becomes the experiment's"})
@arguments.exits
def new_experiment(_: Context, path: str) -> None:
    """Create a first experiment of your own that already runs."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.new_experiment(Path(path))
