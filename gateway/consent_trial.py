"""Trying consents: what a twin's would let somebody have, and which of their provisions say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, get_args

from gateway.api.consents import Consents
from gateway.api.opened import OpenedChart
from gateway.api.shown import Shown
from gateway.consent_chart import open_consents
from gateway.home import Home
from security.audit import TokenUse, read_event
from security.consent import Deed, Directive, Directives, Item, Opinion, Verdict
from security.errors import Misuse, UnknownName
from security.policy import ROLES, Caller
from security.purposes import PURPOSES, is_known

__all__ = ["ACTIONS", "RULES", "Known", "Trial", "Tried", "consents_in", "try_consents"]

ACTIONS: Final[Mapping[str, str]] = {
    "r": "Reading",
    "s": "Searching",
    "c": "Creating",
    "u": "Changing",
    "d": "Deleting",
    "use": "Using in a run",
    "disclose": "Sending",
}

RULES: Final[Mapping[str, str]] = {
    "consent-permits": "A consent permits it, and none denies it.",
    "consent-denies": "A consent denies it; a denial wins over any permission.",
    "consent-not-understood": "A consent that may be about it is not understood, and so denies it.",
    "own-record": "Patients may have their own record.",
    "not-for-the-patient": "Its label says that the physician talks to the patient first (NOPAT, TBOO).",
    "another-patient": "A patient may not have another's record.",
    "glass": "The glass was broken: what consents deny is passed, and recorded.",
    "glass-of-another": "The glass that was broken is another patient's.",
    "no-glass": "For BTG a glass has to be broken first ($break-glass).",
    "no-consent-treatment": "No consent says anything, and it is for treatment.",
    "no-consent-restricted": "No consent says anything, and it is very restricted (V).",
    "no-consent-operations": "No consent says anything, it is for payment or operations, and not sensitive.",
    "no-consent-sensitive": "No consent says anything, and it is sensitive; without one that is for treatment only.",
    "no-consent-purpose": "No consent says anything, and this purpose needs one.",
    "no-consent-deny": "No consent says anything, and without_consent = deny.",
    "no-consent-permit": "No consent says anything, and without_consent = permit.",
    "made-from-denied": "It was made from a resource that may not be had.",
    "made-from-too-much": "It was made from too many others to look at them all.",
    "consent-shown": "Who checks that consents are kept to may see them.",
    "consent-kept": "Who keeps the consents may write them.",
    "consent-not-theirs": "A Consent that keeps something back is changed by the patient or an admin only.",
    "of-nobody": "It belongs to no patient.",
}
"""By which rule something was decided: stable codes, which also stand in the audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Who would ask for what. `resource` names one of the record; else `type`, `codes` and `labels` say what it is."""

    purpose: str
    client: str
    user: str = ""
    fhir_user: str = ""
    roles: tuple[str, ...] = ()
    action: str = "r"
    type: str = ""
    codes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    resource: str = ""
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """The Consents of a twin: as read, and as resources."""

    twin: str
    directives: tuple[Directive, ...]
    bodies: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Tried:
    """What was decided, and what each Consent said to it."""

    twin: str
    trial: Trial
    what: str
    verdict: Verdict
    why: str
    labels: tuple[str, ...]
    opinions: tuple[Opinion, ...]


def consents_in(home: Home, twin: str) -> Known:
    """Read the Consents of a twin for a person: recorded first, then read. `twin` may be the beginning of an id."""
    chart, consents = _open(home, twin)
    read = consents.directives(chart)
    return Known(chart.twin, read.all, {each.reference: each.body for each in chart.of_type("Consent")})


def try_consents(home: Home, twin: str, trial: Trial) -> Tried:
    """Decide as the API would, and explain it. Raises `Misuse` for an action, a purpose or a role that is none."""
    if trial.action not in get_args(Deed):
        raise UnknownName("action", trial.action, ACTIONS)
    if not is_known(trial.purpose):
        raise UnknownName("purpose", trial.purpose, PURPOSES)
    if unknown := [role for role in trial.roles if role not in ROLES]:
        raise UnknownName("role", unknown[0], ROLES)
    chart, consents = _open(home, twin)
    caller = Caller(
        client=trial.client,
        user=trial.user,
        fhir_user=trial.fhir_user,
        roles=frozenset(role for role in ROLES if role in trial.roles),
        purpose=trial.purpose,
        token=TokenUse("terminal"),
        expires=datetime.max.replace(tzinfo=UTC),
    )
    deed: Deed = next(each for each in get_args(Deed) if each == trial.action)
    shown = _what(chart, trial)
    if deed in ("c", "u", "d"):
        verdict = consents.verdict_on_write(caller, deed, chart, shown.type, shown.body, trial.at)
    else:
        verdict = consents.verdict(caller, deed, chart, shown, trial.at)
    item = Item(shown.type, shown.id, shown.body, lambda reference: _body(chart, reference))
    directives: Directives = consents.directives(chart)
    opinions = directives.explain(consents.asker(caller, chart), deed, item, trial.at)
    level = () if item.labels.level == "N" else (item.labels.level,)
    return Tried(
        twin=chart.twin,
        trial=trial,
        what=trial.resource or trial.type,
        verdict=verdict,
        why=RULES[verdict.rule],
        labels=(*level, *sorted(item.labels.classes)),
        opinions=opinions,
    )


def _open(home: Home, twin: str) -> tuple[OpenedChart, Consents]:
    found = home.store.find_twin(twin)
    home.store.append_audit([read_event(home.access(patient=found, what=("Basic/consents",)))])
    return open_consents(home, found)


def _what(chart: OpenedChart, trial: Trial) -> Shown:
    if trial.resource:
        type_, _, id_ = trial.resource.partition("/")
        found = chart.get(type_, id_)
        if not isinstance(found, Shown):
            raise UnknownName("resource", trial.resource, [each.reference for each in chart.of_type(type_)][:8])
        return found
    if not trial.type:
        raise Misuse("Which resource?", hint="Say --type Condition, with --code where that matters, or --resource.")
    body: dict[str, Any] = {"resourceType": trial.type, "code": {"coding": [_coding(each) for each in trial.codes]}}
    if trial.labels:
        body["meta"] = {"security": [_coding(each) for each in trial.labels]}
    return Shown(trial.type, "tried", 0, trial.at, chart.twin, body, b"")


def _coding(told: str) -> dict[str, str]:
    system, bar, code = told.rpartition("|")
    if not bar or not system or not code:
        raise Misuse("A code has a system.", hint='Say it as "http://hl7.org/fhir/sid/icd-10-cm|F10.20".')
    return {"system": system, "code": code}


def _body(chart: OpenedChart, reference: str) -> Mapping[str, Any] | None:
    type_, _, id_ = reference.partition("/")
    found = chart.get(type_, id_)
    return found.body if isinstance(found, Shown) else None
