"""Each fault of a bulk export, alone, over HTTP; and that every fault there is has such a test."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime

import httpx
import pytest

from conformance.hostile import FAULTS, PLACES, BulkHabits, Misbehaviour, throw
from security.errors import BadSettings
from tests.conformance import test_hostile_pages, test_hostile_requests, test_hostile_transfer, test_hostile_writes
from tests.conformance.desk import START, Case, check, desk, link, outcome
from tests.conformance.exporting import kick_off, lines, names, ready, resources

AUTH = {"require_auth": True}
PLAIN = {"Accept-Encoding": "identity"}
PATIENTS = ["Patient/p1", "Patient/p2", "Patient/p3"]
FULL = "$export?_type=Patient"


def asked(*paths):
    return lambda d: [kick_off(d, path).status_code for path in paths]


def found(path=FULL):
    """What an export brings."""
    return lambda d: names(resources(d, ready(d, path).json()))


def polls(times, read=lambda answer: answer.status_code):
    """Ask for the status so many times, with time in between."""

    def probe(d):
        where = kick_off(d, FULL).headers["content-location"]
        answers = []
        for _ in range(times):
            answers.append(read(d.get(where)))
            d.wait(5)
        return answers

    return probe


def hasty(d):
    where = kick_off(d, FULL).headers["content-location"]
    answers = [d.get(where), d.get(where)]
    d.wait(5)
    return [*(a.status_code for a in answers), answers[1].headers.get("retry-after"), d.get(where).status_code]


def wait(d):
    answer = d.get(kick_off(d, FULL).headers["content-location"])
    said = answer.headers.get("retry-after", "none")
    return said if said.isalnum() else (parsedate_to_datetime(said) - START).total_seconds()


def transient(answer):
    return [answer.status_code, answer.json()["issue"][0]["code"] if answer.status_code == 500 else ""]


def manifest(read, path=FULL, **settings):
    return lambda d: outcome(lambda: read(ready(d, path).json()))


def paged(d):
    told = ready(d, FULL).json()
    pages = [told]
    while url := link(pages[-1]):
        pages.append(d.get(url).json())
    return [len(page["output"]) for page in pages]


def file(d, number=0, **headers):
    """Ask for a file of an export of Patients."""
    return d.get(ready(d, FULL).json()["output"][number]["url"], headers={**PLAIN, **headers})


def elsewhere(d):
    """How a file is answered with our token and without, and whether the place is another."""
    told = {"Authorization": f"Bearer {d.ehr.smart.issue('twin', 'system/*.rs')}"}
    where = kick_off(d, FULL, told).headers["content-location"]
    d.get(where, headers=told)
    made = d.get(where, headers=told).json()
    url = made["output"][0]["url"]
    answer = d.get(url, headers=told)
    moved = answer.headers.get("location", url)
    tries = [d.get(moved, headers=told).status_code, d.get(moved).status_code]
    return [made["requiresAccessToken"], answer.status_code, moved.startswith(d.base), tries]


def flag(d):
    told = {"Authorization": f"Bearer {d.ehr.smart.issue('twin', 'system/*.rs')}"}
    where = kick_off(d, FULL, told).headers["content-location"]
    d.get(where, headers=told)
    return d.get(where, headers=told).json().get("requiresAccessToken", "absent")


def expired(d):
    where = kick_off(d, FULL).headers["content-location"]
    d.get(where)
    url = d.get(where).json()["output"][0]["url"]
    before = d.get(url).status_code
    again = d.get(where).json()["output"][0]["url"]
    return [before, d.get(again).status_code]


def ranged(d):
    answer = file(d, Range="bytes=5-")
    return [answer.status_code, "accept-ranges" in answer.headers]


def twice(d):
    url = ready(d, FULL).json()["output"][0]["url"]
    one, other = d.get(url, headers=PLAIN), d.get(url, headers=PLAIN)
    return [one.headers["etag"] == other.headers["etag"], one.content == other.content]


def content(read, number=0):
    return lambda d: read(file(d, number).content)


def since(d):
    before = ready(d, FULL).json()["transactionTime"]
    d.wait(60)
    d.ehr.store.remove("Patient", "p3")
    told = ready(d, FULL + "&_since=" + before.replace("+", "%2B")).json()
    return [sum(f["count"] for f in told["output"]), "deleted" in told and len(told["deleted"])]


def cancelled(d):
    where = kick_off(d, FULL).headers["content-location"]
    return [d.http.delete(where).status_code, d.get(where).status_code]


def second(d):
    one = kick_off(d, FULL).status_code
    refused = kick_off(d, FULL)
    return [one, refused.status_code, refused.headers.get("retry-after")]


def lost(d):
    answer = kick_off(d, FULL)
    return [answer.status_code, len(d.ehr.exports._jobs)]


def flawed(body):
    """How many lines cannot be read."""
    bad = 0
    for line in body.split(b"\n"):
        try:
            json.loads(line or b"{}")
        except ValueError:
            bad += 1
    return bad


BOTH = "$export?_type=Patient&_type=Group"
COMMA = "$export?_type=Patient,Group"
FILTER = "$export?_type=Observation&_typeFilter=Observation%3F_id%3Do1"
ALL = [f"Observation/o{n}" for n in range(5)]

CASES = {
    "comma-only-type": Case(asked(BOTH, COMMA), [202, 202], [400, 202]),
    "repeat-only-type": Case(asked(BOTH, COMMA), [202, 202], [202, 400]),
    "type-refused": Case(asked(FULL, "$export"), [202, 202], [400, 202]),
    "type-filter-refused": Case(asked(FILTER, FULL), [202, 202], [400, 202]),
    "type-filter-ignored": Case(found(FILTER), ["Observation/o1"], ALL),
    "since-ignored": Case(since, [0, 1], [2, 0]),
    "no-content-location": Case(lambda d: "content-location" in kick_off(d).headers, True, False),
    "relative-content-location": Case(
        lambda d: kick_off(d).headers["content-location"].partition("/fhir/")[0].startswith("http"), True, False
    ),
    "second-job-refused": Case(second, [202, 202, None], [202, 429, "2"]),
    "kick-off-throttled": Case(second, [202, 202, None], [429, 202, None], {"times": 1}),
    "kick-off-lost": Case(lost, [202, 1], [502, 1]),
    "job-lost": Case(polls(3), [202, 200, 200], [202, 404, 404], {"after": 1}),
    "job-failed": Case(polls(2, transient), [[202, ""], [200, ""]], [[500, "processing"]] * 2),
    "job-stuck": Case(polls(4), [202, 200, 200, 200], [202] * 4),
    "status-flaps": Case(
        polls(3, transient), [[202, ""], [200, ""], [200, ""]], [[500, "transient"], [202, ""], [200, ""]], {"times": 1}
    ),
    "status-bad-gateway": Case(polls(3), [202, 200, 200], [502, 202, 200], {"times": 1}),
    "polled-too-soon": Case(hasty, [202, 200, None, 200], [202, 429, "1", 200]),
    "wait-until-a-date": Case(wait, "1", 90.0, {"value": "90"}),
    "wait-for-hours": Case(wait, "1", "14400"),
    "no-word-of-waiting": Case(wait, "1", "none"),
    "done-by-redirect": Case(polls(2), [202, 200], [202, 303]),
    "manifest-cut": Case(manifest(len), 6, "JSONDecodeError"),
    "manifest-in-pages": Case(paged, [2], [1, 1]),
    "token-flag-as-text": Case(flag, True, "true", {}, AUTH),
    "token-flag-wrong": Case(flag, True, False, {}, AUTH),
    "no-token-flag": Case(flag, True, "absent", {}, AUTH),
    "wrong-count": Case(manifest(lambda m: [f["count"] for f in m["output"]]), [2, 1], [5, 4]),
    "no-count": Case(manifest(lambda m: ["count" in f for f in m["output"]]), [True, True], [False, False]),
    "file-left-out": Case(found(), PATIENTS, PATIENTS[:2]),
    "relative-file-urls": Case(manifest(lambda m: [f["url"][:1] for f in m["output"]]), ["h", "h"], ["/", "/"]),
    "files-elsewhere": Case(elsewhere, [True, 200, True, [200, 401]], [False, 400, False, [400, 200]], {}, AUTH),
    "files-in-a-bucket": Case(manifest(lambda m: m["output"][0]["url"][:5]), "http:", "gs://"),
    "empty-manifest": Case(manifest(lambda m: m.get("output", "absent") == "absent"), False, True),
    "deletes-not-told": Case(since, [0, 1], [0, False]),
    "no-transaction-time": Case(manifest(lambda m: "transactionTime" in m), True, False),
    "no-expires": Case(lambda d: "expires" in ready(d).headers, True, False),
    "cancel-not-found": Case(cancelled, [202, 404], [404, 202]),
    "cancel-without-effect": Case(cancelled, [202, 404], [202, 202]),
    "signed-file-url": Case(elsewhere, [True, 200, True, [200, 401]], [True, 307, False, [400, 200]], {}, AUTH),
    "file-link-expired": Case(expired, [200, 200], [403, 200]),
    "file-not-found": Case(lambda d: file(d).status_code, 200, 404),
    "file-bad-gateway": Case(lambda d: file(d).status_code, 200, 502),
    "file-throttled": Case(
        lambda d: [file(d).status_code, file(d).headers.get("retry-after")], [200, None], [429, "1"]
    ),
    "no-ranges": Case(ranged, [206, True], [200, False]),
    "file-changes": Case(twice, [True, True], [False, False]),
    "lines-with-blanks": Case(content(lambda b: [b.count(b"\r\n"), b.count(b"\n")]), [0, 2], [4, 4]),
    "line-cut": Case(content(flawed), 0, 1),
    "line-missing": Case(found(), PATIENTS, ["Patient/p1"]),
    "line-twice": Case(content(lambda b: b.count(b'"p1"')), 1, 2),
    "line-without-end": Case(content(lambda b: [b[-1:], b.count(b"\n")]), [b"\n", 2], [b"}", 1]),
    "line-of-another-type": Case(found(), PATIENTS, ["Basic/stray", "Basic/stray", *PATIENTS]),
    "outcome-among-lines": Case(lambda d: lines(file(d))[0]["resourceType"], "Patient", "OperationOutcome"),
    "line-that-is-huge": Case(content(lambda b: len(b) > 1_000_000), False, True, {"value": "1"}),
    "byte-order-mark-in-file": Case(content(lambda b: b[:3] == b"\xef\xbb\xbf"), False, True),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_does_what_it_says_and_nothing_when_it_is_off(socket, name):
    check(socket, name, CASES[name])


def test_every_fault_is_tested_alone_and_listed_with_its_pain():
    files = (test_hostile_requests, test_hostile_pages, test_hostile_transfer, test_hostile_writes)
    tested = {*CASES, *(name for file in files for name in file.CASES)}
    assert tested == set(FAULTS)
    assert len(FAULTS) >= 40
    for name, kind in FAULTS.items():
        assert kind.name == name == name.lower().replace(" ", "-")
        assert (kind.place in PLACES, bool(kind.does), bool(kind.cite)) == (True, True, True)
        assert "value" in kind.does or not kind.value or kind.value == "first>second"
    assert {kind.place for kind in FAULTS.values()} == set(PLACES)


def test_an_export_can_be_struck_by_what_strikes_everything(socket):
    with desk(socket, Misbehaviour("cut-body", type="Export", times=1), bulk=BulkHabits(polls=0)) as d:
        cut = ready(d, FULL)
        assert outcome(cut.json) == "JSONDecodeError"
        assert found()(d) == PATIENTS


def test_a_file_that_is_cut_can_be_had_from_where_it_was_cut(socket):
    with desk(socket, bulk=BulkHabits(lines_a_file=10)) as d:
        url = ready(d, FULL).json()["output"][0]["url"]
        whole = d.get(url, headers=PLAIN)
        d.ehr.misbehaviours.add(Misbehaviour("cut-connection", type="Export", times=1))
        came = b""
        with pytest.raises(httpx.HTTPError), d.http.stream("GET", url, headers=PLAIN) as answer:  # noqa: PT012
            for chunk in answer.iter_raw():
                came += chunk
        assert 0 < len(came) < len(whole.content)
        rest = {**PLAIN, "Range": f"bytes={len(came)}-", "If-Range": answer.headers["etag"]}
        assert came + d.get(url, headers=rest).content == whole.content


def test_what_goes_to_the_file_server_is_noted(socket):
    """Where a leaked token would be seen."""
    with desk(socket, Misbehaviour("files-elsewhere"), require_auth=True) as d:
        elsewhere(d)
        assert [seen.had_authorization for seen in d.ehr.files.seen] == [True, True, False]


def test_a_fault_is_told_in_one_word_or_in_full():
    assert throw("throttled") == Misbehaviour("throttled")
    assert throw("throttled,type=Patient,after=2,times=3,value=7") == Misbehaviour("throttled", "Patient", 2, 3, "7")


@pytest.mark.parametrize(
    "text",
    [
        "throttled,after",
        "throttled,after=x",
        "throttled,colour=red",
        "throttled,after=1,after=2",
        "no-total,value=1",
        "throttled,value=soon",
        "throttled,times=0",
    ],
)
def test_what_is_told_wrongly_is_refused(text):
    with pytest.raises(BadSettings):
        throw(text)
