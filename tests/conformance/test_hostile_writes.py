"""Each fault of writing, alone, over HTTP; and the habits of servers that write less than others."""

from __future__ import annotations

import json
import threading
import time

import pytest

from conformance.hostile import Misbehaviour
from tests.conformance.desk import Case, check, desk, outcome

SYSTEM = "urn:ietf:rfc:3986"
NAME = "urn:uuid:6b0c1c5e-1111-4111-8111-000000000001"
IF_NONE = f"identifier={SYSTEM}|{NAME}"


def result(**changes):
    """An Observation as a client of ours writes it, with everything that a server may lose."""
    return {
        "resourceType": "Observation",
        "meta": {
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}],
            "tag": [{"system": "urn:t", "code": "simulated"}],
        },
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">ours</div>'},
        "identifier": [{"system": SYSTEM, "value": NAME}],
        "status": "preliminary",
        "code": {"text": "Cardiac output, as a model tells it: simulated, and not measured by anybody"},
        "subject": {"reference": "Patient/p1"},
        "note": [{"text": "simulated"}],
        "component": [{"code": {"text": "low"}, "valueString": "4.1"}],
        **changes,
    }


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(resource, method="POST", where="", **request):
    url = where or resource["resourceType"]
    return {"resource": resource, "request": {"method": method, "url": url, **request}}


def ours(d):
    """The Observations that were written, as they are kept."""
    return [held for held in d.ehr.store.all("Observation") if not held["id"].startswith("o")]


def post(d, body, path="Observation", **headers):
    """Write, and say what came: the status, or that nothing did."""
    url = f"{d.base}/{path}".removesuffix("/")
    return outcome(lambda: d.http.post(url, json=body, headers=headers))


def status(answer):
    return answer if isinstance(answer, str) else answer.status_code


def written(*headers):
    """Create: the status, some headers, and how many are there then."""

    def probe(d):
        answer = post(d, result())
        told = [answer.headers.get(name) for name in headers] if not isinstance(answer, str) else []
        return [status(answer), *told, len(ours(d))]

    return probe


def transacted(read, kind="transaction", **request):
    """Write two resources in a bundle: what `read` makes of the answer, and how many Observations are there then."""

    def probe(d):
        device = {"resourceType": "Device", "identifier": [{"system": SYSTEM, "value": "m"}]}
        answer = post(d, bundle(kind, entry(result(), ifNoneExist=IF_NONE), entry(device)), "")
        return [read(answer), len(ours(d))]

    return probe


def statuses(answer):
    """The status of the answer, and of its entries."""
    told = answer.json()
    return [answer.status_code, *(each["response"]["status"][:3] for each in told.get("entry", []))]


def types(answer):
    return [each["response"]["location"].partition("/")[0] for each in answer.json()["entry"]]


def body(d):
    answer = post(d, result())
    return [answer.status_code, answer.headers.get("content-type", "").partition(";")[0], len(ours(d))]


def outcome_in(d):
    return [post(d, result()).json()["resourceType"], len(ours(d))]


def no_places(d):
    single = post(d, result()).headers.get("location") is not None
    in_bundle = post(d, bundle("batch", entry(result())), "").json()["entry"][0]["response"]
    return [single, "location" in in_bundle, "etag" in in_bundle]


def later(d):
    """What is there at once, and some time later."""
    told = [status(post(d, result())), len(ours(d))]
    for _ in range(1000):
        if len(ours(d)):
            break
        time.sleep(0.01)
    return [*told, len(ours(d))]


def given_up(d):
    """A client that gives up after a second, and what is there in the end."""
    begun = outcome(lambda: d.http.post(f"{d.base}/Observation", json=result(), timeout=1.0).status_code)
    for _ in range(1000):
        if len(ours(d)):
            break
        time.sleep(0.01)
    return [begun, len(ours(d))]


def at_once(path, make):
    """Two clients that create conditionally at the same time: the statuses, and how many are there."""

    def probe(d):
        found = []
        both = [threading.Thread(target=lambda: found.append(make(d, path))) for _ in range(2)]
        for each in both:
            each.start()
        for each in both:
            each.join()
        return [sorted(found), len(ours(d))]

    return probe


def conditionally(d, path):
    if path:
        return str(post(d, result(), path, **{"If-None-Exist": IF_NONE}).status_code)
    return post(d, bundle("transaction", entry(result(), ifNoneExist=IF_NONE)), "").json()["entry"][0]["response"][
        "status"
    ][:3]


def repeated(d):
    """A conditional create, again alone, in a batch and in a transaction."""
    found = [conditionally(d, "Observation"), conditionally(d, "Observation")]
    for kind in ("batch", "transaction"):
        told = post(d, bundle(kind, entry(result(), ifNoneExist=IF_NONE)), "").json()
        found.append(told["entry"][0]["response"]["status"][:3])
    return [*found, len(ours(d))]


