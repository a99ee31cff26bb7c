"""Whether a problem stands: its clinical and its verification status. Both are modifiers, so none is passed over."""

from __future__ import annotations

from typing import Any, Final

from mappers.codes import read_concept
from mappers.elements import text
from mappers.resources.sheet import code_in

__all__ = ["CLINICAL", "VERIFICATION", "read_standing", "said_standing"]

CLINICAL: Final = frozenset({"active", "recurrence", "relapse", "inactive", "remission", "resolved", "unknown"})
"""FHIR R5 condition-clinical, in which are those of an allergy and of all earlier versions."""
VERIFICATION: Final = frozenset(
    {"unconfirmed", "provisional", "differential", "presumed", "confirmed", "refuted", "entered-in-error", "unknown"}
)
"""FHIR R5 condition-ver-status and allergyintolerance-verification; "unknown" is of DSTU2 and STU3."""


def read_standing(concept: Any, system: str, known: frozenset[str]) -> str | None:
    """Return the code of a status, "" where none is told, `None` where one is told that we do not understand.

    A code of another system, in another case or in words only may say "refuted": who reads on has guessed. One without
    a system can be no other than that of the binding, which is required.
    """
    code = code_in(concept, system)
    if code:
        return code if code in known else None
    if concept is None or concept == "":
        return ""
    told = read_concept(concept)
    if told.written:
        bare = {coding.code for coding in told.written}
        is_bare = len(bare) == 1 and not any(coding.system for coding in told.written)
        return bare.pop() if is_bare and bare <= known else None
    return None if told.text or not isinstance(concept, dict) else ""


def said_standing(concept: Any) -> str:
    """Write down what stood there, for the refusal."""
    told = read_concept(concept)
    return " ".join(dict.fromkeys([*(coding.code for coding in told.written), told.text])).strip() or text(concept)
