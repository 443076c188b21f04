"""What every implementation of the program protocol must do: docs/program-protocol.md, tried out.

pytest tests/programs --implementation NAME
"""

import functools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from pushpull.core import trace as trace_module
from pushpull.core.errors import NotFit
from pushpull.experiments import conformance, implementations
from pushpull.experiments.conformance.checks import numbers
from pushpull.experiments.conformance.local import Local
from pushpull.machines import installer, requirements

SCHEMA = json.loads(Path(trace_module.__file__).with_suffix(".schema.json").read_text())


@functools.cache  # it is asked for several times while tests are collected
def missing(name: str) -> str:
    """Return what this computer lacks for an implementation, as the lab says it of a machine."""
    manifest = implementations.get(name)
    access = SimpleNamespace(
        python=sys.executable, implementations=str(installer.root()), machine="here", provides=set()
    )
    here: Any = SimpleNamespace(
        access=access,
        name="here",
        run=lambda argv: subprocess.run(argv, capture_output=True, check=False).stdout,
    )
    try:
        requirements.require(
            here, manifest.needs, install=manifest.install, installation=manifest.installation
        )
    except NotFit as lacking:
        return str(lacking)
    return ""


def every() -> list[str]:
    names = implementations.names()
    return [
        title
        for name in names
        for title in (name, *(f"{name}@{v}" for v in implementations.get(name).versions))
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try the one that is asked for, else all that this computer has.

    Installed ones are slow, and to try all of one that is not the default.
    """
    if "name" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--implementation")
    tried = [wanted] if wanted else [title for title in every() if not missing(title)]
    if metafunc.function is test_it_conforms:
        slow = [title for title in tried if title != implementations.DEFAULT]
    else:
        slow = [title for title in tried if implementations.get(title).installation.packages]
    metafunc.parametrize(
        "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in slow)) for n in tried]
    )


def test_those_that_need_nothing_unusual_are_tried() -> None:
    assert {n for n in implementations.names() if not missing(n)} >= {"pyzmq", "plain_python"}


def test_it_conforms(name: str) -> None:
    if lacking := missing(name):
        pytest.fail(lacking)
    results = conformance.run(implementations.get(name).programs, str(installer.root()))
    failed = [result.mismatch for result in results if result.mismatch]
    assert not failed, [(str(mismatch), mismatch.output) for mismatch in failed]


def test_traces_are_valid(name: str, tmp_path: Path) -> None:
    with Local(implementations.get(name).programs, tmp_path, str(installer.root())) as local:
        pull = local.start("pull")
        push = local.start("push", "--count", 2, "--interval", 0.05)
        assert push.end() == 0
        pull.wait_for(lambda p: numbers(p) == [0, 1], "it prints both")
        for line in (*push.said, *pull.said):
            jsonschema.validate(json.loads(line), SCHEMA)


def test_it_talks_to_the_default(name: str, tmp_path: Path) -> None:
    """Both ways, where they share a wire."""
    one, default = implementations.get(name), implementations.get(implementations.DEFAULT)
    if {*one.wire} & {*default.wire}:
        for sender, receiver in ((one, default), (default, one)):
            programs = {"push": sender.programs["push"], "pull": receiver.programs["pull"]}
            with Local(programs, tmp_path, str(installer.root())) as local:
                pull = local.start("pull")
                pull.wait_ready()
                push = local.start("push", "--count", 3, "--interval", 0.1)
                pull.wait_for(lambda p: numbers(p) == [0, 1, 2], "it prints three messages")
                assert push.end() == 0
