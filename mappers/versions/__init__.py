"""FHIR versions: which one a resource is written in, and its R4 shape, so that all mappers read R4 only."""

from __future__ import annotations

from typing import Final, Literal, get_args

from mappers.rows import read_table

__all__ = ["TYPES", "VERSIONS", "FhirVersion", "as_fhir_version"]

FhirVersion = Literal["dstu2", "stu3", "r4", "r4b", "r5"]
VERSIONS: Final[tuple[FhirVersion, ...]] = get_args(FhirVersion)

_BY_NAME: Final[dict[str, FhirVersion]] = {version: version for version in VERSIONS}
TYPES: Final = {version: frozenset(types.split()) for version, types in read_table("types").items()}
"""The resource types of each version."""


def as_fhir_version(told: str) -> FhirVersion | None:
    """Return a version by its name ("dstu2", "stu3", "r4", "r4b", "r5"), `None` for any other text."""
    return _BY_NAME.get(told)
