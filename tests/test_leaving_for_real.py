"""Experiments on leaving, really run with a wrong program or fault: the verdicts change."""

from pathlib import Path

import pytest
from command import fab, only_run, verdicts
from mutations import Edit, mutated_lab
from story import MARKS

_FAULTS, _WAYS = "core/faults/process.py", "experiments/judges/ways.py"
_PUSH, _PULL = (f"experiments/programs/pyzmq/{name}.py" for name in ("push", "pull"))
_GUESTS = "machines/providers/embedded/guests.py"
_AT_ONCE = Edit("engine/process_faults.py", "VERIFY_TIMEOUT_S = 10", "VERIFY_TIMEOUT_S = 0.1")
_PRINT = "print(message)\n    sys.stdout.flush()"

# Each is done to a copy of the lab, which then really runs: edits, experiment, and the marks of its
# claims (+ holds, X refuted, ? not observed; packets are not captured).
REAL: dict[str, tuple[list[Edit], str, str]] = {
    "a pause never happens": (
        [Edit(_FAULTS, "signal=signal.SIGSTOP", "signal=signal.SIGCONT"), _AT_ONCE],
        "ways_to_leave:pause", "???",
    ),
    "a cable is not cut": (
        [Edit(_GUESTS, 'lambda name: self._set_link(name, up=False),', 'lambda _: None,')],
        "ways_to_leave:cut_cable", "???",
    ),
    "a power cut says goodbye": (
        [Edit(_GUESTS, 'self._set_link(name, up=False)\n        self._end',
              "self._end")],
        "power_cut", "X?",
    ),
    "heartbeats are forgotten": (
        [Edit(_WAYS, '"HEARTBEAT_IVL=200"', '"HEARTBEAT_IVL=0"')],
        "ways_to_leave:pause_heartbeat", "X?+",
    ),
    "nobody comes back": (
        [Edit(_WAYS, "_: Process) -> None:\n    lab.heal()", "_: Process) -> None:\n    pass")],
        "coming_back:partition", "?",
    ),
    "pusher keeps one back": (
        [Edit(_PUSH, "push_socket.send(", "x == 20 or push_socket.send(")],
        "ways_to_leave:kill", "+?X",
    ),
    "puller prints twice": (
        [Edit(_PULL, _PRINT, f'{_PRINT}\n    message.startswith("20 ") and {_PRINT}')],
        "ways_to_leave:terminate", "+?X",
    ),
    "puller drops": (
        [Edit(_PULL, _PRINT, f'message.startswith("20 ") or {_PRINT}')],
        "ways_to_leave:partition", "+?X",
    ),
    "puller is slow": (
        [Edit(_PULL, "time.sleep(options.work)", "time.sleep(20 * options.work)")],
        "loss_curve:every_50ms_work_15ms", "X+",
    ),
    "puller won't die": (
        [Edit(_PULL, "if number == options.die_at:", "if not number:")],
        "fast_kill:told", "???",
    ),
    "puller dies a message late": (
        [Edit(_PULL, _PRINT, f"{_PRINT}\n    number = str(int(number) - 1)"),
         Edit(_PULL, 'trace("dies", number=number)', 'trace("dies", number=options.die_at)')],
        "fast_kill:told", "X++",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mutation", REAL)
def test_a_mutation_turns_claims_in_a_real_run(mutation: str, tmp_path: Path) -> None:
    edits, experiment, marks = REAL[mutation]
    environment = mutated_lab(tmp_path, edits)
    done = fab("run-experiment", "--experiment", experiment, cwd=tmp_path, environment=environment)
    found = verdicts(only_run(tmp_path / "runs"))
    assert "".join(MARKS[v["verdict"]] for v in found) == marks, done.stdout + done.stderr
    assert done.returncode == (1 if "X" in marks else 3)


@pytest.mark.slow
def test_a_partition_that_does_nothing_is_refused(tmp_path: Path) -> None:
    nothing = Edit("core/faults/network.py", 'if reject else ["drop"]', 'if reject else ["accept"]')
    environment = mutated_lab(tmp_path, [nothing])
    flags = ("run-experiment", "--experiment", "ways_to_leave:partition")
    done = fab(*flags, cwd=tmp_path, environment=environment)
    assert "isn't as it was to be" in done.stderr
    assert done.returncode == 2
