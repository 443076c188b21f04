"""Verdicts on columns are what a slow reading of the raw logs says, line by line and by hand."""

import random
import re
import struct
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from made_runs import LEAST

from pushpull.analysis import line_readers
from pushpull.analysis.deliveries import Deliveries
from pushpull.analysis.history import Run, exactly_once, strict_turns
from pushpull.analysis.line_readers import lines
from pushpull.analysis.timeline import timeline
from pushpull.experiments.judges import arriving
from pushpull.runs.directory import RunDirectory
from pushpull.runs.store import StoredRun, load

SENT, RECEIVED = r"(\d{1,18})", r"(\d{1,18}) , \d+(?:\.\d+)?"
READS = lines(sent={"push": SENT}, received={"pull": RECEIVED})
PULLERS = ("pull-1", "pull-2")


def made(root: Path, seed: int, count: int) -> StoredRun:
    """A run whose logs have what goes wrong: repeated, missing, torn, glued and oversized lines."""
    chance = random.Random(seed)
    messy = chance.random() < 0.8
    sent, got = bytearray(), {name: bytearray() for name in PULLERS}
    for number in range(count):
        if messy and chance.random() < 0.02:
            sent += chance.choice((b"hello\n", b"12x\n", b"\n", b"\xff\n", b"7\r\n", b" 3\n"))
        if messy and chance.random() < 0.02:
            continue  # never printed
        sent += b"%d\n" % number * (2 if messy and chance.random() < 0.02 else 1)
        name = PULLERS[number % 2] if chance.random() < 0.99 else chance.choice(PULLERS)
        line = b"%d , 17958090%02d.%d\n" % (number, number % 100, number)
        odd = chance.random() if messy else 1.0
        if odd < 0.02:
            line *= 2
        elif odd < 0.04:
            line = b""
        elif odd < 0.05:
            line = b"x" * 70_000 + line  # over 64 KiB
        elif odd < 0.07:
            line = line[:-1]  # the next is glued to it
        elif odd < 0.09:
            line = b"%d , 5\n" % (number + count)  # nobody sent that
        elif odd < 0.1:
            line = b"%d , 5\n" % max(0, number - 5) + line  # late
        got[name] += line
    if messy:  # torn ends
        sent += b"9"
        got["pull-1"] += b"1 , 2"
    directory = RunDirectory.create(root, "round_robin", LEAST)
    logs = {("push", "push"): sent} | {(name, "pull"): got[name] for name in PULLERS}
    for source, data in logs.items():
        log, index = directory.log(*source, "stdout")
        log.write(data)
        end, t = 0, 100.0
        while end < len(data):
            end = min(len(data), end + chance.choice((1, 50, 3_000, 200_000)))
            index.append(end, t := t + chance.random())
        if chance.random() < 0.5:  # its stream was closed: its torn end is a line as well
            index.append(end, t + 1)
    parameters = {**LEAST["parameters"], "count": count}
    directory.update(**LEAST | {"parameters": parameters})
    directory.finish("finished")
    return load(directory.path)


def slowly(run: StoredRun, machine: str, process: str, pattern: str) -> list[tuple[float, int]]:
    """The messages of a log, with the time of the chunk that completed each."""
    log = (run.path / machine / f"{process}.log").read_bytes()
    index = (run.path / machine / f"{process}.log.index").read_bytes()
    chunks = list(struct.iter_unpack("<Qd", index))
    closed = len(chunks) > 1 and chunks[-1][0] == chunks[-2][0]
    found, start = [], 0
    while start < len(log):
        end = log.find(b"\n", start)
        last = end < 0
        end = len(log) if last else end
        text = log[start:end].rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "backslashreplace")
        match = re.fullmatch(pattern, text)
        if match and end - start <= 64 * 1024 and (closed or not last):
            t = chunks[-1][1] if last else next(t for place, t in chunks if place > end)
            found.append((t, int(match[1])))
        start = end + 1
    return found


@pytest.mark.parametrize("seed", range(12))
def test_many_lines(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 2:  # as of very many lines
        monkeypatch.setattr(line_readers, "_MUCH", 0)
    run = made(tmp_path, seed, count=3_000 if seed % 6 == 0 else 400)
    seen = Run(run, READS)
    sent = slowly(run, "push", "push", SENT)
    got = sorted(
        (t, name, k, number)
        for name in PULLERS
        for k, (t, number) in enumerate(slowly(run, name, "pull", RECEIVED))
    )
    assert [(m.t, m.number) for m in seen.sent] == sent
    assert [(m.t, m.machine, m.number) for m in seen.received] == [(t, m, n) for t, m, _, n in got]
    takers: defaultdict[int, list[str]] = defaultdict(list)
    for _, name, _, number in got:
        takers[number].append(name)
    assert dict(seen.takers) == takers
    assert list(seen.takers) == list(takers)
    assert dict(seen.dealt) == {number: t for t, number in sent}
    same_verdicts(seen, Counter(number for _, number in sent), takers)
    same_deliveries(timeline(run, seen).deliveries, [n for _, n in sent], takers)


def same_verdicts(seen: Run, sent: Counter[int], takers: dict[int, list[str]]) -> None:
    wrong = {n for n, copies in sent.items() if copies > 1}
    wrong |= {n for n, by in takers.items() if len(by) > 1 or n not in sent}
    wrong |= {n for n in sent if n <= seen.last_known and n not in takers}
    verdict = exactly_once(seen, seen.planned)
    unsent = set(seen.planned) - set(sent)
    if seen.cut:  # what was never sent, or what came of nothing, may be what was lost
        wrong = {n for n in wrong if sent[n] > 1 or len(takers.get(n, ())) > 1}
    assert set(verdict.messages) == wrong or (not wrong and verdict.outcome != "refuted")
    assert (verdict.outcome == "holds") == (not wrong and not unsent)
    numbers = [n for n in seen.planned if n in takers]
    first = [takers[n][0] for n in numbers]
    expected = [n for k, n in enumerate(numbers) if first[k] != first[k % 2]]
    turns = strict_turns(seen, numbers, PULLERS)
    if set(first[:2]) == set(PULLERS):
        assert list(turns.messages) == (expected or numbers)
    late = {n for name in PULLERS for n in late_ones(seen, name)}
    assert set(arriving.in_order(seen).messages) == late


def late_ones(seen: Run, name: str) -> set[int]:
    """The numbers that came to a machine, for the first time, after a larger one."""
    known = {m.number for m in seen.sent}
    came = list(dict.fromkeys(m.number for m in seen.received if m.machine == name))
    came = [n for n in came if n in known]
    return {n for k, n in enumerate(came) if n < max(came[:k], default=-1)}


def same_deliveries(found: Deliveries, sent: list[int], takers: dict[int, list[str]]) -> None:
    """Each send and each receipt is in one delivery, and as many pairs as can be were made."""
    assert Counter(p.number for p in found if p.by) == Counter(sent)
    came = Counter((p.number, p.to) for p in found if p.to)
    assert came == Counter((n, name) for n, by in takers.items() for name in by)
    both = Counter(p.number for p in found if p.by and p.to)
    copies = Counter(sent)
    assert both == Counter({n: k for n, by in takers.items() if (k := min(len(by), copies[n]))})
    again = sum(p.fate == "again" for p in found)
    known = sum(len(by) - max(1, copies[n]) for n, by in takers.items() if len(by) > copies[n])
    assert again == known
