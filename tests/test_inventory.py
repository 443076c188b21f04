"""The inventory: what a file contains, and a message with line and hint for each mistake."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from inventory_changes import CHANGES, GOOD

from pushpull.core.errors import LabError
from pushpull.machines.inventory import Inventory, load, resized
from pushpull.machines.providers.ssh import SshSettings

REPOSITORY = Path(__file__).parent.parent


def ssh(lab: Inventory, machine: str) -> SshSettings:
    """Return how the provider `ssh` reaches a machine."""
    return SshSettings.of(lab.machine(machine), lab)


# --- What a file gives. ---------------------------------------------------------------------------


def test_the_projects_own_inventory_names_the_machines_of_the_article() -> None:
    lab = load(REPOSITORY / "inventory.yaml", roles=["pusher", "puller"])

    assert [(m.name, *m.roles, m.address) for m in lab.machines] == [
        ("push", "pusher", "192.168.0.161"),
        ("pull-1", "puller", "192.168.0.162"),
        ("pull-2", "puller", "192.168.0.163"),
    ]
    assert lab.network == "192.168.0.0/24"
    assert ssh(lab, "push") == SshSettings(host="192.168.0.161", user="lab")


def test_its_commented_line_is_a_short_edit_to_ten_more_machines(inventory: Any) -> None:
    lab = inventory((REPOSITORY / "inventory.yaml").read_text().replace("# more:", "more:"))
    pullers = lab.with_role("puller")

    assert [m.name for m in pullers] == ["pull-1", "pull-2", *(f"more-{i}" for i in range(1, 11))]
    assert [m.address for m in pullers] == [f"192.168.0.{i}" for i in range(162, 174)]


def test_a_thousand_machines_are_one_line_and_a_wider_network(inventory: Any) -> None:
    lab = inventory(
        "network: 192.168.0.0/21\nmachines:\n"
        "  w: {role: worker, address: 192.168.0.161, count: 1000}\n"
    )

    assert len({m.address for m in lab.machines}) == 1000
    assert lab.machine("w-1000").address == "192.168.4.136"


def test_a_count_of_one_is_numbered_too(inventory: Any) -> None:
    lab = inventory("network: 10.0.0.0/8\nmachines: {w: {role: w, address: 10.0.0.1, count: 1}}")
    assert [m.name for m in lab.machines] == ["w-1"]


def test_a_machines_own_ssh_settings_go_before_the_providers(
    inventory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    lab = inventory("""\
network: 192.168.0.0/24
machines:
  a: {role: w, address: 192.168.0.1, ssh: {host: a.example, port: 2222, user: me, key: ~/.ssh/a}}
  b: {role: w, address: 192.168.0.2}
providers:
  ssh: {user: lab, port: 22022, key: keys/lab, known_hosts: /etc/hosts-known, python: /usr/bin/py}
