"""The elements of the DSTU2 resources that a twin writes, since no Python library checks DSTU2 any more.

Source: the DSTU2 (1.0.2) schemas, as read in fhir-crucible/fhir_dstu2_models. After a name, `!` means one is required,
`*` a list, `+` a list that is not empty. Types that have no row here are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["ELEMENTS", "faults"]

_RESOURCE = "resourceType id meta implicitRules language text contained* extension* modifierExtension*"
_PART = "id extension* modifierExtension*"
_VALUE = """valueQuantity valueCodeableConcept valueString valueRange valueRatio valueSampledData valueAttachment
    valueTime valueDateTime valuePeriod dataAbsentReason referenceRange*"""

ELEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "Observation": f"""{_RESOURCE} identifier* status! category code! subject encounter effectiveDateTime
            effectivePeriod issued performer* {_VALUE} interpretation comments bodySite method specimen device related*
            component*""",
        "Observation.referenceRange": f"{_PART} low high meaning age text",
        "Observation.related": f"{_PART} type target!",
        "Observation.component": f"{_PART} code! {_VALUE}",
        "RiskAssessment": f"""{_RESOURCE} subject date condition encounter performer identifier method basis*
            prediction* mitigation""",
        "RiskAssessment.prediction": f"""{_PART} outcome! probabilityDecimal probabilityRange probabilityCodeableConcept
            relativeRisk whenPeriod whenRange rationale""",
        "Device": f"""{_RESOURCE} identifier* type! note* status manufacturer model version manufactureDate expiry udi
            lotNumber owner location patient contact* url""",
        "Provenance": f"""{_RESOURCE} target+ period recorded! reason* activity location policy* agent* entity*
            signature*""",
        "Provenance.agent": f"{_PART} role! actor userId relatedAgent*",
        "Provenance.entity": f"{_PART} role! type! reference! display agent",
        "DocumentReference": f"""{_RESOURCE} masterIdentifier identifier* subject type! class author* custodian
            authenticator created indexed! status! docStatus relatesTo* description securityLabel* content+ context""",
        "DocumentReference.content": f"{_PART} attachment! format*",
    }
)


def faults(resource: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a DSTU2 resource: an unknown element, a list where there is none, a missing element."""
    yield from _faults(resource, str(resource.get("resourceType")))


def _faults(value: Mapping[str, Any], path: str) -> Iterator[str]:
    row = ELEMENTS.get(path)
    if row is None:
        return
    known = {name.rstrip("!*+"): name[-1] for name in row.split()}
    for name, inner in value.items():
        bare = name.removeprefix("_")
        if bare not in known:
            yield f"{path}.{name}: DSTU2 has no such element"
        elif isinstance(inner, list) != (known[bare] in "*+"):
            yield f"{path}.{name}: this is {'no' if isinstance(inner, list) else 'a'} list in DSTU2"
        else:
            for part in inner if isinstance(inner, list) else [inner]:
                if isinstance(part, Mapping):
                    yield from _faults(part, f"{path}.{bare}")
    for name, mark in known.items():
        if mark in "!+" and not value.get(name):
            yield f"{path}.{name}: DSTU2 requires it"
