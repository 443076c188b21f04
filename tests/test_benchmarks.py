"""The frame of the benchmarks, and the tables of speeds in the README and the docs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as main
from benchmarks import commands, frame, machine, render
from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, Figures, only
from tests import leftovers

SECONDS, MEMORY = Figure(name="took", brief=True), Figure(name="memory", text="{:.0f} MB")


def benchmark(*contenders: Contender, name: str = "toy") -> Benchmark:
    return Benchmark(
        name=name,
        title="A toy",
        figures=[SECONDS, MEMORY],
        contenders=lambda: only(*contenders),
    )


def always(name: str, *values: float, differs: str = "") -> Contender:
    """A contender that takes so long in its turns, one after the other."""
    turns = iter(values)
    return Contender(name=name, turn=lambda: {"took": next(turns)}, differs=differs)


def result(*benchmarks: Benchmark, rounds: int = 3) -> dict[str, Any]:
    about = {"revision": "abc", "busy": 0.02}
    return {
        "machine": {"processors": "2 x Toy", "kernel": "Linux 6.1", "Python": "3.11.7"},
        "versions": {"peer": "1.2"},
        "benchmarks": [about | frame.measure(one, rounds) for one in benchmarks],
    }


def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(main.RECORDED.read_text())
    return found


@pytest.mark.parametrize(("page", "made"), [(main.README, render.brief), (main.DOCS, render.full)])
def test_the_speeds_on_a_page_are_those_that_were_recorded(page: Path, made: Any) -> None:
    assert render.replaced(page.read_text(), made(recorded())) == page.read_text()


def test_what_is_recorded_has_every_benchmark_and_its_figures() -> None:
    known = {one.name: one for part in main.PARTS for one in part.benchmarks()}
    assert [one["name"] for one in recorded()["benchmarks"]] == list(known)
    for one in recorded()["benchmarks"]:
        names = [figure.name for figure in known[one["name"]].figures]
        assert [figure["name"] for figure in one["figures"]] == names


def test_contenders_take_turns() -> None:
    order: list[str] = []

    def turn(name: str) -> Figures:
        order.append(name)
        return {"took": 1.0}

    toy = benchmark(*(Contender(name=name, turn=lambda n=name: turn(n)) for name in "ab"))
    frame.measure(toy, 3)
    assert order == list("ababab")


def test_a_contender_that_fails_is_out_and_the_others_go_on() -> None:
    def fail() -> Figures:
        raise ContenderError("not installed")

    found = frame.measure(benchmark(always("a", 1, 2), Contender(name="b", turn=fail)), 2)
    a, b = found["contenders"]
    assert (len(a["rounds"]), a["failed"]) == (2, "")
    assert (b["rounds"], b["failed"]) == ([], "not installed")
    assert "| A toy: took | 1.50 s | b could not do it: not installed |" in render.brief(
        result(benchmark(always("a", 1, 2, 1.5), Contender(name="b", turn=fail)))
    )


def test_what_contenders_share_is_cleaned_up_after_an_error() -> None:
    ended = []

    def fail() -> Figures:
        raise ZeroDivisionError

    @contextlib.contextmanager
    def contenders() -> Iterator[Sequence[Contender]]:
        try:
            yield [Contender(name="a", turn=fail)]
        finally:
            ended.append(True)

    toy = Benchmark(name="toy", title="A toy", figures=[SECONDS], contenders=contenders)
    with pytest.raises(ZeroDivisionError):
        frame.measure(toy, 1)
    assert ended


def test_a_figure_that_the_benchmark_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="tock"):
        frame.measure(benchmark(Contender(name="a", turn=lambda: {"tock": 1.0})), 1)


def test_tables_have_medians_ranges_and_how_many_times_the_other_the_lab_is() -> None:
    found = result(benchmark(always("the lab", 1, 3, 2), always("peer", 4, 4, 4, differs="older")))
    assert "| A toy: took | 2.00 s | peer 4.00 s (lab: 0.50 x) |" in render.brief(found)
    full = render.full(found)
    assert "| the lab | 2.00 s (1.00 s to 3.00 s) | - |" in full
    assert "| peer | 4.00 s, lab: 0.50 x | - |" in full
    assert "- *peer*: older" in full
    assert "peer 1.2" in full
    assert "Rounds: 3;" in full


def test_a_table_that_was_measured_on_a_busy_computer_says_so() -> None:
    found = result(benchmark(always("the lab", 1, 3, 2)))
    assert "rough" not in render.brief(found)
    found["benchmarks"][0]["busy"] = 0.31
    assert "took up to 31% of the processors: take the figures for rough" in render.brief(found)


def test_how_busy_the_computer_is_is_a_share() -> None:
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert 0.5 / (os.cpu_count() or 1) < machine.busy(0.5) <= 1
    finally:
        spinning.kill()
        spinning.wait()


def test_a_block_is_replaced_and_nothing_else() -> None:
    page = f"before\n{render.BEGIN}\nold\n{render.END}\nafter\n"
    assert render.replaced(page, "new") == f"before\n{render.BEGIN}\nnew\n{render.END}\nafter\n"
    with pytest.raises(ValueError, match="no block"):
        render.replaced("before\n", "new")


def test_a_result_replaces_its_benchmarks_only_on_the_same_computer() -> None:
    one, two = (benchmark(always("a", *range(9)), name=name) for name in ("one", "two"))
    known = {"one": one, "two": two}
    before, now = result(one, two), result(two)
    merged = main.merged(before, now, known)
    assert merged["benchmarks"] == [before["benchmarks"][0], now["benchmarks"][0]]
    elsewhere = before | {"machine": {"processors": "4 x Toy"}}
    assert main.merged(elsewhere, now, known)["benchmarks"] == now["benchmarks"]
    assert main.merged({}, now, known)["benchmarks"] == now["benchmarks"]


def test_a_command_gives_time_output_and_the_memory_of_its_largest_process() -> None:
    grow = "print(len(bytearray(80_000_000)))"
    done = commands.run(["sh", "-c", '"$0" -c "$1"; true', sys.executable, grow], limit_s=30)
    assert done.output == "80000000\n"
    assert 80 < done.peak_mb < 200
    assert 0 < done.seconds < 30


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(ContenderError, match="exit status 3: no luck"):
        commands.run(["sh", "-c", "echo well; echo no luck >&2; exit 3"], limit_s=30)
    with pytest.raises(ContenderError, match="can't be started"):
        commands.run(["/nowhere/at/all"], limit_s=30)


def test_a_command_that_takes_too_long_can_clean_up(tmp_path: Path) -> None:
    clean = f"trap 'touch {tmp_path}/clean; exit 0' INT; while :; do sleep 0.05; done"
    with pytest.raises(ContenderError, match="not done after 0 s"):
        commands.run(["sh", "-c", clean], limit_s=0.4)
    assert (tmp_path / "clean").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_runs_on_after_the_benchmark(number: int, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = ["sh", "-c", f"echo $$ > {fifo}; exec sleep 60"]
    code = f"from benchmarks import commands; commands.run({command!r}, limit_s=60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=commands.PROJECT, stderr=subprocess.DEVNULL
    )
    pid = int(fifo.read_text())
    process.send_signal(number)
    process.wait()
    assert leftovers.ended_within(20, lambda: [pid] if leftovers.is_alive(pid) else [])
