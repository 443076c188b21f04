"""Tasks that show what runs found."""

from pathlib import Path

from invoke import Context, task

from pushpull.cli import arguments
from pushpull.cli.tasks import help_texts


@task(
    help={
        "run": "a run, by name or path, or a bundle's file; default: all runs of the last call",
        "against": "another run to compare it with, or a bundle's file",
        "runs": f"{help_texts.RUNS}; if it has bundles, all of them are compared",
        "experiment": "your own experiment's folder: bundles of it are judged by that",
    }
)
@arguments.exits
def compare(
    _: Context, run: str = "", against: str = "", runs: str = "runs", experiment: str = ""
) -> int:
    """Show a run's machines side by side, compare two runs (--against), or many (--runs)."""
    from pushpull.cli import lab_by_hand
    from pushpull.runs import collection

    if against:
        return lab_by_hand.compare_runs(Path(runs), run or None, against)
    if experiment or (not run and collection.is_collection(Path(runs))):
        from pushpull.cli import compare_many

        return compare_many.compare(Path(runs), experiment)
    return lab_by_hand.compare_machines(Path(runs), run or None)


@task(
    help={
        "run": f"{help_texts.RUN}; may be a packed run",
        "judge": "judge the run again first; this executes a packed run's own experiment",
        "runs": help_texts.RUNS,
    }
)
@arguments.exits
def report(_: Context, run: str = "", judge: bool = False, runs: str = "runs") -> int:
    """Make a run's page again, and print its path."""
    from pushpull.cli import show

    return show.report(Path(runs), run or None, again=judge)


@task(name="open", help={"run": help_texts.RUN, "runs": help_texts.RUNS})
@arguments.exits
def open_page(_: Context, run: str = "", runs: str = "runs") -> None:
    """Open a run's page in the browser."""
    from pushpull.cli import show

    show.open_page(Path(runs), run or None)


@task(help={"run": help_texts.RUN, "format": "svg or png", "runs": help_texts.RUNS})
@arguments.exits
def plot(_: Context, run: str = "", format: str = "svg", runs: str = "runs") -> None:
    """Write a run's charts as files, for papers and slides."""
    from pushpull.cli import show

    show.plot(Path(runs), run or None, format)


@task(help={"run": help_texts.RUN, "runs": help_texts.RUNS})
@arguments.exits
def records(_: Context, run: str = "", runs: str = "runs") -> None:
    """Write every line that a run captured to its records.jsonl, and say where that is."""
    from pushpull.cli import show

    show.records(Path(runs), run or None)


@task(help={"run": help_texts.RUN, "runs": help_texts.RUNS})
@arguments.exits
def bundle(_: Context, run: str = "", runs: str = "runs") -> None:
    """Pack a run into one file that can be judged again elsewhere, without a lab."""
    from pushpull.cli import show

    show.pack(Path(runs), run or None)


@task(help={"machine": help_texts.MACHINE, "run": help_texts.RUN, "runs": help_texts.RUNS})
@arguments.exits
def logs(_: Context, machine: str, run: str = "", runs: str = "runs") -> None:
    """Print a machine's output in a run, and follow it while the run goes on."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.logs(Path(runs), run or None, machine)


@task(
    help={
        "keep": "how many of the newest runs stay (20)",
        "yes": "remove the others, instead of only listing them",
        "runs": help_texts.RUNS,
    }
)
@arguments.exits
def clean(_: Context, keep: str = "20", yes: bool = False, runs: str = "runs") -> None:
    """List the runs that are older than the newest 20; with --yes, remove them."""
    from pushpull.cli import show

    show.clean(Path(runs), arguments.whole_number("--keep", keep) or 20, confirmed=yes)
