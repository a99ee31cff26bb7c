"""Asking: what a page says, what is refused and in which words, what is shown of a resource, what comes along."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from gateway.api.refusal import Refusal
from gateway.home import Home
from tests.gateway.api.search.ward import BASE, Desk, Ward, caller, filled, link, observation, resources


@pytest.fixture
def desk(home: Home) -> Desk:
    return Desk(filled(), home)


def refused(desk: Desk, url: str, **how: str) -> Refusal:
    with pytest.raises(Refusal) as error:
        desk.ask(url, **how)
    return error.value


def test_a_page_is_a_searchset_with_its_resources_as_they_are(desk: Desk):
    reply = desk.ask("Observation?patient=p1&_count=3")
    assert isinstance(reply.body, bytes)
    bundle = json.loads(reply.body)
    assert bundle["resourceType"] == "Bundle"
    assert bundle["type"] == "searchset"
    assert bundle["total"] == 7
    assert [each["search"]["mode"] for each in bundle["entry"]] == ["match"] * 3
    assert bundle["entry"][0]["fullUrl"] == f"{BASE}/Observation/{bundle['entry'][0]['resource']['id']}"
    assert link(bundle, "self") == f"{BASE}/Observation?patient=p1&_count=3"
    assert link(bundle, "next")
    assert reply.found == {"p1": [f"Observation/{each['id']}" for each in resources(bundle)]}
    assert desk.ward.chart("p1").of_type("Observation")[0].raw in reply.body


def test_nothing_found_is_an_empty_page(desk: Desk):
    reply = desk.ask("Observation?patient=p1&code=nothing")
    bundle = json.loads(reply.body or b"")
    assert bundle["total"] == 0
    assert "entry" not in bundle
    assert reply.patient == "p1"
    assert not reply.found


def test_the_first_page_is_newest_first(desk: Desk):
    found = desk.get("Observation?patient=p2")
    stamps = [each["meta"]["lastUpdated"] for each in resources(found)]
    assert stamps == sorted(stamps, reverse=True)


def test_an_unknown_parameter_is_refused_by_its_name_and_not_its_value(desk: Desk):
    for how in ({}, {"prefer": "strict"}):
        told = refused(desk, "Observation?patient=p1&colour=secret-value", **how)
        assert told.status == 400
        assert told.code == "not-supported"
        assert "colour" in told.text
        assert "secret" not in told.text
    strange = refused(desk, f"Observation?{quote('a b<script>')}=1")
    assert "script" not in strange.text


def test_lenient_leaves_it_out_and_the_self_link_shows_that(desk: Desk):
    bundle = desk.get(
        "Observation?patient=p1&colour=red&_sort=colour&_include=Observation:colour&_filter=x", prefer="lenient"
    )
    assert link(bundle, "self") == f"{BASE}/Observation?patient=p1"
    assert bundle["total"] == 7


@pytest.mark.parametrize(
    "asked",
    [
        "code:in=x", "code:above=x", "date=yesterday", "name:exact=x", "subject:Practitioner=x",
        "value-quantity=a", "_count=many", "_count=-1", "_summary=some", "_total=all", "_elements=code,",
        "_elements=no spaces", "_sort=code-value-quantity", "_sort=", "_count=1&_count=2",
        "_include=Patient:organization", "_include=Observation", "_include=Observation:subject:Practitioner",
        "_revinclude=*", "_summary=text&_include=Observation:subject", "_elements=code&_summary=true",
        "_has:Provenance:target=1", "_has:Provenance:agentx:recorded=2024", "subject.colour=red",
        "code.text=a", "subject:Practitioner.name=a", "focus.name=a", "subject=a b",
        "patient.general-practitioner.organization.partof.name=a", "_contained=true",
        "_containedType=container", "_text=a", "_content=a", "_list=1", "_query=q", "_filter=a",
        "_id=" + "a" * 2000, "_id=" + ",".join(["a"] * 501), "&".join(f"code={n}" for n in range(70)),
        "_sort=" + ",".join(["date"] * 6), "_page=abc", "_page=" + "A" * 20000, "code=", "_since=2024",
        "_type=Patient", "near=1", "phonetic=x",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(desk: Desk, asked: str):
    told = refused(desk, f"Observation?{asked}")
    assert told.status == (404 if asked.startswith("_page") else 400)
    assert told.outcome()["issue"][0]["severity"] == "error"


@pytest.mark.parametrize(
    "asked",
    ["subject.colour=red", "_has:Provenance:colour:recorded=2024", "_has:Provenance:target:colour=red", "a.b=c"],
)
def test_what_a_chain_ends_in_is_a_parameter_or_left_out(desk: Desk, asked: str):
    assert refused(desk, f"Observation?{asked}").status == 400
    assert link(desk.get(f"Observation?patient=p1&{asked}", prefer="lenient"), "self").endswith("?patient=p1")


def test_a_long_chain_is_refused_at_once(desk: Desk):
    long = ".".join(["patient", *["link:Patient"] * 200, "name"])
    assert refused(desk, f"Observation?{long}=a").code == "too-costly"
    assert refused(desk, f"Observation?{long}=a", prefer="lenient").code == "too-costly"


@pytest.mark.parametrize(
    "asked", ["code:in=x", "date=yesterday", "_count=many", "subject:Practitioner=x", "_summary=some"]
)
def test_lenient_does_not_answer_another_question(desk: Desk, asked: str):
    assert refused(desk, f"Observation?{asked}", prefer="lenient").status == 400


def test_a_posted_form_adds_to_the_url(desk: Desk):
    posted = desk.get("Observation/_search?code=718-7", form="patient=p1&_count=1")
    assert link(posted, "self") == f"{BASE}/Observation?code=718-7&patient=p1&_count=1"
    assert posted["total"] == 4
    second = desk.get(link(posted, "next"))
    assert link(second, "first") == link(posted, "self")
    assert resources(second)[0]["id"] != resources(posted)[0]["id"]


def test_the_compartment_of_a_patient_is_searched(desk: Desk):
    assert desk.ids("Patient/p1/Observation?code=718-7&_count=2") == ["p1-o6", "p1-o4", "p1-o2", "p1-o0"]
    assert desk.ids("Patient/nobody/Observation") == []
    assert desk.ids("Patient/p1/Observation/_search", form="_id=p1-o3,p2-o3") == ["p1-o3"]
    assert desk.ids("Patient/p1/Observation?patient=p2") == []


def test_counting_shows_nobody(desk: Desk):
    for asked in ("_summary=count", "_count=0"):
        reply = desk.ask(f"Observation?code=718-7&{asked}")
        bundle = json.loads(reply.body or b"")
        assert bundle["total"] == 12
        assert "entry" not in bundle
        assert not reply.found


def test_the_total_is_told_where_it_is_known_or_asked_for(desk: Desk):
    assert "total" not in desk.get("Observation?_count=2")
    assert desk.get("Observation?_count=2&_total=accurate")["total"] == 21
    assert desk.get("Observation?_count=50")["total"] == 21
    assert "total" not in desk.get("Observation?patient=p1&_total=none")


def test_a_part_of_a_resource_is_tagged_as_a_part(desk: Desk):
    chosen = resources(desk.get("Observation?patient=p1&_elements=subject&_count=1"))[0]
    assert set(chosen) == {"resourceType", "id", "meta", "status", "code", "subject"}
    assert chosen["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert set(resources(desk.get("Patient?_id=p1&_summary=text"))[0]) == {"resourceType", "id", "meta", "active"} - {
        "active"
    }
    assert "name" in resources(desk.get("Patient?_id=p1&_summary=true"))[0]
    assert "text" not in resources(desk.get("Patient?_id=p1&_summary=data"))[0]
    assert "meta" in resources(desk.get("Patient?_id=p1&_summary=false"))[0]


def test_a_part_keeps_the_digits(home: Home):
    ward = Ward()
    ward.admit("p1")
    shown = ward.put(observation("o1", "p1", valueQuantity={"value": 7.1}), "p1")
    object.__setattr__(shown, "raw", shown.raw.replace(b"7.1", b"7.10"))
    body = Desk(ward, home).ask("Observation?_id=o1&_elements=value").body
    assert isinstance(body, bytes)
    assert b'"value":7.10' in body


def test_what_is_referred_to_comes_along_once(desk: Desk):
    bundle = desk.get("Observation?patient=p1&_count=3&_include=Observation:patient&_include=Observation:performer")
    assert sorted(each["id"] for each in resources(bundle, "include")) == ["dr", "p1"]
    only = desk.get("Observation?patient=p1&_include=Observation:performer:Organization")
    assert not resources(only, "include")
    every = desk.get("Observation?patient=p1&_count=1&_include=*")
    assert {each["id"] for each in resources(every, "include")} == {"dr", "p1"}


def test_who_refers_comes_along(desk: Desk):
    bundle = desk.get("Observation?patient=p1&_count=2&_revinclude=Provenance:target")
    assert [each["id"] for each in resources(bundle, "include")] == ["p1-o6-v", "p1-o5-v"]
    again = desk.get("Observation?_id=p1-o1&_revinclude=Provenance:target&_include:iterate=Provenance:agent")
    assert [each["id"] for each in resources(again, "include")] == ["p1-o1-v", "dr"]
    once = desk.get("Observation?_id=p1-o1&_revinclude=Provenance:target&_include=Observation:patient")
    assert {each["id"] for each in resources(once, "include")} == {"p1-o1-v", "p1"}


def test_chains_and_has(desk: Desk):
    assert len(desk.ids("Observation?patient.name=family1")) == 7
    assert len(desk.ids("Observation?subject:Patient.birthdate=1950&code=718-7")) == 4
    assert len(desk.ids("Observation?performer:Practitioner.family=muller")) == 21
    assert len(desk.ids("Provenance?target:Observation.patient.name=family2")) == 7
    assert desk.ids("Patient?_has:Observation:patient:value-quantity=11&name=family1") == ["p2"]
    assert desk.ids("Practitioner?_has:Observation:performer:patient.name=family1") == ["dr"]
    assert desk.ids("Practitioner?_has:Observation:performer:code=nothing") == []
    assert desk.ids("Patient?_has:Observation:patient:_has:Provenance:target:recorded=2025&_id=p3") == ["p3"]


@pytest.mark.parametrize(
    "url",
    [
        "Observation?patient.name=a",
        "Observation?subject:Patient.name=a",
        "Observation?_has:Provenance:target:recorded=2024",
        "Observation?patient._has:Condition:patient:code=1",
        "Observation?performer:Practitioner.name=a",
    ],
)
def test_a_type_that_the_token_is_not_about_is_not_searched_through(home: Home, url: str):
    desk = Desk(filled(), home, caller("user/Observation.rs"))
    assert refused(desk, url).status == 403


def test_a_type_that_the_token_is_not_about_does_not_come_along(home: Home):
    desk = Desk(filled(), home, caller("user/Observation.rs"))
    bundle = desk.get("Observation?patient=p1&_include=*&_revinclude=Provenance:target")
    assert len(resources(bundle)) == 7
    assert not resources(bundle, "include")
    assert refused(desk, "Patient").status == 403
    assert refused(desk, "Patient?_summary=count").status == 403


def test_a_search_by_patient_opens_one_twin(home: Home):
    desk = Desk(filled(), home)
    opened: list[str] = []
    chart = desk.ward.chart

    def counted(twin: str):
        opened.append(twin)
        return chart(twin)

    desk.ward.chart = counted  # type: ignore[method-assign]
    for url in ("Observation?patient=p2", "Observation?subject=Patient/p2", "Patient?_id=p2", "Patient/p2/Observation",
                "Observation?patient=p2&_sort=-date", "Observation?subject:Patient=p2"):  # fmt: skip
        opened.clear()
        assert desk.ids(url)
        assert set(opened) == {"p2"}, url
    own = Desk(desk.ward, home, caller("patient/*.rs", patient="p3"))
    opened.clear()
    assert len(own.ids("Observation")) == 7
    assert set(opened) == {"p3"}


def test_sorting_by_several_keys_and_what_is_missing_comes_last(home: Home):
    ward = Ward()
    ward.admit("p1")
    for name, day, value in (("a", "2024-01-02", 1), ("b", "2024-01-01", 2), ("c", None, 3), ("d", "2024-01-02", 0)):
        when = {"effectiveDateTime": day} if day else {}
        ward.put(observation(name, "p1", valueQuantity={"value": value}, **when), "p1")
    desk = Desk(ward, home)
    assert desk.ids("Observation?_sort=date,value-quantity") == ["b", "d", "a", "c"]
    assert desk.ids("Observation?_sort=-date,value-quantity") == ["d", "a", "b", "c"]
    assert desk.ids("Observation?_sort=-value-quantity&_count=1") == ["c", "b", "a", "d"]
    assert desk.ids("Observation?_sort=_id&_count=2") == ["a", "b", "c", "d"]
    assert desk.ids("Observation?_sort=-_lastUpdated&_count=3") == ["d", "c", "b", "a"]
