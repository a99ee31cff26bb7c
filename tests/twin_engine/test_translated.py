"""A model takes a translated code for no more than it is."""

from __future__ import annotations

from datetime import UTC, datetime

from mappers import map_resource
from mappers.codes import SYSTEM, Codes
from mappers.facts import Coding, Fact, Origin
from mappers.translations import Row, Translations
from twin_engine.answer import Found, Lack
from twin_engine.model import Need
from twin_engine.profile import Profile

AT = datetime(2024, 6, 1, tzinfo=UTC)
DIABETES = Need("diabetes", "Diabetes", "1", "problem", bounds=(0, 1), why="It has to be known.")


def diagnosed(relation) -> Fact:
    local = Coding("urn:oid:1.2.3", "DM2", "Zucker")
    row = Row(local, Coding(SYSTEM["sct"], "44054006"), relation, "the catalogue", "codes/lab.toml")
    resource = {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/p"},
        "onsetDateTime": "2010",
        "clinicalStatus": {"coding": [{"system": SYSTEM["condition-clinical"], "code": "active"}]},
        "code": {"coding": [{"system": local.system, "code": local.code, "display": local.display}]},
    }
    [fact] = map_resource(resource, "r4", Origin("ward", "Condition", "1"), {}, Codes(Translations((row,))))
    assert isinstance(fact, Fact)
    return fact


def asked(*relations, **how):
    return Profile([diagnosed(each) for each in relations], AT, frozenset({"condition"}), **how).find(DIABETES)


def test_an_equal_code_answers():
    answer = asked("equal")
    assert isinstance(answer, Found)
    assert (answer.value, answer.assumption) == (1.0, "")


def test_a_wider_code_answers_and_the_answer_says_so():
    answer = asked("wider")
    assert isinstance(answer, Found)
    assert answer.value == 1.0
    assert "more general than the source's own code (Zucker)" in answer.assumption


def test_a_narrower_code_neither_answers_yes_nor_lets_a_no_stand():
    for how in ({}, {"assume_absent": True}):
        answer = asked("narrower", **how)
        assert isinstance(answer, Lack)
        assert answer.why == "unknown-answer"
    none = Profile([], AT, frozenset({"condition"})).find(DIABETES)
    assert isinstance(none, Found)
    assert none.value == 0.0


def test_of_several_the_one_that_says_it_counts():
    answer = asked("narrower", "equal")
    assert isinstance(answer, Found)
    assert answer.value == 1.0
