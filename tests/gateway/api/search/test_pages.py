"""Pages: together they are the whole, whatever is written meanwhile; and a link is of use to its caller only."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.refusal import Refusal
from gateway.api.search.question import read_question
from gateway.api.search.walk import Position, Walk
from gateway.home import Home
from tests.gateway.api.search.ward import BASE, START, Desk, Ward, caller, filled, link, observation, resources

QUERIES = [
    "Observation?patient=p1",
    "Observation?status=final",
    "Observation?code=718-7",
    "Observation?patient=p1&_sort=date",
    "Observation?_sort=-date,value-quantity",
    "Observation?_sort=-_lastUpdated",
    "Patient/p2/Observation",
]


def written(ward: Ward, n: int, what: str) -> None:
    """Write something into the ward: a change of a resource, a new one, or an end."""
    twin = f"p{n % 3 + 1}"
    name = f"{twin}-o{n % 7}"
    if what == "new":
        ward.put(observation(f"{twin}-n{n}", twin, effectiveDateTime="2025-05-05", status="final"), twin)
    elif what == "end":
        if ward.chart(twin).of_type("Observation") and ward.chart(twin).get("Observation", name):
            ward.end("Observation", name)
    else:
        code = "718-7" if n % 2 == 0 else "4548-4"
        ward.put(observation(name, twin, code=code, effectiveDateTime=f"2025-0{n % 9 + 1}-09", status="final"), twin)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(QUERIES),
    st.integers(1, 9),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["change", "change", "new", "end"])), max_size=12),
)
def test_writes_lose_and_repeat_nothing_that_stays(home: Home, query: str, count: int, writes: list[tuple[int, str]]):
    ward = filled(each=7)
    desk = Desk(ward, home)
    joint = "&" if "?" in query else "?"
    stays = set(desk.ids(f"{query}{joint}_count=1000"))
    found: list[str] = []
    for bundle in desk.pages(f"{query}{joint}_count={count}"):
        found += [each["id"] for each in resources(bundle)]
        if writes:
            written(ward, *writes.pop())
            stays &= set(desk.ids(f"{query}{joint}_count=1000"))
    assert len(found) == len(set(found))
    assert stays <= set(found)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(QUERIES), st.integers(1, 12))
def test_the_pages_together_are_the_whole(home: Home, query: str, count: int):
    desk = Desk(filled(), home)
    joint = "&" if "?" in query else "?"
    whole = desk.ids(f"{query}{joint}_count=1000")
    pages = [*desk.pages(f"{query}{joint}_count={count}")]
    assert [each["id"] for page in pages for each in resources(page)] == whole
    assert all(len(resources(page)) == count for page in pages[:-1])
    assert len(pages) == max(1, -(-len(whole) // count))


def test_what_was_loaded_at_one_instant_is_paged_by_id(home: Home):
    ward = Ward()
    ward.admit("p1")
    for n in range(25):
        ward.put(observation(f"o{n:02}", "p1"), "p1", updated=START)
    desk = Desk(ward, home)
    assert desk.ids("Observation?patient=p1&_count=4") == [f"o{n:02}" for n in range(25)]


def test_a_page_over_many_patients_may_be_short_and_goes_on(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.api.search.walk.PATIENCE", 2)
    desk = Desk(filled([f"p{n}" for n in range(1, 8)], each=2), home)
    pages = [*desk.pages("Patient?name=family5")]
    assert [each["id"] for page in pages for each in resources(page)] == ["p6"]
    assert len(pages) > 2
    assert not resources(pages[0])


@pytest.mark.parametrize("likely", [("p6",), ("p2", "p9"), ("nobody", "p4")])
@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_whom_the_index_leads_to_comes_first_and_once(home: Home, likely: tuple[str, ...], count: int):
    desk = Desk(filled([f"p{n}" for n in range(1, 10)], each=3), home)
    question = read_question("Observation", [("code", "718-7"), ("_count", str(count))], lenient=False)
    found: list[str] = []
    position: Position | None = None
    while True:
        page = Walk(desk.view(), question, BASE, START, likely=() if position else likely).page(position)
        found += [shown.id for shown in page.matches]
        if page.next is None:
            break
        position = page.next
    assert sorted(found) == sorted(desk.ids("Observation?code=718-7"))
    assert found[0].startswith(next(twin for twin in likely if twin != "nobody"))


def test_what_needs_all_of_too_many_patients_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.api.search.walk.WHOLE", 2)
    desk = Desk(filled([f"p{n}" for n in range(1, 8)], each=1), home)
    for url in ("Observation?_sort=date", "Observation?_summary=count", "Observation?_total=accurate"):
        with pytest.raises(Refusal, match="too many"):
            desk.ask(url)
    assert desk.ids("Observation?_sort=date&patient=p1") == ["p1-o0"]


def test_a_link_of_another_caller_leads_nowhere(home: Home):
    ward = filled()
    mine = Desk(ward, home, caller("user/*.rs"))
    further = link(mine.get("Observation?_count=2"), "next")
    assert len(resources(mine.get(further))) == 2
    others = [
        caller("user/*.rs", user="ben"),
        caller("user/*.rs", client="other"),
        caller("user/*.rs", patient="p1"),
        caller("user/*.rs", tenant="north"),
    ]
    for other in others:
        with pytest.raises(Refusal) as error:
            Desk(ward, home, other).ask(further)
        assert error.value.status == 404
        assert error.value.text == "There is no such page, or no longer: search anew."


def test_a_link_is_not_changed_used_elsewhere_or_added_to(home: Home):
    desk = Desk(filled(), home)
    further = link(desk.get("Observation?patient=p1&_count=2"), "next")
    token = parse_qs(urlsplit(further).query)["_page"][0]
    for url in (
        f"Patient?_page={token}",
        f"Patient/p1/Observation?_page={token}",
        f"Observation?_page={token[:-2]}AA",
        f"Observation?_page={token[10:]}",
        "Observation?_page=",
    ):
        with pytest.raises(Refusal) as error:
            desk.ask(url)
        assert error.value.status == 404
    with pytest.raises(Refusal) as error:
        desk.ask(f"{further}&patient=p2")
    assert error.value.status == 400


def test_a_link_tells_nothing_and_ends(home: Home):
    desk = Desk(filled(), home)
    further = link(desk.get("Observation?patient=p1&_count=2"), "next")
    token = parse_qs(urlsplit(further).query)["_page"][0]
    sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert not any(each in sealed for each in (b"p1-o", b"patient", b"Observation", b"_count"))
    late = desk.ward.clock + timedelta(hours=25)
    with pytest.raises(Refusal) as error:
        desk.ask(further, now=late)
    assert error.value.status == 404


def test_a_link_holds_in_another_process_of_the_same_home(home: Home):
    ward = filled()
    further = link(Desk(ward, home).get("Observation?_count=2"), "next")
    with Home.open(home.settings, create=False) as again:
        assert len(resources(Desk(ward, again).get(further))) == 2


def test_a_page_is_authorised_anew(home: Home):
    ward = filled()
    desk = Desk(ward, home)
    further = link(desk.get("Observation?patient=p1&_count=2"), "next")
    desk.consents.hidden = lambda shown: shown.id == "p1-o4"
    assert [each["id"] for each in resources(desk.get(further))] == ["p1-o3", "p1-o2"]
    desk.caller = caller("user/Patient.rs")
    with pytest.raises(Refusal) as error:
        desk.ask(further)
    assert error.value.status == 403
