"""Tasks about the machines, what is installed on them, and this computer."""

from invoke import Context, task

from pushpull.cli import arguments
from pushpull.cli.tasks import help_texts


@task(help={"provider": help_texts.PROVIDER, "inventory": help_texts.INVENTORY})
@arguments.exits
def up(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Bring the lab up until `fab down`."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.up(arguments.inventory(inventory), provider)


@task(help={"provider": help_texts.PROVIDER, "inventory": help_texts.INVENTORY})
@arguments.exits
def down(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Take down the lab that `fab up` or --keep left up."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.down(arguments.inventory(inventory), provider)


@task(help={"provider": help_texts.PROVIDER, "inventory": help_texts.INVENTORY})
@arguments.exits
def status(_: Context, provider: str = "auto", inventory: str = "") -> None:
    """Show each machine's address and state."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.status(arguments.inventory(inventory), provider)


@task(
    help={
        "machine": help_texts.MACHINE,
        "provider": help_texts.PROVIDER,
        "inventory": help_texts.INVENTORY,
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


@task(help={"provider": help_texts.PROVIDER, "inventory": help_texts.INVENTORY})
@arguments.exits
def check(_: Context, provider: str = "auto", inventory: str = "") -> int:
    """Check this computer and every machine; each problem comes with its cause and a fix."""
    from pushpull.machines import preflight

    return preflight.check(arguments.inventory(inventory), provider)


@task
@arguments.exits
def providers(_: Context) -> None:
    """List where machines can come from: name, one line, what `auto` does."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.providers()


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
def experiments(_: Context) -> None:
    """List the experiments: name, summary, source."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.experiments()


@task
@arguments.exits
def wheels(_: Context) -> None:
    """Fill provision/wheels/, for machines without internet access."""
    from pushpull.cli import lab_by_hand

    lab_by_hand.wheels()


@task(help={"quick": "only the part that takes under two minutes"})
@arguments.exits
def test(_: Context, quick: bool = False) -> int:  # noqa: PT028  # a task, not a test
    """Run the test suite: style, types and tests."""
    from pushpull.cli import test_suite

    return test_suite.run(quick=quick)
