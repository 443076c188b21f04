"""Former names of the lab's modules, which older experiments and packed runs still import.

New code imports from `pushpull.api`.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_JUDGES = (
    "arriving", "collecting", "connecting", "exits", "joining", "leaving", "losing", "pushers",
    "queueing", "replies", "silence", "turns", "ways",
)  # fmt: skip
_MOVED = {
    "claims": "analysis.history",
    "experiment": "engine.experiment",
    "packets": "runs.pcap",
    "reading": "api",
    "records": "core.records",
    "scenario": "engine.scenario",
    "trace": "core.trace",
    "verdict": "core.verdict",
    "experiments.messages": "experiments.judges.line_formats",
    **{f"experiments.{name}": f"experiments.judges.{name}" for name in _JUDGES},
}


def install() -> None:
    """Let `import` find modules by their former names too. May be called again."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        # First, as a folder called `lab` is found too: it is this package's, under its former name.
        sys.meta_path.insert(0, _OldNames())


def _name_now(name: str) -> str:
    package, _, module = name.partition(".")
    if package == "lab":
        return ".".join(filter(None, ["pushpull", _MOVED.get(module, module)]))
    if package == "pushpull" and module in _MOVED:  # `from lab import claims` asks for that
        return f"pushpull.{_MOVED[module]}"
    return name


class _OldNames(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if _name_now(fullname) != fullname else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(_name_now(module.__name__))
