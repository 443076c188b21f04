"""Imports a user's experiment as a separate package, which nothing else can import from.

An experiment's folder also has programs, and a program may be called `statistics.py`. So the folder
is never on `sys.path`. Only its own modules can import from it, and they search Python's standard
library and the lab first: for them too, `import statistics` is Python's. The folder comes next, and
installed packages last.
"""

import builtins
import importlib
import importlib.util
import itertools
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_PREFIX = "own_experiment_"
# `lab` is the former import name of `pushpull`.
_NOT_THEIRS = {*sys.stdlib_module_names, "pushpull", "lab"}
_numbers = itertools.count(1)


def load(file: Path, *, beside: bool) -> ModuleType:
    """Import the module in a file; raises whatever the module raises.

    Arguments:
        file: the module.
        beside: whether it may import modules from its folder.
    """
    package = f"{_PREFIX}{next(_numbers)}"
    folder = str(file.resolve().parent)
    spec = ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [folder] if beside else []
    # Register it in sys.modules under a unique name: dataclasses look their module up there.
    sys.modules[package] = importlib.util.module_from_spec(spec)
    name = f"{package}.{file.stem}"
    loader = _Loader(name, str(file))
    of_file = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert of_file is not None
    module = sys.modules[name] = importlib.util.module_from_spec(of_file)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)  # before the finder for any folder
    loader.exec_module(module)
    return module


def hint(error: BaseException, file: Path) -> str:
    """Return a hint for an import that may have found another module than the user meant.

    Arguments:
        error: the exception that an experiment raised.
        file: its module.
    """
    name = getattr(error, "name", None)
    if not isinstance(error, ImportError | AttributeError) or not isinstance(name, str):
        return ""
    if isinstance(error, AttributeError):
        name = getattr(error.obj, "__name__", "") if isinstance(error.obj, ModuleType) else ""
    top = name.partition(".")[0]
    if not top or not any((file.parent / there).exists() for there in (f"{top}.py", top)):
        return ""
    if top in _NOT_THEIRS:
        return f"`import {top}` isn't your {top}.py: rename it, or use `from . import {top}`"
    if file.name == "experiment.py":
        return ""
    return (
        f"a single-file experiment can't import from its folder: to import {top}, put both into a"
        " folder of their own, and call this file experiment.py"
    )


class _Loader(SourceFileLoader):
    """Runs a user's module, whose `import` also searches its own folder.

    It neither reads bytecode, which may belong to another source, nor writes it into the folder.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        importing = {"__import__": _importer(module.__name__.partition(".")[0])}
        module.__dict__["__builtins__"] = vars(builtins) | importing
        super().exec_module(module)


class _Finder:
    """Finds the modules of such packages, and no others."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        for folder in path or ():
            if spec := FileFinder(folder, (_Loader, [".py"])).find_spec(fullname):
                return spec
        return None


_finder = _Finder()


def _importer(package: str) -> Any:
    """Return the `__import__` for the modules of a package."""

    def own_import(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or top in _NOT_THEIRS or not _is_there(package, top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if fromlist:
            return builtins.__import__(f"{package}.{name}", globals, locals, fromlist, 0)
        importlib.import_module(f"{package}.{name}")
        return sys.modules[f"{package}.{top}"]

    return own_import


def _is_there(package: str, top: str) -> bool:
    return importlib.util.find_spec(f"{package}.{top}") is not None
