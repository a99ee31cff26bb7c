"""One round of keeping a subscription: what is due is carried out, and the standing kept after each step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from gateway.stream.subscriptions.actions import Action, Outcome
from gateway.stream.subscriptions.catch_up import Desk, Take, carry_out
from gateway.stream.subscriptions.decisions import due, settle
from gateway.stream.subscriptions.hearing import Heard
from gateway.stream.subscriptions.standing import Rules, Standing

__all__ = ["Change", "Note", "keep_up"]

Change = Callable[[Callable[[Standing], Heard]], Awaitable[Standing]]
"""Applies a function to the newest standing and keeps the result with its events in one transaction, one at a time.

Notifications come in while actions are under way; whoever implements this sees to it that neither overwrites the other.
"""

Note = Callable[[Action, Outcome], None]
"""Is told what came of each action, once that is kept."""


async def keep_up(
    standing: Standing,
    desk: Desk,
    clock: Callable[[], datetime],
    rules: Rules,
    take: Take,
    change: Change,
    note: Note | None = None,
) -> Standing:
    """Carry out what is due now, once, and return the newest standing.

    What failed is put off and due again later. Call it when a notification was taken and at least every few seconds.
    """
    for action in due(standing, clock(), rules):
        outcome = await carry_out(action, desk, standing.subscription, take)
        standing = await change(partial(settle, action=action, outcome=outcome, now=clock(), rules=rules))
        if note is not None:
            note(action, outcome)
    return standing
