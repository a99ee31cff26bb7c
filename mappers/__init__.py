"""FHIR JSON in, facts out: DSTU2, STU3 and R4 become normalised clinical statements, or refusals that say why not."""

from mappers.reading import Unreadable, read_json
from mappers.references import LINKABLE, REFERRING, references_of, subject_of
from mappers.resources import MAPPING, as_link, map_resource
from mappers.versions import FhirVersion, as_fhir_version
from mappers.versions.detect import detect_version

__all__ = [
    "LINKABLE",
    "MAPPING",
    "REFERRING",
    "FhirVersion",
    "Unreadable",
    "as_fhir_version",
    "as_link",
    "detect_version",
    "map_resource",
    "read_json",
    "references_of",
    "subject_of",
]
