"""Search against the FHIR specification: R4 search.html unless said otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1970-05-06", "name": [{"family": "Testa"}]}
LOINC = "http://loinc.org"


@pytest.fixture
def ward(bench, observation):
    """Three observations of two patients."""

    def make(**settings):
        other = {"coding": [{"system": "urn:local", "code": "4548-4"}]}
        vital = [{"coding": [{"system": "urn:cat", "code": "vital-signs"}]}]
        return bench(
            PATIENT,
            observation(id="a", identifier=[{"system": "urn:s", "value": "1"}], effectiveDateTime="2024-02"),
            observation(id="b", code=other, effectiveDateTime="2024-02-03T10:00:00+01:00"),
            observation(id="c", subject={"reference": "Patient/p2"}, category=vital, effectiveDateTime="2025-01-01"),
            **settings,
        )

    return make


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abc"),
        ("patient=p1", "ab"),
        ("patient=Patient/p1", "ab"),
        ("subject=Patient/p2", "c"),
        ("subject=Group/p2", ""),
        ("patient=p1,p2", "abc"),
        ("_id=a,c", "ac"),
        ("code=4548-4", "abc"),
        ("code=http://loinc.org|4548-4", "ac"),
        ("code=urn:local|", "b"),
        ("code=|4548-4", ""),
        ("identifier=urn:s|1", "a"),
        ("identifier=urn:s%7C1&patient=p1", "a"),
        ("category=vital-signs", "c"),
        ("category=vital-signs&patient=p1", ""),
        ("date=2024-02-03", "b"),
        ("date=2024", "ab"),
        ("date=ge2024-02-03", "abc"),  # 2024-02 reaches beyond the third
        ("date=gt2024", "c"),
        ("date=lt2024-02-03", "a"),
        ("date=le2024-02-03", "ab"),
        ("date=sa2024-02-03", "c"),
        ("date=eb2024-03", "ab"),
        ("date=ne2024", "c"),
        ("date=ge2024&date=lt2025", "ab"),
        ("date=2024-02-03T09:00:00Z", "b"),
        ("_sort=-_id", "cba"),
    ],
)
async def test_a_search_finds(query, found, ward):
    rows = await ward().rows(f"Observation?{query}")
    order = [row["id"] for row in rows]
    assert "".join(order if "_sort" in query else sorted(order)) == found


async def test_last_updated_is_searchable_and_sortable(bench, observation):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ticks = iter(range(100))
    table = bench(clock=lambda: start + timedelta(minutes=next(ticks)))
    for name in "xyz":
        table.ehr.load(observation(id=name))
    stamps = [held.when for held in table.ehr.store.live("Observation")]
    middle = stamps[1].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert [r["id"] for r in await table.rows(f"Observation?_lastUpdated=ge{middle}")] == ["y", "z"]
    assert [r["id"] for r in await table.rows(f"Observation?_lastUpdated=gt{middle}")] == ["z"]
    assert [r["id"] for r in await table.rows(f"Observation?_lastUpdated=lt{middle}")] == ["x"]
    assert [r["id"] for r in await table.rows("Observation?_sort=-_lastUpdated")] == ["z", "y", "x"]


async def test_words_match_at_their_start_whatever_the_case(ward):
    table = ward()
    assert len(await table.rows("Patient?family=tes")) == 1
    assert await table.rows("Patient?family=esta") == []
    assert len(await table.rows("Patient?birthdate=1970")) == 1


async def test_a_post_search_reads_its_form(ward):
    answer = await ward().http.post("Observation/_search", data={"patient": "p1"})
    assert answer.json()["total"] == 2


async def test_a_count_alone_has_no_entries(ward):
    for query in ("_summary=count", "_count=0"):
        bundle = (await ward().http.get(f"Observation?patient=p1&{query}")).json()
        assert (bundle["total"], bundle.get("entry")) == (2, None)


async def test_an_unknown_parameter_is_refused_by_a_strict_server(ward):
    answer = await ward().http.get("Observation?patient=p1&colour=red")
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_an_unknown_parameter_vanishes_from_self_where_it_is_ignored(ward):
    """search.html#conformance: the self link holds what was applied, so that a client can tell."""
    answer = await ward(unknown_parameters="ignore").http.get("Observation?patient=p1&colour=red")
    bundle = answer.json()
    assert bundle["total"] == 2
    assert [link["url"] for link in bundle["link"]] == ["http://ehr.test/fhir/Observation?patient=p1"]


async def test_prefer_decides_where_it_is_honoured(ward):
    strict = {"Prefer": "handling=strict"}
    for honours, status in ((True, 400), (False, 200)):
        table = ward(unknown_parameters="ignore", honours_prefer=honours)
        assert (await table.http.get("Observation?colour=red", headers=strict)).status_code == status


async def test_habits_of_vendors_can_be_set(ward):
    table = ward(without=frozenset({"_lastUpdated"}), required={"Observation": ("category", "code")})
    assert (await table.http.get("Observation?category=x&_lastUpdated=ge2020")).status_code == 400
    assert (await table.http.get("Observation?patient=p1")).status_code == 400
    assert (await table.http.get("Observation?patient=p1&category=vital-signs")).status_code == 200


@pytest.mark.parametrize(
    "query", ["date=yesterday", "date=xx2024", "date=2024-13", "_count=many", "_sort=code", "_summary=true"]
)
async def test_a_value_that_makes_no_sense_is_refused(query, ward):
    assert (await ward().http.get(f"Observation?{query}")).status_code == 400


async def test_what_is_not_mounted_is_not_found(ward):
    table = ward()
    for path in ("Wizard", "MedicationOrder", "Patient/p9", "Patient/p1/_history/7"):
        answer = await table.http.get(path)
        assert answer.status_code == 404
        assert answer.json()["resourceType"] == "OperationOutcome"
    assert (await table.http.patch("Patient/p1")).status_code == 405
    assert (await table.http.get("")).status_code == 400


async def test_xml_is_not_spoken(ward):
    table = ward()
    assert (await table.http.get("Patient", headers={"Accept": "application/fhir+xml"})).status_code == 406
    assert (await table.http.get("Patient?_format=xml")).status_code == 406
    assert (await table.http.get("Patient?_format=application/fhir+json")).status_code == 200


async def test_pages_tile_the_whole(ward):
    for paging in ("typed", "base"):
        table = ward(page_size=1, paging=paging)
        first = (await table.http.get("Observation")).json()
        assert (len(first["entry"]), first["total"]) == (1, 3)
        assert [row["id"] for row in await table.rows("Observation")] == ["a", "b", "c"]
        assert len(await table.rows("Observation?_count=2")) == 3


async def test_a_page_is_a_snapshot(ward, observation):
    table = ward(page_size=2)
    first = (await table.http.get("Observation")).json()
    table.ehr.load(observation(id="0"))
    table.ehr.store.remove("Observation", "a")
    second = (await table.http.get(first["link"][1]["url"])).json()
    assert [entry["resource"]["id"] for entry in second["entry"]] == ["c"]


async def test_a_next_link_expires(ward):
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    table = ward(page_size=1, page_lifetime=60.0, clock=lambda: now[0])
    [_, following] = (await table.http.get("Observation")).json()["link"]
    assert (await table.http.get(following["url"])).status_code == 200
    now[0] += timedelta(seconds=61)
    assert (await table.http.get(following["url"])).status_code == 410
    assert (await table.http.get("Observation?ct=made-up")).status_code == 410
