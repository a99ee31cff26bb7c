"""A form: what many resources of an EHR say in the same words, and the blanks that each of them fills in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Final

import msgspec

from mappers.facts import Fact, Link, Origin, Outcome, Quantity, Refusal
from mappers.forms.meaning import words_of
from mappers.versions import FhirVersion
from mappers.when import When, read_when

__all__ = ["NONE", "Filled", "Form", "Part"]

NONE: Final = -1


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One outcome of a form, and for its time, end, number and number as sent the blank that tells it (-1: none does).

    Of a refusal that repeats a number, `said` stands before that and `after` behind.
    """

    outcome: Outcome
    when: int = NONE
    until: int = NONE
    number: int = NONE
    sent: int = NONE
    after: str = ""

    def fill(self, origin: Origin, blanks: Sequence[str]) -> Outcome:
        """Make the outcome of one resource."""
        made, o = self.outcome, origin
        if path := made.origin.path:
            origin = Origin(o.source, o.type, o.id, o.version, o.place, path)
        if isinstance(made, Refusal):
            said = made.said if self.number == NONE else f"{made.said}{blanks[self.number]}{self.after}"
            return Refusal(made.reason, origin, said, made.codes)
        if isinstance(made, Link):
            return Link(origin, made.target)
        value = made.value
        if isinstance(value, Quantity):
            value = _filled(value, self.number, blanks)
        return msgspec.structs.replace(
            made,
            origin=origin,
            value=value,
            original=made.original and _filled(made.original, self.sent, blanks),
            when=_time(made.when, self.when, blanks),
            until=_time(made.until, self.until, blanks),
        )

    def pattern(self) -> str:
        """Write the blanks of this outcome as `mappers.forms.meaning` does, for `str.format`."""
        made = self.outcome
        if isinstance(made, Refusal):
            said = _literal(made.said)
            return f"|{said}" if self.number == NONE else f"|{said}{{{self.number}}}{_literal(self.after)}"
        if isinstance(made, Link):
            return "|"
        number = made.value.value if isinstance(made.value, Quantity) else ""
        sent = made.original.value if made.original else ""
        told = ((self.when, made.when or ""), (self.until, made.until or ""), (self.number, number), (self.sent, sent))
        return "".join(f"|{_literal(str(fixed))}" if blank == NONE else f"|{{{blank}}}" for blank, fixed in told)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _filled(quantity: Quantity, blank: int, blanks: Sequence[str]) -> Quantity:
    return quantity if blank == NONE else Quantity(Decimal(blanks[blank]), quantity.unit, quantity.comparator)


def _time(fixed: When | None, blank: int, blanks: Sequence[str]) -> When | None:
    return fixed if blank == NONE else read_when(blanks[blank])


class Form(msgspec.Struct, frozen=True, dict=True, eq=False):
    """The outcomes that resources of one source, type and version have in common, and how many blanks they fill in."""

    source: str
    type: str
    fhir_version: FhirVersion
    parts: tuple[Part, ...]
    blanks: int

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes, with blanks: good for counting."""
        return tuple(part.outcome for part in self.parts)

    @cached_property
    def facts(self) -> int:
        """How many of them are facts."""
        return sum(isinstance(outcome, Fact) for outcome in self.outcomes)

    @cached_property
    def refusals(self) -> int:
        """How many of them are refusals."""
        return sum(isinstance(outcome, Refusal) for outcome in self.outcomes)

    @cached_property
    def words(self) -> bytes:
        """The hash of all that stands in it (`mappers.forms.meaning`)."""
        return words_of(self.outcomes)

    @cached_property
    def pattern(self) -> str:
        """The blanks of all its outcomes, for `str.format`."""
        return "".join(part.pattern() for part in self.parts)

    @cached_property
    def essence(self) -> tuple[str, bytes, Callable[..., str], int, int]:
        """How the names of its resources begin over all sources, its words, what writes its blanks; facts, refusals."""
        return f"{self.source} {self.type}/", self.words, self.pattern.format, self.facts, self.refusals


class Filled(msgspec.Struct, frozen=True, gc=False):
    """One resource: the form, and what stands in its blanks. `subject` is whom it is about, as written, or ""."""

    form: Form
    id: str
    version: str
    blanks: tuple[str, ...]
    subject: str

    @property
    def key(self) -> str:
        """Name the resource within its source."""
        return f"{self.form.type}/{self.id}"

    def outcomes(self, place: str = "") -> list[Outcome]:
        """Make its outcomes, the same that `mappers.map_resource` makes."""
        form = self.form
        origin = Origin(form.source, form.type, self.id, self.version, place)
        return [part.fill(origin, self.blanks) for part in form.parts]

    def meaning(self) -> bytes:
        """Say what they mean (`mappers.forms.meaning`)."""
        return self.form.words + self.form.pattern.format(*self.blanks).encode("utf-8", "surrogatepass")
