"""The verdict on a claim in one run, with its evidence; and in how many runs it must hold."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pushpull.core.records import Event

_MOST_EVIDENCE = 50


class Outcome(enum.StrEnum):
    """The values of a verdict; the last two decide nothing."""

    HOLDS = "holds"
    REFUTED = "refuted"
    NOT_OBSERVED = "not observed"
    NOT_APPLICABLE = "not applicable"

    @property
    def decides(self) -> bool:
        """Whether it says that the claim holds, or that it doesn't."""
        return self in (Outcome.HOLDS, Outcome.REFUTED)


class Need(enum.StrEnum):
    """In how many runs a claim must hold; `threshold` is the proportion that this is decided by."""

    ALWAYS = "always"
    MOST = "in most runs"
    NEVER = "never"

    @property
    def threshold(self) -> float:
        return {Need.ALWAYS: 0.95, Need.MOST: 0.5, Need.NEVER: 0.05}[self]

    @classmethod
    def usual(cls, expected: str) -> "Need":
        """Return the need of a claim that states none, by the outcome that is expected."""
        return cls.NEVER if expected == Outcome.REFUTED else cls.ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An outcome, a sentence that a learner understands, and the messages and events behind it."""

    outcome: Outcome
    why: str
    messages: Sequence[int] = ()
    events: tuple[Event, ...] = ()
    final: bool = False

    def require(self) -> None:
        """Raise AssertionError, with the sentence that says why, unless the claim holds."""
        if self.outcome is not Outcome.HOLDS:
            raise AssertionError(f"{self.outcome}: {self.why}")

    @classmethod
    def holds(
        cls, why: str, *, messages: Iterable[int] = (), events: Iterable[Event] = ()
    ) -> "Verdict":
        """The run shows what the claim says."""
        return cls(outcome=Outcome.HOLDS, why=why, messages=_kept(messages), events=tuple(events))

    @classmethod
    def refuted(
        cls,
        why: str,
        *,
        messages: Iterable[int] = (),
        events: Iterable[Event] = (),
        final: bool = False,
    ) -> "Verdict":
        """The run shows what the claim excludes.

        With `final`, nothing that might still have arrived could change that: a message arrived
        twice, for example. Such a verdict also stands in a cut run, where others are not observed.
        """
        return cls(
            outcome=Outcome.REFUTED,
            why=why,
            messages=_kept(messages),
            events=tuple(events),
            final=final,
        )

    @classmethod
    def not_observed(cls, why: str, *, events: Iterable[Event] = ()) -> "Verdict":
        """The claim's subject did not occur in this run, or can't be determined."""
        return cls(outcome=Outcome.NOT_OBSERVED, why=why, events=tuple(events))

    @classmethod
    def not_applicable(cls, why: str) -> "Verdict":
        """The claim makes no sense for what was run, whatever happens: it is no success either."""
        return cls(outcome=Outcome.NOT_APPLICABLE, why=why)

    def evidence(self) -> dict[str, Any]:
        """Return the evidence as JSON values; of very many messages, the first and their number."""
        evidence: dict[str, Any] = {
            "messages": list(self.messages[:_MOST_EVIDENCE]),
            "events": [
                {
                    "t": e.t,
                    "event": e.event,
                    "machine": e.machine,
                    "process": e.process,
                    **e.details,
                }
                for e in self.events
            ],
        }
        if len(self.messages) > _MOST_EVIDENCE:
            evidence["messages_in_all"] = len(self.messages)
        return evidence


def _kept(messages: Iterable[int]) -> Sequence[int]:
    """Return messages that nobody can change: a million in a row as a range."""
    return messages if isinstance(messages, range) else tuple(messages)


def is_sound(verdict: Verdict) -> bool:
    """Return whether a verdict has valid content: a user's claim may have put anything into it."""
    return (
        isinstance(verdict.outcome, Outcome)
        and isinstance(verdict.why, str)
        and (
            isinstance(verdict.messages, range)
            or all(type(number) is int for number in verdict.messages)
        )
        and all(isinstance(event, Event) for event in verdict.events)
    )
