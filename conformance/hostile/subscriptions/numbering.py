"""An event gets its number and a place in the outbox, or the wrong ones."""

from __future__ import annotations

from datetime import datetime

from conformance.hostile.store import Held
from conformance.hostile.subscriptions.kept import Happening, Kept, Notice
from conformance.hostile.subscriptions.mischief import Mischief, is_turn

__all__ = ["count"]

_MISNUMBERED_BY = 3


def count(kept: Kept, held: Held, now: datetime, said: Mischief) -> None:
    """Number an event, also while nothing is sent (errors.html), and put its notification into the outbox."""
    if said.restart_after and kept.count == said.restart_after and kept.is_first("restart"):
        kept.count, kept.events = 0, []
    kept.count += 1
    number = kept.count
    kept.events.append(event := Happening(number, now, held))
    if kept.status not in ("active", "requested"):
        return
    notice = Notice("event-notification", (event,), _MISNUMBERED_BY if is_turn(said.misnumber_every, number) else 0)
    if is_turn(said.swap_every, number):
        kept.held_back.append(notice)
    elif not is_turn(said.drop_every, number):
        kept.outbox += [notice] * (2 if is_turn(said.duplicate_every, number) else 1) + kept.held_back
        kept.held_back = []
    if number == said.error_after and kept.is_first("error"):
        kept.err()
