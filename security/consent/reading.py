"""A Consent of R4, read. What we do not understand is told by its place, and makes the Consent deny."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from typing import Any, Final

from security.consent.criteria import (
    ActionIs,
    Actor,
    ActorIs,
    ClassIs,
    CodeIs,
    Condition,
    DataIs,
    DataOf,
    InForce,
    LabelIs,
    PurposeIs,
    Target,
)
from security.consent.directive import NOT_IN_FORCE, Base, Directive, Scope
from security.consent.provision import Provision
from security.consent.when import Span, read_period
from security.sensitivity import CLASSES, CONFIDENTIALITY, LEVELS

__all__ = ["matters", "read_consent"]

_RESOURCE: Final = frozenset({"resourceType", "id", "meta", "language", "text", "contained", "extension"})
_ELEMENTS: Final = frozenset(
    {"identifier", "status", "scope", "category", "patient", "dateTime", "performer", "organization"}
    | {"sourceAttachment", "sourceReference", "policy", "policyRule", "verification", "provision"}
)
_PARTS: Final = frozenset({"id", "extension"})
_PROVISION: Final = frozenset(
    {
        "type",
        "period",
        "actor",
        "action",
        "securityLabel",
        "purpose",
        "class",
        "code",
        "dataPeriod",
        "data",
        "provision",
    }
)
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_SCOPES: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
_KNOWN_SCOPES: Final[Mapping[str, Scope]] = {
    "patient-privacy": "patient-privacy",
    "research": "research",
    "treatment": "none",
    "adr": "none",
}
_BASES: Final[Mapping[str, Base]] = {
    "OPTIN": "permit",
    "OPTINR": "permit",
    "OPTOUT": "deny",
    "OPTOUTE": "deny",
    "EMRGONLY": "emergency",
}
_MEANINGS: Final = frozenset({"instance", "related", "dependents", "authoredby"})
_HARMLESS: Final = (
    *("identifier", "text", "extension", "language", "category", "dateTime", "performer", "organization"),
    *("source", "policy.", "policy["),
)
_DEEPEST: Final = 16
_MOST: Final = 2_000


def matters(path: str) -> bool:
    """Say whether an element of a Consent ("provision.period") may change what it allows."""
    return not path.removeprefix("Consent.").startswith(_HARMLESS)


def read_consent(body: Mapping[str, Any], twin: str, zone: tzinfo, reference: str = "") -> Directive | None:
    """Compile a Consent for the twin whose it is; `None` where it says that it is another patient's.

    Nothing is raised for what cannot be read: it stands in `problems`.
    """
    return _Reader(body, twin, zone, reference or f"Consent/{body.get('id', '')}").read()


class _Reader:
    """Reads one Consent."""

    def __init__(self, body: Mapping[str, Any], twin: str, zone: tzinfo, reference: str) -> None:
        self._body, self._twin, self._zone, self._reference = body, twin, zone, reference
        self._problems: list[str] = []
        self._periods: list[Span] = []
        self._count = 0

    def read(self) -> Directive | None:
        body = self._body
        patient = body.get("patient")
        told = patient.get("reference") if isinstance(patient, Mapping) else None
        if isinstance(told, str) and told.partition("/_history/")[0] != f"Patient/{self._twin}":
            return None
        if not isinstance(told, str):
            self._problem("patient", "it does not say whose it is")
        self._known("", body, _RESOURCE | _ELEMENTS)
        told = body.get("status")
        status = told if isinstance(told, str) else ""
        if status != "active" and status not in NOT_IN_FORCE:
            self._problem("status", "this is no state of a Consent")
        root = body.get("provision")
        provision = self._provision(root, "provision", 0) if root is not None else None
        base = self._base()
        if base == "unknown":
            self._problem("policyRule", "this base policy is not one that we know")
        if "OPTINR" in self._rules() and provision is None:
            self._problem("policyRule", "the restrictions of this opt-in are not told")
        return Directive(
            reference=self._reference,
            status=status,
            scope=self._scope(),
            base=base,
            root=provision,
            verified=self._verified(),
            problems=tuple(self._problems),
            periods=tuple(self._periods),
        )

    def _problem(self, place: str, why: str) -> None:
        self._problems.append(f"{place}: {why}" if place else why)

    def _known(self, place: str, told: Mapping[str, Any], known: frozenset[str]) -> None:
        """Note elements that R4 does not have here, and modifiers, which change the meaning of what they stand in."""
        for key in told:
            if key in known or (key.startswith("_") and key[1:] in known and key[1:] in told):
                continue
            where = f"{place}.{key}" if place else str(key)
            if key in ("modifierExtension", "implicitRules"):
                self._problem(where, "it changes the meaning in a way that we do not know")
            else:
                self._problem(where[:80], "this element is not one that we know")

    def _codings(self, told: Any, place: str) -> list[tuple[str, str]]:
        """Read the codings of a CodeableConcept, or of a list of Codings."""
        found = told.get("coding", []) if isinstance(told, Mapping) else told
        if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
            self._problem(place, "these are no codings")
            return []
        codings = []
        for each in found:
            system, code = each.get("system", ""), each.get("code", "")
            if not isinstance(system, str) or not isinstance(code, str) or not code:
                self._problem(place, "this coding has no code")
                continue
            codings.append((system, code))
        return codings

    def _scope(self) -> Scope:
        codings = self._codings(self._body.get("scope", {}), "scope")
        told = [_KNOWN_SCOPES.get(code, "unknown") if system == _SCOPES else "unknown" for system, code in codings]
        for each in ("patient-privacy", "research", "none"):  # the widest of several
            if each in told:
                return _KNOWN_SCOPES[each] if each != "none" else "none"
        return "unknown"

    def _rules(self) -> set[str]:
        rule = self._body.get("policyRule")
        told = self._codings(rule, "policyRule") if isinstance(rule, Mapping) else []
        return {code for system, code in told if system == _ACT_CODE}

    def _base(self) -> Base:
        """Read the base policy: its codings are one policy in several words, so that one that we know is enough."""
        if "policyRule" not in self._body:
            return "none"
        known = {_BASES[code] for code in self._rules() if code in _BASES}
        return known.pop() if len(known) == 1 else "unknown"

    def _verified(self) -> bool:
        told = self._body.get("verification", [])
        if not isinstance(told, list) or not all(isinstance(each, Mapping) for each in told):
            self._problem("verification", "this is no list of verifications")
            return False
        known = _PARTS | {"verified", "verifiedWith", "verificationDate"}
        for index, each in enumerate(told):
            self._known(f"verification[{index}]", each, known)
        return not told or any(each.get("verified") is True for each in told)

    def _provision(self, told: Any, place: str, depth: int) -> Provision | None:
        self._count += 1
        if not isinstance(told, Mapping) or depth > _DEEPEST or self._count > _MOST:
            self._problem(place, "this is no provision, or there are too many of them")
            return None
        self._known(place, told, _PARTS | _PROVISION)
        kind = told.get("type", "")
        if kind not in ("permit", "deny") and not (depth == 0 and "type" not in told):
            self._problem(f"{place}.type", "a nested provision has to permit or to deny")
            kind = "deny"
        conditions = tuple(self._conditions(told, place, denies={"permit": False, "deny": True}.get(kind)))
        inner = told.get("provision", [])
        if not isinstance(inner, list):
            self._problem(f"{place}.provision", "this is no list of provisions")
            inner = []
        read = [self._provision(each, f"{place}.provision[{i}]", depth + 1) for i, each in enumerate(inner)]
        return Provision(place, kind, conditions, tuple(each for each in read if each is not None))

    def _conditions(self, told: Mapping[str, Any], place: str, *, denies: bool | None) -> Iterator[Condition]:
        """Read the elements, those first that are quickest to check."""
        if "period" in told and (period := self._period(told["period"], f"{place}.period")):
            self._periods.append(period)
            yield InForce(period)
        readers: tuple[tuple[str, Callable[[list[Any], str], Condition]], ...] = (
            ("purpose", lambda each, at: PurposeIs(tuple(self._codings(each, at)))),
            ("action", lambda each, at: ActionIs(tuple(tuple(c for _, c in self._codings(a, at)) for a in each))),
            ("actor", self._actors),
            ("class", lambda each, at: ClassIs(tuple(self._codings(each, at)))),
            ("data", self._data),
            ("code", lambda each, at: CodeIs(tuple(tuple(self._codings(c, at)) for c in each))),
            ("securityLabel", lambda each, at: self._labels(each, at, denies=denies)),
        )
        for key, read in readers:
            if key in told:
                values = told[key]
                if not isinstance(values, list) or not values:
                    self._problem(f"{place}.{key}", "this is no list of values")
                    continue
                yield read(values, f"{place}.{key}")
        if "dataPeriod" in told and (period := self._period(told["dataPeriod"], f"{place}.dataPeriod")):
            yield DataOf(period, self._zone)

    def _period(self, told: Any, place: str) -> Span | None:
        try:
            period = read_period(told, self._zone)
        except ValueError:
            self._problem(place, "this period cannot be read")
            return None
        self._known(place, told, _PARTS | {"start", "end"})
        return period

    def _actors(self, told: list[Any], place: str) -> Condition:
        actors = []
        for index, each in enumerate(told):
            at = f"{place}[{index}]"
            reference = each.get("reference") if isinstance(each, Mapping) else None
            if not isinstance(each, Mapping) or not isinstance(reference, Mapping):
                self._problem(at, "this is no actor")
                continue
            self._known(at, each, _PARTS | {"role", "reference"})
            roles = frozenset(code for _, code in self._codings(each.get("role", {}), f"{at}.role"))
            actor = Actor(roles, _reference(reference), _identifier(reference))
            if not actor.reference and not actor.identifier:
                self._problem(f"{at}.reference", "it names nobody")
            actors.append(actor)
        return ActorIs(tuple(actors) or (Actor(frozenset(), "", ""),))

    def _data(self, told: list[Any], place: str) -> Condition:
        targets = []
        for index, each in enumerate(told):
            at = f"{place}[{index}]"
            reference = each.get("reference") if isinstance(each, Mapping) else None
            if not isinstance(each, Mapping) or not isinstance(reference, Mapping):
                self._problem(at, "this names no data")
                continue
            self._known(at, each, _PARTS | {"meaning", "reference"})
            if str(each.get("meaning")) not in _MEANINGS:
                self._problem(f"{at}.meaning", "this is no meaning of data")
            targets.append(Target(str(each.get("meaning")), _reference(reference)))
        return DataIs(tuple(targets) or (Target("instance", ""),))

    def _labels(self, told: list[Any], place: str, *, denies: bool | None) -> Condition:
        codings = self._codings(told, place)
        levels = tuple(code for system, code in codings if system == CONFIDENTIALITY and code in LEVELS)
        classes = tuple(code for system, code in codings if system == _ACT_CODE and code in CLASSES)
        known = {(CONFIDENTIALITY, level) for level in levels} | {(_ACT_CODE, label) for label in classes}
        others = tuple(each for each in codings if each not in known)
        return LabelIs(levels, classes, others, denies)


def _reference(told: Mapping[str, Any]) -> str:
    reference = told.get("reference", "")
    return reference.partition("/_history/")[0] if isinstance(reference, str) else ""


def _identifier(told: Mapping[str, Any]) -> str:
    identifier = told.get("identifier")
    if not isinstance(identifier, Mapping):
        return ""
    system, value = identifier.get("system", ""), identifier.get("value", "")
    return f"{system}|{value}" if isinstance(system, str) and isinstance(value, str) and value else ""
