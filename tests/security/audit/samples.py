"""One event of each kind, as a function of the access: what the tests of shape, profiles and the validator share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from security.audit import (
    Access,
    System,
    answer_events,
    backup_event,
    break_glass_event,
    certificate_event,
    consent_event,
    created_event,
    decision_event,
    deleted_event,
    delivery_event,
    disclosure_event,
    erase_event,
    export_event,
    fetch_event,
    hold_event,
    import_event,
    issue_event,
    key_event,
    log_event,
    log_export_event,
    login_event,
    logout_event,
    merge_event,
    proposal_event,
    query_event,
    read_event,
    receipt_event,
    remap_event,
    report_event,
    restore_event,
    restriction_event,
    retraction_event,
    review_event,
    run_event,
    search_event,
    settings_event,
    token_event,
    update_event,
    updated_event,
    verify_event,
    witness_event,
)

Event = dict[str, Any]

TWIN = "0f4be5f5-8a1c-4f0e-9d9b-0d3c4a7f2b11"
WHEN = datetime(2026, 11, 24, 9, 30, 15, 123456, tzinfo=timezone(timedelta(hours=1)))
US = System("fhirtwin", "workstation-7", "0.1.0")
EHR = System("north", "https://ehr.example.org/fhir")
REQUEST = b"GET https://ehr.example.org/fhir/Observation?patient=123\nAccept: application/fhir+json"
FORM = {
    "grant_type": "client_credentials",
    "scope": "system/Observation.rs",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "client_assertion": "ZZTESTCANARY.assertion.signature",
    "client_secret": "ZZTESTCANARY-secret",
    "code": "ZZTESTCANARY-code",
    "code_verifier": "ZZTESTCANARY-verifier",
    "refresh_token": "ZZTESTCANARY-refresh",
}


def access(**changes: Any) -> Access:
    made: dict[str, Any] = {
        "when": WHEN,
        "actor": "alice",
        "purpose": "TREAT",
        "system": US,
        "peer": EHR,
        "patient": TWIN,
        "what": ("Observation/12/_history/3", "Condition/4"),
        "query": REQUEST,
        "request_id": "3f2c",
        "basis": "system/Observation.rs system/Condition.rs",
    }
    return Access(**made | changes)


def _plainly(a: Access) -> Access:
    """Name the resources without their versions."""
    return replace(a, what=tuple(each.partition("/_history/")[0] for each in a.what))


def _of_somebody(a: Access) -> Access:
    return replace(a, patient=a.patient or TWIN)


def _keys(step: Any) -> Callable[[Access], Event]:
    return lambda a: key_event(a, key=TWIN, step=step, keys=100_000)


SAMPLES: dict[str, Callable[[Access], Event]] = {
    "query": query_event,
    "fetch": fetch_event,
    "delivery": lambda a: delivery_event(a, delivery="delivery-1"),
    "delivery-update": lambda a: update_event(a, delivery="delivery-1"),
    "read": lambda a: read_event(_plainly(a)),
    "vread": read_event,
    "answer": lambda a: answer_events(a, {a.patient: a.what})[0],
    "created": created_event,
    "updated": updated_event,
    "patched": lambda a: updated_event(a, patch=True),
    "deleted": deleted_event,
    "token": lambda a: token_event(a, client_id="twin-client", form=FORM),
    "issue": lambda a: issue_event(a, client_id="an-app", form=FORM),
    "login": lambda a: login_event(a, method="password"),
    "logout": lambda a: logout_event(a, method="timeout"),
    "consent": lambda a: consent_event(_of_somebody(a), consents=["Consent/1"], organization="summit"),
    "break-glass": lambda a: break_glass_event(replace(_of_somebody(a), purpose="BTG"), justification="unconscious"),
    "review": lambda a: review_event(a, event=7, verdict="justified"),
    "disclosure": lambda a: disclosure_event(_of_somebody(a), disclosure="d-1", content=["forecast"], custodian="us"),
    "receipt": lambda a: receipt_event(_of_somebody(a), disclosure="d-2", authorizer="board"),
    "import": import_event,
    "retraction": lambda a: retraction_event(a, why="deleted"),
    "merge": lambda a: merge_event(a, twin="7d0c"),
    "unmerge": lambda a: merge_event(a, twin="7d0c", parted=True),
    "remap": lambda a: remap_event(a, mapping="4+1a2b3c4d5e"),
    "certificate": lambda a: certificate_event(a, pull="pull-1", verdict="complete"),
    "run": lambda a: run_event(a, run="run-1", model="kidney@1"),
    "proposal": lambda a: proposal_event(a, proposal="proposal-1"),
    "approval": lambda a: decision_event(
        a, delivery="proposal-1", decision="approval", by={"how": "role:clinician", "rule": "2"}
    ),
    "decline": lambda a: decision_event(a, delivery="proposal-1", decision="decline"),
    "retry": lambda a: decision_event(a, delivery="proposal-1", decision="retry"),
    "drop": lambda a: decision_event(a, delivery="proposal-1", decision="drop"),
    "export": lambda a: export_event(a, archive="sha256:ab12", facts=812, runs=3),
    "erasure": lambda a: erase_event(a, receipt="receipt-1", blocks=4),
    "hold": lambda a: hold_event(a, hold="case-2026-17"),
    "release": lambda a: hold_event(a, hold="case-2026-17", lifted=True),
    "restriction": lambda a: restriction_event(a, restriction="read-only"),
    "backup": lambda a: backup_event(a, backup="sha256:cd34", twins=10),
    "restore": lambda a: restore_event(a, backup="sha256:cd34", verified=1),
    "key": _keys("make"),
    "key-rotate": _keys("rotate"),
    "key-retire": _keys("retire"),
    "key-protect": _keys("protect"),
    "key-open": _keys("open"),
    "key-destroy": _keys("destroy"),
    "settings": lambda a: settings_event(a, part="sources.north", keys=["url", "key_file"]),
    "log": log_event,
    "log-search": lambda a: search_event(a, found=12),
    "log-export": lambda a: log_export_event(a, archive="sha256:ef56", events=812),
    "log-report": lambda a: report_event(a, report="disclosures", entries=2),
    "verification": lambda a: verify_event(a, verdict="whole", size=812),
    "witness": lambda a: witness_event(a, witness="other-house", size=812),
}
"""By the name of the kind. Each takes any access, and makes of it what its kind needs."""


def agent(event: Event, code: str) -> Event:
    [found] = [a for a in event["agent"] if a["type"]["coding"][0]["code"] == code]
    return found


def entities(event: Event, code: str) -> list[Event]:
    return [e for e in event["entity"] if e["type"]["code"] == code]
