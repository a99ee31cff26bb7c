"""Laws of searching, for any record: and, or, not, missing, prefixes; and no value that takes long or breaks it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers.search import SEARCHED, Unsearchable, compile_query, matches, parameters
from mappers.search.texts import folded
from tests.gateway.api.search.people import WHEN, Records

RECORDS = [each for seed in (1, 2) for each in Records(seed, 3).everything()]
DATES = [each for each in RECORDS if each["resourceType"] in ("Observation", "Condition", "Encounter", "Patient")]
BY_DATE = {"Observation": "date", "Condition": "recorded-date", "Encounter": "date", "Patient": "birthdate"}


def says(query: str, record: dict[str, Any]) -> bool:
    return matches(record["resourceType"], query, record)


@given(st.sampled_from(DATES), st.sampled_from(WHEN))
def test_the_prefixes_of_dates_fit_together(record: dict[str, Any], when: str):
    name = BY_DATE[record["resourceType"]]
    p = {
        each: says(f"{name}={each}{quote(when)}", record)
        for each in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
    }
    if says(f"{name}:missing=true", record):
        assert not any(p.values())
        return
    assert p["ne"] is not p["eq"]
    assert p["ge"] is (p["gt"] or p["eq"])
    assert p["le"] is (p["lt"] or p["eq"])
    assert p["gt"] or p["lt"] or p["eq"]
    assert not p["sa"] or p["gt"]
    assert not p["eb"] or p["lt"]
    assert not (p["sa"] and p["eb"])
    assert p["ap"] is not (p["sa"] or p["eb"])  # without a clock: whether the spans overlap
    assert not p["eq"] or p["ap"]


@given(st.floats(-1e6, 1e6), st.decimals(-1000, 1000, places=2))
def test_the_prefixes_of_numbers_fit_together(value: float, asked: Any):
    record = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": value}]}
    p = {each: says(f"probability={each}{asked}", record) for each in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")}
    assert p["ne"] is not p["eq"]
    assert p["gt"] is p["sa"] is not p["le"]
    assert p["lt"] is p["eb"] is not p["ge"]


QUERIES = [
    *("status=final", "code=718-7", "code:not=718-7", "date=ge2024-02", "value-quantity=gt5", "performer:missing=true"),
    *("category=laboratory", "value-string=n", "combo-code=8480-6", "component-code-value-quantity=8480-6$ge120"),
]
OBSERVATIONS = [each for each in RECORDS if each["resourceType"] == "Observation"]


@given(st.sampled_from(OBSERVATIONS), st.sampled_from(QUERIES), st.sampled_from(QUERIES))
def test_repeating_is_and(record: dict[str, Any], one: str, other: str):
    assert says(f"{one}&{other}", record) is (says(one, record) and says(other, record))


@given(
    st.sampled_from(OBSERVATIONS),
    st.sampled_from(["718-7", "4548-4", "http://loinc.org|"]),
    st.sampled_from(["38341003", "x"]),
)
def test_a_comma_is_or_and_not_is_the_rest(record: dict[str, Any], one: str, other: str):
    either = says(f"code={one},{other}", record)
    assert either is (says(f"code={one}", record) or says(f"code={other}", record))
    assert says(f"code:not={one},{other}", record) is not either


@given(st.sampled_from(RECORDS), st.data())
def test_missing_is_one_or_the_other_and_never_found(record: dict[str, Any], data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(parameters(record["resourceType"]))))
    assert says(f"{name}:missing=true", record) is not says(f"{name}:missing=false", record)


@given(st.text(max_size=40))
def test_folding_folds_once(text: str):
    assert folded(folded(text)) == folded(text)


json_ = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WHEN),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "code",
                    "coding",
                    "system",
                    "value",
                    "start",
                    "end",
                    "reference",
                    "low",
                    "unit",
                    "event",
                    "repeat",
                    "family",
                    "identifier",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(SEARCHED)), st.data())
def test_a_record_of_any_shape_breaks_no_search(type_: str, data: st.DataObject):
    parameter = data.draw(st.sampled_from(sorted(parameters(type_).values(), key=lambda each: each.name)))
    value = {
        "token": "a|b",
        "string": "a",
        "date": "ge2024",
        "number": "1",
        "quantity": "1|http://unitsofmeasure.org|mg",
        "reference": "Patient/1",
        "uri": "urn:a",
    }.get(parameter.type)
    keys = [
        "code",
        "value",
        "valueQuantity",
        "component",
        "subject",
        "patient",
        "period",
        "name",
        "identifier",
        "meta",
        "effectiveDateTime",
        "effectivePeriod",
        "effectiveTiming",
        "extension",
        "target",
        "prediction",
        "status",
        "date",
    ]
    record = {"resourceType": type_, **data.draw(st.dictionaries(st.sampled_from(keys), json_, max_size=4))}
    for query in ([f"{parameter.name}={quote(value)}"] if value else []) + [f"{parameter.name}:missing=true"]:
        assert matches(type_, query, record) in (True, False)


@given(st.sampled_from(["Observation", "Patient", "RiskAssessment"]), st.data(), st.text(max_size=60))
def test_a_value_of_any_kind_is_read_or_refused(type_: str, data: st.DataObject, value: str):
    name = data.draw(st.sampled_from(sorted(parameters(type_))))
    modifier = data.draw(
        st.sampled_from(
            ["", ":not", ":exact", ":contains", ":text", ":missing", ":below", ":Patient", ":identifier", ":of-type"]
        )
    )
    try:
        test = compile_query(type_, f"{name}{modifier}={quote(value)}", now=datetime(2026, 1, 1, tzinfo=UTC))
    except Unsearchable as error:
        said = str(error)
        assert len(value) < 4 or value not in said
        return
    for record in RECORDS:
        if record["resourceType"] == type_:
            assert test(record) in (True, False)


LONG = 10_000


@pytest.mark.parametrize(
    "name", ["code", "date", "value-quantity", "subject", "value-string", "code-value-quantity", "_profile"]
)
@pytest.mark.parametrize(
    "value",
    [
        "a" * LONG,
        "," * LONG,
        "\\" * LONG,
        "$" * LONG,
        "|" * LONG,
        "9" * LONG,
        "1e" + "9" * LONG,
        "(a+)+$" * (LONG // 6),
        "a," * (LONG // 2),
        "' OR 1=1 --" * (LONG // 11),
        "%" * LONG,
        "ge" * (LONG // 2),
        "2024-01-01T00:00:00." + "0" * LONG,
    ],
)
def test_ten_kilobytes_are_read_or_refused_at_once(name: str, value: str):
    query = f"{name}={quote(value)}"
    begun = time.process_time()
    try:
        test = compile_query("Observation", query)
        for record in OBSERVATIONS[:3]:
            test(record)
    except Unsearchable:
        pass
    assert time.process_time() - begun < 0.05  # a tenth of it where the machine is idle