def both_kinds(d):
    return [status(post(d, bundle(kind, entry(result())), "")) for kind in ("transaction", "batch")]


def updated(d):
    """Change one that is there, with If-Match of an old version."""
    held = d.ehr.store.read("Observation", "o1").resource()
    url = f"{d.base}/Observation/o1"
    changed = json.loads(json.dumps(held, default=str)) | {"status": "amended"}
    return [
        d.http.put(url, json=changed).status_code,
        d.http.put(url, json=changed, headers={"If-Match": 'W/"1"'}).status_code,
        d.ehr.store.read("Observation", "o1").number,
    ]


def put_new(d):
    answer = d.http.put(f"{d.base}/Observation/mine", json=result(id="mine"))
    told = post(d, bundle("transaction", entry(result(id="m2"), "PUT", "Observation/m2")), "").json()
    place = told["entry"][0]["response"]["location"].split("/")[1]
    return [answer.status_code, answer.json()["id"] == "mine", place == "m2", d.get("Observation/mine").status_code]


def kept(*names):
    """What is there of some elements after a write."""

    def probe(d):
        post(d, result())
        [held] = ours(d)
        return [held.get(name) for name in names]

    return probe


def identifiers(d):
    """Whether the identifier that was sent is kept, and how many there are."""
    post(d, result())
    [held] = ours(d)
    told = held.get("identifier", [])
    return [NAME in [each["value"] for each in told], len(told)]


def lost(d):
    post(d, result())
    [held] = ours(d)
    return [sorted(set(held["meta"]) & {"security", "tag"}), "note" in held, "component" in held]


def found_at_once(d):
    """Right after a write: a search, a conditional create, a read; and both searches later."""
    made = post(d, result()).json()["id"]
    search = f"Observation?{IF_NONE}"
    told = [d.get(search).json()["total"], d.get(f"Observation/{made}").status_code]
    d.wait(10)
    return [*told, d.get(search).json()["total"], status(post(d, result(), **{"If-None-Exist": IF_NONE}))]


def created_twice(d):
    made = [status(post(d, result(), **{"If-None-Exist": IF_NONE})) for _ in range(2)]
    return [*made, len(ours(d))]


def listed(d):
    post(d, result())
    return [d.get(f"Observation?{IF_NONE}").json().get("total"), d.get("Observation?patient=p1").json()["total"]]


def refused(d):
    return [
        d.get(f"Observation?{IF_NONE}").status_code,
        d.get("Observation?patient=p1").status_code,
        status(post(d, result(), **{"If-None-Exist": IF_NONE})),
    ]


CUT = "Cardiac output, as a model tells it: simulated, and not measured by anybody"
CASES = {
    "write-status": Case(written(), [201, 1], [409, 0], {"value": "409"}),
    "write-throttled": Case(written("retry-after"), [201, None, 1], [429, "9", 0], {"value": "9"}),
    "outcome-for-write": Case(outcome_in, ["Observation", 1], ["OperationOutcome", 0]),
    "slow-commit": Case(later, [201, 1, 1], ["RemoteProtocolError", 0, 1], {"value": "0.1"}),
    "slow-write": Case(given_up, [201, 1], ["ReadTimeout", 1], {"value": "1.5"}),
    "create-not-atomic": Case(
        at_once("Observation", conditionally), [["200", "201"], 1], [["201", "201"], 2], {"value": "0.5"}
    ),
    "transaction-refused": Case(both_kinds, [200, 200], [501, 200], {"value": "501"}),
    "batch-refused": Case(both_kinds, [200, 200], [200, 400]),
    "entry-failed": Case(
        transacted(statuses), [[200, "201", "201"], 1], [[200, "422", "201"], 0], {"type": "Observation"}
    ),
    "create-refused": Case(written(), [201, 1], [422, 0], {"type": "Observation"}),
    "update-refused": Case(updated, [200, 412, 2], [405, 405, 1]),
    "if-match-ignored": Case(updated, [200, 412, 2], [200, 200, 3]),
    "id-replaced": Case(put_new, [201, True, True, 200], [201, False, False, 404]),
    "silent-after-write": Case(given_up, [201, 1], ["ReadTimeout", 1]),
    "status-after-write": Case(written(), [201, 1], [500, 1], {"value": "500"}),
    "page-after-write": Case(body, [201, "application/fhir+json", 1], [200, "text/html", 1]),
    "outcome-after-write": Case(outcome_in, ["Observation", 1], ["OperationOutcome", 1]),
    "empty-after-write": Case(body, [201, "application/fhir+json", 1], [201, "", 1]),
    "entries-missing": Case(transacted(statuses), [[200, "201", "201"], 1], [[200, "201"], 1]),
    "entries-shuffled": Case(transacted(types), [["Observation", "Device"], 1], [["Device", "Observation"], 1]),
    "no-location": Case(no_places, [True, True, True], [False, False, True]),
    "identifier-replaced": Case(identifiers, [True, 1], [False, 1]),
    "identifier-dropped": Case(identifiers, [True, 1], [False, 0]),
    "elements-dropped": Case(lost, [["security", "tag"], True, True], [[], False, False]),
    "narrative-replaced": Case(
        kept("text", "status"),
        [result()["text"], "preliminary"],
        [
            {
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">Entered by another system</div>',
            },
            "preliminary",
        ],
    ),
    "texts-cut": Case(
        kept("code", "text"),
        [{"text": CUT}, result()["text"]],
        [{"text": CUT[:20]}, result()["text"]],
        {"value": "20"},
    ),
    "search-lag": Case(found_at_once, [1, 200, 1, 200], [0, 200, 1, 200], {"value": "5"}),
    "parameters-ignored": Case(listed, [1, 4], [6, 4], {"value": "identifier"}),
    "parameters-refused": Case(refused, [200, 200, 201], [400, 200, 400]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_does_what_it_says_and_nothing_when_it_is_off(socket, name):
    check(socket, name, CASES[name])


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429, 500, 502, 503, 504])
def test_any_status_can_be_said_before_and_after_a_write(socket, code):
    with desk(socket, Misbehaviour("write-status", value=str(code))) as d:
        assert written()(d) == [code, 0]
        answer = post(d, result())
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert ("www-authenticate" in answer.headers) == (code == 401)
    with desk(socket, Misbehaviour("status-after-write", value=str(code))) as d:
        assert written()(d) == [code, 1]


