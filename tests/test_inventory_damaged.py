"""Whatever an inventory contains: it is read, or each mistake is reported."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inventory_changes import CHANGES, GOOD

from pushpull.core.errors import InventoryError, LabError
from pushpull.machines.inventory import Inventory, Machine, load

TOKENS = re.findall(r"\w+|\s+|[^\w\s]", GOOD)
YAML = '\n|  |\t|- |? |&a |*a|!!map |%YAML 1.1\n|---\n|count: |ssh: |{|}|[|]|>-\n|"\\x|null|<<: '
PIECES = st.sampled_from(
    [*TOKENS, *YAML.split("|"), *(new for _, new, _ in CHANGES if len(new) < 99), "\x85", "\ufeff"]
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """The good file with a few pieces of it replaced by others."""
    tokens = list(TOKENS)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(tokens) - 1))
        tokens[at : at + draw(st.integers(0, 3))] = draw(st.lists(PIECES, max_size=3))
    return "".join(tokens)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "inventory.yaml"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.one_of(
        damaged().map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=200),
    )
)
def test_any_content_gives_an_inventory_or_a_lab_error(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    try:
        lab = load(scratch, roles=["pusher"])
    except LabError as error:
        message = str(error)
        message.encode()
        assert all(line.startswith(str(scratch)) for line in message.split("\n"))
        assert "\x1b" not in message
        assert "Traceback" not in message
    else:
        assert len({machine.name for machine in lab.machines}) == len(lab.machines)
        assert len({machine.address for machine in lab.machines}) == len(lab.machines)


# What people, editors and adversaries put into a file.
_ODD = (
    *("\t", "\0", "\x1b]52;c;AAAA\x07", "\u202e", "\ufeff", "\u2028", "\x85", "\r", "\ud800"),
    *("&a ", "*a", "<<: *a", "!!python/name:os.system ", "!!binary ", "? ", "- ", "---\n", "...\n"),
    *("{", "}", "[", "]", ":", "#", "|\n", ">\n", "%YAML 9.9\n", "%TAG ! x\n", "'", '"', "`", "@"),
    *("9" * 5000, "0x1F", "1e999", ".inf", ".nan", "-0", "1_000", "~", "null", "yes", "2012-10-07"),
    *("\n" * 50, " " * 300, "[" * 300, "{a: " * 300, "- " * 300, "é" * 200, "😀", "p" * 3000),
    *("count: 9999", "count: -1", "address: 0.0.0.0", "address: ::1", "network: 10.0.0.0/8"),
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    '"\\ud83d"',
    '"\\UFFFFFFFF"',
)


def _mutated(dice: random.Random) -> str:
    text = GOOD
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randrange(len(text) + 1), dice.choice((0, 0, 1, 3, 20))
        lines = text.splitlines(keepends=True)
        text = dice.choice(
            (
                text[:at] + dice.choice(_ODD) + text[at + length :],
                text[:at] + text[at + length :],
                "".join(dice.sample(lines, len(lines))),
                text + dice.choice(lines or [""]),
                re.sub(
                    r"(?<=: )[^,}\n]+", lambda _: dice.choice(_ODD), text, count=dice.randint(1, 9)
                ),
            )
        )
    return text


@pytest.mark.parametrize("batch", range(6))
def test_a_mutated_file_is_an_inventory_or_one_error(inventory: Any, batch: int) -> None:
    """Three hundred of them; each seed makes the same file again."""
    for seed in range(batch * 50, batch * 50 + 50):
        text = _mutated(random.Random(seed)).encode(errors="surrogatepass")
        told, machines = _outcome(lambda text=text: inventory(text))
        assert bool(told) != bool(machines), seed
        assert len(told) < 100_000, seed
        assert told.replace("\n", "").isprintable(), seed
        assert all(re.fullmatch("[a-z][a-z0-9-]{0,62}", one.name) for one in machines), seed


def _outcome(load_it: Callable[[], Inventory]) -> tuple[str, tuple[Machine, ...]]:
    try:
        return "", load_it().machines
    except InventoryError as error:
        return str(error), ()
