"""What an experiment is written with: the one door to the lab for code outside of it.

Everything here keeps its name and meaning; every other module may change.
"""

from lab.analysis.history import (
    Handshake,
    Run,
    all_taken,
    exactly_once,
    first_in_a_row,
    joined,
    listed,
    never_twice,
    shares,
    strict_turns,
)
from lab.analysis.line_readers import lines, printed
from lab.core.faults.fault import Fault
from lab.core.records import Event, Message, Record
from lab.core.verdict import Need, Outcome, Verdict
from lab.engine.experiment import claim, experiment
from lab.engine.observed import Observed
from lab.engine.processes import Process, Processes
from lab.engine.scenario import Lab

__all__ = [
    "Event",
    "Fault",
    "Handshake",
    "Lab",
    "Message",
    "Need",
    "Observed",
    "Outcome",
    "Process",
    "Processes",
    "Record",
    "Run",
    "Verdict",
    "all_taken",
    "claim",
    "exactly_once",
    "experiment",
    "first_in_a_row",
    "joined",
    "lines",
    "listed",
    "never_twice",
    "printed",
    "shares",
    "strict_turns",
]
