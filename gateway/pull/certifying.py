"""The certificate of a search crawl: a line an inquiry, the watermarks, and what is to be remarked."""

from __future__ import annotations

import msgspec

from gateway.pull.controls import CONTROLS
from gateway.pull.increment import Increment
from gateway.pull.page import Asked, Certificate, Control, Way
from gateway.pull.parts import number_of
from gateway.pull.plan import Plan
from gateway.pull.walk import Inquiry, Walk

__all__ = ["certify", "control_of"]


def certify(
    name: str,
    version: str,
    walk: Walk,
    plan: Plan,
    increment: Increment,
    *,
    way: Way,
    patients: int,
    remarks: tuple[str, ...] = (),
) -> Certificate:
    """Say what was asked and what became of it; what was not walked to its end is "unfinished"."""
    is_proven = _knows_patients(walk, patients)
    asked = [(each, _asked(each, walk, place, patients, is_proven)) for place, each in enumerate(walk.inquiries)]
    control = control_of(walk)
    absent = f"The server does not offer: {', '.join(plan.not_offered)}." if plan.not_offered else ""
    told = CONTROLS[control.unknown] if walk.control else ""
    return Certificate(
        name,
        version,
        tuple(line for _, line in asked),
        " ".join(filter(None, [told, absent, *walk.remarks, *remarks])),
        way,
        control,
        increment.until(asked),
        increment.after,
    )


def control_of(walk: Walk) -> Control:
    """Say what the server does with unknown parameters; one that refuses all questions of a type tells nothing."""
    if not walk.control or (walk.control == "refused" and walk.inquiries and walk.inquiries[0].refused):
        return Control("unknown")
    return msgspec.convert({"unknown": walk.control}, Control)


def _asked(inquiry: Inquiry, walk: Walk, place: int, patients: int, is_proven: bool) -> Asked:
    is_open = any(each.inquiry == place for each in walk.open) or inquiry.opened < number_of(inquiry, patients)
    by_patient = inquiry.way in ("patients", "everything")
    if is_open or (by_patient and not _all_patients(walk)):
        here = [each for each in walk.open if each.inquiry == place]
        told = msgspec.structs.replace(
            inquiry,
            came=inquiry.came + sum(each.came for each in here),
            pages=inquiry.pages + sum(each.pages for each in here),
        )
        return told.asked(stopped="unfinished")
    asked = inquiry.asked()
    if by_patient and not is_proven:
        asked = msgspec.structs.replace(asked, signs=(*asked.signs, "patients-unproven"))
    if inquiry.filter not in ("", "_lastUpdated"):
        asked = msgspec.structs.replace(asked, signs=(*asked.signs, "created-only"))
    return asked


def _all_patients(walk: Walk) -> bool:
    lists = [each for each in walk.inquiries if each.type == "Patient" and each.way == "list"]
    return bool(lists) and all(each.ended for each in lists)


def _knows_patients(walk: Walk, patients: int) -> bool:
    """Say whether the list of patients is proven whole, and whether all of them are known."""
    lists = [each for each in walk.inquiries if each.type == "Patient" and each.way == "list" and not each.filter]
    return bool(lists) and all(each.asked().verdict == "complete" for each in lists) and patients >= lists[-1].came
