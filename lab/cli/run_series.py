"""Runs experiments one after another on machines that are up, and shows them on the terminal."""

import contextlib
import functools
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pushpull.cli import arguments, conformance, prompt
from pushpull.cli.call import Call
from pushpull.core import parameters
from pushpull.core.errors import ExitCode
from pushpull.engine import monitor, runner
from pushpull.engine.experiment import Experiment
from pushpull.engine.request import RunRequest
from pushpull.engine.runner import Result
from pushpull.experiments import (
    catalogue,
    expectations,
    fingerprint,
    implementations,
    run_here,
)
from pushpull.experiments.manifest import Manifest
from pushpull.machines import preflight, requirements
from pushpull.machines.pool import at_once, connected
from pushpull.machines.providers.base import Machines
from pushpull.machines.remote import Remote
from pushpull.report.live_view import View


class ClosableView(monitor.View, Protocol):
    """Where a run is shown, until it is closed."""

    def close(self) -> None: ...


def run(call: Call, found: Mapping[str, Experiment], machines: Machines) -> list[Result]:
    """Connect to the machines and run the experiments, keyed by the names that the user gave.

    If one fails, the others still run; Ctrl-C ends the series.
    """
    with connected_and_fit(machines) as remotes:
        require_programs(call, found, remotes)
        return run_connected(call, found, machines, remotes)


@contextlib.contextmanager
def connected_and_fit(machines: Machines) -> Iterator[dict[str, Remote]]:
    """Connect to machines; LabError if one is unsuitable for a run."""
    with connected(machines) as remotes:
        if machines.foreign:
            preflight.require(remotes)
        yield remotes


def require_programs(
    call: Call, found: Mapping[str, Experiment], remotes: Mapping[str, Remote]
) -> None:
    """Raise LabError if a machine lacks what the programs of these experiments need.

    Also if they are of an implementation that doesn't pass the conformance test.
    """
    for one in implementations.playing(found.values(), call.implementation):
        require_implementation(one, remotes)


def require_implementation(one: Manifest, remotes: Mapping[str, Remote]) -> None:
    """Raise LabError if a machine lacks what an implementation needs, or if it isn't conformant."""
    require = functools.partial(
        requirements.require,
        needs=one.needs,
        by=f"the implementation '{one.title}'",
        install=one.install,
        installation=one.installation,
    )
    at_once(requirements.different(remotes), require)
    conformance.require(one)


def run_connected(
    call: Call,
    found: Mapping[str, Experiment],
    machines: Machines,
    remotes: dict[str, Remote],
    *,
    view_of: Callable[[Sequence[str]], ClosableView] = View,
) -> list[Result]:
    """Like `run`, on machines that are connected already; show each run on a view of them."""
    results: list[Result] = []
    call_id = secrets.token_hex(8)
    for name, experiment, variant in _parts(found):
        if experiment.is_own:
            run_here.remember(experiment.file)
        request = RunRequest(
            experiment=expectations.applied(experiment, variant, call.implementation),
            programs=catalogue.programs(experiment, call.implementation),
            files=catalogue.files(experiment),
            code=fingerprint.of_run(experiment, call.implementation),
            implementation=str(call.implementation),
            variant=variant,
            count=call.count,
            interval=call.interval,
            options=parameters.socket_options(call.options),
            parameters=parameters.given(
                experiment.parameters, call.options, experiment=experiment.name
            ),
            packets=call.packets,
            call=call_id,
            command=call.command(name),
            sweep=call.sweep,
        )
        # Many runs without a view have no page each.
        meanwhile = _get_pages_ready if view_of is View else _do_nothing
        view = view_of(list(remotes))
        if call.stop_on_refuted:
            request = replace(request, when_broken=functools.partial(prompt.stop, view))
        results.append(_run_in_view(request, machines, remotes, call.runs, view, meanwhile))
        if error := results[-1].error:
            arguments.show_error(error)
        if results[-1].code == ExitCode.INTERRUPTED:
            break
    return results


def _parts(found: Mapping[str, Experiment]) -> Iterator[tuple[str, Experiment, str]]:
    """Yield each run's full name, its experiment and its variant."""
    for name, experiment in found.items():
        for variant in experiment.variants:
            full = f"{catalogue.split(name)[0]}:{variant}" if variant else name
            yield full, experiment, variant


def _run_in_view(
    request: RunRequest,
    machines: Machines,
    remotes: dict[str, Remote],
    runs: Path,
    view: ClosableView,
    meanwhile: Callable[[], None],
) -> Result:
    try:
        return runner.run(request, machines, remotes, view, runs, meanwhile=meanwhile)
    finally:
        view.close()


def _do_nothing() -> None: ...


def _get_pages_ready() -> None:
    from pushpull.report import page

    page.get_ready()
