"""FHIR Consent (R4) as a predicate: who may do what, why, with which resource of a twin, and how that was decided."""

from security.consent.default import Without
from security.consent.directive import Directive
from security.consent.directives import Directives, Opinion, Verdict
from security.consent.provision import Step
from security.consent.question import CLIENT, USER, Asker, Deed, Item, Question
from security.consent.reading import matters, read_consent

__all__ = [
    "CLIENT",
    "USER",
    "Asker",
    "Deed",
    "Directive",
    "Directives",
    "Item",
    "Opinion",
    "Question",
    "Step",
    "Verdict",
    "Without",
    "matters",
    "read_consent",
]
