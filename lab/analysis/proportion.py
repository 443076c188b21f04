"""How often a claim held in many runs: the proportion, its intervals, and whether it is decided.

Two intervals answer two questions. Wilson's is for a number of runs that was fixed beforehand. An
experiment that is repeated *until decided* looks after every run, and whoever stops at the first
interval that pleases is wrong far more often than the interval says. For that there is a confidence
sequence: it holds after all numbers of runs at once.
"""

import math
from dataclasses import dataclass

from pushpull.core.verdict import Need

_Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
ERROR = 0.05  # how often a decision, or an interval, may be wrong
# Jeffreys' prior, Beta(1/2, 1/2): what the mixture weighs all other proportions with.
_A = _B = 0.5
_STEPS = 60  # of the bisection: 2^-60 of the interval from 0 to 1


@dataclass(frozen=True, slots=True)
class Proportion:
    """In `held` of `runs` runs the claim held; runs in which it wasn't observed do not count."""

    held: int
    runs: int

    @property
    def share(self) -> float | None:
        """The proportion itself; None without runs."""
        return self.held / self.runs if self.runs else None

    def wilson(self) -> tuple[float, float]:
        """Return the 95 % interval for a number of runs that was fixed beforehand.

        Source: Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association 22 (1927), without continuity correction.
        """
        if not self.runs:
            return 0.0, 1.0
        n, share = self.runs, self.held / self.runs
        middle = share + _Z**2 / (2 * n)
        half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        scale = 1 + _Z**2 / n
        low, high = (middle - half) / scale, (middle + half) / scale
        # Rounding leaves 1e-17 where the formula gives exactly 0 or 1.
        return (0.0 if self.held == 0 else low), (1.0 if self.held == n else high)

    def anytime(self) -> tuple[float, float]:
        """Return the 95 % interval that holds at every number of runs at once.

        It has the proportions p that the runs don't speak against: those for which the likelihood
        of the runs under a Beta(1/2, 1/2) mixture is under 20 times that under p. Were p the truth,
        that ratio would be a martingale that starts at 1, and by Ville's inequality it ever reaches
        20 with a probability of at most 1/20.

        Sources: Ville, "Étude critique de la notion de collectif" (1939); Robbins, "Statistical
        methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41
        (1970), for the mixture.
        """
        share = self.held / self.runs if self.runs else 0.5
        low = 0.0 if self._allows(0.0) else self._edge(0.0, share)
        high = 1.0 if self._allows(1.0) else self._edge(1.0, share)
        return low, high

    def meets(self, need: Need, *, anytime: bool) -> bool | None:
        """Return whether the claim holds as often as it must; None if the runs are too few to tell.

        `always` is met when the proportion is above 0.95, `in most runs` when it is above one half,
        `never` when it is below 0.05: when the interval ends there, `wilson`, or with `anytime`
        that one. Without exception the latter takes 116, 7 and 116 runs.
        """
        if anytime:
            undecided = self._allows(need.threshold)
        else:
            low, high = self.wilson()
            undecided = low <= need.threshold <= high
        if undecided:
            return None
        is_above = self.held > need.threshold * self.runs
        return is_above != (need is Need.NEVER)

    def _allows(self, p: float) -> bool:
        return self._log_ratio(p) < math.log(1 / ERROR)

    def _log_ratio(self, p: float) -> float:
        """Return the logarithm of the mixture's likelihood over that of the proportion p."""
        misses = self.runs - self.held
        if (p == 0.0 and self.held) or (p == 1.0 and misses):
            return math.inf
        likelihood = (self.held * math.log(p) if self.held else 0.0) + (
            misses * math.log1p(-p) if misses else 0.0
        )
        return _log_beta(self.held + _A, misses + _B) - _log_beta(_A, _B) - likelihood

    def _edge(self, outside: float, inside: float) -> float:
        """Return where the interval ends, between a p outside of it and one inside."""
        for _ in range(_STEPS):
            middle = (outside + inside) / 2
            if self._allows(middle):
                inside = middle
            else:
                outside = middle
        return inside


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