def test_a_condition_is_ignored_alone_in_batches_and_in_transactions(socket):
    with desk(socket) as d:
        assert repeated(d) == ["201", "200", "200", "200", 1]
    with desk(socket, Misbehaviour("condition-ignored", type="Observation")) as d:
        assert repeated(d) == ["201", "201", "201", "201", 4]


def test_a_transaction_that_is_not_atomic_makes_two_as_well(socket):
    with desk(socket, Misbehaviour("create-not-atomic", value="0.5")) as d:
        assert at_once("", conditionally)(d) == [["201", "201"], 2]
        assert post(d, bundle("transaction", entry(result(), ifNoneExist=IF_NONE)), "").status_code == 412


def test_what_a_search_does_not_find_yet_is_created_again(socket):
    with desk(socket, Misbehaviour("search-lag", value="5")) as d:
        assert created_twice(d) == [201, 201, 2]
    with desk(socket) as d:
        assert created_twice(d) == [201, 200, 1]


def test_one_entry_of_a_batch_fails_alone_with_its_outcome(socket):
    with desk(socket, Misbehaviour("entry-failed", type="Device", value="503")) as d:
        assert transacted(statuses, "batch")(d) == [[200, "201", "503"], 1]
        assert not d.ehr.store.live("Device")


@pytest.mark.parametrize(
    ("bundles", "said", "answers"),
    [
        (frozenset({"batch"}), ["batch"], [405, 200]),
        (frozenset({"transaction"}), ["transaction"], [200, 405]),
        (frozenset(), [], [405, 405]),
    ],
)
def test_a_server_takes_the_bundles_that_it_says_it_takes(socket, bundles, said, answers):
    with desk(socket, bundles=bundles) as d:
        told = d.get("metadata").json()["rest"][0]["interaction"]
        assert [each["code"] for each in told] == [*said, "history-system"]
        assert both_kinds(d) == answers


def test_a_server_without_updates_says_so(socket):
    with desk(socket, updates=False) as d:
        [told] = [r for r in d.get("metadata").json()["rest"][0]["resource"] if r["type"] == "Observation"]
        assert {"code": "update"} not in told["interaction"]
        assert {"code": "create"} in told["interaction"]
        assert (told["updateCreate"], told["conditionalUpdate"]) == (False, False)
        assert updated(d) == [405, 405, 1]


def test_a_server_without_versions_tells_none(socket):
    with desk(socket, tells_versions=False) as d:
        answer = post(d, result())
        assert "etag" not in answer.headers
        assert "_history" not in answer.headers["location"]
        assert "versionId" not in answer.json()["meta"]
        response = post(d, bundle("transaction", entry(result())), "").json()["entry"][0]["response"]
        assert "etag" not in response
        assert "_history" not in response["location"]
        assert updated(d)[:2] == [200, 200]


def test_a_parameter_that_is_not_there_is_no_condition_either(socket):
    with desk(socket, without=frozenset({"identifier"})) as d:
        assert status(post(d, result(), **{"If-None-Exist": IF_NONE})) == 400
        assert not ours(d)
