"""The rooms of lab/: each imports only from those below it, and there are no cycles."""

import pytest
from command import PROJECT
from importlinter import cli


def test_imports_keep_the_contracts_of_pyproject(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PROJECT)
    assert cli.lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out
