"""How an inquiry is cut into questions: one for the list, one a slice, one a patient, one for some names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.pull.asking import First
from gateway.pull.walk import Inquiry, Parameters

__all__ = ["NAMES_A_QUESTION", "first_of", "name_of_part", "names_of", "number_of"]

NAMES_A_QUESTION = 50


def number_of(inquiry: Inquiry, patients: int) -> int:
    """Say how many questions an inquiry has."""
    match inquiry.way:
        case "list":
            return 1
        case "slices":
            return len(inquiry.slices)
        case "patients":
            return patients * max(1, len(inquiry.slices))
        case "everything":
            return patients
        case "named":
            return -(-len(inquiry.names) // NAMES_A_QUESTION)


def first_of(inquiry: Inquiry, part: int, patients: Sequence[str], is_held: Callable[[str], bool]) -> First:
    """Say how a question begins. Of a patient who is new to us all is asked for, and not only what changed."""
    name = inquiry.type if inquiry.way != "everything" else inquiry.what
    if inquiry.way in ("list", "slices"):
        chosen = inquiry.slices[part] if inquiry.slices else ()
        limits = _filter(inquiry)
        return First(inquiry.type, (*chosen, *limits), name, bool(limits))
    each = max(1, len(inquiry.slices))
    patient = patients[part // each] if inquiry.way == "patients" else patients[part]
    limits = _filter(inquiry) if inquiry.filter and is_held(f"Patient/{patient}") else ()
    if inquiry.way == "everything":
        return First(f"Patient/{patient}/$everything", limits, name, bool(limits))
    value = patient if inquiry.about == "patient" else f"Patient/{patient}"
    chosen = inquiry.slices[part % each] if inquiry.slices else ()
    return First(inquiry.type, ((inquiry.about, value), *chosen, *limits), name, bool(limits))


def names_of(inquiry: Inquiry, part: int) -> tuple[str, ...]:
    """Return the ids that a question of this part names."""
    return inquiry.names[part * NAMES_A_QUESTION : (part + 1) * NAMES_A_QUESTION]


def name_of_part(inquiry: Inquiry, part: int, patients: int) -> str:
    """Name a question for people and for the next walk; no patient data."""
    number = number_of(inquiry, patients)
    name = inquiry.what if inquiry.way in ("everything", "named") else inquiry.type
    return name if number == 1 and inquiry.way != "patients" else f"{name}, {part + 1} of {number}"


def _filter(inquiry: Inquiry) -> Parameters:
    if not inquiry.filter or inquiry.asks_all:
        return ()
    if inquiry.way == "everything":
        return (("_since", inquiry.since),)
    return ((inquiry.filter, f"ge{inquiry.since}"),)
