"""Mutations of recorded runs and of programs: what may go wrong with a program or a fault."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from story import PUSH, deals, renumbered, with_messages

from pushpull.core.records import Event
from pushpull.runs.store import StoredRun

PROJECT = Path(__file__).parents[1]

LATE = 17  # a message that is sent after every fault of the recorded runs
Mutation = Callable[[StoredRun], StoredRun]


# -- the pusher ------------------------------------------------------------------------------


def renumber(*numbers: int | tuple[int, int]) -> Mutation:
    """From LATE on, the pusher prints and sends other numbers."""

    def mutate(run: StoredRun) -> StoredRun:
        pairs = [n if isinstance(n, tuple) else (n, n) for n in (*range(LATE), *numbers)]
        return with_messages(run, renumbered(deals(run), pairs))

    return mutate


def pusher_deals_twice_to_one(run: StoredRun) -> StoredRun:
    messages = deals(run)
    return with_messages(
        run,
        [
            *messages[:LATE],
            replace(messages[LATE], by=messages[LATE - 1].by),
            *messages[LATE + 1 :],
        ],
    )


def pusher_forgets_a_line(run: StoredRun) -> StoredRun:
    """The pusher sends LATE, as its trace says and a puller shows, but doesn't print it."""
    run = with_messages(run, deals(run))
    line = ("push", "stdout", str(LATE))
    kept = [r for r in run.records if (r.machine, r.stream, r.text) != line]
    return replace(run, records=tuple(kept))


def pusher_dies(run: StoredRun) -> StoredRun:
    return _with_exit(with_messages(run, deals(run)[:LATE]), by="itself", status=1)


def pusher_binds_again(run: StoredRun) -> StoredRun:
    ready = next(e for e in run.events if e.event == "ready" and e.machine == "push")
    return replace(run, events=(*run.events, replace(ready, t=ready.t + 0.2)))


# -- a puller --------------------------------------------------------------------------------


def prints(number: int, times: int) -> Mutation:
    """The puller that gets a message prints it so many times."""

    def mutate(run: StoredRun) -> StoredRun:
        return with_messages(
            run, [replace(d, times=times if d.sent == number else 1) for d in deals(run)]
        )

    return mutate


def puller_is_mute(run: StoredRun) -> StoredRun:
    messages = deals(run)
    mute = messages[-1].by[0]
    return with_messages(run, [replace(d, times=int(d.by[0] != mute)) for d in messages])


def puller_dies(run: StoredRun) -> StoredRun:
    """The puller that would get LATE dies before; if no other is left, the pusher is stuck."""
    messages = deals(run)
    dead = messages[LATE].by
    others = [d.by for d in messages if d.by[0] != dead[0] and d.at > messages[LATE - 6].at]
    if not others:
        return _with_exit(with_messages(run, messages[:LATE]), by="harness", status=143)
    moved = [
        replace(d, by=others[-1] if d.by == dead and d.sent >= LATE else d.by) for d in messages
    ]
    return with_messages(run, moved)


def swapped_on_the_way(run: StoredRun) -> StoredRun:
    """The puller that gets LATE gets its next message before it."""
    messages = with_messages(run, deals(run))
    texts = _texts_of_receiver(LATE, messages)
    k = next(k for k, text in enumerate(texts) if text.startswith(f"{LATE} "))
    return _lines_are(messages, {texts[k]: [texts[k + 1]], texts[k + 1]: [texts[k]]})


def prints_text(*texts: str) -> Mutation:
    """The puller that gets LATE prints other lines instead; `{}` is what was sent."""

    def mutate(run: StoredRun) -> StoredRun:
        messages = with_messages(run, deals(run))
        sent = next(t for t in _texts_of_receiver(LATE, messages) if t.startswith(f"{LATE} "))
        return _lines_are(messages, {sent: [text.format(sent) for text in texts]})

    return mutate


def _texts_of_receiver(number: int, run: StoredRun) -> list[str]:
    who = next(d.by for d in deals(run) if d.sent == number)
    return [r.text for r in run.records
            if r.text and r.stream == "stdout" and (r.machine, r.process) == who]  # fmt: skip


