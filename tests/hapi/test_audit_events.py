"""Our AuditEvents before HL7's validator with IHE's BALP package, without any terminology server (I2)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from security.audit import KINDS, opaque_token, signed_token
from tests.hapi.fixture import HapiServer, Issue
from tests.security.audit.samples import SAMPLES, access, agent, entities

pytestmark = pytest.mark.jvm

Event = dict[str, Any]

# What cannot be judged offline, or is advice. Whatever else the validator says fails the tests.
UNJUDGED = {
    r"dom-6: 'A resource should have narrative": "advice: an event has no narrative, which would be free text",
    r"BasicAuditEntityType#XrequestId\) was not found in the value set": "BALP's own code, in an extensible binding",
    r"value set 'ParticipationRoleType'.*(UserAgentTypes#|#custodian|#PROV|#authserver|sct#)": "BALP's own agents",
    r"resource-types#Consent\) was not found in the value set": "BALP's own entity, in an extensible binding",
    r"UserAgentTypes#UserOauthAgent\) was not found in the value set": "BALP's own entity, in an extensible binding",
    r"AuthZsubType#AuthZ-Consent\) was not found in the value set": "BALP's own subtype, in an extensible binding",
    r"(ITI-71|ITI-81|iso-21089-lifecycle#\w+|urn:fhirtwin:audit#[\w-]+)\) was not found .* 'Audit Event Sub-Type'": (
        "subtypes for which the extensible value set has none"
    ),
    r"CodeSystem is unknown .*: (urn:ihe:event-type-code|urn:fhirtwin:audit|http://snomed.info/sct) ": (
        "no terminology server, and codes of ours"
    ),
}
FULL = {"client_id": "growth-chart", "issuer": "https://auth.example.org", "user": "dr-huber"}
SMALL, LARGE = signed_token("8a7b-1"), signed_token("8a7b-1", **FULL)
OPAQUE = opaque_token("0123456789abcdef" * 8, b"k" * 32)


def every_event() -> list[Event]:
    """Each kind: with a patient and without, failed; and what others ask of us, with each pattern of a token."""
    every: list[dict[str, Any]] = [{}, {"patient": ""}, {"outcome": "8", "reason": "denied", "request_id": ""}]
    events = [make(access(**change)) for make in SAMPLES.values() for change in every]
    for kind in ("read", "answer", "created", "updated", "deleted", "disclosure", "consent", "run"):
        events += [SAMPLES[kind](access(token=token)) for token in (SMALL, LARGE, OPAQUE)]
    return events


@pytest.fixture(scope="module")
def judge(hapi_server: HapiServer, shared_data: Path) -> Callable[[Sequence[Event]], list[list[Issue]]]:
    """Have events judged, all in one Bundle, and say what is said of each."""

    def judged(events: Sequence[Event]) -> list[list[Issue]]:
        entries = [{"fullUrl": f"urn:uuid:{UUID(int=n)}", "resource": event} for n, event in enumerate(events, 1)]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        said: list[list[Issue]] = [[] for _ in events]
        for issue in hapi_server.judge(json.dumps(bundle).encode()):
            said[int(issue.place.partition("entry[")[2].partition("]")[0])].append(issue)
        return said

    return judged


def errors(issues: list[Issue]) -> list[str]:
    return [issue.said for issue in issues if issue.severity in ("error", "fatal")]


def test_i2_no_kind_of_event_has_an_error_or_an_unexplained_warning(judge):
    assert set(SAMPLES) == set(KINDS)
    found = [issue for issues in judge(every_event()) for issue in issues if issue.severity != "information"]
    assert [i for i in found if not any(re.search(known, i.said) for known in UNJUDGED)] == []


def swap(event: Event) -> None:
    one, other = event["agent"][:2]
    one["who"], other["who"] = other["who"], one["who"]
    one["network"], other["network"] = other["network"], one["network"]


# What is spoilt: the kind of event, and what is done to it.
FAULTS: dict[str, tuple[str, Callable[[Event], Any]]] = {
    "another type": ("query", lambda e: e["type"].update(code="110112")),
    "another interaction": ("query", lambda e: e["subtype"][0].update(code="read")),
    "another action": ("read", lambda e: e.update(action="E")),
    "no outcome": ("read", lambda e: e.pop("outcome")),
    "a failure that claims the profile": ("read", lambda e: e.update(outcome="8")),
    "an outcome that there is not": ("run", lambda e: e.update(outcome="5")),
    "no instant": ("run", lambda e: e.pop("recorded")),
    "an instant without its zone": ("run", lambda e: e.update(recorded="2026-11-24T08:30:15")),
    "no observer": ("log", lambda e: e["source"].pop("observer")),
    "no client": ("delivery", lambda e: e["agent"].remove(agent(e, "110153"))),
    "no server": ("delivery", lambda e: e["agent"].remove(agent(e, "110152"))),
    "a server that nobody can reach": ("created", lambda e: agent(e, "110152").pop("network")),
    "a client without a name": ("created", lambda e: agent(e, "110153").pop("who")),
    "a user who did not ask": ("read", lambda e: agent(e, "IRCP").update(requestor=False)),
    "a user on the network": ("read", lambda e: agent(e, "IRCP").update(network={"address": "192.0.2.1", "type": "2"})),
    "parts of an update in a delete": ("deleted", lambda e: e["agent"][0]["type"]["coding"][0].update(code="110152")),
    "no request": ("answer", lambda e: entities(e, "2")[0].pop("query")),
    "a request that names a resource": ("answer", lambda e: entities(e, "2")[0].update(what={"display": "x"})),
    "two requests": ("answer", lambda e: e["entity"].append(entities(e, "2")[0])),
    "data of a role that is none": ("updated", lambda e: entities(e, "2")[0]["role"].update(code="13")),
    "no patient": ("read", lambda e: e["entity"].remove(entities(e, "1")[0])),
    "a patient of another role": ("read", lambda e: entities(e, "1")[0]["role"].update(code="2")),
    "a patient that is nobody": ("read", lambda e: entities(e, "1")[0].pop("what")),
    "an X-Request-Id without value": (
        "read",
        lambda e: entities(e, "XrequestId")[0]["what"]["identifier"].pop("value"),
    ),
    "a token that nobody named": ("small token", lambda e: agent(e, "UserOauthAgent").pop("policy")),
    "a token's user with two": ("large token", lambda e: agent(e, "IRCP")["policy"].append("system/*.rs")),
    "a token of no client": ("large token", lambda e: e["agent"].remove(agent(e, "110150"))),
    "a token request with its answer": (
        "token",
        lambda e: e["entity"].append(entities(SAMPLES["run"](access()), "2")[0]),
    ),
    "a token request about a patient": (
        "issue",
        lambda e: e["entity"].append(entities(SAMPLES["run"](access()), "1")[0]),
    ),
    "a token request of somebody else": (
        "token",
        lambda e: agent(e, "AuthzOauthService")["type"]["coding"][0].update(code="x"),
    ),
    "a decision without a consent": ("consent", lambda e: e["entity"].remove(entities(e, "Consent")[0])),
    "a decision without an organization": ("consent", lambda e: e["agent"].remove(agent(e, "PROV"))),
    "a decision about something else": (
        "consent",
        lambda e: e["entity"].append(entities(SAMPLES["run"](access()), "2")[0]),
    ),
    "a disclosure that is none": ("disclosure", lambda e: e["subtype"][0].update(code="extract")),
    "a disclosure to nobody": ("disclosure", lambda e: e["agent"].remove(agent(e, "110152"))),
    "a disclosure of nobody": ("disclosure", lambda e: e["entity"].remove(entities(e, "1")[0])),
    "a receipt that gives": ("receipt", lambda e: e.update(action="R")),
    "an empty name": ("run", lambda e: e["agent"][0]["who"]["identifier"].update(value="")),
    "an element that there is not": ("run", lambda e: e.update(severity="high")),
}
MISSED = {  # by the validator: tests/security/audit/test_event.py has what finds them (I2)
    "client and server that changed parts": ("read", swap),
    "a patient that is a device": ("read", lambda e: entities(e, "1")[0].update(what={"reference": "Device/1"})),
}


def spoilt(faults: dict[str, tuple[str, Callable[[Event], Any]]]) -> list[Event]:
    events = []
    for kind, spoil in faults.values():
        token = {"small token": SMALL, "large token": LARGE}.get(kind)
        event = copy.deepcopy(SAMPLES["read" if token else kind](access(token=token)))
        spoil(event)
        events.append(event)
    return events


def test_i2_planted_faults_are_found_in_the_event_in_which_they_are(judge):
    events = [sound for spoilt_one in spoilt(FAULTS) for sound in (spoilt_one, SAMPLES["read"](access()))]
    said = [errors(issues) for issues in judge(events)]
    assert {fault for fault, found in zip(FAULTS, said[::2], strict=True) if not found} == set()
    assert not any(said[1::2])


def test_i2_what_the_validator_misses_is_still_missed(judge):
    """Where this fails the validator has got better, and the table of what has own tests is shorter."""
    assert [errors(issues) for issues in judge(spoilt(MISSED))] == [[] for _ in MISSED]
