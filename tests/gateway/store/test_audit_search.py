"""The audit log is searched by its index as it would be by opening every event (I8); what the index hides is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.postings import pack
from gateway.store.tables import AuditHourRow, AuditPostingRow
from security.audit import Access, System, fetch_event, merge_event, query_event, run_event
from security.audit.search import EVERYTHING, Criterion, Span

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OURS = System("fhirtwin", "127.0.0.1", "0.1")
PEERS = {name: System(name, f"https://{name}.example.org/fhir") for name in ("north", "south")}
ACTORS, PURPOSES, TWINS = ("os-user:ada", "os-user:grace"), ("TREAT", "HRESCH"), ("t1", "t2", "t3", "t4")

EVENTS = st.builds(
    lambda minutes, actor, purpose, twin, peer, number, failed, kind: {
        "minutes": minutes,
        "actor": actor,
        "purpose": purpose,
        "twin": twin,
        "peer": peer,
        "number": number,
        "failed": failed,
        "kind": kind,
    },
    *(st.integers(-90, 300), st.sampled_from(ACTORS), st.sampled_from(PURPOSES), st.sampled_from(("", *TWINS))),
    *(st.sampled_from(tuple(PEERS)), st.integers(1, 6), st.sampled_from(("", "refused")), st.sampled_from("fqrm")),
)


def recorded(told):
    access = Access(
        when=NOON + timedelta(minutes=told["minutes"]),
        actor=told["actor"],
        purpose=told["purpose"],
        system=OURS,
        peer=PEERS[told["peer"]],
        patient=told["twin"],
        what=(f"Observation/{told['number']}/_history/2",),
        query=b"GET /Observation?x=1",
        request_id=f"r-{told['number']}",
        outcome="8" if told["failed"] else "0",
        reason=told["failed"],
    )
    match told["kind"]:
        case "f":
            return fetch_event(access)
        case "q":
            return query_event(access)
        case "r":
            return run_event(access, run=f"run-{told['number']}", model="kidney")
    return merge_event(access, twin=f"{told['twin'] or 't9'}")


# What each question means, said once more and otherwise: over what was told, not over what was recorded of it.
QUESTIONS = {
    ("patient", "t1"): lambda told: told["twin"] == "t1",
    ("patient", "urn:fhirtwin:twin|t2"): lambda told: told["twin"] == "t2",
    ("actor", "os-user:ada"): lambda told: told["actor"] == "os-user:ada",
    ("actor", "north"): lambda told: False,
    ("agent", "north"): lambda told: told["peer"] == "north" and told["kind"] != "r",
    ("purpose", "HRESCH"): lambda told: told["purpose"] == "HRESCH",
    ("outcome", "8"): lambda told: bool(told["failed"]),
    ("outcome", "0"): lambda told: not told["failed"],
    ("what", "run"): lambda told: told["kind"] == "r",
    ("what", "rest"): lambda told: told["kind"] in "fq",
    ("type", "http://terminology.hl7.org/CodeSystem/audit-event-type|rest"): lambda told: told["kind"] in "fq",
    ("type", "http://example.org|rest"): lambda told: False,
    ("subtype", "http://hl7.org/fhir/restful-interaction|"): lambda told: told["kind"] in "fq",
    ("entity", "Observation/3"): lambda told: told["number"] == 3,
    ("entity", "Observation/3/_history/2"): lambda told: told["number"] == 3,
    ("entity", "Observation/3/_history/1"): lambda told: False,
    ("entity", "Patient/t3"): lambda told: told["twin"] == "t3",
    ("identifier", "run-2"): lambda told: told["kind"] == "r" and told["number"] == 2,
    ("request", "r-4"): lambda told: told["number"] == 4,
    ("address", "https://south.example.org/fhir"): lambda told: told["peer"] == "south" and told["kind"] != "r",
    ("address-begins", "HTTPS://s"): lambda told: told["peer"] == "south" and told["kind"] != "r",
    ("source", "fhirtwin"): lambda told: True,
}
CRITERIA = st.lists(st.lists(st.sampled_from(sorted(QUESTIONS)), min_size=1, max_size=2), max_size=3)
SPANS = st.builds(
    lambda a, b: Span(
        None if a is None else NOON + timedelta(minutes=a), None if b is None else NOON + timedelta(minutes=b)
    ),
    *(st.none() | st.integers(-100, 300),) * 2,
)


def by_opening_all(told, asked, span):
    """Filter what was told, one after the other: the naive way."""
    found = []
    for number, one in enumerate(told, 1):
        when = NOON + timedelta(minutes=one["minutes"])
        in_time = (span.since is None or when >= span.since) and (span.until is None or when < span.until)
        if in_time and all(any(QUESTIONS[each](one) for each in any_of) for any_of in asked):
            found.append(number)
    return found[::-1]


def criteria_of(asked):
    """One criterion has one aspect: of two of different aspects, the first counts."""
    kept = [[each for each in any_of if each[0] == any_of[0][0]] for any_of in asked]
    return kept, [Criterion(any_of[0][0], tuple(value for _, value in any_of)) for any_of in kept]


def all_pages(store, criteria, span, limit):
    found, below = [], None
    while below != 0:
        page = store.search_audit(criteria, span, limit=limit, below=below, patience=7)
        assert len(page.entries) <= limit
        assert page.looked_at <= 7
        found += [entry.sequence for entry in page.entries]
        below = page.next
    return found


@pytest.fixture
def grown(store):
    """Let hypothesis add to one store: what it told so far is remembered."""
    return store, []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(st.lists(EVENTS, min_size=1, max_size=12), min_size=1, max_size=3), asked=CRITERIA, span=SPANS)
def test_a_search_finds_what_opening_every_event_finds(grown, groups, asked, span):
    store, told = grown
    for group in groups:
        store.append_audit([recorded(one) for one in group])
        told += group
    kept, criteria = criteria_of(asked)
    expected = by_opening_all(told, kept, span)
    assert [entry.sequence for entry in store.search_audit(criteria, span, limit=10_000).entries] == expected
    assert all_pages(store, criteria, span, limit=3) == expected


def some(count, **changes):
    base = {"minutes": 0, "actor": "os-user:ada", "purpose": "TREAT", "twin": "", "peer": "north", "number": 1}
    return [recorded({**base, "failed": "", "kind": "f", "twin": f"t{n % 7}", **changes}) for n in range(count)]


def test_a_search_opens_what_it_shows_and_little_else(store):
    store.append_audit(some(3000))
    page = store.search_audit([Criterion("patient", ("t3",)), Criterion("outcome", ("0",))], limit=50)
    assert len(page.entries) == 50
    assert page.looked_at == 50
    none = store.search_audit([Criterion("outcome", ("8",))])
    assert (none.entries, none.looked_at, none.next) == ((), 0, 0)


def test_of_two_traits_that_never_meet_nothing_is_opened(store):
    store.append_audit(some(400, purpose="HRESCH", twin="t1") + some(400, twin="t2") + some(4000, twin="t3"))
    page = store.search_audit([Criterion("patient", ("t2",)), Criterion("purpose", ("HRESCH",))])
    assert (page.entries, page.looked_at) == ((), 0)


def test_a_search_of_a_hundred_resources_is_one_event_that_each_of_them_finds(store):
    access = Access(
        when=NOON,
        actor="os-user:ada",
        purpose="TREAT",
        system=OURS,
        peer=PEERS["north"],
        patient="t1",
        query=b"GET /Observation?patient=1",
        what=tuple(f"Observation/{n}" for n in range(100)),
    )
    store.append_audit([query_event(access)])
    for number in (0, 57, 99):
        [entry] = store.search_audit([Criterion("entity", (f"Observation/{number}",))]).entries
        assert entry.sequence == 1
    assert store.search_audit([Criterion("entity", ("Observation/100",))]).entries == ()


def test_nothing_of_what_is_searched_stands_in_the_index(store):
    store.append_audit(some(5, number=4711))
    with store._reading() as session:  # what a thief of the file reads
        rows = session.connection().execute(AuditPostingRow.__table__.select()).all()
    assert rows
    assert all(len(key) == 8 for key, _, _ in rows)
    assert not any(word in str(rows) for word in ("4711", "t3", "ada", "north", "TREAT"))


@pytest.fixture
def rows_of(store):
    """Change the index as somebody would who can write the database."""

    def change(statement):
        with store.transaction() as work:
            return work.session.connection().execute(statement)

    return change


def test_an_index_that_hides_an_event_is_found_and_made_anew(store, rows_of):
    store.append_audit(some(30))
    store.append_audit(some(1, twin="t9"))
    store.append_audit(some(30))
    assert store.check_index().ok
    key = store._trait_key(("patient", "t9"))
    rows_of(AuditPostingRow.__table__.delete().where(AuditPostingRow.key == key))
    assert store.search_audit([Criterion("patient", ("t9",))]).entries == ()
    assert store.check_index().hidden == 31
    store.drop_index()
    while store.index_further(most=20):
        assert [e.sequence for e in store.search_audit([Criterion("patient", ("t9",))]).entries] == [31]
    assert store.check_index().ok
    assert store.search_audit([Criterion("patient", ("t9",))]).looked_at == 1


def test_an_index_with_a_wrong_hour_is_found(store, rows_of):
    store.append_audit(some(5) + some(5, minutes=120))
    rows_of(AuditHourRow.__table__.update().where(AuditHourRow.first == 6).values(hour="2026-11-24T20"))
    assert store.check_index().hidden == 6


def test_an_index_that_names_what_is_not_so_shows_nothing_wrong_and_is_found(store, rows_of):
    store.append_audit(some(10, twin="t1"))
    [row] = pack([4])
    key = store._trait_key(("patient", "t2"))
    rows_of(AuditPostingRow.__table__.insert().values(key=key, last=row.last, runs=row.runs))
    assert store.search_audit([Criterion("patient", ("t2",))]).entries == ()
    verdict = store.check_index()
    assert (verdict.ok, verdict.hidden, verdict.invented) == (False, None, True)


def test_while_an_index_is_made_others_record_and_everything_is_found(store):
    store.append_audit(some(50, twin="t1"))
    store.drop_index(some(1, twin="t2"))
    left = store.index_further(most=10)
    store.append_audit(some(3, twin="t1"))
    assert left == 40
    page = store.search_audit([Criterion("patient", ("t1",))], EVERYTHING, limit=100)
    assert (len(page.entries), page.unindexed) == (53, 40)
    while store.index_further(most=10):
        pass
    assert store.check_index().ok
    assert store.search_audit(limit=1).unindexed == 0


def test_a_store_from_before_the_index_is_searched_at_once_and_indexed_later(store, path, reopen):
    store.append_audit(some(20))
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("audit_posting", "audit_hour"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE meta SET value = '5' WHERE name = 'schema'")
    with reopen() as again:
        page = again.search_audit([Criterion("patient", ("t3",))], Span(NOON, NOON + timedelta(hours=1)))
        assert ([e.sequence for e in page.entries], page.unindexed) == ([18, 11, 4], 20)
        again.append_audit(some(4, twin="t3"))
        assert len(again.search_audit([Criterion("patient", ("t3",))]).entries) == 7
        while again.index_further(most=7):
            pass
        assert again.check_index().ok
        assert again.search_audit([Criterion("patient", ("t3",))]).looked_at == 7
