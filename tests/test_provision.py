"""Provisioning, run for real on bare Debian systems: with internet, without it, again and again."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from vm import needs

from pushpull.machines import offline_packages

SCRIPT = needs.PROJECT / "provision/provision.sh"
HOSTS = needs.PROJECT / "provision/hosts.sh"
SHELL_SCRIPTS = [SCRIPT, HOSTS, *sorted(needs.HERE.glob("*.sh"))]
VENV_PYTHON = "/opt/lab/venv/bin/python"
RELEASES = ("bookworm", "trixie")  # Debian 12 and 13; Ubuntu's packages can't be had everywhere
# Enters the system of the folder $1 without leaving a mount on this computer.
ENTER = """cd "$1" && shift && mount -t proc proc proc && mount --rbind /dev dev &&
    exec chroot . "$@" """

pytestmark = pytest.mark.timeout(600)  # the first test of all makes the systems


# With the file $1 as the whole system's /etc/hosts, runs the rest.
WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
BEFORE = """127.0.0.1 localhost
127.0.1.1 push push.example
# mine
10.1.2.3 printer
"""


AFTER = BEFORE.replace("127.0.1.1 push push.example", "127.0.1.1 push.example")


def _named(file: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run hosts.sh where `file` is /etc/hosts, with these arguments."""
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", WITH_HOSTS, "sh"]
    return subprocess.run(
        [*alone, str(file), "sh", str(HOSTS), *names], capture_output=True, text=True
    )


def test_names_come_first_in_the_hosts_file_and_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(BEFORE)
    assert _named(file, "192.168.0.161", "push", "192.168.0.162", "pull-1").returncode == 0
    once = file.read_text()
    assert once.endswith(AFTER)
    assert [line for line in once.removesuffix(AFTER).splitlines() if not line.startswith("#")] == [
        "192.168.0.161 push",
        "192.168.0.162 pull-1",
    ]
    assert _named(file, "192.168.0.161", "push", "192.168.0.162", "pull-1").returncode == 0
    assert file.read_text() == once
    assert _named(file, "10.7.0.1", "push").returncode == 0
    assert "192.168.0" not in file.read_text()
    assert file.read_text().endswith(AFTER)
    assert "10.7.0.1 push\n" in file.read_text()


def test_a_name_has_no_loopback_address_any_more(tmp_path: Path) -> None:
    """Debian and Vagrant give a machine's own name one: a program bound there is out of reach."""
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n127.0.1.1 box\tpull-1 # mine\n127.0.2.1 push push\n")
    assert _named(file, "192.168.0.161", "push", "192.168.0.162", "pull-1").returncode == 0
    others = file.read_text().partition("# End of the lab.\n")[2]
    assert others == "127.0.0.1 localhost\n127.0.1.1 box\n"


@pytest.mark.parametrize("name", ["push\n10.0.0.1 bank.example", "a b", "$(id)", "#"])
def test_what_is_no_name_gets_into_no_hosts_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / "hosts"
    file.write_text(BEFORE)
    done = _named(file, "192.168.0.161", name)
    assert (done.returncode, file.read_text()) == (1, BEFORE)
    assert "is no address and name" in done.stderr


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_are_clean(script: Path) -> None:
    needs.need("shellcheck")
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_provisioning_is_posix_shell() -> None:
    assert SCRIPT.read_text().startswith("#!/bin/sh\n")


