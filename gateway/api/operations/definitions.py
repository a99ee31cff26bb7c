"""The OperationDefinitions of our own operations, as anybody may read them."""

from __future__ import annotations

from typing import Final

from gateway.api.call import Call, Offer, Reply
from gateway.api.operations.branching import COMPARE, WHAT_IF
from gateway.api.operations.definition import Declared
from gateway.api.operations.everything import EVERYTHING
from gateway.api.operations.simulating import SIMULATE
from gateway.api.operations.state import TWIN
from gateway.api.view import not_found

__all__ = ["DEFINED", "OFFERS", "definition"]

DEFINED: Final[dict[str, Declared]] = {each.id: each for each in (TWIN, SIMULATE, WHAT_IF, COMPARE, EVERYTHING)}
"""What is defined here, by id. $export is defined by the Bulk Data guide: the capability statement names it."""


async def definition(call: Call) -> Reply:
    """Give the definition of one operation."""
    if call.path["id"] not in DEFINED:
        raise not_found()
    return Reply(body=DEFINED[call.path["id"]].resource(call.base))


OFFERS = (
    Offer(
        method="GET",
        path="/OperationDefinition/{id}",
        interaction="read",
        answer=definition,
        event="none",
        types=("OperationDefinition",),
        everybody=True,
    ),
)
