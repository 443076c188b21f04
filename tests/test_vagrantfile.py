"""The Vagrantfile, evaluated with a stand-in for Vagrant: its machines are the inventory's."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vm import needs
from vm.stand_in import addresses, evaluated, network

from pushpull.machines import inventory

VAGRANTFILE = needs.PROJECT / "Vagrantfile"
Evaluate = Callable[..., dict[str, Any]]

COUNTED = """
network: 10.20.0.0/16
machines:
  boss: {role: pusher, address: 10.20.3.4}
  crew: {role: puller, address: 10.20.0.250, count: 10}
  lone: {role: puller, address: 10.20.9.9, count: 1}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Vagrantfile, the inventory and what the Vagrantfile hands over."""
    for name in ("Vagrantfile", "inventory.yaml", "requirements.lock"):
        shutil.copy(needs.PROJECT / name, tmp_path)
    shutil.copytree(
        needs.PROJECT / "provision", tmp_path / "provision", ignore=shutil.ignore_patterns("wheels")
    )
    return tmp_path


@pytest.fixture
def evaluate(folder: Path) -> Evaluate:
    """Evaluates the folder's Vagrantfile and returns what it sets under `config.vm`."""

    def run(text: str = "", *, kvm: bool = True) -> dict[str, Any]:
        if text:
            (folder / "inventory.yaml").write_text(text)
        return evaluated(folder / "Vagrantfile", kvm=kvm)

    return run


def test_reads_at_a_glance_and_says_first_why_the_network_is_internal() -> None:
    text = VAGRANTFILE.read_text()
    assert len(text.splitlines()) < 60
    assert "internal" in text[: text.index("require")]
    assert not re.search(r"^\s*for\b", text, re.MULTILINE)


def test_addresses_and_names_are_the_inventorys(evaluate: Evaluate, folder: Path) -> None:
    vm = evaluate()
    assert addresses(vm) == {
        "push": "192.168.0.161",
        "pull-1": "192.168.0.162",
        "pull-2": "192.168.0.163",
    }
    for name, machine in vm["define"].items():
        assert machine["vm"]["hostname"] == name
        assert network(vm, name)["netmask"] == "255.255.255.0"


@pytest.mark.parametrize("text", ["", COUNTED, "# Größe: ü\n" + COUNTED])
def test_expands_the_inventory_as_the_lab_does(evaluate: Evaluate, folder: Path, text: str) -> None:
    vm = evaluate(text)
    machines = inventory.load(folder / "inventory.yaml").machines
    assert addresses(vm) == {machine.name: machine.address for machine in machines}


def test_the_mask_is_that_of_the_network(evaluate: Evaluate) -> None:
    assert network(evaluate(COUNTED), "crew-7")["netmask"] == "255.255.0.0"


@pytest.mark.parametrize(
    ("settings", "box", "size"),
    [
        ("", ("bento/ubuntu-24.04", "202508.03.0"), (512, 1)),
        ("memory: 1024, cpus: 2", ("bento/ubuntu-24.04", "202508.03.0"), (1024, 2)),
        ("box: some/box", ("some/box", None), (512, 1)),
        ('box: some/box, box_version: "1.2"', ("some/box", "1.2"), (512, 1)),
        ('box_version: "202501.01.0"', ("bento/ubuntu-24.04", "202501.01.0"), (512, 1)),
    ],
)
def test_box_memory_and_cores_are_those_of_the_inventory(
    evaluate: Evaluate,
    folder: Path,
    settings: str,
    box: tuple[str, str | None],
    size: tuple[int, int],
) -> None:
    """The pinned version is one of the default box; another box has versions of its own."""
    vm = evaluate(f"{COUNTED}providers: {{vagrant: {{{settings}}}}}")
    inventory.load(folder / "inventory.yaml")  # which the lab itself accepts
    assert (vm["box"], vm.get("box_version")) == box
    for provider in ("virtualbox", "libvirt"):
        given = vm["provider"][provider]
        assert (given["memory"], given["cpus"]) == size


