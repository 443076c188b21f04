"""program.toml: what an implementation offers, and each mistake with its file, key and cure."""

import json
from pathlib import Path

import jsonschema
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from pushpull.core import trace
from pushpull.core.errors import LabError
from pushpull.experiments import catalogue, implementations, manifest
from pushpull.experiments.implementations import Choice

GOOD = """protocol = 1
summary = "of the test"
wire = ["zmtp/3"]

[programs.push]
argv = ["sh", "{here}/push.sh"]
files = ["push.sh"]
flags = ["--address", "--count", "--first", "--interval", "--trace"]
events = ["ready"]
"""


def made(folder: Path, text: str, *, name: str = "mine") -> Path:
    (folder / name).mkdir()
    (folder / name / "push.sh").write_text("exit 0\n")
    (folder / name / "program.toml").write_text(text)
    return folder / name


def test_a_good_one(tmp_path: Path) -> None:
    one = manifest.load(made(tmp_path, GOOD))
    push = one.programs["push"]
    assert push.argv("/py", ["--count", "3"]) == ["sh", "../agent/mine/push.sh", "--count", "3"]
    assert (push.speaks_protocol, push.says_ready, push.traces_messages) == (True, True, False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("protocol = 1", "protocol = 2", ["`protocol`", "version 1"]),
        ("protocol = 1\n", "", ["`protocol`", "is missing"]),
        ("protocol = 1", "protocol = ", ["is no TOML", "line 1"]),
        ("summary =", "sumary =", ["`sumary`", "there are:", "summary"]),
        ('"of the test"', "7", ["`summary`", "7"]),
        ('["zmtp/3"]', "[]", ["`wire`", "zmtp/3"]),
        ('wire =', 'needs = ["perl"]\nwire =', ["`install`", "installs"]),
        ("programs.push", "programs.psuh", ["`programs`", "push, publish"]),
        ("[programs.push]", "[[programs.push]]", ["`programs.push`", "[programs.push]"]),
        ('["sh", "{here}/push.sh"]', "[]", ["`programs.push.argv`"]),
        ("{here}", "{home}", ["`programs.push.argv`", "{home}", "{here}"]),
        ('files = ["push.sh"]', 'files = ["pull.sh"]', ["`programs.push.files`", "'pull.sh'"]),
        ('files = ["push.sh"]', 'files = ["../push.sh"]', ["`programs.push.files`"]),
        ('files = ["push.sh"]', 'files = ["a/../../b"]', ["`programs.push.files`", "name files"]),
        ('"--count", ', "", ["`programs.push.flags`", "--count"]),
        ('"--count", ', '"count", ', ["`programs.push.flags`"]),
        ('["ready"]', "[]", ["`programs.push.events`", "ready"]),
        ('["ready"]', '["reddy"]', ["`programs.push.events`", "connected"]),
        ('["ready"]', '[["ready"]]', ["`programs.push.events`"]),
    ],
)  # fmt: skip
def test_a_mistake(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in GOOD
    folder = made(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(LabError) as caught:
        manifest.load(folder)
    assert caught.value.where == str(folder / "program.toml")
    assert caught.value.hint
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    folder = made(tmp_path, GOOD.replace('["push.sh"]', '["push.sh", "secret"]'))
    (tmp_path / "secret").write_text("s")
    (folder / "secret").symlink_to(tmp_path / "secret")
    with pytest.raises(LabError, match="files"):
        manifest.load(folder)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    folder = made(tmp_path, GOOD)
    (folder / "program.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(LabError, match="UTF-8"):
        manifest.load(folder)


@pytest.mark.parametrize("name", implementations.names())
def test_those_that_come_with_the_lab(name: str) -> None:
    one = implementations.get(name)
    files = {path.name for path in (implementations.FOLDER / name).iterdir() if path.is_file()}
    deployed = {file for program in one.programs.values() for file in program.files}
    assert files - {manifest.FILE} == deployed | {*one.installation.files}


def test_the_socket_options_are_those_of_libzmq() -> None:
    offers = implementations.get("pyzmq").programs["push"].offers
    options = {name for name in offers if name.isupper()}
    assert options <= set(zmq.SocketOption.__members__)
    assert {"SNDHWM", "RCVHWM", "LINGER", "HEARTBEAT_IVL", "IMMEDIATE"} <= options


@pytest.mark.parametrize("name", [n for n in catalogue.names() if n != "restart_broker"])
def test_the_default_plays_every_experiment_but_that_about_brokers(name: str) -> None:
    implementations.require_playable(catalogue.load(name), Choice(), [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nope", ["'nope'", "pyzmq", "perl"]),
        ("../pyzmq", ["'../pyzmq'"]),
        ("sender=nope", ["'nope'"]),
        ("sender=", ["there is no implementation ''"]),
        ("boss=perl", ["'boss'", "sender, receiver"]),
        ("sender=perl,sender=pyzmq", ["twice"]),
    ],
)
def test_a_wrong_choice(text: str, words: list[str]) -> None:
    with pytest.raises(LabError) as caught:
        implementations.chosen(text)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_choice_by_kind() -> None:
    choice = implementations.chosen("sender=perl,receiver=plain_python")
    assert str(choice) == "sender=perl,receiver=plain_python"
    found = implementations.programs(choice)
    owners = {name: found[name].implementation for name in ("push", "pull", "step")}
    assert owners == {"push": "perl", "pull": "plain_python", "step": "pyzmq"}
    assert str(implementations.chosen("")) == implementations.DEFAULT


@pytest.mark.parametrize(
    ("experiment", "choice", "options", "words"),
    [
        ("pipeline", "perl", [], ["pipeline", "`step`", "'perl'", "pyzmq"]),
        ("full_worker", "perl", [], ["--linger", "SNDHWM", "`push`"]),
        ("ways_to_leave", "perl", [], ["HEARTBEAT_IVL", "it can play:", "ways_to_leave:pause"]),
        ("round_robin", "perl", ["SNDHWM=1"], ["--set", "'SNDHWM=1'", "'perl'"]),
        ("round_robin", "pyzmq", ["NOPE=1"], ["--set", "'NOPE=1'", "'pyzmq'"]),
    ],
)
def test_what_an_implementation_lacks_is_said_before_the_run(
    experiment: str, choice: str, options: list[str], words: list[str]
) -> None:
    with pytest.raises(LabError) as caught:
        implementations.require_playable(
            catalogue.load(experiment), implementations.chosen(choice), options
        )
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_two_that_share_no_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, GOOD.replace("zmtp/3", "sp/1"), name="other")
    other = manifest.load(tmp_path / "other")
    found = {"perl": implementations.get("perl"), "other": other}
    monkeypatch.setattr(implementations, "get", found.__getitem__)
    monkeypatch.setattr(implementations, "names", lambda: [*found])
    with pytest.raises(LabError, match="'other' speaks sp/1 on the wire, 'perl' zmtp/3"):
        implementations.require_playable(
            catalogue.load("round_robin"), Choice({"sender": "other"}, rest="perl"), []
        )


def test_a_flag_that_the_experiment_does_not_declare() -> None:
    programs = catalogue.programs(catalogue.load("round_robin"), Choice())
    programs["push"].require_callable({"count": 3, "interval": 0})
    with pytest.raises(LabError, match="--delay, which is not declared"):
        programs["push"].require_callable({"delay": 1})
    with pytest.raises(LabError, match="has no --dealy"):
        programs["push"].require_callable({"dealy": 1})


# -- a trace's schema and its parser agree -----------------------------------------------------

SCHEMA = json.loads(Path(trace.__file__).with_suffix(".schema.json").read_text())
_HARNESS = {"start", "trigger", "fault", "repair", "exit"}


def is_understood(line: str) -> bool:
    """Whether the lab takes all of the line as it is meant."""
    found = trace.parse(line)
    if found is None or found.event in _HARNESS:
        return False
    value = json.loads(line)
    needs_number = found.event in {"sent", "received", "dies"} or "number" in value
    whole = "m" not in value or found.at.m is not None
    return whole and (found.number is not None or not needs_number)


VALID = [
    '{"t": 1.5, "event": "ready", "libzmq": "4.3.5"}',
    '{"t": 0, "event": "connected"}',
    '{"t": 1, "m": 2.5, "event": "sent", "number": 7, "text": "7 , 1.0"}',
    '{"t": 1, "m": 0, "event": "received", "number": "7"}',
    '{"t": 1, "event": "dies", "number": 0, "more": {"a": [1, null, true]}}',
]
INVALID = [
    "7",
    "[1]",
    '"text"',
    "{}",
    '{"t": 1}',
    '{"event": "ready"}',
    '{"t": "1", "event": "ready"}',
    '{"t": true, "event": "ready"}',
    '{"t": -1, "event": "ready"}',
    '{"t": 253402300800, "event": "ready"}',
    '{"t": 1, "event": 7}',
    '{"t": 1, "event": ""}',
    '{"t": 1, "event": "start"}',
    '{"t": 1, "event": "7days"}',
    '{"t": 1, "m": -1, "event": "ready"}',
    '{"t": 1, "m": "1", "event": "ready"}',
    '{"t": 1, "m": null, "event": "ready"}',
    '{"t": 1, "event": "sent"}',
    '{"t": 1, "event": "sent", "number": -1}',
    '{"t": 1, "event": "sent", "number": 1.5}',
    '{"t": 1, "event": "sent", "number": 9223372036854775808}',
    '{"t": 1, "event": "sent", "number": 1e19}',
    '{"t": 1, "event": "received", "number": "7a"}',
    '{"t": 1, "event": "received", "number": true}',
    '{"t": 1, "event": "received", "number": "1234567890123456789"}',
    '{"t": 1, "event": "ready", "number": null}',
]


@pytest.mark.parametrize("line", VALID)
def test_a_valid_trace(line: str) -> None:
    jsonschema.validate(json.loads(line), SCHEMA)
    assert is_understood(line)


@pytest.mark.parametrize("line", INVALID)
def test_an_invalid_trace(line: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(line), SCHEMA)
    assert not is_understood(line)


_VALUE = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(-9, 9), st.text("7a-", max_size=20)
)
_LINE = st.fixed_dictionaries(
    {},
    optional={
        "t": _VALUE,
        "m": _VALUE,
        # To a schema 7.0 is a whole number, so that it can't say that the lab wants digits alone.
        "number": _VALUE.filter(lambda v: not (isinstance(v, float) and v.is_integer())),
        "event": st.one_of(_VALUE, st.sampled_from(["sent", "received", "ready", "exit", "é"])),
    },
)


@given(_LINE)
def test_schema_and_parser_agree(value: dict[str, object]) -> None:
    is_valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(value)
    assert is_understood(json.dumps(value)) == is_valid


def test_another_way_to_use_it_shares_the_packages(tmp_path: Path) -> None:
    more = (
        '\n[packages]\npypi = ["six==1.17.0"]\n\n[versions.fast]\narguments = { push = ["-f"] }\n'
    )
    folder = made(tmp_path, GOOD + more)
    plain, fast = manifest.load(folder), manifest.load(folder, "fast")
    assert fast.title == "mine@fast"
    assert fast.installation == plain.installation
    argv = fast.programs["push"].argv("/py", ["--count", "3"])
    assert argv[-4:] == ["../agent/mine@fast/push.sh", "-f", "--count", "3"]


@pytest.mark.parametrize("wrong", ["[]", "{ push = [] }", '{ psuh = ["-f"] }', '{ push = "-f" }'])
def test_a_mistake_in_its_arguments(tmp_path: Path, wrong: str) -> None:
    folder = made(tmp_path, f"{GOOD}\n[versions.fast]\narguments = {wrong}\n")
    with pytest.raises(LabError, match="arguments") as caught:
        manifest.load(folder, "fast")
    assert "pull =" in caught.value.hint
