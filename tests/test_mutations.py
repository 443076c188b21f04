"""Verdicts can fail: the outcome of each claim when a program or a fault is wrong."""

from collections.abc import Iterator
from pathlib import Path

import command
import mutations
import pytest
from story import EXPERIMENTS, MARKS, outcomes, recorded

from pushpull.experiments import catalogue

# Rows: mutations (tests/mutations.py) of a recorded run, in which a message that is dealt late is
# hit. Columns: the claims of the experiment, in its order.
# + holds, X refuted, ? not observed, . as in the recorded run, which stands in the first row
TABLES = {
    "round_robin": """
                                   divided  once  order  text  turns  pair  law  why
        none                          +       +     +      +     +      +    +    X
        pusher skips                  .       X     .      .     .      .    .    .
        pusher skips the last         .       X     .      .     .      .    .    .
        pusher repeats                .       X     .      .     X      .    .    .
        pusher misnumbers             .       X     .      .     X      .    .    .
        pusher invents a number       .       X     .      .     X      .    .    .
        pusher swaps two              .       .     .      .     X      .    .    .
        pusher deals out of turn      .       .     .      .     X      .    .    .
        pusher forgets a line         .       .     .      .     .      .    .    .
        pusher dies                   .       ?     .      .     .      .    .    .
        puller drops                  .       X     .      .     X      .    .    .
        puller drops message 1        .       X     .      .     X      ?    ?    ?
        puller prints twice           .       X     .      .     .      .    .    .
        puller is mute                X       X     .      .     X      ?    ?    ?
        two swapped on the way        .       .     X      .     .      .    .    .
        puller prints other text      .       .     .      X     .      .    .    .
        puller prints other form      .       .     .      X     .      .    .    .
        puller prints text again      .       X     .      X     .      .    .    .
        puller dies                   .       .     .      .     X      .    .    .
        both connect before 0         .       .     .      .     X      ?    X    .
        2nd connects beside 0         .       .     .      .     .      .    ?    .
        2nd connects beside 1         .       .     .      .     .      .    ?    ?
        2nd connects after 1          .       .     .      .     .      ?    ?    ?
        2nd connects long after 1     .       .     .      .     .      ?    X    +
        2nd connects long before its 1  .     .     .      .     .      X    X    ?
        2nd never connects            .       .     .      .     ?      ?    ?    ?
        """,
    "kill_worker": """
                                survivor  lost  twice
        none                       +       +      +
        pusher skips               X       .      .
        pusher skips the last      X       .      .
        pusher repeats             .       .      X
        pusher misnumbers          X       X      X
        pusher invents a number    X       X      .
        pusher swaps two           .       .      .
        pusher forgets a line      .       .      .
        pusher dies                .       .      .
        puller drops               X       X      .
        puller drops message 1     .       .      .
        puller prints twice        .       .      X
        puller dies                .       .      .
        fault never happens        ?       ?      ?
        fault isn't verified       ?       ?      ?
        fault comes too late       ?       ?      .
        """,
    "rejoin_worker": """
                                others  shared  once  no code
        none                       +      +      +      +
        pusher skips               .      .      X      .
        pusher skips the last      .      .      X      .
        pusher repeats             .      X      X      .
        pusher misnumbers          .      X      X      .
        pusher invents a number    .      X      X      .
        pusher swaps two           .      X      .      .
        pusher deals out of turn   .      X      .      .
        pusher dies                .      .      ?      .
        pusher binds again         .      .      .      X
        puller drops               .      X      X      .
        puller drops message 1     X      .      X      .
        puller prints twice        .      .      X      .
        puller is mute             .      X      X      .
        puller dies                .      X      .      .
        late one never comes       ?      ?      .      ?
        """,
    "return_worker": """
                                   survivor  shared  lost  twice  order  text  no code
        none                           +        +      +     +      +      +      +
        pusher skips                   .        .      .     .      .      .      .
        pusher skips the last          .        .      .     .      .      .      .
        pusher repeats                 .        X      .     X      .      .      .
        pusher misnumbers              .        X      X     X      .      .      .
        pusher invents a number        .        X      X     .      .      .      .
        pusher swaps two               .        X      .     .      .      .      .
        pusher deals out of turn       .        X      .     .      .      .      .
        pusher dies                    .        .      .     .      .      .      .
        pusher binds again             .        .      .     .      .      .      X
        puller drops                   .        X      X     .      .      .      .
        puller drops message 8         X        .      X     .      .      .      .
        puller prints twice            .        .      .     X      .      .      .
        puller is mute                 .        X      X     .      .      .      .
        two swapped on the way         .        .      .     .      X      .      .
        puller prints other text       .        .      .     .      .      X      .
        puller prints other form       .        .      .     .      .      X      .
        puller prints text again       .        .      .     X      .      X      .
        puller dies                    .        X      .     .      .      .      .
        fault never happens            ?        ?      ?     ?      .      .      ?
        fault isn't verified           ?        ?      ?     ?      .      .      ?
        fault comes too late           ?        .      ?     .      .      .      .
        late one never comes           .        ?      .     .      .      .      ?
        """,
}

