"""What is packed can be unpacked: a run of very compressible files, and one that is too large."""

import shutil
from pathlib import Path

import pytest
from story import RECORDED

from pushpull.core.errors import RunStoreError
from pushpull.runs import archive, bundle
from pushpull.runs.store import load

MB = 1024**2


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a place for what its programs left."""
    name = "20261124T081820Z-round_robin"
    run = tmp_path / "runs" / name
    shutil.copytree(RECORDED / "round_robin", run)
    (run / "push" / "files").mkdir(parents=True)
    return run


@pytest.mark.parametrize("piece", [b"\0", b"0,0,0,0\n", b"all the same in each line of it\n"])
def test_a_file_of_one_byte_again_and_again(run: Path, tmp_path: Path, piece: bytes) -> None:
    left = run / "push" / "files" / "left.csv"
    left.write_bytes(piece * (40 * MB // len(piece)))
    unpacked = bundle.unpack(bundle.pack(run, tmp_path), tmp_path / "elsewhere")
    copy = unpacked / "push" / "files" / "left.csv"
    assert copy.stat().st_size == left.stat().st_size
    assert load(unpacked).records == load(run).records


@pytest.mark.parametrize(("limit", "most"), [("LARGEST", 100_000), ("MOST_FILES", 10)])
def test_a_run_that_nobody_could_unpack_is_not_packed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(archive, limit, most)
    for number in range(12):
        (run / "push" / "files" / f"{number}.bin").write_bytes(bytes(10_000))
    with pytest.raises(RunStoreError, match="too large for a bundle") as raised:
        bundle.pack(run, tmp_path)
    assert "MACHINE/files" in raised.value.hint
    assert not list(tmp_path.glob("*.gz")) + list(tmp_path.glob(".*.gz"))
