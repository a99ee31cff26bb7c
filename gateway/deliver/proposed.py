"""One result for one EHR, put into the outbox: rendered as that EHR can hold it, with what it is made of beside it.

Where policy lets it go by itself, the agreement is in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway.approval_settings import Kind
from gateway.credentials import CHANGED, WRITTEN
from gateway.deliver.approval import at_once
from gateway.deliver.draft import Draft, write_draft
from gateway.deliver.learned import learned
from gateway.deliver.policy import policy_for
from gateway.deliver.standing import older_results
from gateway.home import Home, now
from gateway.store import DeliveryState, TwinRecord
from mappers.outbound import StepDown, to_json
from mappers.outbound.ladder import steps
from mappers.outbound.words import summary
from security.audit import proposal_event
from security.errors import Refused

__all__ = ["Proposed", "put_forward", "takes_of"]

_ALL: Final = frozenset((*WRITTEN, *CHANGED))


@dataclass(frozen=True)
class Proposed:
    """One proposal, or in `left_out` why there is none.

    Parameters
    ----------
    resources
        The types of what would be written, the model's Device first.
    is_new
        Whether it was not in the outbox before.
    state
        Where it is now; what policy lets go by itself is "approved" at once.
    steps
        What goes as something else, because the EHR does not take what it would be.
    agrees
        Who has to agree, in a few words.
    """

    model: str
    source: str
    delivery: str
    resources: tuple[str, ...]
    left_out: str = ""
    is_new: bool = False
    kind: Kind | None = None
    state: DeliveryState | None = None
    steps: tuple[StepDown, ...] = ()
    agrees: str = ""

    def as_json(self) -> dict[str, Any]:
        """Write it for scripts."""
        return {
            "model": self.model,
            "source": self.source,
            "kind": self.kind,
            "delivery": self.delivery or None,
            "resources": list(self.resources),
            "steps_down": [msgspec.to_builtins(step) for step in self.steps],
            "left_out": self.left_out or None,
            "new": self.is_new,
            "state": self.state,
            "agrees": self.agrees or None,
        }


def takes_of(home: Home, source: str) -> frozenset[str] | None:
    """Say which types a source's server takes, by its statement and by what it refused; `None` where nobody knows."""
    known = learned(home.settings.home, source)
    if known.creates is None and not known.refused:
        return None
    told = _ALL if known.creates is None else frozenset(known.creates)
    return told - known.refused.keys()


def put_forward(
    home: Home,
    record: TwinRecord,
    source: str,
    run: str,
    *,
    delivery: str,
    model: str,
    kind: Kind,
    draft: Draft,
    takes: frozenset[str] | None,
) -> Proposed:
    """Put a draft into the outbox under its id, once. What the EHR takes in no form is left out.

    Raises `Denied` where the twin is restricted.
    """
    revised = older_results(home, record, model, kind, source, run)
    draft = msgspec.structs.replace(draft, summary=_summed_up(draft), revises=revised)
    try:
        down = steps(draft.result, takes, form=draft.form, with_risks=draft.with_risks) if takes is not None else ()
        bundle = draft.rendered(takes)
    except Refused as fault:
        return Proposed(model, source, "", (), fault.message)
    decision, agreed = at_once(home, record.id, delivery, kind, model, source)
    is_new = home.store.propose(
        delivery,
        record.id,
        source,
        run,
        to_json(bundle),
        now=now(),
        events=[proposal_event(home.access(patient=record.id), proposal=delivery), *agreed],
        model=model,
        kind=kind,
        content=write_draft(draft),
        replaces=revised[-1].delivery if revised else "",
        decision=decision,
    )
    return Proposed(
        model,
        source,
        delivery,
        tuple(entry["resource"]["resourceType"] for entry in bundle["entry"]),
        is_new=is_new,
        kind=kind,
        state=home.store.delivery(delivery).state,
        steps=down,
        agrees=policy_for(home.settings.approval, kind, model, source).said,
    )


def _summed_up(draft: Draft) -> str:
    """Say it for who is asked to agree; a warning begins with what it warns of."""
    told = summary(draft.result)
    return f"Warning: {draft.attention.title}. {draft.attention.said} {told}" if draft.attention else told
