"""Whether a code is one of the system that it names, of HL7's own systems; of all others nobody here can tell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from mappers.rows import read_table

__all__ = ["LANGUAGES", "is_known"]

LANGUAGES: Final = frozenset({
    *("ar", "bn", "cs", "da", "de", "de-AT", "de-CH", "de-DE", "el", "en", "en-AU", "en-CA", "en-GB", "en-IN"),
    *("en-NZ", "en-SG", "en-US", "es", "es-AR", "es-ES", "es-UY", "fi", "fr", "fr-BE", "fr-CH", "fr-FR", "fy"),
    *("fy-NL", "hi", "hr", "it", "it-CH", "it-IT", "ja", "ko", "nl", "nl-BE", "nl-NL", "no", "no-NO", "pa", "pl"),
    *("pt", "pt-BR", "ru", "ru-RU", "sr", "sr-RS", "sv", "sv-SE", "te", "zh", "zh-CN", "zh-HK", "zh-SG", "zh-TW"),
})  # fmt: skip
"""The languages of http://hl7.org/fhir/ValueSet/languages (FHIR R4)."""

_US_CORE: Final = "http://hl7.org/fhir/us/core/CodeSystem/"
_OF_US_CORE: Final = {  # hl7.fhir.us.core 6.1.0
    "condition-category": frozenset({"problem", "health-concern"}),
    "careplan-category": frozenset({"assess-plan"}),
    "us-core-documentreference-category": frozenset({"clinical-note"}),
    "us-core-category": frozenset({"sdoh", "functional-status", "disability-status", "cognitive-status"}),
    "us-core-provenance-participant-type": frozenset({"transmitter"}),
}


@cache
def _systems() -> Mapping[str, frozenset[str]]:
    listed = {system: frozenset(codes.split("|")) for system, codes in read_table("shown_codes").items()}
    return listed | {f"{_US_CORE}{name}": codes for name, codes in _OF_US_CORE.items()}


def is_known(system: str, code: str) -> bool:
    """Say that a code may stand: it is one of its system, or the system is none that is listed here."""
    codes = _systems().get(system)
    return codes is None or code in codes
