"""Run directories as a run would leave them, made from lines that the programs would print."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushpull.core.records import Event
from pushpull.engine.judge import judge
from pushpull.experiments import catalogue
from pushpull.runs import records_file, store
from pushpull.runs.capture import Capture
from pushpull.runs.directory import RunDirectory

# What a minimal run.json has besides what every run writes by itself.
LEAST = {"parameters": {"count": 20, "interval": 1.0}}
START = 1_795_508_000.0  # UNIX seconds
MACHINES = {"push": "pusher", "pull-1": "puller", "pull-2": "puller"}


class MadeRun:
    """A run that is being made; all times are seconds since its start, and must not go back.

    Arguments:
        root: the folder of all runs.
        experiment: one of the lab's; its claims judge the run.
        count: how many messages were planned.
    """

    def __init__(self, root: Path, experiment: str = "kill_worker", count: int = 12) -> None:
        told = catalogue.load(experiment)
        self.path: Path
        self._now = 0.0
        self._experiment = told
        self._run = RunDirectory.create(
            root,
            experiment,
            {
                "command": f"./fab run-experiment --experiment {experiment}",
                "summary": told.summary,
                "source": told.source,
                "parameters": {"count": count, "interval": 0.1, "options": []},
                "provider": "made",
                "environment": {"python": "3.11.7"},
                "inventory": {n: {"role": r, "address": "-"} for n, r in MACHINES.items()},
                "clocks": {n: {"offset_s": 0.0, "uncertainty_s": 0.0} for n in MACHINES},
            },
        )
        self.path = self._run.path
        capture = Capture(self._run, lambda _: None, clock=lambda: START + self._now)
        self._streams = {
            (name, stream): capture.open(name, "push" if role == "pusher" else "pull", stream)
            for name, role in MACHINES.items()
            for stream in ("stdout", "stderr")
        }

    def printed(self, t: float, machine: str, line: bytes, stream: str = "stdout") -> None:
        """A program printed a line."""
        self.wrote(t, machine, line + b"\n", stream)

    def wrote(self, t: float, machine: str, data: bytes, stream: str = "stdout") -> None:
        """A program wrote something, with or without the end of a line."""
        self._now = t
        self._streams[machine, stream].feed(data)

    def happened(self, t: float, event: str, machine: str, **details: Any) -> None:
        """Something happened."""
        process = "push" if machine == "push" else "pull"
        self._run.event(
            Event(t=START + t, event=event, machine=machine, process=process, details=details)
        )

    def sent(self, t: float, number: int) -> None:
        """The pusher printed a number, and its send returned."""
        self.printed(t, "push", b"%d" % number)
        self._traced(t, "push", "sent", number)

    def got(self, t: float, number: int, machine: str) -> None:
        """A puller received a message, and printed it."""
        self.printed(t, machine, b"%d , %.6f" % (number, START + t))
        self._traced(t, machine, "received", number)

    def begin(self) -> None:
        """All programs were started, and both pullers connected."""
        for name in ("pull-1", "pull-2", "push"):
            self.happened(0.0, "start", name)
        for k, name in enumerate(("pull-1", "pull-2")):
            self.happened(0.1 + k / 100, "connected", "push")
            self.happened(0.1 + k / 100, "connected", name)

    def end(self, t: float, status: int = 0) -> Path:
        """The pusher ended with an exit status, and the run was judged."""
        self.happened(t, "exit", "push", status=status, by="itself")
        for stream in self._streams.values():
            stream.close()
        verdicts = judge(store.load(self.path), self._experiment, partial=False)
        self._run.write_verdicts(verdicts)
        self._run.finish("finished")
        return self.path

    def _traced(self, t: float, machine: str, event: str, number: int) -> None:
        self.printed(t, machine, _trace(t, event, number), "stderr")


def _trace(t: float, event: str, number: int) -> bytes:
    return json.dumps({"t": START + t, "event": event, "number": number}).encode()


def of_format_1(run: Path) -> Path:
    """Turn a made run into one of the format that had every line in records.jsonl; return it."""
    records_file.write(store.load(run))
    for index in run.glob("*/*.index"):
        index.unlink()
    description = json.loads((run / "run.json").read_text())
    del description["format"]
    (run / "run.json").write_text(json.dumps(description))
    return run


def with_a_loss(root: Path) -> Path:
    """Make a run of 12 messages: 5 is lost at a kill of pull-1, 8 arrives 0.6 s late."""
    run = MadeRun(root)
    run.begin()
    late = iter([(1.65, 8)])
    for t, number in _every(12):
        run.sent(t, number)
        if number == 5:
            run.happened(t + 0.02, "disconnected", "push")
            run.happened(t + 0.03, "exit", "pull-1", status=137, by="fault")
            run.happened(
                t + 0.03, "fault", "pull-1", fault="kill", verified=True, took_s=0.02,
                trigger_to_effect_s=0.02,
            )  # fmt: skip
        elif number != 8:
            run.got(t + 0.001, number, "pull-1" if number % 2 and number < 5 else "pull-2")
    for t, number in late:
        run.got(t, number, "pull-2")
    return run.end(1.8)


def of_many(root: Path, count: int) -> Path:
    """Make a run of very many messages, every 10,000th of which is lost; in chunks, as captured."""
    run = MadeRun(root, "round_robin", count)
    run.begin()
    gap, taken = 0.0002, 0.0001
    for start in range(0, count, 1000):
        part = range(start, min(start + 1000, count))
        at = {number: 0.2 + gap * number for number in part}
        run.printed(at[start], "push", b"\n".join(b"%d" % n for n in part))
        traces = [_trace(t, "sent", n) for n, t in at.items()]
        run.printed(at[start], "push", b"\n".join(traces), "stderr")
        for k in (0, 1):
            came = {n: t + taken for n, t in at.items() if n % 2 == k and n % 10_000 != 9_999}
            lines = [b"%d , %.6f" % (n, START + t) for n, t in came.items()]
            traces = [_trace(t, "received", n) for n, t in came.items()]
            run.printed(at[start] + taken, f"pull-{k + 1}", b"\n".join(lines))
            run.printed(at[start] + taken, f"pull-{k + 1}", b"\n".join(traces), "stderr")
    return run.end(0.3 + count * gap)


def with_values(
    root: Path, quantities: Mapping[str, Sequence[float | None]], t: float = 0.2
) -> Path:
    """Make a run whose pullers trace the values of each quantity in turns, one in a millisecond."""
    run = MadeRun(root, "round_robin", 0)
    run.begin()
    longest = max(map(len, quantities.values()))
    for k in range(0, longest, 1000):
        lines: dict[str, list[bytes]] = {"pull-1": [], "pull-2": []}
        for place in range(k, min(k + 1000, longest)):
            said = {
                name: values[place] for name, values in quantities.items() if place < len(values)
            }
            trace = {"t": START + t + place / 1000, "event": "values", "values": said}
            lines[f"pull-{place % 2 + 1}"].append(json.dumps(trace).encode())
        for machine, ours in lines.items():
            if ours:
                run.printed(t + k / 1000, machine, b"\n".join(ours), "stderr")
    return run.end(t + longest / 1000)


def _every(count: int, interval: float = 0.1) -> Iterator[tuple[float, int]]:
    for number in range(count):
        yield 0.2 + number * interval, number
