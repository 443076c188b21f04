"""What experiments, scripts, tests and analyses are written with: the one door to the lab.

Everything here keeps its name and meaning; every other module may change.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pushpull.analysis.history import (
    Handshake,
    Run,
    all_taken,
    exactly_once,
    first_in_a_row,
    never_twice,
    printed,
    shares,
    strict_turns,
)
from pushpull.analysis.line_readers import lines
from pushpull.analysis.measures import intervals, percentile, rate, values
from pushpull.core.errors import HostKeyError, InventoryError, LabError, MachineLost, NotFit
from pushpull.core.faults.fault import Fault
from pushpull.core.records import Event, Message, Record
from pushpull.core.verdict import Need, Outcome, Verdict
from pushpull.core.wording import joined, listed
from pushpull.engine.experiment import claim, experiment
from pushpull.engine.monitor import LimitReached
from pushpull.engine.network_faults import Injected
from pushpull.engine.observed import Observed
from pushpull.engine.processes import Process, Processes
from pushpull.engine.scenario import Lab
from pushpull.engine.triggers import TriggerMissed

if TYPE_CHECKING:
    from pushpull.analysis.frames import Frames

__all__ = [
    "Event",
    "Fault",
    "Handshake",
    "HostKeyError",
    "Injected",
    "InventoryError",
    "Lab",
    "LabError",
    "LimitReached",
    "MachineLost",
    "Message",
    "Need",
    "NotFit",
    "Observed",
    "Outcome",
    "Process",
    "Processes",
    "Record",
    "Run",
    "TriggerMissed",
    "Verdict",
    "all_taken",
    "claim",
    "exactly_once",
    "experiment",
    "first_in_a_row",
    "intervals",
    "joined",
    "lines",
    "listed",
    "load",
    "never_twice",
    "percentile",
    "printed",
    "rate",
    "shares",
    "strict_turns",
    "values",
]


def load(*runs: str | os.PathLike[str]) -> "Frames":
    """Return runs as five Polars data frames: `runs`, `claims`, `events`, `messages`, `values`.

    docs/data-frames.md explains their columns. This executes nothing of a bundle.

    Arguments:
        runs: run directories, bundles, and folders of such, a sweep's for example. A run in a
            folder that can't be read is a row of `runs` whose state is `unreadable`.

    Raises:
        LabError: Polars isn't installed, or there is no run at one of these places.
    """
    if importlib.util.find_spec("polars") is None:
        raise LabError(
            "data frames need Polars, which isn't installed in this environment",
            hint=f"install it: {sys.executable} -m pip install polars",
        )
    from pushpull.analysis import frames
    from pushpull.runs import collection

    # It imports experiments, which import this module: so not before somebody calls this.
    catalogue = importlib.import_module("pushpull.experiments.catalogue")
    return frames.frames(collection.sources(map(Path, runs)), catalogue.reader)
