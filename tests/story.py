"""Runs for judges, without a lab: made message by message, or made from a recorded one."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pushpull.analysis.history import Run
from pushpull.core.records import Event, Record
from pushpull.engine.judge import judge
from pushpull.experiments import catalogue
from pushpull.experiments.judges.line_formats import read
from pushpull.runs.store import StoredRun, load

RECORDED = Path(__file__).parent / "recorded"
LEAVING = Path(__file__).parent / "recorded_leaving"
START = 1353761234.5
EXPERIMENTS = ("round_robin", "kill_worker", "rejoin_worker", "return_worker")
PUSH = ("push", "push")
MARKS = {"holds": "+", "refuted": "X", "not observed": "?"}


@dataclass(frozen=True, kw_only=True)
class Deal:
    """One message: the printed number, the sent number, when its send returned, the machine and
    process that printed it and how many times, and those that sent it."""

    printed: int
    sent: int
    at: float
    by: tuple[str, str]
    times: int = 1
    sender: tuple[str, str] = PUSH


def recorded(experiment: str) -> StoredRun:
    """A real run that came out as expected, without its logs."""
    return load(RECORDED / experiment)


def deals(run: StoredRun) -> list[Deal]:
    """Return the messages of a clean run, by its records."""
    seen = Run(run, read)
    by = {m.number: (m.machine, m.process) for m in seen.received}
    return [Deal(printed=n, sent=n, at=t, by=by[n]) for n, t in sorted(seen.dealt.items())]


def with_messages(run: StoredRun, messages: Iterable[Deal]) -> StoredRun:
    """The run with these messages instead of its own."""
    count: Counter[tuple[str, ...]] = Counter()

    def record(who: tuple[str, str], stream: str, t: float, text: str) -> Record:
        count[*who, stream] += 1
        return Record(machine=who[0], process=who[1], stream=stream, n=count[*who, stream] - 1,
                      t=t, text=text, offset=0, length=len(text))  # fmt: skip

    def lines(deal: Deal) -> Iterator[Record]:
        text = f"{deal.sent} , {deal.at}"
        trace = {"t": deal.at, "event": "sent", "number": deal.printed, "text": text}
        yield record(deal.sender, "stdout", deal.at, str(deal.printed))
        yield record(deal.sender, "stderr", deal.at, json.dumps(trace))
        for _ in range(deal.times):
            yield record(deal.by, "stdout", deal.at + 0.001, text)

    return replace(run, records=tuple(line for deal in messages for line in lines(deal)))


def renumbered(messages: Sequence[Deal], numbers: Iterable[tuple[int, int]]) -> list[Deal]:
    """The same turns with other numbers, printed and sent; further turns continue the last two."""
    every = list(messages)
    result = []
    for k, (printed, sent) in enumerate(numbers):
        if k == len(every):
            pause = every[-1].at - every[-2].at
            every.append(replace(every[-2], at=every[-1].at + pause))
        result.append(replace(every[k], printed=printed, sent=sent))
    return result


def event(name: str, t: float, who: tuple[str, str], **details: Any) -> Event:
    """An event `t` seconds after the first message of a run."""
    return Event(t=START + t, event=name, machine=who[0], process=who[1], details=details)


def puller(letter: str) -> tuple[str, str]:
    """`A` is pull-1, and so on; `a` is a second life of its program."""
    name = f"pull-{ord(letter.upper()) - ord('A') + 1}"
    return name, "pull" if letter.isupper() else "pull.2"


def run_of(
    order: str,
    connects: Mapping[str, float],
    *events: Event,
    interval: float = 0.05,
    count: int | None = None,
    cut_short: bool = False,
    uncertainty: float = 0.0,
) -> StoredRun:
    """Make a run from a few values.

    Arguments:
        order: the receivers of messages 0, 1, ...: a letter for each puller, `.` for none.
        connects: when each of them connected, in seconds after message 0.
        events: further events.
        interval: seconds between two messages.
        count: the planned number of messages, if not all of these.
        cut_short: whether the pusher was ended by the harness.
        uncertainty: that of each machine's clock, in seconds.
    """
    lives = sorted(connects, key=str.isupper)
    machines = sorted({puller(letter)[0] for letter in connects})
    by = "harness" if cut_short else "itself"
    happened = [
        *(event("start", -0.5, (machine, "pull")) for machine in machines),
        event("start", -0.3, PUSH),
        event("ready", -0.1, PUSH),
        *(event("connected", connects[letter], PUSH) for letter in lives),
        *(event("connected", connects[letter] + 0.0005, puller(letter)) for letter in lives),
        event("exit", len(order) * interval, PUSH, by=by, status=143 if cut_short else 0),
        *events,
    ]
    clock = {"offset_s": 0.0, "uncertainty_s": uncertainty}
    run = StoredRun(
        path=Path("runs/made"),
        state="interrupted" if cut_short else "finished",
        description={
            "parameters": {"count": len(order) if count is None else count},
            "clocks": dict.fromkeys(["push", *machines], clock),
        },
        records=(),
        events=tuple(happened),
        verdicts=None,
    )
    return with_messages(run, (
        Deal(printed=n, sent=n, at=START + n * interval, by=puller(letter), times=letter != ".")
        for n, letter in enumerate(order)
    ))  # fmt: skip


def killed(letter: str, t: float, noticed: float | None, took_s: float = 0.004) -> list[Event]:
    """A puller is gone `t` seconds after message 0, and the pusher's library notices (or not)."""
    who = puller(letter)
    fault = event("fault", t, who, fault="kill", verified=True, took_s=took_s)
    end = [] if noticed is None else [event("disconnected", noticed, PUSH)]
    return [fault, event("exit", t, who, by="fault", status=137), *end]


def outcomes(run: StoredRun, experiment: str) -> dict[str, str]:
    """The verdict on each claim of the experiment, by its id without the experiment's name."""
    verdicts = judge(run, catalogue.load(experiment), partial=False)
    return {v["id"].partition(".")[2]: v["verdict"] for v in verdicts}
