"""MedicationDispense: a medicine that was handed out. It shows that somebody fetched it, not that it is taken."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mappers.elements import objects, text
from mappers.facts import Fact, Outcome, Quantity, Refusal
from mappers.resources.administration import read_amount
from mappers.resources.medication import read_medicine
from mappers.resources.sheet import Sheet, read_span

__all__ = ["map_dispense"]


def map_dispense(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a dispense, of the kind "medication" and "completed", with the amount in its own unit.

    It has to be handed over: what was only prepared was not. An amount that cannot be read is refused beside the fact.
    """
    body, status = sheet.body, text(sheet.body.get("status"))
    span = read_span({"handedDateTime": body.get("whenHandedOver")}, "handed")
    if status == "declined":
        yield sheet.refuse("not-done", status)
    elif status != "completed":
        yield sheet.refuse("status", status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    else:
        concept = read_medicine(sheet)
        made = concept if isinstance(concept, Refusal) else sheet.coded("medication", concept, status, span)
        amount = read_amount(next(iter(objects(body.get("quantity"))), None))
        if isinstance(made, Fact) and isinstance(amount, Quantity):
            made = msgspec.structs.replace(made, value=amount)
        yield made
        if isinstance(made, Fact) and isinstance(amount, str):
            yield sheet.refuse(amount, path="quantity")
