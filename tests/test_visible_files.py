"""Which files of this computer machines in namespaces see, and how an inventory adds to them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pushpull.core.errors import LabError
from pushpull.machines.inventory import load
from pushpull.machines.providers import namespaces
from pushpull.machines.remote import Remote
from tests.command import PROJECT

MARK = "a-token-of-the-test-8c1f"


@contextmanager
def machine(inventory: Path) -> Iterator[Callable[[str], str]]:
    """Give what runs a shell command on a machine of a lab, and returns its output."""
    with namespaces.Namespaces(load(inventory)).lab(keep=False) as lab:
        remote = Remote(lab.access["push"])
        yield lambda command: remote.run(["sh", "-c", command]).decode()
        remote.close()


@pytest.fixture
def inventory(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the inventory with such folders visible."""

    def write(visible: str) -> Path:
        text = (PROJECT / "inventory.yaml").read_text()
        path = tmp_path / "inventory.yaml"
        path.write_text(
            text.replace("providers:\n", f'providers:\n  namespaces: {{visible: "{visible}"}}\n')
        )
        return path

    return write


def test_folders_that_are_named_are_seen_and_no_others(
    inventory: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shared", "local", "private"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "note").write_text(name)
    monkeypatch.setenv("LAB_VISIBLE", str(tmp_path / "local"))
    with machine(inventory(str(tmp_path / "shared"))) as run:
        assert run(f"cat {tmp_path}/*/note") == "localshared"
        assert "Read-only" in run(f"echo x 2>&1 > {tmp_path}/shared/note")
    assert (tmp_path / "shared/note").read_text() == "shared"


@pytest.mark.parametrize("folder", ["/", "/proc", "/dev/shm", "/tmp", "/nowhere/at/all"])
def test_a_path_that_is_not_a_folder_or_hides_a_private_one_is_refused(
    inventory: Callable[[str], Path], folder: str
) -> None:
    with (
        pytest.raises(LabError, match=f"{folder} can't be visible on machines"),
        machine(inventory(folder)),
    ):
        pass


def test_a_relative_path_is_a_mistake_of_its_line(inventory: Callable[[str], Path]) -> None:
    with pytest.raises(LabError, match=r"inventory\.yaml:\d+: .*absolute paths"):
        load(inventory("tools"))


def test_etc_has_what_programs_need_and_no_secret(inventory: Callable[[str], Path]) -> None:
    with machine(inventory("/usr")) as run:
        there = run("ls /etc").split()
        assert {"passwd", "group", "hosts", "hostname", "nsswitch.conf", "ld.so.cache"} <= {*there}
        assert not {"shadow", "gshadow", "ssh", "sudoers", "sudoers.d"} & {*there}
        assert run("id -un; cat /etc/hostname").split() == ["root", "push"]
        assert "Read-only" in run("echo x 2>&1 >> /etc/passwd")


def test_the_environment_of_the_users_shell_is_nowhere_on_a_machine(
    inventory: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", MARK)
    search = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c {}"
    with machine(inventory("/usr")) as run:
        assert int(run(search.format("^PATH="))) > 0  # the search finds what is there
        assert int(run(search.format(MARK))) == 0
