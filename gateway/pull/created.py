"""By which search parameter a type is asked for what is new, where a server does not search by `_lastUpdated`.

These are dates of recording, where FHIR has one; an Observation has that of the measurement alone. What is filed late
or edited is not found by them: the certificate says `created-only`. Types without a row are asked for whole.

Source: the search parameters of each type, hl7.org/fhir; the choice of types follows smart-on-fhir/smart-fetch,
smart_fetch/resources.py, less those whose only date is that of the event.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.pull.metadata import Capability

__all__ = ["created_dates"]

_SAME = {"AllergyIntolerance": "date", "DiagnosticReport": "issued", "Observation": "date"}
_R4 = {
    **_SAME,
    "Condition": "recorded-date",
    "DocumentReference": "date",
    "MedicationRequest": "authoredon",
    "ServiceRequest": "authored",
}
_BY_VERSION: Mapping[str, Mapping[str, str]] = {
    "dstu2": {
        **_SAME,
        "Condition": "date-recorded",
        "DocumentReference": "indexed",
        "MedicationOrder": "datewritten",
    },
    "stu3": {
        **_SAME,
        "Condition": "asserted-date",
        "DocumentReference": "indexed",
        "MedicationRequest": "authoredon",
    },
    "r4": _R4,
    "r4b": _R4,
    "r5": _R4,
}


def created_dates(capability: Capability) -> dict[str, str]:
    """Return the parameter by type; one that a server lists no such parameter for is left out, if it lists any."""
    found = {}
    for type_, name in _BY_VERSION[capability.fhir_version].items():
        ability = capability.types.get(type_)
        listed = ability.search_params if ability else frozenset()
        if not listed or name in listed:
            found[type_] = name
    return found
