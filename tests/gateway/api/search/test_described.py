"""What we say that can be searched is what can be searched; docs/search.md has the same table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.api.refusal import Refusal
from gateway.api.searching import OFFERS, SEARCH
from gateway.home import Home
from mappers.search import parameters
from tests.gateway.api.search.ward import Desk, filled

DOCS = Path(__file__).resolve().parents[4] / "docs" / "search.md"
VALUES = {
    "token": "a|b",
    "string": "a",
    "date": "2024",
    "number": "1",
    "quantity": "1",
    "reference": "Patient/1",
    "uri": "urn:a",
}


def test_all_that_is_told_is_answered_and_nothing_else(home: Home):
    desk = Desk(filled(), home)
    for type_, told in SEARCH.items():
        names = {each["name"] for each in told["searchParam"]}
        assert names == set(parameters(type_))
        for each in told["searchParam"]:
            value = VALUES.get(each["type"]) or "$".join(
                VALUES[part.type] for part in parameters(type_)[each["name"]].parts
            )
            desk.ask(f"{type_}?{each['name']}={value}&_id=x")
        for include in told["searchInclude"]:
            desk.ask(f"{type_}?_id=x&_include={include}")
        for include in told["searchRevInclude"]:
            desk.ask(f"{type_}?_id=x&_revinclude={include}")
        with pytest.raises(Refusal):
            desk.ask(f"{type_}?no-such-parameter=1")


def test_what_us_core_includes_is_told():
    assert "Provenance:target" in SEARCH["Observation"]["searchRevInclude"]
    assert "MedicationRequest:medication" in SEARCH["MedicationRequest"]["searchInclude"]
    assert {"race", "ethnicity", "gender-identity"} <= {each["name"] for each in SEARCH["Patient"]["searchParam"]}


def test_every_type_is_offered_by_url_and_by_form():
    for path in ("/{type}", "/{type}/_search"):
        [offer] = [each for each in OFFERS if each.path == path]
        assert set(offer.types) == set(SEARCH)
        assert offer.event == "search"


def test_the_documentation_has_the_parameters_of_every_type():
    text = DOCS.read_text("utf-8")
    rows = dict(re.findall(r"^\| ([A-Z]\w+) \| (.+) \|$", text, re.MULTILINE))
    for type_ in SEARCH:
        told = set(re.findall(r"`([^`]+)`", rows[type_]))
        assert told == {name for name in parameters(type_) if not name.startswith("_")}, type_
    assert set(rows) == set(SEARCH)
