"""The timeline of a run: how each message went from machine to machine, and what got in its way.

Pure functions of a run directory's content. All times are seconds since the run's first event, on
the harness's clock.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.analysis.event_text import EventDescriber, state
from lab.analysis.history import Run, joined
from lab.analysis.side_by_side import Row, SideBySide
from lab.core.records import Event
from lab.core.text import harmless
from lab.runs.store import StoredRun
from lab.runs.stored_records import times_of

LATE_S = 0.1  # a message that takes longer was held up somewhere

# What became of a message, with the words for the reader.
FATES = {
    "arrived": "arrived",
    "late": "arrived late",
    "lost": "lost: no machine printed it",
    "unknown": "unknown: the run ended first",
    "stuck": "printed, but its send never returned",
    "again": "arrived again",
    "unsent": "arrived, though no program printed that it was sent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message, from its sender to its receiver.

    Attributes:
        number: the message's number.
        by, to: the machines that sent and received it; "" for none.
        sent: when its send returned, else when its number was captured; None if never sent.
        got: when it was received, else when its line was captured; None if never received.
        fate: a key of FATES.
    """

    number: int
    by: str
    to: str
    sent: float | None
    got: float | None
    fate: str

    @property
    def latency_s(self) -> float | None:
        """Seconds from the send's return to the receipt, if both are known."""
        return None if self.sent is None or self.got is None else self.got - self.sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that lasted: a process's `life`, a `connection`, or a `fault` until its repair.

    `text` describes it; a fault also has a short `label`.
    """

    kind: str
    machine: str
    start: float
    end: float
    text: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened at one time; `kind` is the event's name."""

    kind: str
    machine: str
    t: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPeriod:
    """A time in which no connection came or went; `text` says which machines were connected."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The timeline of a run. `origin` is the UNIX time of second 0, `end` the last second."""

    origin: float
    end: float
    machines: tuple[str, ...]
    deliveries: tuple[Delivery, ...]
    spans: tuple[Span, ...]
    moments: tuple[Moment, ...]
    periods: tuple[ConnectionPeriod, ...]


def timeline(stored: StoredRun, run: Run, compared: SideBySide) -> Timeline:
    """Return the timeline of a run.

    Arguments:
        stored: any run, even one that was interrupted or printed nothing.
        run: the same run as judges see it.
        compared: its logs side by side, which match each receipt to its send.
    """
    times = [*times_of(stored.records), *(e.t for e in stored.events)]
    origin = min(times, default=stored.description["started"])
    end = max(times, default=origin) - origin
    events = sorted(stored.events, key=lambda event: event.t)
    moments = tuple(_moments(events, origin))
    spans = tuple(_spans(events, moments, run, end))
    return Timeline(
        origin=origin,
        end=end,
        machines=compared.machines,
        deliveries=tuple(_deliveries(run, compared.rows, origin)),
        spans=spans,
        moments=moments,
        periods=tuple(_connection_periods(spans, end)),
    )


def _deliveries(run: Run, rows: Sequence[Row], origin: float) -> Iterator[Delivery]:
    receipts: defaultdict[tuple[int, str], deque[float]] = defaultdict(deque)
    for message in run.taken:
        t = message.t - run.offsets.get(message.machine, 0.0)
        receipts[message.number, message.machine].append(t)
    traced = bool(run.dealt) and any(m.t != run.dealt.get(m.number) for m in run.sent)
    last_known = run.last_known
    sends = bool(run.sent)
    for row in rows:
        if row.number is None:
            continue
        first, last = row.records[0], row.records[-1]
        arrived = row.note != "nobody"
        departed = row.note not in ("again", "never sent")
        sent = run.dealt.get(row.number, first.t) - origin if departed else None
        traces = receipts[row.number, last.machine] if arrived else None
        got = (traces.popleft() if traces else last.t) - origin if arrived else None
        stuck = traced and row.number not in run.dealt
        known = row.number <= last_known
        yield Delivery(
            number=row.number,
            by=first.machine if departed else "",
            to=last.machine if arrived else "",
            sent=sent,
            got=got,
            # If no program reports what it sent, a receipt without a send is nothing odd.
            fate=_fate(row, sent, got, stuck=stuck, known=known) if sends else "arrived",
        )


def _fate(row: Row, sent: float | None, got: float | None, *, stuck: bool, known: bool) -> str:
    if sent is None:
        return "again" if row.note == "again" else "unsent"
    if got is None:
        return "stuck" if stuck else "lost" if known else "unknown"
    return "late" if got - sent >= LATE_S else "arrived"


def _spans(
    events: Sequence[Event], moments: Sequence[Moment], run: Run, end: float
) -> Iterator[Span]:
    """Yield everything that lasts; what is still there at the end of the run ends with it."""
    for k, (event, moment) in enumerate(zip(events, moments, strict=True)):
        stops = {"exit"}
        if event.event == "start":
            kind, text = "life", f"{harmless(event.process, 60)} runs"
        elif event.event == "connected" and event.machine not in run.senders:
            kind, text = "connection", "connected, as its library reports"
            stops.add("disconnected")
        elif event.event == "fault":
            kind, text = "fault", moment.text
            stops = {"repair"}
        else:
            continue
        over = end
        for later, ending in zip(events[k + 1 :], moments[k + 1 :], strict=True):
            same = kind == "fault" or later.process == event.process
            if later.event in stops and same and later.machine == event.machine:
                over = ending.t
                break
        # A partition is a fault of the machines on both sides.
        others = event.details.get("from", ()) if kind == "fault" else ()
        label = f"{event.machine}: {state(event)}" if kind == "fault" else ""
        for machine in (event.machine, *others):
            yield Span(kind=kind, machine=machine, start=moment.t, end=over, text=text, label=label)


def _moments(events: Sequence[Event], origin: float) -> Iterator[Moment]:
    describer = EventDescriber()
    for event in events:
        text = describer.describe(event) or _in_words(event)
        yield Moment(kind=event.event, machine=event.machine, t=event.t - origin, text=text)


def _in_words(event: Event) -> str:
    process = harmless(event.process, 60)
    match event.event:
        case "trigger":
            return f"{process} printed the line that triggers a fault"
        case "start":
            return f"{process} was started"
        case "ready":
            return f"{process} is ready"
        case "accepted":
            return f"{process} accepted a connection"
        case "connected":
            return f"{process} completed a handshake: it is connected"
        case "disconnected":
            return f"{process} lost a connection"
        case "dies":
            return f"{process} kills itself, as instructed"
        case "exit":
            return f"{process} ended"
    return f"{harmless(event.event, 60)} {process}"


def _connection_periods(spans: Sequence[Span], end: float) -> Iterator[ConnectionPeriod]:
    """Divide the run wherever a connection came or went."""
    links = [span for span in spans if span.kind == "connection"]
    cuts = sorted({0.0, end, *(t for link in links for t in (link.start, link.end))})
    for start, stop in pairwise(cuts if links else []):
        there = {s.machine for s in links if s.start <= start and s.end >= stop}
        names = [name for name in dict.fromkeys(s.machine for s in spans) if name in there]
        text = f"{joined(names)} were connected"
        if len(names) < 2:
            text = f"only {names[0]} was connected" if names else "nobody was connected"
        yield ConnectionPeriod(start=start, end=stop, text=text)
