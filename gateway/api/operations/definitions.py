"""The OperationDefinitions of our own operations, as anybody may read them."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.api.call import Call, Offer, Reply
from gateway.api.operations.definition import Declared
from gateway.api.view import not_found

__all__ = ["Definitions"]


class Definitions:
    """What is defined here, by id. $export is defined by the Bulk Data guide: the capability statement names it."""

    def __init__(self, declared: Iterable[Declared]) -> None:
        self._defined = {each.id: each for each in declared}

    async def definition(self, call: Call) -> Reply:
        """Give the definition of one operation."""
        if call.path["id"] not in self._defined:
            raise not_found()
        return Reply(body=self._defined[call.path["id"]].resource(call.base))

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What of it is offered."""
        return (
            Offer(
                method="GET",
                path="/OperationDefinition/{id}",
                interaction="read",
                answer=self.definition,
                event="none",
                types=("OperationDefinition",),
                everybody=True,
            ),
        )
