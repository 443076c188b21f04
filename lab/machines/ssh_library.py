"""Imports the SSH library, which takes as long as starting machines: late, and by one thread.

Its modules import each other in circles. If two threads began with different ones, each could find
some of them half imported.
"""

import threading

_importing = threading.Lock()


def get_ready() -> None:
    """Import Fabric and Paramiko, or wait until another thread has done so."""
    with _importing:
        import fabric  # noqa: F401
