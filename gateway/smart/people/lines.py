"""What an app asks for, in words that a person can decide about: one line a scope, each of which may be left out.

A line may be narrowed, too: instead of all observations only laboratory results, instead of everything only some types.
What comes back from the page is only ever a choice among what was offered, so that a forged form widens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.smart.values import Account, Pending
from security.narrowing import is_within
from security.scopes import Scope, read_scope

__all__ = ["Line", "Part", "asked_lines", "chosen_scopes", "needs_patient"]

_TYPES: Final = {
    "Patient": "personal details: name, birth date, address, identifiers",
    "Observation": "measurements: laboratory results, vital signs, answers",
    "Condition": "diagnoses and health problems",
    "MedicationRequest": "prescribed medicines",
    "Procedure": "operations and other procedures",
    "AllergyIntolerance": "allergies and intolerances",
    "Immunization": "vaccinations",
    "Encounter": "visits and stays",
    "DiagnosticReport": "reports of examinations",
    "RiskAssessment": "risks and forecasts, which are simulated",
    "Device": "devices and models",
    "Provenance": "where the data comes from",
    "Consent": "consents",
    "AuditEvent": "who has seen the data",
    "Group": "groups of patients",
    "QuestionnaireResponse": "answers to questionnaires",
    "DocumentReference": "documents",
    "CarePlan": "care plans",
    "Goal": "goals of care",
    "Coverage": "insurance",
    "Practitioner": "who treats",
    "Organization": "hospitals and practices",
    "Location": "places",
    "Medication": "which medicines there are",
}
_WILD: Final = tuple(_TYPES)[:14]
_OBSERVATIONS: Final = "http://terminology.hl7.org/CodeSystem/observation-category|"
_CONDITIONS: Final = "http://terminology.hl7.org/CodeSystem/condition-category|"
_US_CORE: Final = "http://hl7.org/fhir/us/core/CodeSystem/"
# US Core 6.1.0, "Scopes": the categories for which a server has to support granular scopes.
_CATEGORIES: Final = {
    "Observation": {
        f"{_OBSERVATIONS}laboratory": "laboratory results",
        f"{_OBSERVATIONS}vital-signs": "vital signs",
        f"{_OBSERVATIONS}social-history": "social history, such as smoking",
        f"{_OBSERVATIONS}survey": "answers to questionnaires",
        f"{_US_CORE}us-core-category|sdoh": "social determinants of health",
    },
    "Condition": {
        f"{_CONDITIONS}problem-list-item": "the problem list",
        f"{_CONDITIONS}encounter-diagnosis": "diagnoses of visits",
        f"{_US_CORE}condition-category|health-concern": "health concerns",
    },
}
_VERBS: Final = (("rs", "see"), ("c", "add"), ("u", "change"), ("d", "delete"))
_OFFLINE: Final = {
    "offline_access": "Keep access while you are away: up to 30 days, until you or an administrator ends it",
    "online_access": "Keep access while you stay signed in here",
}
_CONTEXT: Final = frozenset({"launch", "launch/patient", "launch/encounter"})

Kind = Literal["data", "change", "you", "away"]


@dataclass(frozen=True, slots=True)
class Part:
    """A narrower choice: what the form sends, and its words."""

    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """One scope that was asked for: its place among them, its words, and narrower choices."""

    place: int
    scope: str
    words: str
    kind: Kind
    parts: tuple[Part, ...] = ()


def asked_lines(pending: Pending, account: Account) -> tuple[Line, ...]:
    """Say what is asked for, line by line; what no person can be asked about (launch) is not among it."""
    return tuple(
        line for place, scope in enumerate(pending.scopes) if (line := _line(place, scope, account)) is not None
    )


def chosen_scopes(
    pending: Pending, account: Account, whole: Sequence[str], parts: Callable[[int], Sequence[str]]
) -> tuple[str, ...]:
    """Return what a person allows: of each line the parts that they chose, else all of it if they left it ticked.

    `whole` are the ticked scopes, `parts` gives the ticked parts of the line at a place. Whatever was not offered is
    not there. Context goes with the rest; alone it would be nothing.
    """
    left: list[str] = []
    for line in asked_lines(pending, account):
        chosen = set(parts(line.place))
        if found := [part.value for part in line.parts if part.value in chosen]:
            left += found
        elif line.scope in whole:
            left.append(line.scope)
    if not any(each not in _OFFLINE for each in left):
        return ()
    return (*(scope for scope in pending.scopes if scope in _CONTEXT), *dict.fromkeys(left))


def needs_patient(pending: Pending) -> bool:
    """Say whether what is asked for is about one patient (A10)."""
    return any(scope == "launch/patient" or scope.startswith("patient/") for scope in pending.scopes)


def _line(place: int, text: str, account: Account) -> Line | None:
    if text in _CONTEXT:
        return None
    if text in _OFFLINE:
        return Line(place, text, _OFFLINE[text], "away")
    match text:
        case "openid":
            return Line(place, text, "Know that it is you each time you sign in", "you")
        case "profile":
            return Line(place, text, f"Know what you are called: {account.display}", "you")
        case "fhirUser":
            told = f"Know who you are in the record: {account.fhir_user}"
            return Line(place, text, told, "you") if account.fhir_user else None
    scope = read_scope(text)
    if scope is None:
        return None
    changes = set(scope.actions) & set("cud")
    return Line(place, text, _sentence(scope), "change" if changes else "data", tuple(_parts(scope)))


def _sentence(scope: Scope) -> str:
    verbs = [verb for actions, verb in _VERBS if set(actions) & set(scope.actions)]
    does = f"{', '.join(verbs[:-1])} and {verbs[-1]}" if len(verbs) > 1 else verbs[0]
    what = (
        "everything in the record, now and in future"
        if scope.type == "*"
        else _TYPES.get(scope.type, f"{scope.type} resources")
    )
    about = f", only where {scope.query}" if scope.constraint else ""
    known = _CATEGORIES.get(scope.type, {})
    if len(scope.constraint) == 1 and scope.constraint[0][0] == "category" and scope.constraint[0][1] in known:
        what, about = known[scope.constraint[0][1]], ""
    whose = {"patient": "", "user": ", of all patients you may see", "system": ", of all patients"}[scope.context]
    return f"{does.capitalize()} {what}{whose}{about}"


def _parts(scope: Scope) -> Iterator[Part]:
    """Offer what is narrower: only seeing, only some types, only some categories. All of it lies within the scope."""
    reads = "".join(action for action in "rs" if action in scope.actions)
    if not reads or scope.constraint:
        return
    begin = f"{scope.context}/"
    if reads != scope.actions:
        name = "everything" if scope.type == "*" else "it"
        yield from _within(scope, f"{begin}{scope.type}.{reads}", f"only see {name}, change nothing")
    if scope.type == "*":
        for type_ in _WILD:
            yield from _within(scope, f"{begin}{type_}.{reads}", _TYPES[type_])
    for category, words in _CATEGORIES.get(scope.type, {}).items():
        yield from _within(scope, f"{begin}{scope.type}.{reads}?category={category}", words)


def _within(scope: Scope, text: str, words: str) -> Iterator[Part]:
    narrower = read_scope(text)
    if narrower is not None and is_within(narrower, scope):
        yield Part(text, words)
