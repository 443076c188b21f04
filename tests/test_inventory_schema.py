"""The published schema of inventories: what editors check by it is what the lab judges by."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import PROJECT
from inventory_changes import CHANGES, GOOD
from jsonschema import Draft202012Validator

from pushpull.core.errors import InventoryError
from pushpull.machines import provider_plugins
from pushpull.machines.inventory import found_valid, judging, load
from pushpull.machines.inventory.schema import schema

FILE = PROJECT / "lab/machines/inventory/inventory.schema.json"
DOCS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
_YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
EXAMPLES = [
    pytest.param(text, id=f"{doc.name}-{number}")
    for doc in DOCS
    for number, text in enumerate(_YAML.findall(doc.read_text()))
    if re.search(r"^machines:", text, re.MULTILINE)
]


@pytest.fixture(scope="module")
def editor() -> Draft202012Validator:
    """What an editor has: the file alone, and none of the lab's own formats."""
    published = json.loads(FILE.read_text())
    Draft202012Validator.check_schema(published)
    return Draft202012Validator(published, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_it_is_written_from_what_the_code_judges_by() -> None:
    """Else run what CONTRIBUTING.md says in "Add a provider"."""
    ours = [plugin.value for plugin in provider_plugins.built_in().values()]
    assert json.loads(FILE.read_text()) == schema(ours)
    assert FILE.read_text() == json.dumps(schema(ours), indent=2) + "\n"


def test_the_shipped_inventory_names_it_and_fits_it(editor: Draft202012Validator) -> None:
    text = (PROJECT / "inventory.yaml").read_text()
    first = text.splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert named != first
    assert (PROJECT / named).resolve() == FILE
    assert [*editor.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_in_the_docs_fit_it_and_load(
    editor: Draft202012Validator, text: str, tmp_path: Path
) -> None:
    assert [*editor.iter_errors(yaml.safe_load(text))] == []
    (tmp_path / "inventory.yaml").write_text(text)
    assert load(tmp_path / "inventory.yaml").machines


def test_the_docs_have_examples() -> None:
    assert EXAMPLES


def _data(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES, ids=[c[2][:50] for c in CHANGES])
def test_what_an_editor_marks_the_lab_refuses_too(
    editor: Draft202012Validator, inventory: Any, old: str, new: str, expected: str
) -> None:
    """And an editor marks each mistake that is one of a single value."""
    text = GOOD.replace(old, new, 1)
    marked = [*editor.iter_errors(_data(text))]
    with pytest.raises(InventoryError):
        inventory(text)
    if re.search(r"'(role|port|user|count|host|address)' can't be '[^~]", expected):
        assert marked, expected
    if "unknown key" in expected or " has no '" in expected:
        assert marked, expected


def test_the_good_file_is_marked_nowhere(editor: Draft202012Validator) -> None:
    assert [*editor.iter_errors(_data(GOOD))] == []


@pytest.mark.parametrize(
    "value", ["a\n", "\na", "a\nb", "-a", "", " a", "a b", "A", "a-", "a" * 64, "a" * 63, "é"]
)
def test_python_and_ecmascript_read_the_patterns_alike(value: str) -> None:
    """By the rules of both: `$` alone would let Python take a line's end at the end."""
    published = json.loads(FILE.read_text())
    pattern = published["properties"]["machines"]["propertyNames"]["pattern"]
    whole = re.fullmatch(r"[a-z][a-z0-9-]{0,62}", value) is not None
    assert (re.search(pattern, value) is not None) == whole


def test_what_was_found_valid_is_not_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_valid, "PROJECT", tmp_path)
    asked = []

    def faults(data: Any, schema: Any) -> Any:
        asked.append(data)
        return real(data, schema)

    real = judging.faults
    monkeypatch.setattr(judging, "faults", faults)
    good = yaml.safe_load((PROJECT / "inventory.yaml").read_text())
    bad = good | {"network": "192.168.0.0/99"}
    assert [list(found_valid.judged(data)) for data in (good, good)] == [[], []]
    assert asked == [good]
    assert [bool(found_valid.judged(data)) for data in (bad, bad, good)] == [True, True, False]
    assert asked == [good, bad, bad]
    monkeypatch.setattr(found_valid, "PROJECT", Path("/proc"))  # where nothing can be written
    assert not found_valid.judged(good)
    assert asked == [good, bad, bad, good]
