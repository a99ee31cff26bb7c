"""FHIR JSON in, facts out: DSTU2 to R5 become normalised clinical statements, or refusals that say why not."""

from mappers.bundles import by_resource, patient_of
from mappers.reading import Unreadable, read_json
from mappers.references import (
    LINKABLE,
    NEEDED,
    NEEDING,
    REFERRING,
    SUPPORTING,
    canonical_of,
    needed_of,
    references_of,
    subject_of,
)
from mappers.resources import MAPPING, as_link, map_resource
from mappers.versions import FhirVersion, as_fhir_version
from mappers.versions.detect import choose_version, detect_version, possible_versions

__all__ = [
    "LINKABLE",
    "MAPPING",
    "NEEDED",
    "NEEDING",
    "REFERRING",
    "SUPPORTING",
    "FhirVersion",
    "Unreadable",
    "as_fhir_version",
    "as_link",
    "by_resource",
    "canonical_of",
    "choose_version",
    "detect_version",
    "map_resource",
    "needed_of",
    "patient_of",
    "possible_versions",
    "read_json",
    "references_of",
    "subject_of",
]