def _lines_are(run: StoredRun, changed: dict[str, list[str]]) -> StoredRun:
    """The run with some lines on stdout replaced."""
    records = [
        replace(record, text=text)
        for record in run.records
        for text in (changed.get(record.text or "", [record.text or ""])
                     if record.stream == "stdout" else [record.text or ""])
    ]  # fmt: skip
    return replace(run, records=tuple(replace(r, n=n) for n, r in enumerate(records)))


# -- the fault and the return ----------------------------------------------------------------


def fault_never_happens(run: StoredRun) -> StoredRun:
    gone = ("fault", "repair")
    return replace(run, events=tuple(e for e in run.events if e.event not in gone))


def fault_is_not_verified(run: StoredRun) -> StoredRun:
    def doubt(event: Event) -> Event:
        return replace(event, details=event.details | {"verified": False})

    return _changed(run, "fault", doubt)


def fault_is_late(run: StoredRun) -> StoredRun:
    """The puller is killed after everything was sent."""
    end = deals(run)[-1].at

    def late(event: Event) -> Event:
        return replace(event, t=end + 0.01)

    fault = next((e.t for e in run.events if e.event == "fault"), end)
    events = tuple(
        late(e) if e.event in ("fault", "disconnected") and e.t > fault - 0.1 else e
        for e in run.events
    )
    return replace(run, events=events)


def late_one_never_comes(run: StoredRun) -> StoredRun:
    """The last machine never connected, and another got its messages."""
    last = max((e for e in run.events if e.event == "connected"), key=lambda e: e.t).t - 0.01
    messages = deals(run)
    before = next(d.by for d in reversed(messages) if d.at < last)
    events = tuple(e for e in run.events if e.event != "connected" or e.t < last)
    again = replace(run, events=events)
    return with_messages(again, [replace(d, by=before if d.at > last else d.by) for d in messages])


# -- the connections -------------------------------------------------------------------------


