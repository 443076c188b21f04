"""A provider that an installed distribution brings: the lab takes it as one of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import PROJECT, fab, only_run
from hosts import Hosts, hosts
from quick import rest_slow

from pushpull.core.errors import ExitCode

ARTICLE = {"push": "192.168.0.161", "pull-1": "192.168.0.162", "pull-2": "192.168.0.163"}
STANDING = '''
"""Hosts that stand ready on this computer, each at a port."""

import contextlib
import getpass
import sys

from pushpull.machines.inventory.settings import number, path, section
from pushpull.machines.providers.base import Access, Auto, Machines, Provider


class Standing(Provider):
    name = "standing"
    summary = "hosts that stand ready at ports of this computer"
    settings = section("settings, such as {key: client}", {"key": path("the path of a key")})
    machine_settings = section(
        "settings, such as {port: 2201}", {"port": number(1, 65535, "a number from 1 to 65535")}
    )
    auto = Auto(order=5)

    @contextlib.contextmanager
    def lab(self, *, keep):
        yield Machines({each.name: self._access(each) for each in self.inventory.machines})

    def up(self):
        pass

    def down(self):
        return False

    def status(self):
        return {each.name: "stands" for each in self.inventory.machines}

    def _access(self, machine):
        settings = self.inventory.settings_for(self.name, machine)
        folder = self.inventory.path.absolute().parent
        public = (folder / machine.name / "host_key.pub").read_text()
        return Access(
            provider=self.name,
            machine=machine.name,
            roles=machine.roles,
            address=machine.address,
            host="127.0.0.1",
            port=settings["port"],
            user=getpass.getuser(),
            key_file=folder / settings["key"],
            host_key=public,
            work=".cache/push-pull-lab",
            python=sys.executable,
        )
'''


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Install a module with a provider, as pip does; return the environment that has it."""

    def installed(name: str, module: str, target: str) -> dict[str, str]:
        about = tmp_path / "site" / f"{name}_provider-1.0.dist-info"
        about.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}-provider\nVersion: 1.0\n"
        (about / "METADATA").write_text(metadata)
        (about / "entry_points.txt").write_text(f"[pushpull.providers]\n{name} = {target}\n")
        (tmp_path / "site" / f"{name}_provider.py").write_text(module)
        return {"PYTHONPATH": str(tmp_path / "site")}

    return installed


@pytest.fixture
def standing(install: Callable[..., dict[str, str]]) -> dict[str, str]:
    return install("standing", STANDING, "standing_provider:Standing")


@pytest.fixture(scope="module")
def up(sshd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with hosts(tmp_path_factory.mktemp("hosts"), sshd_program, ARTICLE) as found:
        yield found


@pytest.fixture
def inventory(up: Hosts) -> Path:
    lines = ["network: 192.168.0.0/24", "machines:"]
    for name, address in ARTICLE.items():
        role = "pusher" if name == "push" else "puller"
        port = f"standing: {{port: {up.ports[name]}}}"
        lines.append(f"  {name}: {{role: {role}, address: {address}, {port}}}")
    lines += ["providers:", "  standing: {key: client}"]
    path = up.folder / "standing.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.slow
def test_an_experiment_runs_on_it(
    standing: dict[str, str], inventory: Path, tmp_path: Path
) -> None:
    flags = ("--provider", "standing", "--inventory", inventory, "--runs", tmp_path / "runs")
    run = ("run-experiment", "--experiment", "round_robin", "--interval", "0.05")
    done = fab(*run, *flags, environment=standing)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    told = json.loads((only_run(tmp_path / "runs") / "run.json").read_text())
    assert told["provider"] == "standing"


@pytest.mark.slow
def test_auto_takes_it_in_its_turn(standing: dict[str, str], inventory: Path) -> None:
    done = fab("providers", environment=standing)
    assert "auto\n    vagrant if it is up, else standing, else namespaces, else" in done.stdout
    assert "standing (standing-provider 1.0)\n    hosts that stand ready at ports" in done.stdout
    states = fab("status", "--inventory", inventory, environment=standing)
    assert states.stdout.count("stands\n") == len(ARTICLE)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    rest_slow(
        [
            ("{key: client}", "{kye: client}", ":7: unknown key 'kye' - did you mean 'key'?"),
            ("port: ", "port: 9", ":3: 'port' can't be '9"),
            (
                "standing: {key",
                "standign: {key",
                ":7: unknown key 'standign' - did you mean 'standing",
            ),
        ]
    ),
)
def test_its_settings_are_checked(
    standing: dict[str, str], inventory: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(inventory.read_text().replace(old, new))
    flags = ("--provider", "standing", "--inventory", wrong)
    done = fab("status", *flags, environment=standing)
    assert done.returncode == ExitCode.MISTAKE
    assert f"{wrong}{said}" in done.stderr


def test_without_it_its_settings_are_unknown(inventory: Path) -> None:
    done = fab("status", "--provider", "standing", "--inventory", inventory)
    assert done.returncode == ExitCode.MISTAKE
    assert f"{inventory}:7: unknown key 'standing' - known here: " in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "target", "why"),
    rest_slow(
        [
            ("import nothing_of_the_kind", "broken_provider:Broken", "ModuleNotFoundError"),
            ("raise SystemExit", "broken_provider:Broken", "SystemExit"),
            ("Broken = 3", "broken_provider:Broken", "3 is not the provider 'broken'"),
            (
                "class Broken: name = 'other'",
                "broken_provider:Broken",
                "is not the provider 'broken'",
            ),
            (
                "class Broken: name, settings = 'broken', None",
                "broken_provider:Broken",
                "is not the prov",
            ),
            ("", "broken_provider:Broken", "AttributeError"),
        ]
    ),
)
def test_one_that_is_broken_stops_only_those_who_ask_for_it(
    install: Callable[..., dict[str, str]], module: str, target: str, why: str
) -> None:
    broken = install("broken", module, target)
    asked = fab("status", "--provider", "broken", environment=broken, cwd=PROJECT)
    assert asked.returncode == ExitCode.MISTAKE
    assert why in asked.stderr
    assert "broken-provider 1.0" in asked.stderr
    assert "Traceback" not in asked.stderr
    listed = fab("providers", environment=broken)
    assert "broken (broken-provider 1.0)\n    can't be used: " in listed.stdout
    others = fab("status", environment=broken, cwd=PROJECT)
    assert others.returncode == 0, others.stderr


def test_none_takes_the_place_of_the_labs_own(install: Callable[..., dict[str, str]]) -> None:
    environment = install("ssh", "raise SystemExit('it was loaded')", "ssh_provider:Hosts")
    done = fab("providers", environment=environment)
    assert done.returncode == 0
    assert "ssh\n    your own hosts" in done.stdout


@pytest.mark.slow
def test_it_keeps_the_contract(standing: dict[str, str], inventory: Path) -> None:
    """As its author would try it."""
    flags = ["--provider", "standing", "--inventory", str(inventory)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "tests/provider_contract.py", *flags],
        cwd=PROJECT,
        env=os.environ | standing,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]
