"""Each implementation talks to each that shares its wire, both ways; others are refused at once."""

import itertools
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_conformance import every, missing

from pushpull.core.errors import LabError
from pushpull.experiments import catalogue, implementations
from pushpull.experiments.conformance.checks import numbers
from pushpull.experiments.conformance.local import Local, Mismatch
from pushpull.experiments.implementations import Choice
from pushpull.machines import installer


def _trouble(sender: str, receiver: str) -> str:
    """Let one send to the other; return what is wrong, if anything."""
    programs = implementations.programs(Choice({"sender": sender, "receiver": receiver}))
    with (
        tempfile.TemporaryDirectory() as scratch,
        Local(programs, Path(scratch), str(installer.root())) as local,
    ):
        try:
            receiving = local.start("pull")
            receiving.wait_ready()
            sending = local.start("push", "--count", 10, "--interval", 0.05)
            receiving.wait_for(lambda p: numbers(p) == [*range(10)], "it prints 0 to 9")
            status = sending.end()
        except Mismatch as mismatch:
            return f"{mismatch}\n{mismatch.output}"
    return f"it ends with {status}" if status else ""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_with_each_that_shares_its_wire() -> None:
    """Those with themselves and with the default are in test_conformance.py."""
    others = [t for t in every() if t != implementations.DEFAULT and not missing(t)]
    wires = {title: {*implementations.get(title).wire} for title in others}
    pairs = [(a, b) for a, b in itertools.permutations(others, 2) if wires[a] & wires[b]]
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(pairs, pool.map(lambda pair: _trouble(*pair), pairs), strict=True))
    assert not {pair: trouble for pair, trouble in found.items() if trouble}


@pytest.mark.parametrize(
    ("sender", "receiver", "why"),
    [
        ("zmq_rs", "article_2012", "'zmq_rs' speaks zmtp/3 on the wire, 'article_2012' zmtp/1"),
        ("nanomsg", "pyzmq@16.0.4", "'nanomsg' speaks sp/1 on the wire, 'pyzmq@16.0.4' zmtp/1"),
        ("jeromq", "zmq_rs", "'jeromq' speaks zmtp/1 and zmtp/2 on the wire, 'zmq_rs' zmtp/3"),
    ],
)
def test_two_that_cannot_talk_are_refused_with_the_cause(
    sender: str, receiver: str, why: str
) -> None:
    choice = implementations.chosen(f"sender={sender},receiver={receiver}")
    with pytest.raises(LabError) as caught:
        implementations.require_playable(catalogue.load("round_robin"), choice, [])
    assert why in str(caught.value)