def second_connects(after: int, seconds: float) -> Mutation:
    """By both ends' reports, the second machine connected so many seconds after a message."""

    def mutate(run: StoredRun) -> StoredRun:
        t = deals(run)[after].at + seconds
        ends = sorted(e.t for e in run.events if e.event == "connected")
        return _changed(
            run, "connected", lambda e: replace(e, t=t) if e.t in ends[len(ends) // 2 :] else e
        )

    return mutate


def second_connects_long(after: int, *, gets_it: bool = False) -> Mutation:
    """The second machine connects 0.6 s after a message, and the next one is sent 1 s after it.

    So no report can be so late that the order is in doubt. With `gets_it` the second machine gets
    the next message.
    """

    def mutate(run: StoredRun) -> StoredRun:
        messages = deals(run)
        other = next(d.by for d in messages if d.by != messages[0].by)
        slow = [replace(d, at=d.at + (d.sent > after)) for d in messages]
        moved = [replace(d, by=other if gets_it and d.sent == after + 1 else d.by) for d in slow]
        return second_connects(after, 0.6)(with_messages(run, moved))

    return mutate


def both_connect_early(run: StoredRun) -> StoredRun:
    early = deals(run)[0].at - 0.01
    return _changed(run, "connected", lambda e: replace(e, t=early))


def one_never_connects(run: StoredRun) -> StoredRun:
    first = next(e for e in run.events if _is_handshake(e))
    return replace(run, events=tuple(e for e in run.events if e is first or not _is_handshake(e)))


def _is_handshake(event: Event) -> bool:
    return event.event == "connected" and event.machine == "push"


def _changed(run: StoredRun, name: str, change: Callable[[Event], Event]) -> StoredRun:
    return replace(run, events=tuple(change(e) if e.event == name else e for e in run.events))


def _with_exit(run: StoredRun, **details: object) -> StoredRun:
    def other(event: Event) -> Event:
        return replace(event, details=details) if event.machine == PUSH[0] else event

    return _changed(run, "exit", other)


RECORDED: dict[str, Mutation] = {
    "none": lambda run: with_messages(run, deals(run)),
    "pusher skips": renumber(18, 19),
    "pusher skips the last": renumber(17, 18),
    "pusher repeats": renumber(17, 17, 18, 19),
    "pusher misnumbers": renumber((17, 16), 18, 19),
    "pusher invents a number": renumber((17, 99), 18, 19),
    "pusher swaps two": renumber(18, 17, 19),
    "pusher deals out of turn": pusher_deals_twice_to_one,
    "pusher forgets a line": pusher_forgets_a_line,
    "pusher dies": pusher_dies,
    "pusher binds again": pusher_binds_again,
    "puller drops": prints(LATE, 0),
    "puller drops message 1": prints(1, 0),
    "puller drops message 8": prints(8, 0),
    "puller prints twice": prints(LATE, 2),
    "puller is mute": puller_is_mute,
    "puller dies": puller_dies,
    "two swapped on the way": swapped_on_the_way,
    "puller prints other text": prints_text(f"{LATE} , 0.5"),
    "puller prints other form": prints_text("{}", f"{LATE} garbled"),
    "puller prints text again": prints_text("{}", f"{LATE} , 0.5"),
    "fault never happens": fault_never_happens,
    "fault isn't verified": fault_is_not_verified,
    "fault comes too late": fault_is_late,
    "late one never comes": late_one_never_comes,
    "both connect before 0": both_connect_early,
    "2nd connects beside 0": second_connects(0, 0.002),
    "2nd connects beside 1": second_connects(1, -0.002),
    "2nd connects after 1": second_connects(1, 0.02),
    "2nd connects long after 1": second_connects_long(1),
    "2nd connects long before its 1": second_connects_long(0, gets_it=True),
    "2nd never connects": one_never_connects,
}


@dataclass(frozen=True)
class Edit:
    """A change of a file in lab/; the replaced text occurs exactly once."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        assert text.count(self.old) == 1, f"{self.file} has changed: {self.old!r}"
        return text.replace(self.old, self.new)


_LOOP = "range(options.first, options.first + options.count)"
_PRINT = "print(message)\n    sys.stdout.flush()"
_PUSH = "experiments/programs/pyzmq/push.py"
_PULL = "experiments/programs/pyzmq/pull.py"
_HOLD_12 = """held.append(message)
    if number != "12":
        print(*reversed(held), sep="\\n", flush=True)
        held.clear()"""

# Each is applied to a copy of the lab, which then really runs.
PROGRAMS: dict[str, list[Edit]] = {
    "pusher skips": [Edit(_PUSH, _LOOP, f"(n for n in {_LOOP} if n != 12)")],
    "pusher repeats": [Edit(_PUSH, _LOOP, f"sorted([*{_LOOP}, 12])")],
    "pusher misnumbers": [Edit(_PUSH, ".format(x, ", ".format(x - (x == 12), ")],
    "pusher swaps two": [Edit(_PUSH, _LOOP, f"(n ^ (n in (12, 13)) for n in {_LOOP})")],
    "pusher dies": [Edit(_PUSH, "    print(x)", "    print(x, flush=x != 12 or 1 / 0)")],
    "puller drops": [Edit(_PULL, _PRINT, f'message.startswith("12 ") or {_PRINT}')],
    "puller prints twice": [
        Edit(_PULL, _PRINT, f'{_PRINT}\n    message.startswith("12 ") and {_PRINT}')
    ],
    "puller dies": [Edit(_PULL, _PRINT, f'{_PRINT}\n    message.startswith("6 ") and os._exit(1)')],
    "two swapped on the way": [
        Edit(_PULL, "while True:\n    message", "held = []\nwhile True:\n    message"),
        Edit(_PULL, _PRINT, _HOLD_12),
    ],
    "puller prints other text": [
        Edit(_PULL, _PRINT, 'print(message[:-1] if number == "12" else message, flush=True)')
    ],
    "fault never happens": [
        Edit("core/faults/process.py", "signal=signal.SIGKILL", "signal=signal.SIGCONT"),
        Edit("engine/process_faults.py", "VERIFY_TIMEOUT_S = 10", "VERIFY_TIMEOUT_S = 0.1"),
    ],
}


def mutated_lab(folder: Path, edits: Iterable[Edit]) -> dict[str, str]:
    """Copy the lab into a folder, with these edits; return the environment to run it."""
    copy = folder / "pushpull"
    shutil.copytree(PROJECT / "lab", copy)  # with its bytecode, valid where nothing is edited
    for name in ("fabfile.py", "inventory.yaml"):
        shutil.copy(PROJECT / name, folder)
    for edit in edits:
        file = copy / edit.file
        file.write_text(edit.apply(file.read_text()))
    return {"PYTHONPATH": str(folder)}
