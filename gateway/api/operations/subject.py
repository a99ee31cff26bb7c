"""Whose twin an operation is about, as its caller may see it: a model gets nothing else.

A run over a twin uses the facts of those resources that the `View` shows to this caller, and no kept state, which would
rest on others; so its result is to the bit the same with and without what is hidden. Nor is a list taken as whole: that
no diabetes is seen does not mean that there is none. Whoever knows may say so (`assumeAbsent`), and the result says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

from gateway.api.call import Call
from gateway.api.reading import TYPES
from gateway.api.refusal import Refusal
from gateway.api.shown import Shown
from gateway.api.view import View
from gateway.store import StoredResource, TwinRecord
from mappers.facts import Fact, Origin
from twin_engine import Input, Profile

__all__ = ["NOTHING_CLOSED", "Stores", "Subject", "subject_of"]

_TRIES: Final = 3
NOTHING_CLOSED: frozenset[str] = frozenset()
"""The kinds whose lists are known to be whole, for who may see a part of a record."""


@runtime_checkable
class Stores(Protocol):
    """Charts that know from which stored resource each shown one was made (`gateway.api.charts.StoreCharts`)."""

    def stored(self, twin: str) -> Mapping[str, StoredResource]:
        """Return the current stored resources of a twin, by the reference that they are shown under."""
        ...


@dataclass(frozen=True)
class Subject:
    """A twin as a caller may see it. `patient` is its Patient; `references` say how we call what a source called so."""

    patient: Shown
    record: TwinRecord
    references: Mapping[tuple[str, str], Shown]

    @property
    def twin(self) -> str:
        """The id of the twin."""
        return self.record.id

    def profile(self, at: datetime, *, assume_absent: bool = False) -> Profile:
        """Return what is known at a time."""
        return Profile(tuple(self.record.facts), at, NOTHING_CLOSED, assume_absent)

    def shown(self, origin: Origin) -> Shown | None:
        """Find the resource that a fact comes from."""
        return self.references.get((origin.source, origin.resource))

    def used(self, inputs: Iterable[Input], facts: Iterable[Fact] = ()) -> tuple[str, ...]:
        """Name the Patient and the resource versions that inputs and facts come from, for the audit."""
        every = [*(fact for each in inputs for fact in each.facts), *facts]
        found = (self.shown(origin) for fact in every for origin in fact.origins)
        told = dict.fromkeys(f"{each.reference}/_history/{each.version}" for each in found if each is not None)
        return (self.patient.reference, *told)


def subject_of(call: Call) -> Subject:
    """Open the twin that a call names. Raises a `Refusal`: 403 without a scope for it, 404 for who is not seen."""
    view = call.view
    view.demand("r", "Patient")
    for _ in range(_TRIES):
        patient = view.get("Patient", call.path["id"])
        stored = _stored(view, patient.twin)
        if view.renewed().state(patient.twin) == view.state(patient.twin):
            return _seen(view, patient, stored)
        view = view.renewed()  # something came between the two: what is seen and what is stored have to be the same
    raise Refusal(503, "transient", "The record changes while it is read. Ask again.", Retry_After="5")


def _stored(view: View, twin: str) -> Mapping[str, StoredResource]:
    if not isinstance(view.charts, Stores):
        raise Refusal(501, "not-supported", "Models do not run on these records.")
    return view.charts.stored(twin)


def _seen(view: View, patient: Shown, stored: Mapping[str, StoredResource]) -> Subject:
    seen = [
        (stored[each.reference], each)
        for type_ in TYPES
        for each in view.resources(patient.twin, type_, "r")
        if each.reference in stored
    ]
    seen.sort(key=lambda pair: (pair[0].source, pair[0].key))  # in an order that tells nothing of what is between
    record = TwinRecord(
        id=patient.twin,
        version=0,
        created=patient.updated,
        resources=tuple(resource for resource, _ in seen),
        history=len(seen),
    )
    return Subject(patient, record, {(resource.source, resource.key): each for resource, each in seen})