""")

    assert ssh(lab, "a") == SshSettings(
        host="a.example",
        port=2222,
        user="me",
        key=Path("/home/somebody/.ssh/a"),
        known_hosts=Path("/etc/hosts-known"),
        python="/usr/bin/py",
    )
    assert ssh(lab, "b") == SshSettings(
        host="192.168.0.2",
        port=22022,
        user="lab",
        key=tmp_path / "keys/lab",
        known_hosts=Path("/etc/hosts-known"),
        python="/usr/bin/py",
    )


def test_paths_are_absolute_though_the_inventorys_is_not(
    inventory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory(GOOD.replace("{user: lab}", "{key: id}"))
    monkeypatch.chdir(tmp_path)
    assert ssh(load(Path("inventory.yaml")), "push").key == tmp_path / "id"


def test_providers_may_be_left_out(inventory: Any) -> None:
    lab = inventory(GOOD[: GOOD.index("providers")])
    assert lab.settings == {}
    assert ssh(lab, "push") == SshSettings(host="192.168.0.161")


def test_the_digest_distinguishes_versions_of_the_file(inventory: Any) -> None:
    first, same, other = inventory(GOOD), inventory(GOOD), inventory(GOOD + "# more\n")
    assert first.digest == same.digest != other.digest


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(inventory: Any) -> None:
    text = "\ufeff" + GOOD.replace("\n", "\r\n")
    assert len(inventory(text).machines) == 3


def test_quoted_words_are_just_words(inventory: Any) -> None:
    lab = inventory("network: 10.0.0.0/8\nmachines: {'no': {role: \"yes\", address: 10.0.0.1}}")
    assert lab.machine("no").roles == ("yes",)


def test_the_results_cant_be_changed(inventory: Any) -> None:
    with pytest.raises(AttributeError):
        inventory(GOOD).machines[0].name = "other"


def test_an_unknown_machine_is_reported_with_the_closest_and_the_known_ones(inventory: Any) -> None:
    with pytest.raises(LabError) as caught:
        inventory(GOOD).machine("pul-1")
    assert "no machine 'pul-1'" in str(caught.value)
    assert "Did you mean 'pull-1'? The machines are: push, pull-1, pull-2." in str(caught.value)


def test_of_a_thousand_known_machines_a_few_are_listed(inventory: Any) -> None:
    lab = inventory("network: 10.0.0.0/8\nmachines: {w: {role: w, address: 10.0.0.1, count: 1000}}")
    with pytest.raises(LabError, match="w-12 and 988 more") as caught:
        lab.machine("\x1b[2J" * 1000)
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_importing_the_module_costs_neither_jsonschema_nor_yaml() -> None:
    probe = (
        "import sys, pushpull.machines.inventory\n"
        "print([m for m in ('jsonschema', 'yaml') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


# --- Mistakes: one change of the good file (old -> new), the line, the words, the hint. -----------


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES, ids=[c[2][:50] for c in CHANGES])
def test_one_mistake_is_one_line_with_its_place_and_hint(
    mistakes: Any, old: str, new: str, expected: str
) -> None:
    assert old in GOOD
    found = mistakes(GOOD.replace(old, new, 1))
    assert len(found) == 1
    assert expected in found[0]
    assert len(found[0]) < 300
    assert re.match(r"[0-9]+: ", found[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: the file is empty - give it `network:` and `machines:`"),
        ("# nothing\n", "1: the file is empty"),
        ("- a\n", "1: these are not keys - write `network:` and `machines:`"),
        ("\n\nhello", "3: these are not keys"),
        ("*a", "1: the alias 'a' is not allowed here"),
        ("network: 10.0.0.0/8\nmachines: {}", "2: 'machines' is empty - write machines, such as"),
        ("network: 10.0.0.0/8\nmachines:", "2: 'machines' has no value - write machines, such"),
        ("network: 10.0.0.0/8\nmachines: []", "2: 'machines' can't hold a list - write machines"),
        (b"network: 1\nmachines: \xff\xfe", "2: this is not text in UTF-8 - save the file as"),
        ("%YAML 3.0\n---\na: 1", "1: this is not YAML: found incompatible YAML document"),
        ("%YAML 1." + "9" * 5000 + "\n---\n", "1: a number is too large to be"),
    ],
)
def test_a_text_that_is_not_an_inventory_at_all(
    mistakes: Any, text: str | bytes, expected: str
) -> None:
    found = mistakes(text, roles=["pusher"])
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_an_alias_bomb_is_reported_and_not_expanded(mistakes: Any) -> None:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    found = mistakes("a0: &a0 [lol]\n" + "\n".join(levels) + "\n" + GOOD)
    assert "1: the anchor 'a0' is not allowed here - delete it" in found
    assert len(found) <= 101


def test_a_role_without_a_machine(mistakes: Any) -> None:
    assert mistakes(GOOD, roles=["pusher", "puller", "broker"]) == [
        "2: no machine has the role 'broker' - write `role: broker` for one of them"
    ]
    (found,) = mistakes(GOOD, roles=["broker"], needed_by="relay")
    assert found.startswith("2: no machine has the role 'broker', which relay needs - write")


def test_a_machine_with_several_roles(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(GOOD.replace("role: puller", "role: [stage, sink, stage]", 1))
    lab = load(file, roles=["pusher", "stage", "sink", "puller"])
    assert [m.roles for m in lab.machines] == [("pusher",), ("stage", "sink"), ("puller",)]
    assert lab.with_role("sink") == lab.with_role("stage") == (lab.machine("pull-1"),)
    more = resized.resized(lab, "sink", 2, tmp_path)
    resized.write(more)
    assert [m.roles for m in load(more.path).machines] == [m.roles for m in more.machines]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("[]", "'role' is empty - write a word of a-z, 0-9 and -,"),
        ("[a, B]", "'role' can't be 'B' - write a word of"),
        ("[a, yes, b]", "'yes' is read as yes or no, not as text - quote it:"),
        ("[a, [b]]", "'role' can't hold a list - write a word of"),
        ("[{a: b}, c]", "'role' can't hold keys of its own - write a word of"),
        ("[stage, *x]", "the alias 'x' is not allowed here"),
    ],
)
def test_mistakes_in_a_list_of_roles(mistakes: Any, role: str, expected: str) -> None:
    (found,) = mistakes(GOOD.replace("role: puller", f"role: {role}", 1), roles=["pusher"])
    assert found.startswith(f"4: {expected}")


def test_a_misspelt_role_is_reported_at_its_line(mistakes: Any) -> None:
    text = GOOD.replace("role: puller", "role: pullr")
    assert mistakes(text, roles=["puller"]) == [
        "4: no machine has the role 'puller'; 'pull-1' has 'pullr' - write `role: puller`"
    ]


def test_a_role_under_a_misspelt_key_is_not_a_second_mistake(mistakes: Any) -> None:
    found = mistakes(GOOD.replace("role: pusher", "rol: pusher"), roles=["pusher"])
    assert found == ["3: unknown key 'rol' - did you mean 'role'?"]


def test_all_kinds_of_mistakes_are_reported_together_in_file_order(mistakes: Any) -> None:
    found = mistakes(
        """\
