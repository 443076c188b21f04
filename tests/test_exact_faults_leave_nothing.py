"""A held program and a slow network end with the harness, however that ends."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from command import FAB, PROJECT
from leftovers import Family, adopt_orphans
from quick import rest_slow
from test_nothing_left import limit_s

EXPERIMENT = """
from pushpull.api import Verdict, claim, experiment


@experiment(source="a test", faults=("slow", "lose", "cut_at", "set_clock"))
def broken(lab):
    "All that is exact, at once, for as long as it may take."
    worker = lab.start("count", on="pull-1", held=True)
    lab.slow("push", delay_ms=5, seed=1)
    lab.lose("pull-2", every=10, way="both")
    lab.cut_at("pull-1", before="PONG")
    lab.set_clock("pull-2", ahead_s=5)
    lab.hold(worker, at=3)
    lab.start("say", on="push")
    lab.let_pass(60)


@claim("It never comes so far.")
def ends(run):
    return Verdict.holds("It did.")
"""
COUNT = "for n in range(1, 1000):\n    print(n, flush=True)\n"


@pytest.mark.slow
@pytest.mark.parametrize("how", rest_slow([signal.SIGKILL, signal.SIGINT]))
def test_nothing_is_left_held_or_slow(tmp_path: Path, how: int) -> None:
    adopt_orphans()
    (tmp_path / "experiment.py").write_text(EXPERIMENT)
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "say.py").write_text("print('all is broken', flush=True)\n")
    inventory = shutil.copy(PROJECT / "inventory.yaml", tmp_path)
    command = [*FAB, "run-experiment", "--experiment", tmp_path, "--runs", tmp_path / "runs"]
    command += ["--provider", "namespaces", "--inventory", inventory]
    before = links()
    with subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as fab:
        family = Family(fab.pid)
        assert fab.stdout is not None
        said = []
        while "all is broken" not in (line := fab.stdout.readline()):
            said.append(line)
            assert line, "".join(said)
        family.look()
        fab.send_signal(how)
        assert family.gone_within(limit_s())
        assert family.leftovers() == []
        fab.wait()
    assert links() == before


def links() -> list[str]:
    """Return the network links outside of all labs."""
    return sorted(path.name for path in Path("/sys/class/net").iterdir())
