"""Consent at the terminal and in jobs: what of a twin may be read, used or sent for the purpose of this installation.

Who sits at the terminal asks for `purpose` of twin.toml. What the patient's Consents, as they are now, do not allow is
not in the record that they get: no number of it reaches a model, a screen or an EHR. Where nothing is left they are
told so. The Consents count as they are now also where the record is read as it was known at a past instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from gateway.home import Home, now
from gateway.store import StoredResource, TwinRecord
from mappers.facts import Origin
from mappers.reading import Unreadable, read_json
from security.audit import TokenUse, consent_event, read_event
from security.consent import Asker, Deed, Directives, Item, Verdict
from security.errors import Denied
from security.policy import Caller
from security.purposes import TREATMENT

__all__ = ["at_the_terminal", "consented", "demand_leave", "judged", "origins_of", "rests_on_record"]

_FOREVER: Final = datetime.max.replace(tzinfo=UTC)


def at_the_terminal(home: Home) -> Caller:
    """Say who asks at the terminal; a request of the patient's own is asked as the patient."""
    return Caller(
        client="terminal",
        user=home.actor,
        purpose=home.settings.purpose,
        token=TokenUse("terminal"),
        expires=_FOREVER,
    )


def consented(
    home: Home, record: TwinRecord, deed: Deed = "use", *, ask: Callable[[], TwinRecord] | None = None
) -> TwinRecord:
    """Return what of a record may be had. Raises `Denied`, which is recorded, where nothing of it may.

    `ask` opens the record as it is now, for its Consents; without it they are those of the record.
    """
    verdicts = judged(home, record, deed, now_record=ask() if ask is not None else record)
    if verdicts is None:
        return record
    left = tuple(one for one, verdict in zip(record.resources, verdicts, strict=True) if verdict.permit)
    denied = [verdict for verdict in verdicts if not verdict.permit]
    _record(home, record.id, verdicts, nothing=bool(denied) and not left)
    if denied and not left:
        raise Denied(
            f"The patient's consents allow none of this for the purpose {home.settings.purpose}.",
            hint=f"twin consent test {record.id[:8]} --purpose {home.settings.purpose} says which and why.",
        )
    return replace(record, resources=left, partial=True) if denied else record


def judged(
    home: Home,
    record: TwinRecord,
    deed: Deed,
    *,
    now_record: TwinRecord | None = None,
    of: Sequence[Mapping[str, Any]] = (),
) -> list[Verdict] | None:
    """Decide about each resource of a record, and about those in `of`, which were made of it.

    `None` where all may be had by default, and there is no Consent that could say anything else.
    """
    source = now_record or record
    caller = at_the_terminal(home)
    if not _has_consents(source):
        return None if _is_plain(home, record, caller) else _by_default(home, record, caller, deed, of)
    from gateway.consent_chart import open_consents, shown_in  # noqa: PLC0415 - most commands never need it

    chart, consents = open_consents(home, record.id)
    asked = now()
    if caller.purpose == "PATRQT":  # whoever hands patients what they asked for acts for them
        caller = replace(caller, fhir_user=f"Patient/{record.id}")
    told = [
        min((consents.verdict(caller, deed, chart, one, asked) for one in each), key=lambda verdict: verdict.permit)
        for each in shown_in(chart, record)
    ]
    made = [consents.verdict_on_write(caller, deed, chart, str(each["resourceType"]), each, asked) for each in of]
    return told + made


def _has_consents(record: TwinRecord) -> bool:
    return any(one.key.startswith("Consent/") or b'"Consent"' in one.raw for one in record.resources)


def _is_plain(home: Home, record: TwinRecord, caller: Caller) -> bool:
    """Say whether all of a record may be had by default: nothing in it has to be opened to know that."""
    without = home.settings.serve.without_consent
    if without == "permit" or caller.purpose == "PATRQT":
        return True
    labelled = any(b'"security"' in one.raw for one in record.resources)
    return without == "treatment" and caller.purpose in TREATMENT and not labelled


