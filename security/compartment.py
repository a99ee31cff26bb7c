"""Whose a resource is, by what it says: the patient compartment of FHIR R4, as rows of `tables/compartment.toml`.

Only references within our own base count ("Patient/<id>", with or without a version): another server's Patient of the
same id is somebody else, and a name or a number is no proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from security.policy import Resource
from security.rows import read_rows

__all__ = [
    "ALONE",
    "COMPARTMENT",
    "SHARED",
    "TYPES",
    "belongs",
    "expressions",
    "in_compartment",
    "names_another",
    "refers",
]

_TABLE: Final = read_rows("compartment")
_WHERE: Final = ".where(resolve() is Patient)"  # that is asked of each reference anyway
_DEEPEST: Final = 64

Path = tuple[str, ...]


def expressions() -> dict[str, dict[str, list[str]]]:
    """Return type to search parameter to FHIRPath expressions, as HL7 has them."""
    return {row["type"]: dict(row["by"]) for row in _TABLE["member"]}


def _paths(by: Mapping[str, list[str]]) -> tuple[Path, ...]:
    found = {tuple(each.removesuffix(_WHERE).split(".")[1:]) for expressions in by.values() for each in expressions}
    return tuple(sorted(found, key=lambda path: (len(path), path)))


_PATHS: Final[dict[str, tuple[Path, ...]]] = {type_: _paths(by) for type_, by in expressions().items()}

_USUAL: Final[dict[str, str]] = {
    type_: name for type_, paths in _PATHS.items() for name in ("patient", "subject") if (name,) in paths
}  # where it mostly stands

TYPES: Final[frozenset[str]] = frozenset(_TABLE["types"])
"""All types of resource of FHIR R4."""
COMPARTMENT: Final[frozenset[str]] = frozenset(_PATHS)
"""The types that can be in the compartment of a patient."""
SHARED: Final[frozenset[str]] = frozenset(_TABLE["shared"])
"""The types that are seen with every patient, where they belong to nobody."""
ALONE: Final[frozenset[str]] = frozenset(_TABLE["alone"])
"""The types that list people: one that names another patient, too, is not shown as one patient's."""
_BY_TARGET: Final[frozenset[str]] = frozenset(_TABLE["by_target"])


def in_compartment(resource: Resource, reference: str) -> bool:
    """Say whether a resource is in the compartment of a patient ("Patient/<id>"), by its own elements.

    The Patient is in its own. Nothing of another shape than FHIR's is in any.
    """
    type_ = resource.get("resourceType")
    usual = resource.get(_USUAL.get(type_, "")) if isinstance(type_, str) else None
    if isinstance(usual, dict) and usual.get("reference") == reference != "":
        return True
    if type_ == "Patient" and refers(resource, reference):
        return True
    paths = _PATHS.get(type_) if isinstance(type_, str) else None
    return paths is not None and any(_leads(resource, path, 0, reference) for path in paths)


def names_another(resource: Resource, reference: str) -> bool:
    """Say whether any reference within a resource is to a Patient other than one; "" for any Patient at all."""
    return any(is_patient(each) and not _is_to(each, reference) for each in _references(resource))


def belongs(type_: str, resource: Resource, twin: str) -> bool:
    """Say whether what is kept with a twin says itself that it is of that patient, or can say nothing of the kind.

    A type of the compartment has to refer to the Patient; any other may not refer to another one.
    """
    reference = f"Patient/{twin}"
    if type_ in _PATHS and type_ not in _BY_TARGET:
        return in_compartment(resource, reference) and not (type_ in ALONE and names_another(resource, reference))
    return not names_another(resource, reference)


def refers(resource: Resource, reference: str) -> bool:
    """Say whether a reference within our own base ("Practitioner/<id>") is to a resource."""
    type_, id_ = resource.get("resourceType"), resource.get("id")
    return isinstance(type_, str) and isinstance(id_, str) and reference == f"{type_}/{id_}" and id_ != ""


def is_patient(reference: str) -> bool:
    """Say whether a reference is to a Patient, of whatever server."""
    return reference.startswith("Patient/") or "/Patient/" in reference


def _is_to(said: object, reference: str) -> bool:
    if said == reference:
        return True
    return isinstance(said, str) and said.startswith(reference + "/_history/") and reference != ""


def _leads(value: object, path: Path, step: int, reference: str) -> bool:
    if isinstance(value, list):
        return any(_leads(each, path, step, reference) for each in value)
    if not isinstance(value, Mapping):
        return False
    if step == len(path):
        return _is_to(value.get("reference"), reference)
    return _leads(value.get(path[step]), path, step + 1, reference)


def _references(resource: Resource) -> Iterator[str]:
    waiting: list[tuple[Any, int]] = [(resource, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            yield "Patient/"  # nobody looks deeper: that counts as a reference to somebody else
            return
        if isinstance(value, Mapping):
            said = value.get("reference")
            if isinstance(said, str):
                yield said
            waiting.extend((each, depth + 1) for each in value.values() if isinstance(each, (Mapping, list)))
        else:
            waiting.extend((each, depth + 1) for each in value if isinstance(each, (Mapping, list)))
