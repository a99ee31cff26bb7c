"""The few fields that a fact needs, as structs: what `normalise.py` decodes to show how far ours is from that."""

from __future__ import annotations

import msgspec

__all__ = ["decode"]


class Reference(msgspec.Struct, frozen=True):
    """Whom it is about."""

    reference: str = ""


class Coding(msgspec.Struct, frozen=True):
    """One code."""

    system: str = ""
    code: str = ""


class Concept(msgspec.Struct, frozen=True):
    """What it is about."""

    coding: list[Coding] = []


class Quantity(msgspec.Struct, frozen=True):
    """What was measured."""

    value: float | None = None
    unit: str = ""


class Resource(msgspec.Struct):
    """Any resource."""

    resourceType: str  # noqa: N815  FHIR's spelling
    id: str = ""
    status: str = ""
    subject: Reference = Reference()
    code: Concept = Concept()
    effectiveDateTime: str = ""  # noqa: N815
    valueQuantity: Quantity | None = None  # noqa: N815


decode = msgspec.json.Decoder(Resource).decode
