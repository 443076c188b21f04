"""The provider `vagrant` with a stand-in for Vagrant: what it asks, caches and refuses."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pushpull.core import project
from pushpull.core.errors import LabError
from pushpull.machines import inventory
from pushpull.machines.providers.base import Access
from pushpull.machines.providers.vagrant import power
from pushpull.machines.providers.vagrant.provider import Vms

PROJECT = Path(__file__).parents[1]
NAMES = ("push", "pull-1", "pull-2")

# Notes each call. `status` reads the states from files; a host key is made from an id.
FAKE_VAGRANT = """#!/bin/sh
echo "vagrant $*" >>"$CALLS"
case "$1" in
    status) for m in push pull-1 pull-2; do
            echo "1700000000,$m,metadata,provider,libvirt"
            echo "1700000000,$m,state,$(cat "$STATES/$m")"
        done ;;
    ssh-config) for m in push pull-1 pull-2; do
            printf 'Host %s\\n  HostName %s\\n' "$m" "${HOST:-127.0.0.1}"
            printf '  User vagrant\\n  Port 2222\\n'
            printf '  IdentityFile "/some folder/%s"\\n  IdentitiesOnly yes\\n\\n' "$m"
        done ;;
    ssh) echo "ssh-ed25519 AAAAkey-of-$(cat .vagrant/machines/$2/libvirt/id) root@$2" ;;
    up | halt) exit "${FAILS:-0}" ;;
