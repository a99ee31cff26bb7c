"""Documents: a Bundle that came as one resource, and whose entries are statements about one patient.

Each entry is mapped as if it had come by itself, about the patient of the document. Its place is
"entry[3].resource.ofType(Condition)", so that the counts go to the resource. (FHIR R4 3.3; IPS; C-CDA on FHIR.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from mappers.elements import Json, objects, reference, text
from mappers.facts import Origin, Outcome

__all__ = ["OPENED", "Item", "by_resource", "items_of", "names_of", "patient_of", "place_of", "users_of"]

OPENED: Final = frozenset({"document", "collection"})
"""Types of Bundles that hold what is known of a patient. All others are an exchange, and are read as such."""

_PLACE: Final = re.compile(r"entry\[\d+\]\.resource\.ofType\((\w*)\)")


class Item(NamedTuple):
    """One entry: its place, the name by which others mean it, and the resource."""

    place: str
    full_url: str
    resource: Json


def items_of(bundle: Json) -> list[Item]:
    """List the entries of a document that hold a resource; of anything else, none."""
    found: list[Item] = []
    if bundle.get("resourceType") != "Bundle" or text(bundle.get("type")) not in OPENED:
        return found
    for index, entry in enumerate(objects(bundle.get("entry"))):
        for resource in objects(entry.get("resource"))[:1]:
            kind = re.sub(r"\W", "", text(resource.get("resourceType")))
            found.append(Item(f"entry[{index}].resource.ofType({kind})", text(entry.get("fullUrl")), resource))
    return found


def patient_of(bundle: Json) -> tuple[str, Json | None]:
    """Return the reference to the patient whom a document is about, and the Patient in it, `None` where none is.

    It is the subject of the Composition, else the only Patient. The reference is the whole name (fullUrl) of a Patient
    in it, because a short one ("Patient/1") may mean somebody else at the server that sent it; "" where it has none.
    """
    items = items_of(bundle)
    people = [item for item in items if item.resource.get("resourceType") == "Patient"]
    head = next((item for item in items if item.resource.get("resourceType") == "Composition"), None)
    if head is None:
        named = people if len(people) == 1 else []
    else:
        meant = reference(head.resource.get("subject"))
        named = [person for person in people if meant and meant in names_of(person)]
        if not named:
            return meant, None
    if not named:
        return "", None
    return named[0].full_url, named[0].resource


def names_of(item: Item) -> frozenset[str]:
    """List the references by which the other entries may mean one."""
    short = f"{text(item.resource.get('resourceType'))}/{text(item.resource.get('id'))}"
    whole = item.full_url.split("/_history/", 1)[0]
    parts = "/".join(whole.rsplit("/", 2)[-2:]) if whole.startswith("http") else ""
    return frozenset(name for name in (short if item.resource.get("id") else "", whole, parts) if name)


def users_of(items: Sequence[Item]) -> dict[str, str]:
    """Say of each reference in a document which of its resources is the first that makes it."""
    found: dict[str, str] = {}
    for item in items:
        mine = names_of(item)
        name = item.full_url or next(iter(sorted(mine)), item.place)
        level: list[Any] = [item.resource]
        while level:
            below: list[Any] = []
            for each in level:
                if isinstance(each, dict):
                    if (written := text(each.get("reference"))) and written not in mine:
                        found.setdefault(written, name)
                    below += each.values()
                elif isinstance(each, list):
                    below += each
            level = below
    return found


def place_of(outcome: Outcome) -> str:
    """Return the place of the entry of a document that an outcome is about, "" where it is about none."""
    match = _PLACE.match(outcome.origin.path)
    return match[0] if match else ""


def by_resource(origin: Origin, outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    """Give the outcomes of one resource with its type; those of a document entry by entry, and the document itself."""
    if origin.type != "Bundle":
        yield origin.type, list(outcomes)
        return
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(place_of(outcome), []).append(outcome)
    for place, some in found.items():
        match = _PLACE.match(place)
        yield match[1] if match else origin.type, some
