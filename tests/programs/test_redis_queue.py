"""The example of a queue in Redis, with the Redis that is installed for `redis_streams`."""

import os
import tempfile
from pathlib import Path

import pytest
from command import PROJECT, fab

from pushpull.experiments import implementations
from pushpull.machines import installer

EXAMPLE = PROJECT / "docs/examples/redis_queue"
REDIS = implementations.get("redis_streams").installation


@pytest.mark.slow
@pytest.mark.skipif(not installer.is_installed(REDIS), reason="redis_streams is not installed")
def test_each_job_arrives_once(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=installer.root()) as commands:  # which machines see
        for name in ("redis-server", "redis-cli"):
            command = Path(commands, name)
            enter = installer.root() / REDIS.folder / installer.ENTER
            command.write_text(f'#!/bin/sh\nexec "{enter}" {name} "$@"\n')
            command.chmod(0o755)
        Path(commands).chmod(0o755)
        call = ["--experiment", EXAMPLE, "--inventory", EXAMPLE / "inventory.yaml"]
        done = fab(
            "run-experiment", *call, "--runs", tmp_path / "runs",
            environment={"PATH": f"{commands}:{os.environ['PATH']}"},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_short() -> None:
    lines = [line for file in EXAMPLE.iterdir() for line in file.read_text().splitlines()]
    assert len(lines) <= 60
