"""The fixture `lab` of pytest: machines on a network of their own, as they were after each test.

Machines are made once and serve all tests that want the same ones; each test is a run of its own.
With pytest-xdist each worker has its own machines, with the same addresses.
"""

import contextlib
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pushpull.api import Lab
from pushpull.core.errors import LabError
from pushpull.core.project import COMMAND
from pushpull.engine import session
from pushpull.engine.session import Ready, Script
from pushpull.report.run_text import run_text
from pushpull.runs import store

_MACHINES = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options `--lab-keep`, `--lab-runs` and `--lab-scope`."""
    group = parser.getgroup("push-pull lab")
    group.addoption("--lab-keep", action="store_true", help="leave the machines up at the end")
    group.addoption("--lab-runs", default="runs", metavar="DIR", help="where runs are kept (runs)")
    group.addoption(
        "--lab-scope",
        default="function",
        choices=("function", "class", "module", "package", "session"),
        help="how many tests share one run: a function each, ... all of the session",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker `lab`."""
    config.addinivalue_line(
        "markers",
        "lab(machines=3, inventory=None, provider='auto', **script): the machines of the fixture"
        " `lab`: so many, or those of an inventory; script: reads, count, files, patience_s, ...",
    )


@dataclass(slots=True)
class _Labs:
    """The machines that are up, by what was wanted; each has its own way down."""

    keep: bool
    _up: dict[tuple[Any, ...], tuple[Ready, contextlib.ExitStack]] = field(default_factory=dict)

    def machines(self, wanted: Mapping[str, Any]) -> Ready:
        key = (wanted.get("inventory"), wanted["machines"], wanted["provider"])
        if key not in self._up:
            file = wanted.get("inventory")
            inventory = (
                session.found(file)
                if file
                else session.counted(wanted["machines"], owner=os.environ.get(_WORKER, ""))
            )
            down = contextlib.ExitStack()
            up = session.machines_up(inventory, wanted["provider"], keep=self.keep)
            self._up[key] = (down.enter_context(up), down)
            if self.keep:
                print(f"\nlab: {COMMAND} ssh --inventory {inventory.path} --machine ...")
        return self._up[key][0]

    def forget(self, ready: Ready) -> None:
        """Take machines down that are not as they were."""
        for key, (known, down) in [*self._up.items()]:
            if known is ready:
                del self._up[key]
                down.close()

    def close(self) -> None:
        with contextlib.ExitStack() as all_down:
            for _, down in self._up.values():
                all_down.callback(down.close)


_WORKER = "PYTEST_XDIST_WORKER"


@pytest.fixture(scope="session")
def _labs(request: pytest.FixtureRequest) -> Iterator[_Labs]:
    labs = _Labs(keep=request.config.getoption("--lab-keep"))
    yield labs
    labs.close()


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    return config.getoption("--lab-scope")


@pytest.fixture(scope=_scope)
def lab(request: pytest.FixtureRequest, _labs: _Labs) -> Iterator[Lab]:
    """A lab for a test, in a run of its own; the marker `lab` says which machines it has.

    After the test all processes are ended, and faults repaired.
    """
    marker = request.node.get_closest_marker("lab")
    wanted = {"machines": _MACHINES, "provider": "auto"} | (marker.kwargs if marker else {})
    name = request.node.name or "session"
    folder = request.path.parent if request.scope != "session" else request.config.rootpath
    own = {key: wanted[key] for key in wanted.keys() - {"machines", "provider", "inventory"}}
    script = Script(**({"name": name, "folder": folder} | own))
    ready = _labs.machines(wanted)
    runs = Path(request.config.getoption("--lab-runs"))
    try:
        with session.lab_of(Lab, script, ready, runs) as made:
            yield made
    except LabError:
        _labs.forget(ready)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what happened in its lab."""
    report = yield
    used = getattr(item, "funcargs", {}).get("lab")
    if report.failed and call.when == "call" and isinstance(used, Lab):
        with contextlib.suppress(LabError):
            report.sections.append(("lab", run_text(store.load(used.path))))
    return report
