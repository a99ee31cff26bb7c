"""The header of a data point: which schema its body keeps to, whose it is, and how it was come by.

Two generations are read: Open mHealth's own (omh:header 1.x: `id`, `user_id`, `acquisition_provenance`), and that of
IEEE 1752.1 (`uuid`, `modality` at the top), which the newest schemas go with.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mappers.elements import Json, objects, text

__all__ = ["Schema", "is_point", "modality", "schema_of", "subject_of_point", "type_and_id"]

USER: Final = "urn:openmhealth:user:"
"""In front of a user's id it makes a reference that no FHIR resource has."""


class Schema(NamedTuple):
    """Which schema a body keeps to; `version` is its major version, 0 where it has none that can be read."""

    namespace: str
    name: str
    version: int


def is_point(resource: Json) -> bool:
    """Say whether JSON is a data point: no FHIR resource, a body, and a header that names a schema."""
    if "resourceType" in resource or not isinstance(resource.get("body"), dict):
        return False
    return bool(schema_of(resource).name)


def schema_of(point: Json) -> Schema:
    """Read which schema the body keeps to ("omh", "heart-rate", 1)."""
    told = next(iter(objects(_header(point).get("schema_id"))), {})
    major = text(told.get("version")).partition(".")[0]
    number = int(major) if major.isascii() and major.isdecimal() and len(major) < 4 else 0
    return Schema(text(told.get("namespace")), text(told.get("name")), number)


def type_and_id(point: Json) -> tuple[str, str]:
    """Name a data point as a fact's origin does: "omh:heart-rate", and its own id."""
    schema, header = schema_of(point), _header(point)
    return f"{schema.namespace}:{schema.name}", text(header.get("id")) or text(header.get("uuid"))


def subject_of_point(point: Json) -> str | None:
    """Return a reference to the user whose data it is; `None` where nobody is named.

    Who that is, only a person can say (`gateway.wearers`): a user's id means nothing outside the app that gave it.
    """
    user = text(_header(point).get("user_id"))
    return f"{USER}{user}" if user else None


def modality(point: Json) -> tuple[str, str]:
    """Return how it was come by ("sensed", "self-reported", "" where it is not told), and the name of its source."""
    header = _header(point)
    origin = next(iter(objects(header.get("acquisition_provenance"))), {})
    return text(origin.get("modality")) or text(header.get("modality")), text(origin.get("source_name"))


def _header(point: Json) -> Json:
    return next(iter(objects(point.get("header"))), {})
