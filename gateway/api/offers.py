"""All that the API does, in one list: the door answers these and nothing else."""

from __future__ import annotations

from gateway.api import breaking_glass, operations, reading, searching, writing
from gateway.api.auditing import Auditing
from gateway.api.call import Offer
from gateway.api.operations.definitions import Definitions
from gateway.api.statement import Statement
from gateway.home import Home

__all__ = ["offers_of"]


def offers_of(home: Home, base: str) -> tuple[Offer, ...]:
    """List what is offered, with the CapabilityStatement that tells of it."""
    statement = Statement(base)
    offers = (
        *statement.offers,
        *reading.OFFERS,
        *searching.OFFERS,
        *writing.OFFERS,
        *operations.OFFERS,
        *Definitions((*operations.DECLARED, breaking_glass.BREAK_GLASS)).offers,
        *breaking_glass.OFFERS,
        *Auditing(home, base).offers,
    )
    statement.tell(offers)
    return offers
