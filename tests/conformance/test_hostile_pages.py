"""Each fault of pages, of next links and of records that change under a walk, alone, over HTTP."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

import pytest

from tests.conformance.desk import PAGES, START, Case, check, first, ids, link, outcome, statuses, walk


def follow(read=ids):
    """Follow the first next link and read the page behind it, or say what goes wrong."""

    def probe(desk):
        answer = desk.get(link(desk.get("Observation").json()))
        return read(answer.json()) if answer.status_code == 200 and answer.content else answer.status_code

    return probe


def next_link(read):
    return lambda desk: read(link(desk.get("Observation").json()) or "", desk)


def own(url, desk):
    return url.startswith(f"{desk.base}/Observation?ct=")


def rows(read):
    return first(lambda bundle: read(bundle["entry"]))


def resource(read):
    return rows(lambda entries: read(entries[0].get("resource")))


def modes(entries):
    return [entry.get("search", {}).get("mode") for entry in entries]


def deep(value):
    """How deep extensions are nested."""
    depth = 0
    while isinstance(value, dict) and "extension" in value:
        value, depth = (value["extension"] or [None])[0], depth + 1
    return depth


def keys(desk):
    """How often the first row says its id."""
    body = desk.get("Observation").content
    start = body.index(b'"resource":')
    return body[start : start + 60].count(b'"id"')


def totals(desk):
    first_page = desk.get("Observation").json()
    return [first_page.get("total"), desk.get(link(first_page)).json().get("total")]


def self_link(desk):
    return link(desk.get("Observation?patient=p1&status=final").json(), "self")


def wrong_self(desk):
    told = desk.get("Observation?typo=1", headers={"Prefer": "handling=lenient"}).json()
    return "typo" in (link(told, "self") or "")


def after_post(desk):
    answer = desk.http.post(f"{desk.base}/Observation/_search", data={"_count": "2"})
    url = link(answer.json())
    page = desk.get(url)
    return [page.status_code, ids((page if page.status_code == 200 else desk.http.post(url, data={})).json())]


def drift(desk):
    page = desk.get("Observation").json()
    desk.ehr.store.remove("Observation", "o0")
    return ids(desk.get(link(page)).json())


def late(desk):
    desk.wait(60)
    walk()(desk)
    since = desk.clock[0].isoformat().replace("+00:00", "Z")
    newer = desk.get("Observation", params={"_lastUpdated": f"ge{since}", "_summary": "count"})
    return [newer.json()["total"], len(desk.ehr.store.live("Observation"))]


def in_mid_crawl(desk):
    return [walk()(desk), desk.get("Observation/o4").status_code]


def changed(desk):
    """What a first question, a read and the history of the type say of the first Observation."""
    found = desk.get("Observation?_count=50").json()
    history = desk.get("Observation/_history?_count=50").json()
    gone = [e["fullUrl"].rpartition("/")[2] for e in history["entry"] if e["request"]["method"] == "DELETE"]
    return [found["total"], desk.get("Observation/o0").status_code, gone]


def merged(desk):
    """Who holds what after a first question: links, activity, and whose the Observations are."""
    desk.get("Patient")
    old = desk.get("Patient/p1")
    links = [(each["type"], each["other"]["reference"]) for each in old.json().get("link", [])]
    survivor = desk.get("Patient/p2").json()
    back = [(each["type"], each["other"]["reference"]) for each in survivor.get("link", [])]
    counts = [desk.get(f"Observation?patient={p}&_summary=count").json()["total"] for p in ("p1", "p2")]
    return [old.status_code, old.json().get("active"), links, back, counts]


def unmerged(desk):
    desk.ehr.merge("p1", "p2")
    return merged(desk)


def subject(desk):
    desk.get("Observation")
    told = desk.get("Observation/o0").json()
    return [told["subject"]["reference"], told["meta"]["versionId"]]


def quiet_edit(desk):
    desk.wait(3600)
    desk.get("Observation")
    told = desk.get("Observation/o0").json()
    return ["text" in told, datetime.fromisoformat(told["meta"]["lastUpdated"]) == START]


def history(read):
    def probe(desk):
        desk.ehr.store.remove("Observation", "o4")
        return read(desk.get("Observation/_history?_count=50").json()["entry"])

    return probe


def whole(desk):
    """Walk $everything of a patient."""
    found = walk("Patient/p1/$everything", 10)(desk)
    return [sum(map(len, found)), desk.get("Patient/p1/$everything").json()["total"]]


def searched(desk):
    return [sum(map(len, walk()(desk))), desk.get("Observation").json()["total"]]


ALL = [4, 4]

CASES = {
    # links
    "no-next-link": Case(walk(), PAGES, PAGES[:1]),
    "foreign-next-link": Case(next_link(own), True, False),
    "relative-next-link": Case(next_link(lambda url, desk: bool(urlsplit(url).netloc)), True, False),
    "looping-next-link": Case(walk(most=3), PAGES, [PAGES[0]] * 3),
    "doubled-port-next-link": Case(next_link(lambda url, desk: ":443:443/" in url), False, True),
    "other-scheme-next-link": Case(next_link(lambda url, desk: urlsplit(url).scheme), "http", "https"),
    "inner-host-next-link": Case(
        next_link(lambda url, desk: url.partition("?")[0].removeprefix(desk.base)),
        "/Observation",
        "http://fhir-internal:8080/fhir/Observation",
    ),
    "typeless-next-link": Case(
        next_link(lambda url, desk: [url.startswith(f"{desk.base}?"), ids(desk.get(url).json())]),
        [False, PAGES[1]],
        [True, PAGES[1]],
    ),
    "endless-next-link": Case(next_link(lambda url, desk: len(url) > 4000), False, True),
    "empty-next-link": Case(first(lambda b: [e["url"] == "" for e in b["link"]]), [False, False], [False, True]),
    "next-after-post": Case(after_post, [200, PAGES[1]], [404, PAGES[1]]),
    "wrong-self-link": Case(wrong_self, False, True),
    "no-self-link": Case(lambda desk: self_link(desk) is None, False, True),
    "search-cache-expired": Case(follow(), PAGES[1], 410),
    "next-page-not-found": Case(follow(), PAGES[1], 404),
    "next-page-broken": Case(follow(), PAGES[1], 500),
    "next-page-empty": Case(follow(), PAGES[1], 200),
    # totals
    "no-total": Case(totals, [5, 5], [None, None]),
    "wrong-total": Case(totals, [5, 5], [12, 12]),
    "small-total": Case(totals, [5, 5], [2, 2]),
    "zero-total": Case(totals, [5, 5], [0, 0]),
    "changing-total": Case(totals, [5, 5], [5, 6]),
    "wrong-bundle-type": Case(first(lambda b: b["type"]), "searchset", "collection"),
    # rows
    "missing-row": Case(walk(), PAGES, [["o0"], ["o2"], []]),
    "repeated-row": Case(walk(), PAGES, [["o0", "o1"], ["o1", "o2", "o3"], ["o3", "o4"]]),
    "same-id-other-content": Case(walk(), PAGES, [["o0", "o1"], ["o1", "o3"], ["o3"]]),
    "wrong-resource-type": Case(resource(lambda r: r["resourceType"]), "Observation", "Observatory"),
    "duplicate-keys": Case(keys, 1, 2),
    "row-without-id": Case(resource(lambda r: r.get("id")), "o0", None),
    "row-without-meta": Case(rows(lambda entries: ["meta" in e["resource"] for e in entries]), [True] * 2, [False] * 2),
    "future-last-updated": Case(resource(lambda r: datetime.fromisoformat(r["meta"]["lastUpdated"]).year), 2026, 2027),
    "entry-without-resource": Case(resource(lambda r: r is None), False, True),
    "entry-without-mode": Case(rows(modes), ["match", "match"], [None, None]),
    "foreign-full-url": Case(
        lambda d: d.get("Observation").json()["entry"][0]["fullUrl"].removeprefix(d.base),
        "/Observation/o0",
        "http://elsewhere.invalid/fhir/Observation/o0",
    ),
    "deep-nesting": Case(resource(deep), 0, 301, {"value": "300"}),
    "huge-row": Case(lambda d: len(d.get("Observation").content) > 1_000_000, False, True, {"value": "1"}),
    "empty-page": Case(walk(), PAGES, [[], [], ["o4"]]),
    "included-resource": Case(rows(modes), ["match", "match"], ["match", "match", "include"]),
    "unasked-patient": Case(
        first(ids, "Observation?patient=p2"), ["o1", "o3"], ["o1", "o3", "o0"], {}, {"page_size": 5}
    ),
    "outcome-entry": Case(rows(modes), ["match", "match"], ["match", "match", "outcome"]),
    "error-entry": Case(
        rows(lambda entries: [e["resource"].get("issue", [{}])[0].get("severity") for e in entries]),
        [None, None],
        [None, None, "error"],
    ),
    "history-forgets-deletes": Case(history(lambda e: [x["request"]["method"] for x in e].count("DELETE")), 1, 0),
    "history-without-request": Case(history(lambda e: ["request" in x for x in e]), [True] * 6, [False] * 6),
    "everything-capped": Case(whole, [5, 4], [3, 3], {"value": "3"}),
    "search-capped": Case(searched, [5, 5], [3, 5]),
    # changes
    "row-deleted-while-paging": Case(walk(), PAGES, [["o0", "o1"], ["o3", "o4"]]),
    "row-inserted-while-paging": Case(walk(), PAGES, [["o0", "o1"], ["o1", "o2"], ["o3", "o4"]]),
    "pages-drift": Case(drift, ["o2", "o3"], ["o3", "o4"]),
    "late-commit": Case(late, [0, 5], [0, 6]),
    "deleted-in-mid-crawl": Case(in_mid_crawl, [PAGES, 200], [PAGES, 410]),
    "deleted-resource": Case(changed, [5, 200, []], [4, 410, ["o0"]]),
    "vanished-resource": Case(changed, [5, 200, []], [4, 404, []]),
    "merged-patient": Case(
        merged,
        [200, None, [], [], [3, 2]],
        [200, False, [("replaced-by", "Patient/p2")], [("replaces", "Patient/p1")], [0, 5]],
    ),
    "merged-patient-deleted": Case(merged, [200, None, [], [], [3, 2]], [410, None, [], [], [0, 5]]),
    "unmerged-patient": Case(
        unmerged,
        [200, False, [("replaced-by", "Patient/p2")], [("replaces", "Patient/p1")], [0, 5]],
        [200, True, [], [], [3, 2]],
    ),
    "subject-changed": Case(subject, ["Patient/p1", "1"], ["Patient/p2", "2"]),
    "id-reused": Case(subject, ["Patient/p1", "1"], ["Patient/p2", "3"]),
    "edited-without-a-stamp": Case(quiet_edit, [False, True], [True, True]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_does_what_it_says_and_nothing_when_it_is_off(socket, name):
    check(socket, name, CASES[name])


def test_statuses_are_those_of_reads(socket):
    """The helpers themselves: an unknown id and a page that was never."""
    from tests.conformance.desk import desk

    with desk(socket) as honest:
        assert statuses("Observation/none", "Observation?ct=none")(honest) == [404, 410]
        assert outcome(lambda: honest.get("Observation").json()["total"]) == 5
