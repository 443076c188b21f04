"""One experiment after another, each seen on the terminal, on machines that are up."""

import contextlib
import functools
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lab.cli import arguments
from lab.cli.call import Call
from lab.core.errors import ExitCode
from lab.engine import monitor, runner
from lab.engine.experiment import Experiment
from lab.engine.request import RunRequest
from lab.engine.runner import Result
from lab.experiments import catalogue, fingerprint, implementations
from lab.experiments.manifest import Manifest
from lab.machines import preflight, requirements
from lab.machines.pool import at_once, connected
from lab.machines.providers.base import Machines
from lab.machines.remote import Remote
from lab.report.live_view import View


class ClosableView(monitor.View, Protocol):
    """Where a run is shown, until it is closed."""

    def close(self) -> None: ...


def run(call: Call, found: Mapping[str, Experiment], machines: Machines) -> list[Result]:
    """Connect to the machines and run the experiments, by the names that the user gave them.

    All of them are run, whatever one comes to; but after Ctrl-C none.
    """
    with connected_and_fit(machines, call, found.values()) as remotes:
        return run_connected(call, found, machines, remotes)


@contextlib.contextmanager
def connected_and_fit(
    machines: Machines, call: Call, experiments: Iterable[Experiment]
) -> Iterator[dict[str, Remote]]:
    """Connect to machines; LabError where one isn't fit for a run, or lacks what programs need."""
    with connected(machines) as remotes:
        if machines.foreign:
            preflight.require(remotes)
        for one in implementations.playing(experiments, call.implementation):
            at_once(remotes, functools.partial(_require, one))
        yield remotes


def _require(implementation: Manifest, remote: Remote) -> None:
    requirements.require(
        remote,
        implementation.needs,
        by=f"the implementation '{implementation.name}'",
        install=implementation.install,
    )


def run_connected(
    call: Call,
    found: Mapping[str, Experiment],
    machines: Machines,
    remotes: dict[str, Remote],
    *,
    view_of: Callable[[Sequence[str]], ClosableView] = View,
) -> list[Result]:
    """Do as `run`, on machines that are connected already, and show each run on a view of them."""
    results: list[Result] = []
    call_id = secrets.token_hex(8)
    for name, experiment, variant in _parts(found):
        request = RunRequest(
            experiment=experiment,
            programs=catalogue.programs(experiment, call.implementation),
            files=catalogue.files(experiment),
            code=fingerprint.code(experiment),
            implementation=str(call.implementation),
            variant=variant,
            count=call.count,
            interval=call.interval,
            options=call.options,
            packets=call.packets,
            call=call_id,
            command=call.command(name),
        )
        results.append(_run_seen(request, machines, remotes, call.runs, view_of(list(remotes))))
        if error := results[-1].error:
            arguments.show_error(error)
        if results[-1].code == ExitCode.INTERRUPTED:
            break
    return results


def _parts(found: Mapping[str, Experiment]) -> Iterator[tuple[str, Experiment, str]]:
    """Give each run's full name, its experiment and its variant."""
    for name, experiment in found.items():
        for variant in experiment.variants:
            full = f"{catalogue.split(name)[0]}:{variant}" if variant else name
            yield full, experiment, variant


def _run_seen(
    request: RunRequest,
    machines: Machines,
    remotes: dict[str, Remote],
    runs: Path,
    view: ClosableView,
) -> Result:
    try:
        return runner.run(request, machines, remotes, view, runs, meanwhile=_get_pages_ready)
    finally:
        view.close()


def _get_pages_ready() -> None:
    from lab.report import page

    page.get_ready()
