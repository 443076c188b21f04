"""What the claims of an experiment came to in many runs of it: a pure tally of stored verdicts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pushpull.analysis.proportion import Proportion
from pushpull.core.verdict import Need, Outcome


class Tally:
    """The verdicts on one claim, run after run.

    Attributes:
        statement: the claim, in one sentence.
        need: in how many runs it must hold, as the claim says.
        why_not_applicable: why it makes no sense for what was run; empty where it does.
    """

    def __init__(self, verdict: Mapping[str, Any]) -> None:
        self.statement = str(verdict["statement"])
        # Runs of an older lab don't say.
        self.need = Need(verdict.get("need") or Need.usual(verdict["expected"]))
        self._counts: Counter[str] = Counter()
        self.why_not_applicable = ""

    def add(self, verdict: Mapping[str, Any]) -> None:
        """Count the verdict of one more run."""
        self._counts[verdict["verdict"]] += 1
        if verdict["verdict"] == Outcome.NOT_APPLICABLE:
            self.why_not_applicable = str(verdict["why"])

    @property
    def proportion(self) -> Proportion:
        """In how many runs it held, of those in which it was observed."""
        held = self._counts[Outcome.HOLDS]
        return Proportion(held, held + self._counts[Outcome.REFUTED])

    def interval(self, *, anytime: bool) -> tuple[float, float]:
        """Return the 95 % interval; with `anytime` the one that holds at every number of runs."""
        return self.proportion.anytime() if anytime else self.proportion.wilson()

    @property
    def not_observed(self) -> int:
        """In how many runs nothing could be said."""
        return self._counts[Outcome.NOT_OBSERVED]

    @property
    def never_exercised(self) -> bool:
        """Whether its situation came up in none of the runs, so that they say nothing about it."""
        return bool(self.not_observed) and not self.proportion.runs

    def met(self, *, anytime: bool) -> bool | None:
        """Return whether it holds as often as it must, see `Proportion.meets`."""
        return self.proportion.meets(self.need, anytime=anytime)

    def decided(self, *, anytime: bool) -> str:
        """Return in words what the runs decide."""
        if self.never_exercised:
            return "never exercised"
        met = self.met(anytime=anytime)
        return {True: "yes", False: "no", None: "not enough runs to tell"}[met]


def add(tallies: dict[str, Tally], verdicts: Iterable[Mapping[str, Any]]) -> None:
    """Count the verdicts of one run, as verdicts.json has them, each under its claim's id."""
    for verdict in verdicts:
        tallies.setdefault(verdict["id"], Tally(verdict)).add(verdict)