netwrok: 192.168.0.1/24
machines:
  no:     {role: pusher, address: 192.168.0.161}
  pull-1: {role: &x puller, adress: 192.168.7.162}
  pull-1: {role: puller, address: 192.168.0.163}
  extra:  {role: 1:30, address: 192.168.0.161, colour: red}
  many:   {role: puller, address: 192.168.0.200, count: 1000}
providers:
  vagrant: {memory: "512", cpus: 9999}
  docker: {}
""",
        roles=["pusher", "puller", "broker"],
    )
    assert [re.split(" - ", line)[0] for line in found] == [
        "1: unknown key 'netwrok'",
        "1: 'network' can't be '192.168.0.1/24'",
        "2: no machine has the role 'broker'",
        "3: the machine name 'no' is read as yes or no, not as text",
        "4: the anchor 'x' is not allowed here",
        "4: unknown key 'adress'",
        "5: the machine 'pull-1' occurs twice, first on line 4",
        "6: unknown key 'colour'",
        "6: '1:30' is read as a number, not as text",
        "6: 'extra' has the address 192.168.0.161, as 'no' on line 3",
        "9: 'memory' can't be '512'",
        "9: 'cpus' can't be '9999'",
        "10: unknown key 'docker'",
    ]


def test_a_flood_of_mistakes_is_cut_short(mistakes: Any) -> None:
    stanzas = "".join(f"  m{i}: {{rol: w, address: 10.0.0.{i + 1}}}\n" for i in range(150))
    found = mistakes(f"network: 10.0.0.0/8\nmachines:\n{stanzas}")
    assert len(found) == 101
    assert found[-1] == " and 50 more mistakes - fix these first"


def test_more_machines_than_the_lab_can_carry_are_not_built(mistakes: Any) -> None:
    stanzas = "".join(
        f"  w{i}: {{role: w, address: 10.{i}.0.1, count: 10000}}\n" for i in range(200)
    )
    assert mistakes(f"network: 10.0.0.0/8\nmachines:\n{stanzas}") == [
        "2: these are more than 10000 machines - count fewer"
    ]


# --- Files that can't be read. --------------------------------------------------------------------


def message_of(path: Path) -> str:
    with pytest.raises(LabError) as caught:
        load(path)
    return str(caught.value)


def test_the_file_is_named_as_the_user_named_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lab.yaml").write_text("")
    assert message_of(Path("lab.yaml")).startswith("lab.yaml:1: the file is empty")
    assert message_of(Path("gone.yaml")).startswith("gone.yaml: there is no such file - ")


def test_something_other_than_a_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "this is not a file - name the inventory" in message_of(tmp_path)
    assert "this is not a file" in message_of(tmp_path / "pipe")  # opened, it would never answer
    assert "this is not a file" in message_of(Path("/dev/zero"))


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(GOOD + "#" * (1 << 20))
    assert "larger than 1 MiB" in message_of(path)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    assert "can't be read" in message_of(Path("nul\0"))
    assert "can't be read" in message_of(tmp_path / ("x" * 300))
    (tmp_path / "loop").symlink_to("loop")
    assert "can't be read" in message_of(tmp_path / "loop")


def test_a_file_that_can_not_be_read() -> None:
    # Not even root may: this file is there and opens, and its first byte can't be had.
    assert "can't be read: Input/output error - correct" in message_of(Path("/proc/self/mem"))
