"""What holds where no consent says anything: the setting `[serve] without_consent`.

| | treatment (the default) | deny | permit |
| --- | --- | --- | --- |
| TREAT, COC | all but what is very restricted (V) | nothing | all |
| ETREAT, ERTREAT | all | nothing | all |
| HPAYMT and its kinds, health care operations | what is not sensitive | nothing | all |
| HRESCH, PUBHLTH, HMARKT, PATRQT, others | nothing | nothing | all |

FHIR R4, Consent, notes: "All settings need a policy for when no consent has been captured. Often this allows treatment
only." What is treatment and what operations: `security.purposes`. V: "may not disclose this information except as
directed" (HL7 v3-Confidentiality).
"""

from __future__ import annotations

from typing import Literal

from security.consent.question import Question
from security.purposes import EMERGENCY, OPERATIONS, TREATMENT
from security.sensitivity import LEVELS

__all__ = ["Without", "judge"]

Without = Literal["treatment", "deny", "permit"]


def judge(without: Without, question: Question) -> tuple[bool, str]:
    """Return whether it is allowed, and the code of the rule by which."""
    purpose = question.asker.purpose
    if without != "treatment":
        return without == "permit", f"no-consent-{without}"
    if purpose in TREATMENT:
        if purpose in EMERGENCY or not _is_very_restricted(question):
            return True, "no-consent-treatment"
        return False, "no-consent-restricted"
    if purpose in OPERATIONS:
        if question.item.labels.is_sensitive:
            return False, "no-consent-sensitive"
        return True, "no-consent-operations"
    return False, "no-consent-purpose"


def _is_very_restricted(question: Question) -> bool:
    body = question.item.body
    if body is not None and "security" not in (body.get("meta") or {}):  # V is carried, never derived
        return False
    return body is not None and question.item.labels.level == max(LEVELS, key=LEVELS.__getitem__)