def test_virtualbox_gets_an_internal_network_and_no_host_adapter(evaluate: Evaluate) -> None:
    vm = evaluate()
    network_faults = {network(vm, name)["virtualbox__intnet"] for name in vm["define"]}
    [wire] = network_faults
    # `true` would mean the one name "intnet" for all checkouts.
    assert re.fullmatch(r"lab-[0-9a-f]{8}", wire)


def test_libvirt_gets_a_network_without_an_address_on_the_host(evaluate: Evaluate) -> None:
    vm = evaluate()
    for name in vm["define"]:
        options = network(vm, name)
        assert options["libvirt__forward_mode"] == "veryisolated"
        assert options["libvirt__dhcp_enabled"] is False
        assert options["libvirt__network_name"] == options["virtualbox__intnet"]
    assert vm["provider"]["libvirt"]["default_prefix"].startswith("lab-")


def test_two_checkouts_share_no_wire(evaluate: Evaluate, folder: Path, tmp_path: Path) -> None:
    here = network(evaluate(), "push")["virtualbox__intnet"]
    other = shutil.copytree(folder, tmp_path / "other", ignore=shutil.ignore_patterns("other"))
    assert network(evaluated(other / "Vagrantfile"), "push")["virtualbox__intnet"] != here


def test_libvirt_does_without_kvm_where_there_is_none(evaluate: Evaluate) -> None:
    assert evaluate(kvm=False)["provider"]["libvirt"]["driver"] == "qemu"
    assert "driver" not in evaluate(kvm=True)["provider"]["libvirt"]


def test_nothing_of_this_computer_is_shared_and_keys_are_replaced(evaluate: Evaluate) -> None:
    vm = evaluate()
    assert vm["synced_folder"] == [[".", "/vagrant", {"disabled": True}]]
    assert "insert_key" not in VAGRANTFILE.read_text()  # Vagrant replaces its known key by itself


def test_hands_over_what_provisioning_needs_wheels_included(evaluate: Evaluate) -> None:
    _, *files, (kind, run) = evaluate()["provision"]
    sent = {options["source"]: options["destination"] for _, options in files}
    assert sent == {
        "requirements.lock": "/tmp/lab/requirements.lock",
        "provision": "/tmp/lab/provision",
    }
    assert (kind, run["inline"]) == ("shell", "sh /tmp/lab/provision/provision.sh")


def test_each_start_tells_a_machine_the_names_of_all(evaluate: Evaluate, folder: Path) -> None:
    (kind, run), *_ = evaluate(COUNTED)["provision"]
    assert (kind, run["path"], run["run"]) == ("shell", "provision/hosts.sh", "always")
    machines = inventory.load(folder / "inventory.yaml").machines
    expected = [word for machine in machines for word in (machine.address, machine.name)]
    assert run["args"] == expected


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["", "libvirt.memry = 1"])
def test_vagrant_itself_finds_it_valid(folder: Path, tmp_path: Path, wrong: str) -> None:
    needs.need("vagrant")
    file = folder / "Vagrantfile"
    file.write_text(file.read_text().replace("libvirt.cpus", f"{wrong}\n    libvirt.cpus"))
    environment = os.environ | {"VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_NO_COLOR": "1"}
    environment |= {"VAGRANT_DEFAULT_PROVIDER": "libvirt", "VAGRANT_CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        ["vagrant", "validate"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert (done.returncode == 0) is (not wrong), done.stdout + done.stderr


@pytest.mark.slow
def test_virtualbox_knows_the_settings_that_validate_does_not_check(evaluate: Evaluate) -> None:
    needs.need("vagrant")
    asked = """
        require "vagrant"
        require "plugins/providers/virtualbox/config"
        config = VagrantPlugins::ProviderVirtualBox::Config.new
        puts ARGV.reject { |setting| config.respond_to?("#{setting}=") }
    """
    [gem] = Path("/usr/share/rubygems-integration/all/gems").glob("vagrant-2*")
    settings = list(evaluate()["provider"]["virtualbox"])
    command = ["ruby", f"-I{gem}", "-e", asked, *settings]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
