"""A process that makes runs of a sweep, one after another, on its own lab.

`python -m lab.cli.sweep_worker JSON`: the argument has `experiment`, `provider`, `inventory` and
`runs`. Each line of standard input orders one run: a JSON object with `variant`, `settings` and
`sweep`, which goes into run.json. The answer is a line on standard output: the exit `code`, the
run's `directory` and, in `said`, the message of an error. When standard input ends, the sweep has
ended in whatever way, and the worker interrupts its run.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from lab.cli import run_series
from lab.cli.call import Call, with_setting
from lab.cli.repeat import Silent
from lab.cli.run_experiment import say
from lab.core.errors import ExitCode, LabError
from lab.engine.runner import Result
from lab.experiments import catalogue
from lab.experiments.implementations import Choice
from lab.machines.inventory import load
from lab.machines.providers.registry import choose

Order = Mapping[str, Any]


def main() -> None:
    """Serve until standard input ends; an unexpected exception is a bug, and ends the process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    worker = _Worker(json.loads(sys.argv[1]), sys.stdout)
    with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stdout(sys.stderr):
        worker.serve()


class _Worker:
    def __init__(self, wanted: Mapping[str, str], answers: TextIO) -> None:
        self._wanted = wanted
        self._answers = answers
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._call = Call(
            experiment=wanted["experiment"],
            implementation=Choice(),
            provider=wanted["provider"],
            inventory=load(Path(wanted["inventory"])),
            count=None,
            interval=None,
            options=(),
            keep=False,
            packets=False,
            runs=Path(wanted["runs"]),
        )
        threading.Thread(target=self._take_orders, daemon=True).start()

    def serve(self) -> None:
        """Make the ordered runs; after a run with an error, on new machines."""
        while (order := self._orders.get()) is not None:
            try:
                self._play_from(order)
            except LabError as error:  # the machines don't come up: that is this run's result
                self._answer(ExitCode.MISTAKE, None, str(error))

    def _play_from(self, order: Order) -> None:
        """Make this run and the following ones on one lab, until one has an error."""
        provider = choose(self._call.provider, self._call.inventory, say)
        with provider.lab(keep=False) as machines:  # noqa: SIM117
            with run_series.connected_and_fit(machines) as remotes:
                for each in self._from(order):
                    call = replace(self._call, sweep=each["sweep"])
                    for name, value in each["settings"].items():
                        call = with_setting(call, name, value)
                    full = ":".join(filter(None, [call.experiment, each["variant"]]))
                    found = {full: catalogue.load(full)}
                    run_series.require_programs(call, found, remotes)
                    (result,) = run_series.run_connected(
                        call, found, machines, remotes, view_of=Silent
                    )
                    self._answer_with(result)
                    if result.error:
                        return

    def _from(self, order: Order) -> Iterator[Order]:
        yield order
        while (order_or_end := self._orders.get()) is not None:
            yield order_or_end
        self._orders.put(None)  # for `serve`

    def _answer_with(self, result: Result) -> None:
        self._answer(result.code, str(result.path), str(result.error or result.note))

    def _answer(self, code: ExitCode, directory: str | None, said: str) -> None:
        answer = {"code": code, "directory": directory, "said": said}
        with contextlib.suppress(BrokenPipeError):  # the sweep is gone, and this process ends too
            print(json.dumps(answer), file=self._answers, flush=True)

    def _take_orders(self) -> None:
        for line in sys.stdin:
            self._orders.put(json.loads(line))
        self._orders.put(None)
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
