"""What may happen to a record while somebody reads it: merges and their undoing, moves, late and silent changes.

Source: FHIR R4 patient.html#merge: the patient that is replaced links to the survivor with `replaced-by` and is no
longer active, the survivor links back with `replaces`; DSTU2 knows `replace` only.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from conformance.hostile.problem import Problem
from conformance.hostile.references import redirect
from conformance.hostile.store import Held

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["edit_quietly", "insert_in_front", "insert_late", "merge", "move_to_another", "unmerge"]

_MOVED = "http://hostile.invalid/moved-from"  # the tag of what a merge moved, so that it can be taken back


def merge(ehr: Ehr, old: str, survivor: str, *, links: bool = True) -> int:
    """Merge a Patient into another, and point all that was about it to the survivor; return how many moved."""
    gone, kept = ehr.store.read("Patient", old).resource(), ehr.store.read("Patient", survivor).resource()
    if old == survivor:
        raise Problem(400, "invalid", "A patient is not merged into itself.")
    moved = 0
    with ehr.store.atomic():
        if links:
            before_stu3 = ehr.version.name == "dstu2"
            ehr.store.write(_linked(gone, survivor, "replace" if before_stu3 else "replaced-by", False), "Patient", old)
            if not before_stu3:
                ehr.store.write(_linked(kept, old, "replaces", True), "Patient", survivor)
        for held in _about(ehr, old):
            pointed = redirect(held.resource(), lambda text: _swapped(text, old, survivor))
            meta = pointed.get("meta", {})
            tags = [*meta.get("tag", []), {"system": _MOVED, "code": old}]
            ehr.store.write({**pointed, "meta": {**meta, "tag": tags}}, held.type, held.id)
            moved += 1
    return moved


def unmerge(ehr: Ehr, old: str, survivor: str) -> int:
    """Take a merge back; return how many moved back."""
    moved = 0
    with ehr.store.atomic():
        for id_, other in ((old, survivor), (survivor, old)):
            patient = ehr.store.read("Patient", id_).resource()
            links = [each for each in patient.get("link", []) if each["other"]["reference"] != f"Patient/{other}"]
            kept = {name: value for name, value in patient.items() if name != "link"}
            ehr.store.write({**kept, "active": True, **({"link": links} if links else {})}, "Patient", id_)
        for held in _about(ehr, survivor):
            resource = held.resource()
            tags = resource.get("meta", {}).get("tag", [])
            if {"system": _MOVED, "code": old} not in tags:
                continue
            meta = {name: value for name, value in resource["meta"].items() if name != "tag"}
            left = [tag for tag in tags if tag.get("system") != _MOVED]
            back = redirect(resource, lambda text: _swapped(text, survivor, old))
            ehr.store.write({**back, "meta": {**meta, **({"tag": left} if left else {})}}, held.type, held.id)
            moved += 1
    return moved


def move_to_another(ehr: Ehr, held: Held) -> None:
    """Let a resource be about the next other patient."""
    resource = held.resource()
    other = next(each.id for each in ehr.store.live("Patient") if each.id not in held.patients)
    here = {f"Patient/{each}" for each in held.patients}
    resource = redirect(resource, lambda text: f"Patient/{other}" if text in here else text)
    ehr.store.write(resource, held.type, held.id)


def insert_in_front(ehr: Ehr, type_: str) -> Held:
    """Store a copy of the first resource of a type under a new id, before all others."""
    copy = _copy(ehr, type_)
    held = ehr.store.write(copy, type_, ehr.new_id(type_))
    ehr.store.put_first(type_, held.id)
    return held


def insert_late(ehr: Ehr, type_: str, ago: timedelta) -> Held:
    """Store a copy of the first resource of a type whose lastUpdated is that long ago."""
    return ehr.store.write(_copy(ehr, type_), type_, ehr.new_id(type_), ehr.clock() - ago)


def edit_quietly(ehr: Ehr, held: Held) -> Held:
    """Change a resource and leave its lastUpdated as it was."""
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">edited</div>'}
    return ehr.store.write({**held.resource(), "text": text}, held.type, held.id, held.when)


def _linked(patient: dict[str, Any], other: str, type_: str, active: bool) -> dict[str, Any]:
    link = {"other": {"reference": f"Patient/{other}"}, "type": type_}
    return {**patient, "active": active, "link": [*patient.get("link", []), link]}


def _about(ehr: Ehr, patient: str) -> list[Held]:
    """Return what is about a patient, by the search parameter `patient` of each type."""
    types = sorted(ehr.version.types - {"Patient"})
    return [held for type_ in types for held in ehr.store.live(type_) if patient in held.patients]


def _swapped(text: str, old: str, new: str) -> str:
    return f"Patient/{new}" if text == f"Patient/{old}" else text


def _copy(ehr: Ehr, type_: str) -> dict[str, Any]:
    resource = ehr.store.live(type_)[0].resource()
    return {name: value for name, value in resource.items() if name not in ("id", "identifier", "meta")}
