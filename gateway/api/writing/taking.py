"""Whether a resource that somebody writes is taken: valid R4, about a patient of theirs, naming what they may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gateway.api.refusal import Refusal
from gateway.api.view import View
from gateway.api.writing.faults import Unfit, unseen
from mappers.incoming import (
    Issue,
    Written,
    contained_issues,
    labelled,
    named_by,
    narrative_issues,
    references_in,
    rewritten,
    structure_issues,
)

__all__ = ["SUBJECTS", "TYPES", "Fresh", "Taken", "demand_valid", "subject_of", "take"]

SUBJECTS: Final[Mapping[str, str]] = {
    "Consent": "patient",
    "Observation": "subject",
    "QuestionnaireResponse": "subject",
}
"""The types that are written, with the element that says whose each is."""

TYPES: Final = tuple(sorted(SUBJECTS))


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a name within a transaction will be called, and whose it is."""

    reference: str
    twin: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A resource that is taken, as it will be kept but for its id, and whose it is."""

    type: str
    twin: str
    body: Mapping[str, Any]


def demand_valid(resource: Mapping[str, Any]) -> None:
    """Raise `Unfit` for what is no R4, whoever writes it: it is asked once, before anything is looked at."""
    wrong = structure_issues(resource)
    dangling = (Issue("invariant", at, "Nothing of this id is contained (ref-1).") for at in contained_issues(resource))
    if wrong := wrong or [*dangling]:
        raise Unfit(400, wrong)
    if wrong := [*narrative_issues(resource)]:
        raise Unfit(422, wrong)


def take(
    view: View,
    base: str,
    resource: Mapping[str, Any],
    *,
    before: Mapping[str, Any] | None = None,
    fresh: Mapping[str, Fresh] = MappingProxyType({}),
) -> Taken:
    """Take a resource that `demand_valid` let pass, or raise `Unfit`. If the caller may write it is asked elsewhere.

    Parameters
    ----------
    before
        What it was until now, where it is changed: labels that it had stay.
    fresh
        What references mean that only the writer knows: urn:uuid within a transaction.
    """
    type_ = str(resource["resourceType"])

    def local(reference: str) -> str:
        return fresh[reference].reference if reference in fresh else reference.removeprefix(f"{base}/")

    body = labelled(rewritten(resource, local), before)
    body.pop("id", None)
    element = SUBJECTS[type_]
    twin = _twin(view, body.get(element), f"{type_}.{element}")
    theirs = frozenset(each.reference for each in fresh.values() if each.twin in ("", twin))
    if wrong := [*_unresolved(view, twin, body, theirs)]:
        raise Unfit(422, wrong)
    return Taken(type_, twin, body)


def subject_of(resource: Mapping[str, Any], base: str) -> str:
    """Name the twin that a resource says to be about, "" where it names none; whether there is one is not asked."""
    subject = resource.get(SUBJECTS.get(str(resource.get("resourceType")), ""))
    reference = subject.get("reference") if isinstance(subject, dict) else None
    named = named_by(reference, base) if isinstance(reference, str) else None
    return named.id if named and named.type == "Patient" and not named.version else ""


def _twin(view: View, subject: Any, place: str) -> str:
    """Say whose it is. In the same words for no such patient and for one of whom the caller sees nothing."""
    reference = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(reference, str):
        raise Unfit(422, [Issue("required", place, "It does not say which Patient of ours it is about.")])
    named = named_by(reference, "")
    if named is None or named.type != "Patient" or named.version or not view.state(named.id):
        raise Unfit(422, [unseen(place)])
    return named.id


def _unresolved(view: View, twin: str, body: Mapping[str, Any], fresh: frozenset[str]) -> Iterator[Issue]:
    """Name the references that lead nowhere for this caller, or to another patient's record."""
    for each in references_in(body):
        if each.reference.startswith("#") or each.reference in fresh:
            continue
        if not _resolves(view, twin, each):
            yield unseen(each.place)


def _resolves(view: View, twin: str, written: Written) -> bool:
    named = named_by(written.reference, "")
    if named is None or (written.type and written.type != named.type):
        return False
    if written.reference == view.caller.fhir_user:
        return True
    if named.type == "Patient":
        return named.id == twin and not named.version
    if view.charts.twin_of(named.type, named.id) not in ("", twin):
        return False
    try:
        found = view.get(named.type, named.id)
    except Refusal:
        return False
    return named.version in ("", str(found.version))
