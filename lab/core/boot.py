"""Runs a module of the lab where no module of the user's can take another's place.

Called as `python -I .../lab/core/boot.py MODULE ARGUMENTS...`: with -I Python looks neither into
the current folder nor into PYTHONPATH, so the package is loaded from where this file lies.
"""

import ctypes.util
import importlib
import importlib.util
import sys
from pathlib import Path


def main() -> None:
    """Import the package, then call `main` of the module that the first argument names."""
    package = Path(__file__).parents[1] / "__init__.py"
    spec = importlib.util.spec_from_file_location("lab", package)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["lab"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["lab"])
    # asyncssh looks for two libraries that it can do without, by running the compiler: that takes
    # as long as all the rest of its import, and leaves files in /tmp when it is killed.
    ctypes.util.find_library = lambda name: None
    importlib.import_module(sys.argv.pop(1)).main()


if __name__ == "__main__":
    main()
