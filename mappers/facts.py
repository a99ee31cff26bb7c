"""What a resource says, once it is understood: facts, links and refusals.

Everything here is an immutable msgspec struct: it can be written to JSON and read back without loss (decimals as text).
None can be part of a cycle (`gc=False`): looking for cycles among a page's facts takes longer than making them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from mappers.when import When

__all__ = ["Coding", "Equivalence", "Fact", "Kind", "Link", "Origin", "Outcome", "Quantity", "Refusal", "Value"]

Kind = Literal[
    "demographic",  # sex, birth date, date of death: name is "sex", "birth-date", "deceased"
    "measurement",
    "condition",
    "medication",
    "administration",  # one dose that was given; "medication" is what is ordered or taken
    "procedure",
    "allergy",
    "immunisation",
    "encounter",
    "report",
    "device",  # what is implanted, worn or used, and that it was used
    "order",  # a service asked for: a laboratory test, an imaging, a referral
    "plan",  # a plan of care, a goal, a diet that was ordered
    "risk",  # what somebody else's risk assessment says; never what a model asserted
    "family-history",
    "adverse-event",
    "imaging",
    "genomic",  # a variant, a diplotype, a phenotype
    "coverage",
    "study",  # that somebody takes part in research
]

Equivalence = Literal["equal", "wider", "narrower"]
"""How the standard code that we found relates to what was told: the same, more general, or more special."""


class Coding(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag="coding"):
    """One code in one code system, as FHIR writes it; `display` is what the source or our table calls it."""

    system: str
    code: str
    display: str = ""

    def __str__(self) -> str:
        return f"{self.system}|{self.code}"


class Quantity(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag="quantity"):
    """A number with its UCUM unit. `comparator` is FHIR's (<, <=, >=, >) or empty."""

    value: Decimal
    unit: str
    comparator: str = ""


Value = Quantity | Coding | str | bool | tuple[Decimal | None, ...] | None
"""A quantity, a code, a text, yes/no, an evenly sampled series (gaps are None), or nothing (the fact says it all)."""


class Origin(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where a statement stands in what an EHR sent.

    `id` is the logical id, or "" where the source gave none; `place` then tells file and entry. `path` is the
    FHIRPath-like place inside the resource ("component[1]"), "" for the whole. All of it is patient data: seal it.
    """

    source: str
    type: str
    id: str
    version: str = ""
    place: str = ""
    path: str = ""

    @property
    def resource(self) -> str:
        """Name the resource within its source, the same for every statement in it."""
        return f"{self.type}/{self.id}" if self.id else f"{self.type}@{self.place}"


class Fact(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag="fact"):
    """One normalised clinical statement.

    Parameters
    ----------
    name
        Our word for what is stated, from the tables ("creatinine", "systolic-pressure", "diabetes"), or "" where the
        tables have none and `code` alone says it.
    code
        The standard code; `said` keeps the codes and the text as the source sent them.
    value
        In the canonical unit of the table. `original` keeps the quantity as sent where a conversion was made.
    when
        Clinically relevant time, with its precision; `None` only where the kind allows it (an allergy without a date).
    until
        End of a period where there is one.
    status
        FHIR's word for it, of the R4 value set of the type ("final", "active", "completed").
    mapping
        Version of the mapping that made this fact.
    equivalence
        How `code` relates to what was told, where a table translated it.
    flags
        What is odd about it and does not refute it (`mappers.ledger.FLAGS`): a value that hardly anybody has.
    also
        Where else the same statement stands: in another EHR, in a panel. One fact, all its sources.
    relative
        Of whom a family history tells ("father"); `None` where the patient is meant.
    """

    kind: Kind
    name: str
    code: Coding
    value: Value
    when: When | None
    status: str
    origin: Origin
    mapping: str
    until: When | None = None
    said: tuple[Coding, ...] = ()
    text: str = ""
    original: Quantity | None = None
    period_ms: Decimal | None = None  # spacing of a sampled series, milliseconds
    equivalence: Equivalence = "equal"
    flags: tuple[str, ...] = ()
    also: tuple[Origin, ...] = ()
    relative: Coding | None = None

    @property
    def origins(self) -> tuple[Origin, ...]:
        """List all places where it is told, the one that speaks for all first."""
        return (self.origin, *self.also)

    @property
    def sources(self) -> tuple[str, ...]:
        """Name the sources that tell it."""
        return tuple(sorted({origin.source for origin in self.origins})) if self.also else (self.origin.source,)


class Link(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag="link"):
    """A resource that says nothing about the patient by itself and that a fact uses (a Medication, a panel)."""

    origin: Origin
    target: str  # the resource that uses it, or is joined by it


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag="refusal"):
    """A resource, or a part of one, that is not understood, and why.

    `reason` is stable and documented (see `mappers.ledger.REASONS`); `said` is what stood there (patient data: seal
    it), and `codes` are the codings of which none was understood.
    """

    reason: str
    origin: Origin
    said: str = ""
    codes: tuple[Coding, ...] = ()


Outcome = Fact | Link | Refusal
