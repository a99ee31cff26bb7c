"""What is said of proposals and of who decided, for people at terminals and on pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.approval_settings import Kind
from gateway.deliver.approval import Decision
from mappers.outbound import StepDown

__all__ = ["DOUBTS", "KINDS", "STANDS", "said_decision", "said_step"]

KINDS: Final[Mapping[Kind, str]] = {
    "observation": "simulated values",
    "risk": "simulated risks",
    "plan": "what a plan may bring, simulated",
    "warning": "a warning, simulated",
    "change": "a change of a result of ours that is there",
}
"""What each kind of proposal tells."""

DOUBTS: Final[Mapping[str, str]] = {
    "not-agreed": "Nobody has agreed to it, so that it does not leave.",
    "account-disabled": "The account that agreed is disabled or gone: it leaves when somebody else has agreed.",
    "role-lost": "Who agreed has no longer the role for it: it leaves when somebody else has agreed.",
    "policy-changed": "[approval] does not let who agreed do that any more: it leaves when somebody has who may.",
}
"""Why an agreement does not hold any more (`gateway.deliver.approval.still_stands`)."""

STANDS: Final[Mapping[Literal["new", "there", "older"], str]] = {
    "new": "not there yet",
    "there": "there already",
    "older": "an older result of ours is there",
}
"""What an EHR has from us for one resource of a proposal (`gateway.deliver.difference`)."""


def said_decision(decision: Decision | None) -> str:
    """Say who decided what, how, when and why; "" where nobody has."""
    if decision is None:
        return ""
    hows = {"automatic": "by itself, as [approval] lets it", "person": "in person"}
    how = hows.get(decision.how, decision.how.replace("role:", "as "))
    why = f": {decision.why}" if decision.why else ""
    what = "Agreed to" if decision.agreed else "Declined"
    return f"{what} by {decision.who}, {how}, {decision.when:%Y-%m-%d %H:%M} UTC{why}"


def said_step(step: StepDown, source: str) -> str:
    """Say what goes in another shape, and why."""
    return f"{source} does not take {step.instead_of}: {step.what} as {step.to}"
