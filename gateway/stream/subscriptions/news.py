"""What people are told of a subscription: counts that grew, what failed, and no sentence again and again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from gateway.stream.subscriptions.actions import Action, Failed, Outcome
from gateway.stream.subscriptions.standing import COUNTS, Standing

__all__ = ["News"]

_NOT_AGAIN: Final = timedelta(minutes=10)  # within which a sentence is not repeated
_WORTH_TELLING: Final = frozenset(
    {
        "gap",
        "misnumbered",
        "too-much-missing",
        "events-not-kept",
        "no-events",
        "no-status",
        "count-went-back",
        "silent",
        "gone",
        "not-taken",
        "renewed",
        "foreign-focus",
    }
)
_DOING: Final = {
    "Fetch": "Reading what a notification names",
    "CatchUp": "$events",
    "AskStatus": "$status",
    "Poll": "The search for what was not told",
    "Renew": "Asking for the subscription",
}


class News:
    """Says sentences of one subscription, without patient data, to whoever listens."""

    def __init__(self, name: str, told: Callable[[str], None], clock: Callable[[], datetime]) -> None:
        self._name, self._told, self._clock = name, told, clock
        self._said: dict[str, datetime] = {}

    def say(self, sentence: str) -> None:
        """Say a sentence, unless it was said a short while ago."""
        present, last = self._clock(), self._said.get(sentence)
        if last is None or present - last >= _NOT_AGAIN:
            self._said[sentence] = present
            self._told(f"{self._name}: {sentence}")

    def changed(self, before: Standing, after: Standing) -> None:
        """Say what is new about how it stands."""
        if after.status == "active" and before.status != "active":
            self.say("the subscription is active.")
        for reason, count in after.counts.items():
            if count > before.counts.get(reason, 0) and reason in _WORTH_TELLING:
                self.say(COUNTS[reason])

    def done(self, action: Action, outcome: Outcome) -> None:
        """Say what failed."""
        if isinstance(outcome, Failed):
            self.say(f"{_DOING[type(action).__name__]} failed ({outcome.code}); it is tried again.")
