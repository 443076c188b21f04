"""A process that makes the runs of a sweep, one after another, on labs of its own.

It is forked by the nursery, and keeps its labs up between runs: one for each inventory that the
runs need. Its connection brings an `Order`, then a `Cell` or `WhichFaults` at a time; it answers
each by an `Answer`. When the connection ends, the sweep has ended in whatever way, and the
worker interrupts its run.
"""

import contextlib
import functools
import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection

from pushpull.analysis.campaign import Cell
from pushpull.cli import run_series
from pushpull.cli.call import Call, with_setting
from pushpull.cli.capacity import Processors
from pushpull.cli.silent_view import Silent
from pushpull.core.errors import ExitCode, LabError
from pushpull.engine.experiment import Experiment
from pushpull.engine.runner import Result
from pushpull.experiments import catalogue
from pushpull.machines import capabilities, requirements
from pushpull.machines.inventory import resized
from pushpull.machines.pool import at_once
from pushpull.machines.providers.base import Machines
from pushpull.machines.providers.registry import choose
from pushpull.machines.remote import Remote
from pushpull.runs import store

_Lab = tuple[Machines, dict[str, Remote]]


class WhichFaults:
    """Asks why faults of networks and clocks are impossible on the machines of the order."""


Request = Cell | WhichFaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a run.

    Attributes:
        code: its exit code.
        directory: where it is, empty if there is none.
        said: the message of its error, or a note on it.
        failed: whether it has an error, so that it says nothing about its claims.
        busy: the share of the processors' time that was used while it lasted.
        late_s: how late the computer let it be, in seconds.
        disturbed: whether that was too late.
        remarks: what the provider said meanwhile.
        refusals: instead of a run, by the name of each impossible fault, why it is.
    """

    code: ExitCode
    directory: str = ""
    said: str = ""
    failed: bool = False
    busy: float = 1.0
    late_s: float = 0.0
    disturbed: bool = False
    remarks: tuple[str, ...] = ()
    refusals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The first message to a worker.

    Attributes:
        call: what each run is, but for what its cell says.
        sweep: the sweep's id, for run.json; empty if the runs belong to none.
    """

    call: Call
    sweep: str


def main(connection: Connection) -> None:
    """Serve until the connection ends; an unexpected exception is a bug."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        _Worker(connection.recv(), connection).serve()


class _Worker:
    def __init__(self, order: Order, connection: Connection) -> None:
        self._call = order.call
        self._sweep = order.sweep
        self._connection = connection
        self._cells: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._labs: dict[str, _Lab] = {}
        self._fit: set[tuple[str, ...]] = set()
        self._remarks: list[str] = []
        self._processors = Processors()
        threading.Thread(target=self._take_cells, daemon=True).start()

    def serve(self) -> None:
        """Make the ordered runs; after a run with an error, on new machines."""
        cell = self._cells.get()
        while cell is not None:
            with contextlib.ExitStack() as up:
                self._labs.clear()
                self._fit.clear()
                for one in self._from(cell):
                    answer = self._answer_to(one, up)
                    self._send(answer)
                    if answer.failed:
                        break
            cell = self._cells.get()

    def _from(self, cell: Request) -> Iterator[Request]:
        yield cell
        while (following := self._cells.get()) is not None:
            yield following
        self._cells.put(None)  # for `serve`

    def _answer_to(self, cell: Request, up: contextlib.ExitStack) -> Answer:
        try:
            if isinstance(cell, WhichFaults):
                return Answer(code=ExitCode.EXPECTED, refusals=self._refusals(up))
            return self._described(self._play(cell, up))
        except LabError as error:  # the machines don't come up: that is this run's result
            return Answer(code=ExitCode.MISTAKE, said=str(error), failed=True)

    def _refusals(self, up: contextlib.ExitStack) -> Mapping[str, str]:
        machines, remotes = self._lab(self._call, up)
        refuse = functools.partial(capabilities.refusals, machines)
        each = at_once(requirements.different(remotes), refuse)
        return {fault.name: why for found in each.values() for fault, why in found.items()}

    def _play(self, cell: Cell, up: contextlib.ExitStack) -> Result:
        sweep = {"id": self._sweep, "cell": str(cell)} if self._sweep else None
        call = replace(self._call, sweep=sweep)
        for name, value in cell.settings:
            call = with_setting(call, name, value)
        full = ":".join(filter(None, [cell.experiment or call.experiment, cell.variant]))
        found = {full: catalogue.load(full)}
        machines, remotes = self._lab(call, up)
        self._processors = Processors()
        self._require_programs(call, found, remotes)
        (result,) = run_series.run_connected(call, found, machines, remotes, view_of=Silent)
        return result

    def _require_programs(
        self, call: Call, found: Mapping[str, Experiment], remotes: Mapping[str, Remote]
    ) -> None:
        """Raise NotFit if a machine lacks what these programs need; a lab is asked only once."""
        question = (call.inventory.digest, str(call.implementation), *found)
        if question not in self._fit:
            run_series.require_programs(call, found, remotes)
            self._fit.add(question)

    def _lab(self, call: Call, up: contextlib.ExitStack) -> _Lab:
        """Return the lab of a call's inventory; bring it up if it isn't."""
        if call.inventory.digest not in self._labs:
            if call.inventory is not self._call.inventory:
                resized.write(call.inventory)
            provider = choose(call.provider, call.inventory, self._remarks.append)
            machines = up.enter_context(provider.lab(keep=call.keep))
            remotes = up.enter_context(run_series.connected_and_fit(machines))
            self._labs[call.inventory.digest] = machines, remotes
        return self._labs[call.inventory.digest]

    def _described(self, result: Result) -> Answer:
        disturbance = {}
        with contextlib.suppress(LabError):  # a spoiled run may be unreadable
            disturbance = store.description(result.path).get("disturbance", {})
        late = [disturbance.get(name, 0.0) for name in ("harness_late_s", "suspended_s")]
        remarks, self._remarks[:] = tuple(self._remarks), []
        return Answer(
            code=result.code,
            directory=str(result.path),
            said=str(result.error or result.note),
            failed=result.error is not None,
            busy=self._processors.busy(),
            late_s=max(*late, *disturbance.get("machines_late_s", {}).values()),
            disturbed=bool(disturbance.get("disturbed")),
            remarks=remarks,
        )

    def _send(self, answer: Answer) -> None:
        with contextlib.suppress(OSError):  # the sweep is gone, and this process ends too
            self._connection.send(answer)

    def _take_cells(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._cells.put(self._connection.recv())
        self._cells.put(None)
        os.kill(os.getpid(), signal.SIGINT)
