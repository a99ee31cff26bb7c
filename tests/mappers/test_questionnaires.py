"""Answers of questionnaires: read like results where the question is coded, refused where it is not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mappers import map_resource
from mappers.facts import Coding, Origin, Quantity, Refusal

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
FORM = {
    "resourceType": "Questionnaire",
    "url": "http://example.org/q",
    "item": [
        {
            "linkId": "vitals",
            "item": [
                {"linkId": "1", "code": [{"system": LOINC, "code": "29463-7"}]},
                {"linkId": "2", "code": [{"system": LOINC, "code": "72166-2"}]},
                {"linkId": "3", "text": "Anything else?"},
                {"linkId": "4", "code": [{"system": LOINC, "code": "8665-2"}]},
                {"linkId": "5", "code": [{"system": LOINC, "code": "89247-1"}]},
            ],
        }
    ],
}


def mapped(*items, **changes):
    resource = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": "Patient/1"},
        "authored": "2024-05-01T10:00:00Z",
        "questionnaire": "http://example.org/q|3.1",
        "item": [{"linkId": "vitals", "item": list(items)}],
        **changes,
    }
    origin = Origin("north", "QuestionnaireResponse", "1")
    return map_resource(resource, "r4", origin, {"http://example.org/q": FORM})


def item(link, **answer):
    return {"linkId": link, "answer": [answer]}


def test_an_answer_is_a_measurement_of_what_the_question_is_coded_as():
    weight, smoking, period, score = mapped(
        item("1", valueQuantity={"value": Decimal("154"), "system": UCUM, "code": "[lb_av]"}),
        item("2", valueCoding={"system": "http://snomed.info/sct", "code": "8517006"}),
        item("4", valueDate="2024-04"),
        item("5", valueDecimal=Decimal("2.0")),
    )
    assert (weight.kind, weight.name, weight.value.unit) == ("measurement", "body-weight", "kg")
    assert weight.original == Quantity(Decimal("154"), "[lb_av]")
    assert (weight.when.text, weight.status) == ("2024-05-01T10:00:00Z", "completed")
    assert weight.origin.path == "item[0].item[0].answer[0]"
    assert (smoking.name, smoking.value) == ("smoking-status", Coding("http://snomed.info/sct", "8517006"))
    assert (period.code.code, period.value) == ("8665-2", "2024-04")
    assert (score.name, score.value.value) == ("ecog", 2)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (item("3", valueString="no"), "no-code"),
        (item("99", valueString="no"), "no-code"),
        (item("1", valueDecimal=Decimal("70.5")), "no-unit"),
        (item("1", valueInteger=70), "no-unit"),
        (item("1", valueAttachment={}), "unsupported-value"),
        (item("4", valueDate="spring"), "bad-date"),
    ],
)
def test_what_is_not_understood_costs_only_itself(told, reason):
    weight = item("1", valueQuantity={"value": 70, "system": UCUM, "code": "kg"})
    refused, fact = mapped(told, weight)
    assert isinstance(refused, Refusal)
    assert (refused.reason, fact.name) == (reason, "body-weight")


def test_a_link_of_a_form_of_loinc_is_a_code_and_that_of_any_other_is_none():
    told = item("/93025-5/72166-2", valueCoding={"system": "http://snomed.info/sct", "code": "8517006"})
    [fact] = mapped(told, questionnaire="http://loinc.org/q/93025-5")
    assert fact.name == "smoking-status"
    [refused] = mapped(told, questionnaire="http://example.org/other")
    assert refused.reason == "no-code"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "in-progress"}, "status"),
        ({"authored": None}, "no-time"),
        ({"authored": "2024-05-01T10:00"}, "bad-date"),
        ({"item": []}, "no-value"),
    ],
)
def test_answers_that_do_not_hold_are_refused(change, reason):
    [refused] = mapped(item("1", valueInteger=1), **change)
    assert refused.reason == reason
