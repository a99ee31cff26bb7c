"""What each FHIR version is called on the wire: its number, and its media type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mappers import FhirVersion

__all__ = ["ANY_JSON", "MEDIA_TYPES", "NUMBERS"]

NUMBERS: Final[Mapping[str, FhirVersion]] = MappingProxyType(
    {"1.0": "dstu2", "3.0": "stu3", "4.0": "r4", "4.3": "r4b", "5.0": "r5"}
)
"""The version of a `fhirVersion`, by its first two parts (http://hl7.org/fhir/R5/versioning.html#mt-version)."""

MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dstu2": "application/json+fhir",
        "stu3": "application/fhir+json",
        "r4": "application/fhir+json",
        # A server of several versions has to be told which; one that does not read the parameter takes the second type.
        "r4b": "application/fhir+json; fhirVersion=4.3, application/fhir+json;q=0.9",
        "r5": "application/fhir+json; fhirVersion=5.0, application/fhir+json;q=0.9",
    }
)
"""Of a resource in JSON, as we accept it; the first of them is what we send."""

ANY_JSON: Final = "application/fhir+json, application/json+fhir;q=0.9, application/json;q=0.8"
"""What we accept where the version is not known yet."""
