"""The fixture `lab`, as the tests of a user's project see it."""

import pytest
from command import runs_in_order

pytest_plugins = ["pytester"]

HEAD = """
import pytest
COUNT = "import time\\nfor n in range(500): print('got', n, flush=True); time.sleep(0.005)"
def start(lab, *machines):
    return lab.start(["{python}", "-c", COUNT], on=[*machines])
"""
KILL = """
@pytest.mark.lab(machines=2, provider="namespaces")
@pytest.mark.parametrize("k", range(4))
def test_a_kill(lab, k):
    lab.kill(lab.first(start(lab, "node-1", "node-2"), prints=lambda line: line == "got 3"))
    assert len(lab.run().events("start")) == 2
"""
FAILS = """
@pytest.mark.lab(machines=2, provider="namespaces")
def test_that_fails(lab):
    lab.kill(lab.first(start(lab, "node-2"), prints=lambda line: line == "got 3"))
    lab.partition("node-1", "node-2")
    assert len(lab.run().events("start")) == 5
"""


@pytest.fixture
def tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A user's project: without the lab's own options for pytest."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(name, raising=False)
    return pytester


def run(tests: pytest.Pytester, content: str, *options: str) -> pytest.RunResult:
    tests.makepyfile(HEAD + content)
    return tests.runpytest_subprocess("-p", "pushpull.pytest_plugin", *options)


@pytest.mark.slow
def test_each_test_is_a_run_on_the_same_machines(tests: pytest.Pytester) -> None:
    run(tests, KILL).assert_outcomes(passed=4)
    runs = runs_in_order(tests.path / "runs")
    assert [one.state for one in runs] == ["finished"] * 4
    assert runs[0].description["experiment"] == "script_test_a_kill_0"


@pytest.mark.slow
def test_workers_have_labs_of_their_own(tests: pytest.Pytester) -> None:
    run(tests, KILL, "-n", "2").assert_outcomes(passed=4)


@pytest.mark.slow
def test_a_failure_says_what_happened_on_which_machine(tests: pytest.Pytester) -> None:
    done = run(tests, FAILS)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "run: */runs/*Z-script_test_that_fails",
            "*s  python on node-2 was killed, * after it printed 'got 3'",
            "*s  node-1 was cut off from node-2",
            "last lines of python on node-2 (stdout):",
            "*s  got 3",
        ]
    )


@pytest.mark.slow
def test_one_run_for_all_tests(tests: pytest.Pytester) -> None:
    content = """
seen = []
@pytest.mark.parametrize("k", range(3))
def test_it(lab, k):
    seen.append(lab.path)
    assert len(set(seen)) == 1
    assert lab.machines() == ["node-1", "node-2", "node-3"]
"""
    run(tests, content, "--lab-scope", "session").assert_outcomes(passed=3)


@pytest.mark.slow
def test_a_mistake_in_an_inventory_is_one_message(tests: pytest.Pytester) -> None:
    (tests.path / "mine.yaml").write_text("machines: {}\n")
    content = "@pytest.mark.lab(inventory='mine.yaml')\ndef test_it(lab): ...\n"
    done = run(tests, content)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*mine.yaml:1: *"])
