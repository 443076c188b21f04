"""All errors that are shown to the user, and all exit codes."""

import enum
from collections.abc import Iterable


class ExitCode(enum.IntEnum):
    """The exit codes of `fab`, as docs/commands.md lists them."""

    EXPECTED = 0  # every verdict is the expected one
    UNEXPECTED = 1  # a verdict is not the expected one
    MISTAKE = 2  # a usage error, or a machine that is unsuitable or was lost
    NOT_OBSERVED = 3  # something was not observed, and not by chance, or the run was cut
    INTERRUPTED = 4  # Ctrl-C; what was captured is kept
    BUG = 70  # our own bug, with its traceback in the run directory


_WORST_FIRST = (
    ExitCode.BUG,
    ExitCode.INTERRUPTED,
    ExitCode.MISTAKE,
    ExitCode.UNEXPECTED,
    ExitCode.NOT_OBSERVED,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code for several experiments."""
    seen = set(codes)
    return next((code for code in _WORST_FIRST if code in seen), ExitCode.EXPECTED)


class LabError(Exception):
    """Something the user can put right: shown as a message, never as a traceback; exit code 2.

    Arguments:
        what: one sentence that says what is wrong.
        where: the place, such as `inventory.yaml:7` or `machine host-1`.
        hint: how to fix it, with exact command lines if there are any.
        output: the last lines that a machine printed, untrusted.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "", output: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.output = output

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.hint}" if self.hint else head


class InventoryError(LabError):
    """A mistake in an inventory file."""


class HostKeyError(LabError):
    """A machine's host key is unknown, or has changed."""


class MachineLost(LabError):
    """A machine can't be reached, or the connection to it broke."""


class NotFit(LabError):
    """A machine, or this computer, lacks something that a run needs."""


class RunStoreError(LabError):
    """A stored run, or an archive of one, can't be found, read or trusted."""