def _by_default(
    home: Home, record: TwinRecord, caller: Caller, deed: Deed, of: Sequence[Mapping[str, Any]]
) -> list[Verdict]:
    """Decide where there is no Consent: by purpose, labels and codes, which are read as they came."""
    bodies: dict[str, dict[str, Mapping[str, Any] | None]] = {}
    for one in record.resources:
        bodies.setdefault(one.source, {})[one.key] = _read(one)
    nobody = Directives(record.id, (), home.settings.serve.without_consent)
    asker, moment = Asker.of(caller), now()
    verdicts = []
    for one in record.resources:
        type_, _, id_ = one.key.partition("/")
        item = Item(type_, id_, bodies[one.source][one.key], bodies[one.source].get)
        verdicts.append(nobody.decide(asker, deed, item, moment))
    made = (Item(str(each["resourceType"]), str(each.get("id", "")), each) for each in of)
    return [*verdicts, *(nobody.decide(asker, deed, item, moment) for item in made)]


def _read(resource: StoredResource) -> Mapping[str, Any] | None:
    """Read a resource; of a Patient whose bytes are withheld there is nothing that makes it sensitive."""
    try:
        return read_json(resource.raw) if resource.raw else {}
    except Unreadable:
        return None


def _record(home: Home, twin: str, verdicts: Sequence[Verdict], *, nothing: bool) -> None:
    """Record what consents decided (BALP AuthZconsent), and that nothing could be had."""
    organization = home.settings.serve.organization or "fhirtwin"
    events = []
    for permit in (True, False):
        consents = tuple(dict.fromkeys(c for v in verdicts if v.permit is permit for c in v.consents))
        rule = next((v.rule for v in verdicts if v.permit is permit), "")
        if consents:
            ended = home.access(patient=twin) if permit else home.access(patient=twin, outcome="8", reason=rule)
            events.append(consent_event(ended, consents=consents, organization=organization))
    if nothing:
        rule = next(v.rule for v in verdicts if not v.permit)
        events.append(read_event(home.access(patient=twin, outcome="8", reason=rule)))
    if events:
        home.store.append_audit(events)


def demand_leave(
    home: Home,
    twin: str,
    run: str,
    resources: Sequence[Mapping[str, Any]] = (),
    *,
    record: TwinRecord | None = None,
) -> None:
    """Ask the consents, as they are now, whether what was made of a twin may be told to somebody else.

    `resources` are what is told; `run` is what they stand on: a fact that may not be had any more must not leave as a
    result, either. `record` is the twin as it is now, where it is open already. Raises `Denied`, which is recorded.
    """
    record = record or home.store.twin_record(twin)
    verdicts = judged(home, record, "disclose", of=resources)
    if verdicts is None:
        return
    used = _rests_on(home, run)
    about = [
        verdict
        for one, verdict in zip((*record.resources, *(None,) * len(resources)), verdicts, strict=True)
        if one is None or (one.source, one.key) in used or one.key.startswith("Patient/")
    ]
    denied = [verdict for verdict in about if not verdict.permit]
    _record(home, twin, about, nothing=False)
    if denied:
        raise Denied(
            f"The patient's consents do not allow this to be sent for the purpose {home.settings.purpose}.",
            hint=f"It waits. twin consent test {twin[:8]} --purpose {home.settings.purpose} says which and why.",
        )


def rests_on_record(record: TwinRecord, content: bytes) -> bool:
    """Say whether all that a kept run stands on is in a record: of one that is partial, nothing else is shown."""
    if not record.partial:
        return True
    return origins_of(content) <= {(one.source, one.key) for one in record.resources}


def _rests_on(home: Home, run: str) -> frozenset[tuple[str, str]]:
    try:
        return origins_of(home.store.run(run).content)
    except KeyError:
        return frozenset()


def origins_of(content: bytes) -> frozenset[tuple[str, str]]:
    """Find the resources that a kept run names as those that its inputs came from, whatever kind of run it is."""
    found: set[tuple[str, str]] = set()
    waiting: list[Any] = [msgspec.json.decode(content)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(told := value.get("origin"), dict):
                origin = msgspec.convert(told, Origin)
                found.add((origin.source, origin.resource))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return frozenset(found)
