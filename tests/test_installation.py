"""Installing what an implementation needs, choosing its version, and trusting it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pushpull.cli import conformance as trust
from pushpull.core.errors import LabError, NotFit
from pushpull.core.installation import Installation, Packages
from pushpull.experiments import conformance, implementations, manifest
from pushpull.experiments.conformance import checks
from pushpull.experiments.conformance.checks import CHECKS
from pushpull.experiments.conformance.local import Local, Mismatch
from pushpull.machines import installer, requirements
from pushpull.machines.providers.base import Access


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return installer.root()


def built(tmp_path: Path, *commands: tuple[str, ...]) -> Installation:
    """An installation that needs no network: its commands find a file in {here}."""
    (tmp_path / "data").write_text("of the test\n")
    packages = Packages(build=commands)
    return Installation(title="mine@1", packages=packages, files={"sub/data": tmp_path / "data"})


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


# -- installing ----------------------------------------------------------------------------------


def test_what_is_built_is_found_inside(tmp_path: Path, cache: Path) -> None:
    one = built(
        tmp_path,
        ("mkdir", "-p", "{prefix}/bin"),
        ("cp", "{here}/sub/data", "{prefix}/bin/it's a tool"),
    )
    assert not installer.is_installed(one)
    folder = installer.install(one)
    assert installer.is_installed(one)
    assert (folder / "bin/it's a tool").read_text() == "of the test\n"
    assert left(cache) == [one.folder]
    installer.install(one)  # does nothing
    assert left(cache) == [one.folder]


def test_commands_are_found_after_other_files_were_installed(tmp_path: Path) -> None:
    """`enter` leads to what is in its folder, wherever that is."""
    folder = installer.install(built(tmp_path, ("true",)))
    (folder / "python").mkdir()
    (folder / "python/of_the_test.py").write_text("value = 7\n")
    code = "import of_the_test; print(of_the_test.value)"
    said = subprocess.run([folder / "enter", sys.executable, "-c", code], capture_output=True)
    assert said.stdout == b"7\n"


def test_only_folders_of_commands_are_in_the_path(tmp_path: Path) -> None:
    """Erlang has a hundred of `ebin`, and fails if the PATH is as long as that."""
    one = built(tmp_path, ("mkdir", "-p", "{prefix}/usr/sbin", "{prefix}/usr/lib/of-the-test/ebin"))
    path = [
        line
        for line in (installer.install(one) / "enter").read_text().splitlines()
        if " PATH=" in line
    ]
    assert path == ['export PATH="$here/usr/sbin${PATH:+:$PATH}"']


def test_what_fails_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    one = built(tmp_path, ("sh", "-c", "echo the reason; touch {prefix}/half; exit 3"))
    with pytest.raises(LabError, match="sh failed") as caught:
        installer.install(one)
    assert caught.value.output == "the reason"
    assert (caught.value.where, left(cache)) == ("mine@1", [])


def test_words_are_words_for_the_shell_too(tmp_path: Path) -> None:
    hostile = "$(touch x) `touch y`; touch z 'a"
    folder = installer.install(built(tmp_path, ("sh", "-c", 'echo "$0" >{prefix}/said', hostile)))
    assert (folder / "said").read_text() == f"{hostile}\n"


def test_another_content_is_another_folder(tmp_path: Path) -> None:
    one, other = built(tmp_path, ("true",)), built(tmp_path, ("true", "2"))
    assert one.folder != other.folder
    before = one.folder
    (tmp_path / "data").write_text("changed\n")
    assert one.folder != before


# -- what a machine lacks ------------------------------------------------------------------------


def machine(access: Access) -> Any:
    def run(argv: list[str]) -> bytes:
        return subprocess.run(argv, capture_output=True, check=False).stdout

    return SimpleNamespace(access=access, name=access.machine, run=run)


def access(provider: str, **more: Any) -> Access:
    given: dict[str, Any] = {"roles": (), "address": "", "port": 22, "user": None, "work": ""}
    given |= {"provider": provider, "machine": "m", "host": "host-1", "python": sys.executable}
    return Access(**given | more)


@pytest.mark.parametrize(
    ("there", "line"),
    [
        (access("ssh"), "./fab implementations --script mine@1 | ssh host-1 'sudo sh'"),
        (access("ssh", user="u", port=2200), "--script mine@1 | ssh u@host-1 -p 2200 'sudo sh'"),
        (access("vagrant"), "--script mine@1 | vagrant ssh m -c 'sudo sh'"),
    ],
)
def test_a_machine_without_it_is_named_with_the_line(
    tmp_path: Path, there: Access, line: str
) -> None:
    one = built(tmp_path, ("true",))
    with pytest.raises(NotFit, match="mine@1 is not installed") as caught:
        requirements.require(machine(there), [], installation=one)
    assert caught.value.hint.endswith(line)


def test_needs_are_looked_for_inside(tmp_path: Path, cache: Path) -> None:
    make = "mkdir {prefix}/bin; echo exit >{prefix}/bin/of-the-test; chmod 755 {prefix}/bin/*"
    one = built(tmp_path, ("sh", "-c", make))
    here = machine(access("namespaces", implementations=str(cache)))
    with pytest.raises(NotFit) as caught:
        requirements.require(here, ["of-the-test"], installation=one)
    assert caught.value.hint == "./fab implementations --install mine@1"
    installer.install(one)
    requirements.require(here, ["of-the-test"], installation=one)
    with pytest.raises(NotFit, match="not-there"):
        requirements.require(here, ["of-the-test", "not-there"], installation=one)


# -- versions ------------------------------------------------------------------------------------


def test_the_beginning_of_a_version_will_do() -> None:
    assert str(implementations.chosen("pyzmq@16")) == "pyzmq@16.0.4"
    choice = implementations.chosen("sender=pyzmq@22,receiver=perl")
    assert str(choice) == "sender=pyzmq@22.3.0,receiver=perl"
    old = implementations.get("pyzmq@16")
    assert {"HEARTBEAT_IVL", "connected"} & implementations.get("pyzmq").programs["push"].offers
    assert "HEARTBEAT_IVL" not in old.programs["push"].offers
    assert "step" not in old.programs
    call = old.programs["push"].argv("/py", ["--count", "1"], "/impl")
    assert call[:2] == [f"/impl/{old.installation.folder}/enter", "python2.7"]


@pytest.mark.parametrize("text", ["pyzmq@1", "pyzmq@16.0.5", "perl@5"])
def test_no_such_version(text: str) -> None:
    with pytest.raises(LabError, match="has no version"):
        implementations.chosen(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('pypi = ["pynng"]', ["`packages.pypi`", "pinned"]),
        ('pypi = ["--index-url==1"]', ["`packages.pypi`"]),
        ('npm = ["zeromq"]', ["`packages.npm`", "zeromq@6.8.0"]),
        ('debian = ["-oX=1"]', ["`packages.debian`"]),
        ('suite = "a b"', ["`packages.suite`"]),
        ('build = ["cc"]', ["`packages.build`"]),
        ('build = [["cc", "{home}"]]', ["`packages.build`", "{prefix}"]),
        ('files = ["gone.c"]', ["`packages.files`", "gone.c"]),
        ('pipy = ["a==1"]', ["`packages.pipy`", "there are:"]),
    ],
)
def test_a_mistake_in_packages(tmp_path: Path, line: str, words: list[str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (implementations.FOLDER / "plain_python" / manifest.FILE).read_text()
    (folder / manifest.FILE).write_text(f"{text}\n[packages]\n{line}\n")
    with pytest.raises(LabError) as caught:
        manifest.load(folder)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# -- trust ---------------------------------------------------------------------------------------


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[conformance.Result]:
    """What the conformance test is made to come to; each time it runs, one is taken."""
    found: list[conformance.Result] = []

    def run(*_: object) -> Iterator[conformance.Result]:
        yield found.pop()

    monkeypatch.setattr(conformance, "run", run)
    return found


def test_a_pass_is_remembered_for_just_this_content(
    results: list[conformance.Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = implementations.get("plain_python")
    results.append(conformance.Result(CHECKS[0], None))
    trust.require(one)
    trust.require(one)  # would find no result
    other = replace(one, installation=replace(one.installation, title="plain_python@2"))
    with pytest.raises(IndexError):
        trust.require(other)


def test_one_that_fails_is_refused_each_time(results: list[conformance.Result]) -> None:
    one = implementations.get("plain_python")
    for _ in range(2):
        results.append(conformance.Result(CHECKS[0], Mismatch("it prints nothing")))
        with pytest.raises(LabError, match="doesn't pass the conformance test") as caught:
            trust.require(one)
        assert caught.value.hint.endswith("--test plain_python")


def test_one_that_is_not_installed_is_refused() -> None:
    with pytest.raises(LabError, match="not installed") as caught:
        trust.require(implementations.get("nanomsg"))
    assert caught.value.hint == "./fab implementations --install nanomsg"


def test_a_check_finds_a_program_that_passes_over_flags(tmp_path: Path) -> None:
    programs = dict(implementations.get("plain_python").programs)
    lax = tmp_path / "push.py"
    text = programs["push"].files["push.py"].read_text()
    lax.write_text(text.replace(".parse_args()", ".parse_known_args()[0]"))
    programs["push"] = replace(programs["push"], files=programs["push"].files | {"push.py": lax})
    check = next(c for c in CHECKS if c.run is checks.an_unknown_flag_is_refused)
    programs["push"] = replace(programs["push"], call=(*programs["push"].call, "--count", "0"))
    found = conformance.try_one(check, programs, str(installer.root())).mismatch
    assert found is not None
    assert "push passes over an unknown flag" in found.what


def test_the_kernel_reports_the_connections_of_a_program_that_does_not(tmp_path: Path) -> None:
    programs = {
        name: replace(program, watched=frozenset({"connected", "disconnected"}))
        for name, program in implementations.get("plain_python").programs.items()
    }
    with Local(programs, tmp_path, str(installer.root())) as local:
        pull = local.start("pull")
        push = local.start("push", "--count", 9999, "--interval", 0.02)

        def seen(event: str) -> Any:
            return lambda p: any("late_s" in t.details for t in p.traces(event))

        for program in (push, pull):
            program.wait_for(seen("connected"), "the kernel's report of a connection")
        pull.kill()
        push.wait_for(seen("disconnected"), "the kernel's report of its end")
