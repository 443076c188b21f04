"""Runs a module of the lab, so that no module of the user's can replace one that it imports.

Called as `python -I .../lab/core/boot.py MODULE ARGUMENTS...`. With -I, Python searches neither
the current folder nor PYTHONPATH, so this file loads the package from its own location.
"""

import ctypes.util
import gc
import importlib
import importlib.util
import sys
from pathlib import Path


def main() -> None:
    """Import the package, then call `main` of the module that the first argument names."""
    package = Path(__file__).parents[1] / "__init__.py"
    spec = importlib.util.spec_from_file_location("pushpull", package)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["pushpull"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["pushpull"])
    # asyncssh searches for two optional libraries by running the compiler. That takes as long as
    # the rest of its import, and leaves files in /tmp if it is killed.
    ctypes.util.find_library = lambda name: None
    # X.509 certificates, which the lab doesn't use, are optional too: a seventh of the import.
    sys.modules["asyncssh.crypto.x509"] = None  # type: ignore[assignment]
    gc.disable()  # for the imports, of which nothing becomes garbage
    module = importlib.import_module(sys.argv.pop(1))
    gc.enable()
    module.main()


if __name__ == "__main__":
    main()