class System:
    """A bare Debian with the lab's files in /srv/lab, as they are on a VM in /tmp/lab."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lab = root / "srv/lab"
        self.lab.mkdir(parents=True)
        shutil.copytree(
            SCRIPT.parent, self.lab / "provision", ignore=shutil.ignore_patterns("wheels*")
        )
        shutil.copy(needs.PROJECT / "requirements.lock", self.lab)
        # Whom this computer trusts, as its package index may have a certificate of its own.
        if (trusted := Path("/etc/ssl/certs/ca-certificates.crt")).exists():
            shutil.copy(trusted, root / "srv/trusted.crt")

    def run(self, *command: str, internet: bool) -> subprocess.CompletedProcess[str]:
        """Run a command in it; without `internet`, as behind a name server out of reach."""
        names = Path("/etc/resolv.conf").read_text() if internet else "nameserver 127.0.0.53\n"
        (self.root / "etc/resolv.conf").write_text(names)
        namespaces = [
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            *([] if internet else ["--net"]),
        ]
        environment = {"PATH": os.defpath + ":/usr/sbin:/sbin"}
        environment |= {name: os.environ[name] for name in ["PIP_INDEX_URL"] if name in os.environ}
        if (self.root / "srv/trusted.crt").exists():
            environment["PIP_CERT"] = "/srv/trusted.crt"
        return subprocess.run(
            ["unshare", *namespaces, "sh", "-c", ENTER, "sh", str(self.root), *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def provision(self, *, internet: bool) -> subprocess.CompletedProcess[str]:
        return self.run("sh", "/srv/lab/provision/provision.sh", internet=internet)

    def bring_wheels(self, folder: Path) -> None:
        shutil.copytree(folder, self.lab / "provision/wheels")

    def zmq_version(self) -> str:
        asked = "import zmq; print(zmq.__version__)"
        return self.run(VENV_PYTHON, "-c", asked, internet=False).stdout.strip()

    def packages(self) -> set[str]:
        listed = self.run("dpkg-query", "-W", "-f", "${Package} ", internet=False).stdout
        return set(listed.split())


@pytest.fixture
def system(tmp_path: Path) -> Callable[[str], System]:
    """Makes a system of a Debian release that has Python, as Ubuntu Server does, but no venv."""
    needs.need("mmdebstrap", "unshare", root=True)

    def make(release: str) -> System:
        archive = needs.cache() / f"provision-{release}.tar"
        with needs.locked(archive.name):
            if not archive.exists():
                _bootstrap(release, archive)
        root = tmp_path / release
        root.mkdir()
        subprocess.run(["tar", "-xpf", archive, "-C", root], check=True)
        return System(root)

    return make


def _bootstrap(release: str, archive: Path) -> None:
    new = archive.with_suffix(".new")
    options = ["--variant=minbase", "--include=python3", "--format=tar"]
    command = ["mmdebstrap", "--quiet", *options, release, str(new)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    new.rename(archive)


@pytest.fixture(scope="session")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `fab wheels` fetches, in a folder that isn't the project's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline_packages, "FOLDER", tmp_path_factory.mktemp("provision") / "wheels")
        offline_packages.fetch()
        yield offline_packages.FOLDER


def locked_version() -> str:
    found = re.search(r"^pyzmq==(\S+)", (needs.PROJECT / "requirements.lock").read_text(), re.M)
    assert found
    return found[1]


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_turns_a_bare_system_into_a_machine_of_the_lab(
    system: Callable[[str], System], release: str
) -> None:
    debian = system(release)
    before = debian.packages()
    done = debian.provision(internet=True)
    assert done.returncode == 0, done.stderr
    assert debian.zmq_version() == locked_version()
    assert {"python3-venv", "systemd-timesyncd"} <= debian.packages() - before

    venv = debian.root / "opt/lab/venv/pyzmq.lock"
    made, packages = venv.stat().st_mtime_ns, debian.packages()
    again = debian.provision(internet=False)  # nothing is missing, so nothing is fetched
    assert again.returncode == 0, again.stderr
    assert [line.split()[1] for line in again.stdout.splitlines()] == ["ready:"]
    assert (venv.stat().st_mtime_ns, debian.packages()) == (made, packages)


@pytest.mark.slow
def test_rebuilds_a_stale_or_broken_environment(
    system: Callable[[str], System],
    wheel_folder: Path,
) -> None:
    debian = system("bookworm")
    debian.bring_wheels(wheel_folder)
    assert debian.provision(internet=False).returncode == 0

    shutil.rmtree(next(debian.root.glob("opt/lab/venv/lib/python3*/site-packages/zmq")))
    assert debian.zmq_version() == ""
    assert debian.provision(internet=False).returncode == 0
    assert debian.zmq_version() == locked_version()

    lock = debian.lab / "requirements.lock"
    lock.write_text(re.sub(r"(?m)(^pyzmq==\S+ \\\n)(.*\n)", r"\1\2\2", lock.read_text(), count=1))
    done = debian.provision(internet=False)
    assert "making /opt/lab/venv" in done.stdout


@pytest.mark.slow
def test_refuses_a_package_with_a_wrong_hash(
    system: Callable[[str], System], wheel_folder: Path
) -> None:
    debian = system("bookworm")
    debian.bring_wheels(wheel_folder)
    lock = debian.lab / "requirements.lock"
    lock.write_text(re.sub(r"sha256:.{4}", "sha256:beef", lock.read_text()))
    done = debian.provision(internet=False)
    assert done.returncode == 1
    assert "pyzmq could not be installed" in done.stderr
    assert not (debian.root / "opt/lab/venv/pyzmq.lock").exists()


@pytest.mark.slow
def test_says_first_that_names_do_not_resolve(system: Callable[[str], System]) -> None:
    done = system("bookworm").provision(internet=False)
    assert done.returncode == 1
    assert re.search(r"^provision: '\S+' does not resolve", done.stderr)
    assert "VirtualBox 7.2.0" in done.stderr
    assert "./fab wheels" in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_installs_from_wheels_without_internet_and_leaves_the_systems_own_python_alone(
    system: Callable[[str], System], wheel_folder: Path, release: str
) -> None:
    debian = system(release)
    debian.bring_wheels(wheel_folder)
    done = debian.provision(internet=False)
    assert done.returncode == 0, done.stderr
    assert debian.zmq_version() == locked_version()
    assert "no time service" in done.stdout
    assert "python3-venv" not in debian.packages()
    asked = ["/usr/bin/python3", "-c", "import zmq"]
    assert debian.run(*asked, internet=False).returncode == 1  # PEP 668: it is the distribution's


@pytest.mark.slow
def test_wheels_suit_every_supported_machine(wheel_folder: Path) -> None:
    names = {file.name for file in wheel_folder.iterdir()}
    assert sum(name.startswith("pip-") for name in names) == 1
    for python in ("cp310", "cp311", "cp312"):
        for processor in ("x86_64", "aarch64"):
            pattern = rf"pyzmq-{re.escape(locked_version())}-{python}-\S+_{processor}\.whl"
            assert any(re.fullmatch(pattern, name) for name in names), (python, processor)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["true", "false"])
def test_the_tests_own_packages_start_no_service_and_leave_no_policy(
    system: Callable[[str], System], outcome: str
) -> None:
    """deps.sh with a stand-in for apt-get, which asks whether services may start."""
    debian = system("bookworm")
    shutil.copy(needs.HERE / "deps.sh", debian.root / "deps.sh")
    apt = debian.root / "usr/bin/apt-get"
    apt.write_text(f"#!/bin/sh\n/usr/sbin/policy-rc.d\necho $? >>/policy\n{outcome}\n")
    done = debian.run("/deps.sh", internet=False)
    assert (done.returncode == 0) is (outcome == "true"), done.stderr
    assert set((debian.root / "policy").read_text().split()) == {"101"}
    assert not (debian.root / "usr/sbin/policy-rc.d").exists()
