"""Purposes of use: which of HL7's codes are special cases of which (v3-ActReason, PurposeOfUse, as in FHIR R4 4.0.1).

Emergency treatment is a kind of treatment, and breaking the glass a kind of emergency treatment; so a consent for TREAT
covers both, and one for ETREAT does not cover TREAT.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

__all__ = [
    "ACT_REASON",
    "EMERGENCY",
    "OPERATIONS",
    "PARENTS",
    "PURPOSES",
    "TREATMENT",
    "covers",
    "is_known",
    "kinds_of",
]

ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

_TREE: Final[Mapping[str, str]] = {
    "HOPERAT": "CAREMGT DONAT FRAUD GOV HACCRED HCOMPL HDECD HDIRECT HDM HLEGAL HOUTCOMS HPRGRP HQUALIMP HSYSADMIN "
    "MEMADMIN MILCDM PATADMIN PATSFTY PERFMSR RECORDMGT SYSDEV TRAIN",
    "HSYSADMIN": "LABELING METAMGT",
    "SYSDEV": "HTEST",
    "HPAYMT": "CLMATTCH COVAUTH COVERAGE REMITADV",
    "COVERAGE": "ELIGDTRM ELIGVER ENROLLM MILDCRG",
    "HRESCH": "BIORCH CLINTRCH DSRCH POARCH TRANSRCH",
    "CLINTRCH": "CLINTRCHNPC CLINTRCHPC PRECLINTRCH",
    "PATRQT": "FAMRQT PWATRNY SUPNWK",
    "PUBHLTH": "DISASTER THREAT",
    "TREAT": "CLINTRL COC ETREAT POPHLTH",
    "ETREAT": "BTG ERTREAT",
    "HMARKT": "",
}

PARENTS: Final[Mapping[str, str]] = {child: parent for parent, told in _TREE.items() for child in told.split()}
"""The purpose that each one is a kind of; the general ones are not in it."""


PURPOSES: Final = tuple(sorted({*_TREE, *PARENTS}))
"""All of them."""


def is_known(code: str) -> bool:
    """Say whether a code is one of HL7's purposes of use."""
    return code in _TREE or code in PARENTS


@lru_cache(maxsize=256)
def covers(general: str, asked: str) -> bool:
    """Say whether `asked` is `general`, or a kind of it."""
    while asked:
        if asked == general:
            return True
        asked = PARENTS.get(asked, "")
    return False


def kinds_of(general: str) -> frozenset[str]:
    """Name a purpose and all that are kinds of it."""
    return frozenset(code for code in (*_TREE, *PARENTS) if covers(general, code))


EMERGENCY: Final = frozenset({"ETREAT", "ERTREAT"})
TREATMENT: Final = frozenset({"TREAT", "COC"}) | EMERGENCY
"""What is done for this patient now; trials and population health, which HL7 counts among treatment, are not."""

_APART: Final = frozenset(
    {"DONAT", "GOV", "HDECD", "HDIRECT", "HLEGAL", "HPRGRP", "MILCDM", "MILDCRG", "SYSDEV", "HTEST"}
)
OPERATIONS: Final = (kinds_of("HPAYMT") | kinds_of("HOPERAT")) - _APART
"""Payment and health care operations (45 CFR 164.501). Legal, military and government purposes, directories and
donation, which HL7 counts among operations, are not."""
