"""Writes results back to the EHRs that the facts came from: proposals, the outbox, and what the server said."""

from gateway.deliver.delivery import Sent, send
from gateway.deliver.hypothesis import propose_plans
from gateway.deliver.proposal import Proposed, propose

__all__ = ["Proposed", "Sent", "propose", "propose_plans", "send"]
