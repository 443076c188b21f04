"""Former names of the lab's modules, which older experiments and packed runs still import.

New code imports from `lab.api`.
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
_NOW = {
    "lab.claims": "lab.analysis.history",
    "lab.experiment": "lab.engine.experiment",
    "lab.packets": "lab.runs.pcap",
    "lab.reading": "lab.analysis.line_readers",
    "lab.records": "lab.core.records",
    "lab.scenario": "lab.engine.scenario",
    "lab.trace": "lab.core.trace",
    "lab.verdict": "lab.core.verdict",
    "lab.experiments.messages": "lab.experiments.judges.line_formats",
    **{f"lab.experiments.{name}": f"lab.experiments.judges.{name}" for name in _JUDGES},
}


def install() -> None:
    """Let `import` find modules by their former names too. May be called again."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.append(_OldNames())


class _OldNames(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in _NOW else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(_NOW[module.__name__])
