"""Each fault of requests, tokens, searches and statements, alone, over HTTP."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from tests.conformance.desk import PAGES, START, Case, check, first, link, outcome, statuses, walk

KIND = "content-type"
AUTH = {"require_auth": True}


def kind(desk):
    return desk.get("Observation").headers.get(KIND, "").partition(";")[0]


def told(*names):
    """The status and some headers of a search."""
    return lambda desk: (
        answer := desk.get("Observation"),
        [answer.status_code, *(answer.headers.get(name) for name in names)],
    )[1]


def empty(desk):
    answer = desk.get("Observation")
    return [answer.status_code, "retry-after" not in answer.headers and not answer.content]


def with_token(desk):
    headers = {"Authorization": f"Bearer {desk.ehr.smart.issue('twin', 'system/*.rs')}"}
    return [desk.get("Observation", headers=headers).status_code for _ in range(2)]


def until(desk):
    answer = desk.get("Observation")
    when = answer.headers.get("retry-after", "")
    return (parsedate_to_datetime(when) - START).total_seconds() if when else answer.status_code


def storm(desk):
    before = desk.get("Observation").status_code
    desk.wait(5)
    return [before, desk.get("Observation").status_code]


def limited(desk):
    burst = statuses("Observation", "Observation", "Observation")(desk)
    desk.wait(1)
    return [*burst, desk.get("Observation").status_code]


def by_post(desk):
    url = f"{desk.base}/Observation/_search"
    return [desk.get("Observation?patient=p1").status_code, desk.http.post(url, data={"patient": "p1"}).status_code]


def long_query(desk):
    many = ",".join(f"o{n}" for n in range(50))
    url = f"{desk.base}/Observation/_search"
    return [desk.get(f"Observation?_id={many}").status_code, desk.http.post(url, data={"_id": many}).status_code]


def token(desk):
    """What the token endpoint says to somebody without an assertion."""
    answer = desk.http.post(desk.ehr.token_url, data={"grant_type": "client_credentials"})
    body = answer.json() if answer.headers.get(KIND) == "application/json" else {}
    said = [body.get(name) for name in ("error", "scope", "token_type", "expires_in")]
    return [answer.status_code, answer.headers.get("retry-after"), bool(answer.content), *said]


NO_TOKEN = [400, None, True, "invalid_client", None, None, None]


def write(desk):
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    told = {"If-None-Exist": "_id=o1"}
    status = outcome(lambda: desk.http.post(f"{desk.base}/Observation", json=body, headers=told).status_code)
    return [status if isinstance(status, int) else "hung up", len(desk.ehr.store.live("Observation"))]


def fresh_write(desk):
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    status = outcome(lambda: desk.http.post(f"{desk.base}/Observation", json=body).status_code)
    return [status if isinstance(status, int) else "hung up", len(desk.ehr.store.live("Observation"))]


def newer(desk):
    """How many Observations were updated an hour after the start."""
    answer = desk.get("Observation?_lastUpdated=gt2026-01-05T09:00:00Z")
    return answer.json().get("total"), "_lastUpdated" in (link(answer.json(), "self") or "")


def replica(desk):
    desk.wait(10)
    desk.ehr.store.remove("Observation", "o0")
    return [desk.get("Observation?_summary=count").json()["total"], desk.get("Observation/o0").status_code]


def statement(read):
    return lambda desk: outcome(lambda: read(desk.get("metadata")))


def listed(name):
    return lambda desk: [
        [r["type"] for r in desk.get("metadata").json()["rest"][0]["resource"]].count(name),
        desk.get(f"{name}?_summary=count").status_code,
    ]


def parameters(desk):
    resources = desk.get("metadata").json()["rest"][0]["resource"]
    return [any("searchParam" in r for r in resources), desk.get("Observation?patient=p1").status_code]


def discovery(desk):
    answer = desk.get(".well-known/smart-configuration")
    return [answer.status_code, answer.json().get("token_endpoint") == desk.ehr.token_url]


CASES = {
    "login-page": Case(kind, "application/fhir+json", "text/html"),
    "bad-gateway-page": Case(told(), [200], [502]),
    "expired-token": Case(with_token, [200, 200], [401, 401], {"times": 1}, AUTH),
    "server-error": Case(told(), [200], [500]),
    "gateway-timeout": Case(empty, [200, False], [504, True]),
    "unavailable": Case(told("retry-after"), [200, None], [503, "7"], {"value": "7"}),
    "throttled": Case(told("retry-after"), [200, None], [429, "1"]),
    "throttled-until-a-date": Case(until, 200, 40.0, {"value": "40"}),
    "throttled-without-a-word": Case(empty, [200, False], [429, True]),
    "rate-limit": Case(limited, [200, 200, 200, 200], [200, 200, 429, 200], {"value": "2"}),
    "throttling-storm": Case(storm, [200, 200], [429, 200]),
    "outcome-for-bundle": Case(first(lambda b: b["resourceType"]), "Bundle", "OperationOutcome"),
    "nothing-to-read": Case(lambda d: bool(d.get("Observation").content), True, False),
    "redirect-loop": Case(
        lambda d: outcome(lambda: d.get("Observation", follow_redirects=True).status_code), 200, "TooManyRedirects"
    ),
    "redirect-to-stranger": Case(
        lambda d: d.get("Observation?patient=p1").headers.get("location"),
        None,
        "http://elsewhere.invalid/fhir/Observation?patient=p1",
    ),
    "long-url-refused": Case(long_query, [200, 200], [404, 200], {"value": "100"}),
    "post-only-search": Case(by_post, [200, 200], [405, 200]),
    "read-forbidden": Case(statuses("Observation", "Observation/o1"), [200, 200], [200, 403]),
    "history-unsupported": Case(
        statuses("Observation/_history", "Observation/o1/_history", "Observation"), [200, 200, 200], [501, 501, 200]
    ),
    "everything-unsupported": Case(statuses("Patient/p1/$everything", "Patient/p1"), [200, 200], [404, 200]),
    "token-refused": Case(token, NO_TOKEN, [400, None, False, None, None, None, None], {}, AUTH),
    "token-endpoint-down": Case(token, NO_TOKEN, [503, None, True, None, None, None, None], {}, AUTH),
    "token-endpoint-throttled": Case(token, NO_TOKEN, [429, "1", False, None, None, None, None], {}, AUTH),
    "token-without-end": Case(token, NO_TOKEN, [200, None, True, None, "system/*.rs", "bearer", None], {}, AUTH),
    "narrowed-grant": Case(token, NO_TOKEN, [200, None, True, None, "system/Patient.rs", "bearer", 300], {}, AUTH),
    "token-of-another-kind": Case(token, NO_TOKEN, [200, None, True, None, "system/*.rs", "BEARER", "300"], {}, AUTH),
    "write-forbidden": Case(fresh_write, [201, 6], [403, 5]),
    "lost-answer": Case(fresh_write, [201, 6], ["hung up", 6]),
    "condition-ignored": Case(write, [200, 5], [201, 6]),
    "ignored-parameter": Case(statuses("Observation?typo=1"), [400], [200]),
    "ignored-last-updated": Case(newer, (0, True), (5, False)),
    "last-updated-refused": Case(statuses("Observation?_lastUpdated=gt2026", "Observation"), [200, 200], [400, 200]),
    "sort-refused": Case(statuses("Observation?_sort=_id", "Observation"), [200, 200], [400, 200]),
    "count-capped": Case(walk("Observation?_count=5"), [["o0", "o1", "o2", "o3", "o4"]], PAGES),
    "count-refused": Case(statuses("Observation?_count=3", "Observation?_count=2"), [200, 200], [400, 200]),
    "count-ignored": Case(walk("Observation?_count=2"), PAGES, [["o0", "o1", "o2", "o3", "o4"]]),
    "count-alone-refused": Case(statuses("Observation?_summary=count", "Observation"), [200, 200], [400, 200]),
    "count-alone-wrong": Case(first(lambda b: b["total"], "Observation?_summary=count"), 5, 8),
    "category-required": Case(
        statuses("Observation", "Observation?category=laboratory", "Patient"), [200, 200, 200], [400, 200, 200]
    ),
    "patient-required": Case(
        statuses("Observation", "Observation?patient=p1", "Patient"), [200, 200, 200], [400, 200, 200]
    ),
    "patients-not-listed": Case(statuses("Patient", "Patient?_id=p1", "Observation"), [200, 200, 200], [400, 200, 200]),
    "stale-replica": Case(replica, [4, 410], [5, 410], {"value": "5"}),
    "search-misses-rows": Case(
        lambda d: [walk()(d), d.get("Observation").json()["total"]],
        [PAGES, 5],
        [[["o0", "o1"], ["o3", "o4"]], 4],
    ),
    "no-statement": Case(statement(lambda a: a.status_code), 200, 404),
    "statement-page": Case(statement(lambda a: a.json()["resourceType"]), "CapabilityStatement", "JSONDecodeError"),
    "statement-as-xml": Case(
        statement(lambda a: a.headers[KIND].partition(";")[0]), "application/fhir+json", "application/fhir+xml"
    ),
    "statement-wants-a-token": Case(
        statement(lambda a: [a.status_code, "www-authenticate" in a.headers]), [200, False], [401, True]
    ),
    "statement-promises-too-much": Case(listed("VisionPrescription"), [0, 404], [1, 404]),
    "statement-hides-parameters": Case(parameters, [True, 200], [False, 200]),
    "statement-hides-a-type": Case(listed("Observation"), [1, 200], [0, 200]),
    "statement-of-another-version": Case(statement(lambda a: a.json()["fhirVersion"]), "4.0.1", "3.5.0"),
    "no-smart-configuration": Case(discovery, [200, True], [404, False], {}, AUTH),
    "stale-smart-configuration": Case(discovery, [200, True], [200, False], {}, AUTH),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_does_what_it_says_and_nothing_when_it_is_off(socket, name):
    check(socket, name, CASES[name])