# The same, done to programs that then really run; a dot where it is chance (a message in flight).
REAL = {
    "pusher skips": ("kill_worker", "X + +"),
    "pusher repeats": ("kill_worker", "+ + X"),
    "pusher misnumbers": ("kill_worker", "X X X"),
    "pusher swaps two": ("round_robin", "+ + + + X"),
    "pusher dies": ("round_robin", "+ ? + + +"),
    "puller drops": ("kill_worker", "X X +"),
    "puller prints twice": ("kill_worker", "+ + X"),
    "puller dies": ("round_robin", "+ . + + X"),
    "two swapped on the way": ("round_robin", "+ + X + +"),
    "puller prints other text": ("round_robin", "+ + + X +"),
    "fault never happens": ("kill_worker", "? ? ?"),
}


def rows(experiment: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each mutation with its marks, a dot being that of the first row."""
    _, *lines = TABLES[experiment].strip().splitlines()
    claims = len(catalogue.load(experiment).claims)
    clean: list[str] = []
    for line in lines:
        *words, marks = line.strip().partition("  ")
        marks = marks.split()
        assert len(marks) == claims, line
        clean = clean or marks
        yield words[0], [c if m == "." else m for m, c in zip(marks, clean, strict=True)]


@pytest.mark.parametrize(
    ("experiment", "mutation", "marks"),
    [(experiment, *row) for experiment in EXPERIMENTS for row in rows(experiment)],
)
def test_a_mutation_turns_these_claims(experiment: str, mutation: str, marks: list[str]) -> None:
    run = mutations.RECORDED[mutation](recorded(experiment))
    assert [MARKS[o] for o in outcomes(run, experiment).values()] == marks


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_some_mutation_turns_each_claim(experiment: str) -> None:
    (_, clean), *others = rows(experiment)
    turned = {"+": "X", "X": "+"}
    for k, mark in enumerate(clean):
        assert any(marks[k] == turned[mark] for _, marks in others), f"claim {k}"


def test_no_mutation_is_forgotten() -> None:
    assert {name for e in EXPERIMENTS for name, _ in rows(e)} == set(mutations.RECORDED)
    assert set(REAL) == set(mutations.PROGRAMS)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", REAL)
def test_a_mutated_program_turns_claims_in_a_real_run(mutation: str, tmp_path: Path) -> None:
    environment = mutations.mutated_lab(tmp_path, mutations.PROGRAMS[mutation])
    experiment, marks = REAL[mutation]
    done = command.fab(
        "run-experiment", "--experiment", experiment, "--interval", "0.05",
        cwd=tmp_path, environment=environment,
    )  # fmt: skip
    found = command.verdicts(command.only_run(tmp_path / "runs"))
    for verdict, mark in zip(found, marks.split(), strict=False):
        assert mark in (".", MARKS[verdict["verdict"]]), done.stdout + done.stderr
    assert done.returncode == (1 if "X" in marks else 3)