esac
"""
FAKE_SWITCH = '#!/bin/sh\necho "${0##*/} $* $LIBVIRT_DEFAULT_URI" >>"$CALLS"\n'


class Computer:
    """A computer with the project, and VMs as Vagrant's own files have them."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.home = folder / "home"
        self.calls_file = folder / "calls"
        self.states = folder / "states"
        self.tools = folder / "bin"
        for each in (self.project, self.states, self.tools):
            each.mkdir()
        self.calls_file.touch()
        shutil.copy(PROJECT / "inventory.yaml", self.project)
        for name in NAMES:
            self.make(name, "1")

    def make(self, name: str, identity: str, *, hypervisor: str = "libvirt") -> None:
        """Make a VM, or make it anew."""
        machine = self.project / ".vagrant/machines" / name / hypervisor
        machine.mkdir(parents=True, exist_ok=True)
        (machine / "id").write_text(f"{name}-{identity}")
        (machine / "index_uuid").write_text(f"uuid-{name}")
        self.touch(name, "running")

    def touch(self, name: str, now: str) -> None:
        """Let Vagrant look at a VM and see its state."""
        (self.states / name).write_text(now)
        index = self.home / "data/machine-index/index"
        index.parent.mkdir(parents=True, exist_ok=True)
        machines = json.loads(index.read_text())["machines"] if index.exists() else {}
        machines[f"uuid-{name}"] = {"name": name, "state": now, "updated_at": None}
        index.write_text(json.dumps({"version": 1, "machines": machines}))

    def tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def calls(self) -> list[str]:
        """Return the calls since the last time."""
        calls = self.calls_file.read_text().splitlines()
        self.calls_file.write_text("")
        return calls


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    made = Computer(tmp_path)
    made.tool("vagrant", FAKE_VAGRANT)
    monkeypatch.setattr(project, "PROJECT", made.project)
    for name, value in {
        "PATH": f"{made.tools}:{os.defpath}",
        "VAGRANT_HOME": str(made.home),
        "CALLS": str(made.calls_file),
        "STATES": str(made.states),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VAGRANT_DOTFILE_PATH", raising=False)
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    return made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def vms(computer: Computer, said: list[str]) -> Vms:
    return Vms(inventory.load(computer.project / "inventory.yaml"), said.append)


@pytest.fixture
def machines(vms: Vms) -> Callable[[], Mapping[str, Access]]:
    def get() -> Mapping[str, Access]:
        with vms.lab(keep=False) as found:
            return found.access

    return get


Machines = Callable[[], Mapping[str, Access]]


def test_reaches_each_machine_as_vagrant_says(machines: Machines) -> None:
    found = machines()
    assert list(found) == list(NAMES)
    push = found["push"]
    assert (push.address, push.roles) == ("192.168.0.161", ("pusher",))
    assert push.provider == "vagrant"
    assert (push.host, push.port, push.user) == ("127.0.0.1", 2222, "vagrant")
    assert push.key_file == Path("/some folder/push")
    assert push.host_key == "ssh-ed25519 AAAAkey-of-push-1"


def test_asks_vagrant_once(computer: Computer, machines: Machines) -> None:
    machines()
    asked = [call.split(" -c")[0] for call in computer.calls()]
    keys = [f"vagrant ssh {name}" for name in NAMES]
    assert asked == ["vagrant status --machine-readable", "vagrant ssh-config", *keys]
    machines()
    assert computer.calls() == []


def test_asks_again_once_vagrant_has_touched_a_machine(
    computer: Computer, machines: Machines
) -> None:
    """After a halt and an up, port or address can be another; the host key is not."""
    machines()
    computer.calls()
    computer.touch("pull-1", "running")
    machines()
    assert "vagrant ssh-config" in computer.calls()
    machines()
    assert computer.calls() == []


def test_a_rebuilt_machine_has_a_new_host_key_and_the_others_keep_theirs(
    computer: Computer, machines: Machines
) -> None:
    machines()
    computer.calls()
    computer.make("pull-2", "2")
    found = machines()
    assert found["pull-2"].host_key == "ssh-ed25519 AAAAkey-of-pull-2-2"
    assert [call for call in computer.calls() if " ssh " in call] == [
        "vagrant ssh pull-2 -c cat /etc/ssh/ssh_host_ed25519_key.pub"
    ]


def test_only_the_user_can_read_vagrants_answers(computer: Computer, machines: Machines) -> None:
    machines()
    [kept] = computer.project.glob(".lab/vagrant-*/machines.json")
    assert kept.parent.stat().st_mode & 0o077 == 0


def test_is_up_asks_nobody(computer: Computer, vms: Vms) -> None:
    assert vms.is_up()
    computer.touch("pull-2", "shutoff")
    assert not vms.is_up()
    shutil.rmtree(computer.project / ".vagrant")
    assert not vms.is_up()
    assert computer.calls() == []


def test_is_not_up_while_the_index_is_being_written(computer: Computer, vms: Vms) -> None:
    (computer.home / "data/machine-index/index").write_text('{"version":1,"mach')
    assert not vms.is_up()


def test_refuses_a_lab_that_is_partly_up(computer: Computer, machines: Machines) -> None:
    computer.touch("pull-1", "shutoff")
    computer.touch("pull-2", "not_created")
    with pytest.raises(LabError) as refused:
        machines()
    assert refused.value.what == "not all VMs are running: pull-1 is shutoff, pull-2 is not up"
    assert refused.value.hint == "vagrant up"


def test_refuses_a_machine_on_another_computers_network(
    computer: Computer, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "198.51.100.7")  # RFC 5737: nobody's
    with pytest.raises(LabError, match=r"198\.51\.100\.7 is not on any network of this computer"):
        machines()
    assert not [call for call in computer.calls() if call.startswith("vagrant ssh ")]


def test_refuses_another_inventory_than_the_vagrantfiles(
    computer: Computer, tmp_path: Path
) -> None:
    other = shutil.copy(computer.project / "inventory.yaml", tmp_path / "other.yaml")
    vms = Vms(inventory.load(Path(other)))
    assert not vms.is_up()
    for ask in (vms.up, vms.down, vms.status, lambda: vms.lab(keep=False).__enter__()):
        with pytest.raises(LabError, match="belong to the inventory next to the Vagrantfile"):
            ask()


def test_says_that_vagrant_is_missing(
    vms: Vms, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for ask in (vms.up, vms.down, vms.status, lambda: vms.own_shell("push"), machines):
        with pytest.raises(LabError, match="no command 'vagrant'") as missing:
            ask()
        assert "install Vagrant" in missing.value.hint


def test_up_and_down_call_vagrant_and_print_that(
    computer: Computer, vms: Vms, said: list[str]
) -> None:
    vms.up()
    assert vms.down()
    assert said[:2] == ["$ vagrant up", "$ vagrant halt"]
    assert "vagrant destroy" in said[2]
    assert [call for call in computer.calls() if "status" not in call] == [
        "vagrant up",
        "vagrant halt",
    ]


def test_status_and_a_shell_call_vagrant_and_print_that(
    computer: Computer, vms: Vms, said: list[str]
) -> None:
    computer.touch("pull-1", "shutoff")
    assert vms.status() == {"push": "running", "pull-1": "shutoff", "pull-2": "running"}
    assert vms.own_shell("pull-2")
    assert said == ["$ vagrant status", "$ vagrant ssh pull-2"]
    assert computer.calls() == ["vagrant status --machine-readable", "vagrant ssh pull-2"]


def test_a_shell_on_a_machine_that_was_never_made(computer: Computer, vms: Vms) -> None:
    shutil.rmtree(computer.project / ".vagrant/machines/pull-2")
    with pytest.raises(LabError, match="there is no such VM") as missing:
        vms.own_shell("pull-2")
    assert missing.value.hint == "vagrant up"
    assert computer.calls() == []


def test_down_has_nothing_to_do_when_no_machine_runs(computer: Computer, vms: Vms) -> None:
    for name in NAMES:
        computer.touch(name, "shutoff")
    assert not vms.down()
    assert "vagrant halt" not in computer.calls()


def test_a_failed_up_names_another_box(vms: Vms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "1")
    with pytest.raises(LabError, match="`vagrant up` failed") as failed:
        vms.up()
    assert "cloud-image/ubuntu-24.04" in failed.value.hint


def test_vagrants_error_output_is_shown(computer: Computer, machines: Machines) -> None:
    computer.tool("vagrant", "#!/bin/sh\necho 'There is a syntax error' >&2; exit 1\n")
    with pytest.raises(LabError, match="`vagrant status --machine-readable` failed") as failed:
        machines()
    assert failed.value.output == "There is a syntax error"


@pytest.mark.parametrize(
    ("hypervisor", "tool", "off", "on"),
    [
        ("libvirt", "virsh", "destroy pull-1-1 qemu:///system", "start pull-1-1 qemu:///system"),
        (
            "virtualbox",
            "VBoxManage",
            "controlvm pull-1-1 poweroff qemu:///system",
            "startvm pull-1-1 --type headless qemu:///system",
        ),
    ],
)
def test_switches_power_by_the_hypervisors_own_tool(
    computer: Computer,
    vms: Vms,
    machines: Machines,
    monkeypatch: pytest.MonkeyPatch,
    hypervisor: str,
    tool: str,
    off: str,
    on: str,
) -> None:
    machines()
    shutil.rmtree(computer.project / ".vagrant/machines/pull-1")
    computer.make("pull-1", "1", hypervisor=hypervisor)
    computer.tool(tool, FAKE_SWITCH)
    computer.calls()
    waited = []
    monkeypatch.setattr(power, "wait_for_ssh", lambda *there: waited.append(there) or True)
    vms.power_off("pull-1")
    vms.power_on("pull-1")
    assert computer.calls() == [f"{tool} {off}", f"{tool} {on}"]
    assert waited == [("127.0.0.1", 2222)]


def test_says_that_a_hypervisor_has_no_switch(computer: Computer, vms: Vms) -> None:
    shutil.rmtree(computer.project / ".vagrant/machines/push")
    computer.make("push", "1", hypervisor="hyperv")
    with pytest.raises(LabError, match="can't switch the power of a VM in hyperv"):
        vms.power_off("push")


def test_a_second_run_is_refused(vms: Vms) -> None:
    with vms.lab(keep=False), pytest.raises(LabError, match="another run"):
        vms.lab(keep=False).__enter__()
