"""How far a delivery has come in an attempt: what is there, and what was refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Self

from gateway.deliver.answer import Answer, Unclear
from gateway.deliver.refusal import Refusal
from gateway.deliver.seek import Unsearchable, find_ours
from gateway.deliver.shipment import Item
from gateway.deliver.target import Target
from gateway.store import Delivery, Landed

__all__ = ["Went"]

_PATIENT: Final = re.compile(rb'"reference":\s*"(Patient/[A-Za-z0-9.\-]+)"')


@dataclass
class Went:
    """What of a delivery is there, by our name of it, and what the server refused, in order; `patient` is whose.

    `resent` says that something was sent again after it could not be found, `copies` that there are several of
    something, and that the others could not be removed; `is_fresh` that nothing of it had left before.
    """

    patient: str = ""
    there: dict[str, Landed] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    status: int | None = None
    reply: bytes = b""
    resent: bool = False
    copies: bool = False
    is_fresh: bool = False

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Begin with what is known to be there of a delivery."""
        found = _PATIENT.search(delivery.bundle)
        is_fresh = delivery.left is None and not delivery.unsure
        there = {each.uuid: each for each in delivery.landed}
        return cls(found[1].decode() if found else "", there, is_fresh=is_fresh)

    @property
    def addresses(self) -> dict[str, str]:
        """Where each is, by our name of it."""
        return {uuid: landed.reference for uuid, landed in self.there.items()}

    async def note(self, target: Target, item: Item, answer: Answer) -> None:
        """Note an answer. Where the server does not say where it put something, it is looked for.

        Raises `Unclear` where it is not found.
        """
        if not answer.is_done:
            self.refused.append(Refusal(answer.status, answer.outcome, self.reply, item.type))
            return
        reference, version = answer.reference, answer.version
        if not reference:
            found = await find_ours(target, item, patient=self.patient)
            if not found:
                raise Unclear("The server says that it was done, and not where.", hint="It is looked for again.")
            reference, version = found[0].reference, found[0].version
        how = "created" if answer.status == 201 else "existed"
        self.there[item.uuid] = Landed(item.uuid, reference, version, how)  # type: ignore[arg-type]
        if how == "existed" and target.learned.conditional_create == "unknown":
            target.learn("answer", conditional_create="yes")

    async def look_first(self, target: Target, item: Item) -> bool:
        """Look for something at a server that would make a second copy; say whether it is there."""
        if target.keeps_one(item.type):
            return False
        try:
            found = await find_ours(target, item, patient=self.patient)
        except Unsearchable:
            if self.is_fresh:  # by our own books it cannot be there
                return False
            raise
        if found:
            self.there[item.uuid] = Landed(item.uuid, found[0].reference, found[0].version, "existed")
        return bool(found)
