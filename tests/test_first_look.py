"""What is seen of a command line before its parser is there: nothing that the parser denies."""

import subprocess
import sys
from collections.abc import Iterable

import pytest
from command import PROJECT
from hypothesis import given, settings
from hypothesis import strategies as st
from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.parser.context import to_flag

from pushpull.cli import first_look
from pushpull.cli.command_line import program


def _parsed(words: Iterable[str]) -> tuple[tuple[str, str] | None, set[str]]:
    """Return what Fabric's parser sees of a lone run-experiment, and all core flags.

    None where it is no such thing, or the parser refuses it.
    """
    try:
        found = PARSER.parse_argv(list(words))
    except ParseError:
        return None, set()
    core = {name for name, argument in found[0].args.items() if argument.got_value}
    tasks = list(found[1:])
    if [context.name for context in tasks] != ["run-experiment"] or found.unparsed:
        return None, core
    values = tasks[0].args
    return (values["provider"].value, values["inventory"].value), core


def _parser() -> Parser:
    fab = program()
    fab.create_config()
    fab.parse_core(["fab", "--list"])
    fab.load_collection()
    return Parser(initial=fab.initial_context, contexts=fab.collection.to_contexts())


PARSER = _parser()
TASK = next(c for c in PARSER.contexts.values() if c.name == first_look.RUN)


@pytest.mark.parametrize(
    ("line", "provider"),
    [
        ("run-experiment", "auto"),
        ("run-experiment --count 3 --keep -a", "auto"),
        ("run-experiment --provider=namespaces", "namespaces"),
        ("run-experiment -p loopback", "loopback"),
        ("run-experiment --provider=ssh", "ssh"),
        ("run-experiment --provider ssh --count=3", "ssh"),
        ("run-experiment -p=vagrant", "vagrant"),
        ("run-experiment --experiment a=b --interval 0 -p ssh", "ssh"),
        ("run-experiment --experiment --provider -p ssh", None),
        ("run-experiment --set=-p --provider=ssh", None),  # -p is a flag there, for the parser
        ("run-experiment --runs a --runs b", None),  # the second may be the parser's
        ("run-experiment --set A=1 --set B=2", "auto"),
        ("run-experiment -pssh", None),
        ("run-experiment -kp ssh", None),
        ("run-experiment --help", None),
        ("run-experiment -h", None),
        ("run-experiment --list", None),
        ("run-experiment --provider ssh --version", None),
        ("run-experiment status", None),
        ("--help run-experiment", None),
        ("report --run run-experiment", None),
        ("run-experiment --provider", None),
        ("", None),
    ],
)
def test_the_provider_of_a_command_line(line: str, provider: str | None) -> None:
    seen = first_look.provider_and_inventory(line.split())
    assert (seen and seen[0]) == provider


_FLAGS = (*first_look.VALUED, *first_look.SWITCHES, "-h", "--help", "-kp", "-pssh", "-l", "--echo")
_WORDS = st.one_of(
    st.sampled_from([*_FLAGS, "run-experiment", "status", "ssh", "auto", "-", "--", "", "=", "3"]),
    st.builds("{}={}".format, st.sampled_from(_FLAGS), st.sampled_from(["ssh", "", "-p", "a=b"])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_WORDS, max_size=6))
def test_it_never_sees_what_the_parser_does_not(words: list[str]) -> None:
    line = ["run-experiment", *words]
    seen = first_look.provider_and_inventory(line)
    if seen is not None:
        parsed, core = _parsed(line)
        # What the parser refuses costs a supervisor for nothing, as any other mistake may.
        assert parsed in (seen, None), line
        assert not core, line


def test_it_knows_each_flag_of_the_task() -> None:
    """One that is missing in lab/cli/first_look.py would make the runs that have it start later."""
    flags = {
        to_flag(name): argument.takes_value
        for argument in TASK.args.values()
        for name in argument.names
    }
    assert {flag for flag, valued in flags.items() if valued} == {*first_look.VALUED}
    assert {flag for flag, valued in flags.items() if not valued} == {*first_look.SWITCHES}


def test_it_costs_no_imports() -> None:
    probe = "import sys, pushpull.cli.first_look; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert not {"argparse", "re", "invoke", "fabric"} & set(done.stdout.split())
