"""What a pull asks for: a line of the certificate a type, asked as the server wants it asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.pull.increment import Increment
from gateway.pull.metadata import Capability
from gateway.pull.page import Sign
from gateway.pull.profile import Profile
from gateway.pull.questions import questions
from gateway.pull.walk import Inquiry

__all__ = ["Plan", "filter_of", "from_mark", "patient_parameter"]

# What can be held of these is not about one patient, whatever a server lists.
_ABOUT_NOBODY = """
    Medication Group Practitioner PractitionerRole Organization Location Substance HealthcareService Endpoint Binary
    Bundle Questionnaire ResearchStudy Schedule Slot InsurancePlan
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The inquiries of a pull, and the types that are not asked for because the server does not have them.

    `name` tells one plan from another: what a person or the settings decided, and nothing that a server may say
    differently tomorrow.
    """

    name: str
    inquiries: tuple[Inquiry, ...]
    not_offered: tuple[str, ...]

    @classmethod
    def make(
        cls,
        capability: Capability,
        profile: Profile,
        increment: Increment,
        *,
        types: Sequence[str] = (),
        way: Literal["crawl", "patients"] = "crawl",
        page_size: int = 200,
    ) -> Plan:
        """Decide what is asked, and how each type."""
        asked, not_offered = questions(capability, types)
        if not types:
            not_offered = tuple(t for t in not_offered if t not in profile.also_searched)
            if profile.because.get("not_searched", "").startswith("habit"):  # a probe may have met a bad moment
                not_offered += tuple(t for t in asked if t in profile.not_searched and t != "Patient")
            asked = tuple(dict.fromkeys((*asked, *profile.also_searched)))
            asked = tuple(t for t in asked if t not in not_offered)
        size = min(page_size, profile.largest_page or page_size)
        lines = [_inquiry(type_, capability, profile, increment, way, size) for type_ in asked]
        if any(line.way == "patients" for line in lines):
            lines = [line for line in lines if line.type != "Patient"]
            lines.insert(0, Inquiry("Patient", size=size))  # all of them: what is new of those who are not, too
        if way == "patients" and profile.everything == "yes":
            since = min((line.since for line in lines if line.way == "patients"), default="")
            told = Inquiry("Patient", "everything", "_lastUpdated" if since else "", since, size=size)
            told.by_type = {line.type: 0 for line in lines if line.way == "patients"}
            lines = [*(line for line in lines if line.way != "patients"), told]
        name = repr((sorted(types), way, sorted(increment.since.items())))
        return cls(name, tuple(lines), not_offered)


def _inquiry(
    type_: str, capability: Capability, profile: Profile, increment: Increment, way: str, size: int
) -> Inquiry:
    # What a probe met may have been a bad moment: the plain question comes first, and another way if it is refused.
    slices = profile.slices.get(type_, ()) if profile.because.get(f"slices.{type_}") != "probe" else ()
    per_patient = profile.per_patient if profile.because.get("per_patient") != "probe" else ()
    about = patient_parameter(type_, capability)
    by_patient = bool(about) and (way == "patients" or type_ in per_patient or "*" in per_patient)
    signs: tuple[Sign, ...] = () if all(each.whole for each in slices) else ("in-slices",)
    told = Inquiry(
        type_,
        "patients" if by_patient else "slices" if slices else "list",
        slices=tuple(each.parameters for each in slices),
        about=about or "patient",
        size=size,
        signs=signs,
    )
    return from_mark(told, profile, increment)


def from_mark(inquiry: Inquiry, profile: Profile, increment: Increment) -> Inquiry:
    """Let an inquiry begin where the last one of its kind came to an end; return it."""
    inquiry.filter = filter_of(inquiry.type, profile)
    inquiry.since = increment.of(inquiry.type, inquiry.mark) if inquiry.filter else ""
    inquiry.filter = inquiry.filter if inquiry.since else ""
    return inquiry


def filter_of(type_: str, profile: Profile, *, refused: str = "") -> str:
    """Return the search parameter by which only changes are asked for; `refused` is one that the server does not take.

    "" where there is none: then all is asked for.
    """
    if profile.last_updated != "no" and not refused:
        return "_lastUpdated"
    created = profile.created.get(type_, "")
    return created if created != refused else ""


def patient_parameter(type_: str, capability: Capability) -> str:
    """Return the search parameter of a type that names a patient; "" where it has none."""
    if type_ == "Patient" or type_ in _ABOUT_NOBODY.split():
        return ""
    ability = capability.types.get(type_)
    listed = ability.search_params if ability else frozenset()
    if not listed or "patient" in listed:
        return "patient"
    return "subject" if "subject" in listed else ""
