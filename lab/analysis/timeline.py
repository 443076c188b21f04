"""The timeline of a run: how each message went from machine to machine, and what got in its way.

Pure functions of a run directory's content. All times are seconds since the run's first event, on
the harness's clock.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pushpull.analysis.deliveries import Deliveries, deliveries_of
from pushpull.analysis.event_text import EventDescriber, state
from pushpull.analysis.history import Run
from pushpull.analysis.lanes import Lanes, lanes_of
from pushpull.analysis.repairs import OpenFaults
from pushpull.core.records import Event
from pushpull.core.text import harmless
from pushpull.core.wording import joined
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import times_of


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
    """The timeline of a run. `origin` is the UNIX time of second 0, `end` the last second.

    `machines` are the names of its lanes.
    """

    origin: float
    end: float
    machines: tuple[str, ...]
    lanes: Lanes
    deliveries: Deliveries
    spans: tuple[Span, ...]
    moments: tuple[Moment, ...]
    periods: tuple[ConnectionPeriod, ...]


def timeline(stored: StoredRun, run: Run, *, by_program: bool = False) -> Timeline:
    """Return the timeline of a run.

    Arguments:
        stored: any run, even one that was interrupted or printed nothing.
        run: the same run as judges see it.
        by_program: whether programs that share a machine are shown as machines of their own.
    """
    origin, last = _extent(stored)
    end = last - origin
    lanes = lanes_of(stored, run, by_program=by_program)
    events = sorted(stored.events, key=lambda event: event.t)
    moments = tuple(_moments(events, lanes, origin))
    spans = tuple(_spans(events, moments, run, lanes, end))
    return Timeline(
        origin=origin,
        end=end,
        machines=lanes.names,
        lanes=lanes,
        deliveries=deliveries_of(run, lanes, origin),
        spans=spans,
        moments=moments,
        periods=tuple(_connection_periods(spans, end)),
    )


def _extent(stored: StoredRun) -> tuple[float, float]:
    """Return the first and the last UNIX time of a run."""
    times = [*times_of(stored.records), *(e.t for e in stored.events)]
    origin = min(times, default=stored.description["started"])
    return origin, max(times, default=origin)


def _spans(
    events: Sequence[Event], moments: Sequence[Moment], run: Run, lanes: Lanes, end: float
) -> Iterator[Span]:
    """Yield everything that lasts; what is still there at the end of the run ends with it."""
    repaired = _repaired(events, moments)
    links: Counter[tuple[str, str]] = Counter()  # of a process; its oldest ends first
    for k, (event, moment) in enumerate(zip(events, moments, strict=True)):
        older = 0
        stops = {"exit"}
        if event.event == "start":
            kind, text = "life", f"{harmless(event.process, 60)} runs"
        elif event.event == "connected" and event.machine not in run.senders:
            kind, text = "connection", "connected, as its library reports"
            stops.add("disconnected")
            older = links[event.place]
            links[event.place] += 1
        elif event.event == "fault":
            kind, text = "fault", moment.text
            stops = set()
        else:
            if event.event == "disconnected" and links[event.place]:
                links[event.place] -= 1
            continue
        later = zip(events[k + 1 :], moments[k + 1 :], strict=True)
        over = _end_of(event, later, stops, older)
        over = repaired.get(k, end) if over is None else over
        # A partition is a fault of the machines on both sides.
        others = event.details.get("from", ()) if kind == "fault" else ()
        label = f"{event.machine}: {state(event)}" if kind == "fault" else ""
        there = lanes.all_of(event.machine, event.process)
        for lane in (*there, *(lane for name in others for lane in lanes.all_of(name))):
            yield Span(kind=kind, machine=lane, start=moment.t, end=over, text=text, label=label)


def _end_of(
    event: Event, later: Iterable[tuple[Event, Moment]], stops: Collection[str], older: int
) -> float | None:
    """Return when one of the `stops` of its process ended what an event began, if one did.

    Before a connection the `older` ones of the process end.
    """
    for one, moment in later:
        if one.place == event.place and one.event in stops:
            if one.event == "exit" or not older:
                return moment.t
            older -= 1
    return None


def _repaired(events: Sequence[Event], moments: Sequence[Moment]) -> dict[int, float]:
    """Return when each fault was repaired that was, by its place among the events."""
    places, opened = {id(event): k for k, event in enumerate(events)}, OpenFaults()
    found: dict[int, float] = {}
    for event, moment in zip(events, moments, strict=True):
        found |= {places[id(fault)]: moment.t for fault in opened.see(event)}
    return found


def _moments(events: Sequence[Event], lanes: Lanes, origin: float) -> Iterator[Moment]:
    describer = EventDescriber()
    for event in events:
        text = describer.describe(event) or _in_words(event)
        lane = lanes.of(event.machine, event.process)
        yield Moment(kind=event.event, machine=lane, t=event.t - origin, text=text)


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
