"""Faults of a process: signals to all processes of a program."""

import signal

from pushpull.core.faults.fault import Check, Fault, Scope

START_AGAIN = Fault(
    name="start again",
    kind="repair",
    scope=Scope.PROCESS,
    words="was started again",
    check=Check.READY,
)
TERMINATE = Fault(
    name="terminate",
    scope=Scope.PROCESS,
    words="was terminated",
    check=Check.ENDED,
    repair=START_AGAIN,
    signal=signal.SIGTERM,
)
INTERRUPT = Fault(
    name="interrupt",
    scope=Scope.PROCESS,
    words="was interrupted",
    check=Check.ENDED,
    repair=START_AGAIN,
    signal=signal.SIGINT,
)
KILL = Fault(
    name="kill",
    scope=Scope.PROCESS,
    words="was killed",
    check=Check.ENDED,
    repair=START_AGAIN,
    signal=signal.SIGKILL,
)
# The program kills itself at a message: a kill from here would be some messages too late.
DIE_AT = Fault(
    name="die_at",
    scope=Scope.PROCESS,
    words="killed itself, as instructed",
    check=Check.ENDED,
    repair=START_AGAIN,
)
RELEASE = Fault(
    name="release",
    kind="repair",
    scope=Scope.PROCESS,
    words="was released",
    check=Check.RELEASED,
)
# Unlike a paused process it has done nothing since it printed that line.
HOLD = Fault(
    name="hold",
    scope=Scope.PROCESS,
    words="was held",
    check=Check.STANDING,
    repair=RELEASE,
)
RESUME = Fault(
    name="resume",
    kind="repair",
    scope=Scope.PROCESS,
    words="was resumed",
    check=Check.RUNNING,
    signal=signal.SIGCONT,
)
PAUSE = Fault(
    name="pause",
    scope=Scope.PROCESS,
    words="was paused",
    check=Check.STOPPED,
    repair=RESUME,
    signal=signal.SIGSTOP,
)
