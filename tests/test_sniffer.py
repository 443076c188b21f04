"""The packet capture on a machine, which may run as root, where no launcher could end it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pushpull.machines.agent import packet_capture

HERE = str(Path(__file__).parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may listen on a link")
def test_the_sniffer_ends_with_its_input() -> None:
    argv = [sys.executable, "-IS", packet_capture.__file__, "127.0.0.1"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as process:
        assert process.stderr.readline() == b"listening\n"
        process.stdin.write(b"0\n")
        process.stdin.close()
        assert process.stdout.read(4) == b"\xd4\xc3\xb2\xa1"  # a pcap file, little-endian
        process.stdout.read()
        assert process.wait() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may listen on a link")
def test_the_sniffer_ends_when_it_hears_nothing() -> None:
    code = "from pushpull.machines.agent import packet_capture as it; it.LEASE_S = 0.3; it.main()"
    argv = [sys.executable, "-c", code, "127.0.0.1"]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, cwd=Path(HERE).parent, **output) as process:
        assert process.wait() == 0
