"""One element of a good resource is left out or changed: the fact stays, changes in that respect only, or is refused.

What an element may change is written down here, element by element. What is not written down may change nothing.
"""

from __future__ import annotations

import math
import warnings
from decimal import Decimal
from functools import cache

import msgspec
import pytest
from lark.exceptions import LarkError
from pint.errors import PintError

from mappers import map_resource, read_json
from mappers.facts import Fact, Origin, Refusal
from mappers.forms import Forms
from tests.mappers.generated import SCT, UCUM, places, put, without
from tests.mappers.good_resources import GLUCOSE, HL7, SAMPLES, coded, quantity

ENCODER = msgspec.json.Encoder(decimal_format="number")
MEANING = {"name", "code", "said", "text", "equivalence", "mapping"}
NUMBER = {"value", "original", "flags", "period_ms"}
TIME = {"when", "until"}
MAY_CHANGE = {
    "status": {"status"},
    "clinicalStatus": {"status", "until"},  # what is active has not ended
    "verificationStatus": {"status"},
    "adherence": {"status"},
    "code": MEANING,
    "vaccineCode": MEANING,
    "medication": MEANING,
    "medicationCodeableConcept": MEANING,
    "type": MEANING,
    "class": {*MEANING, "value"},
    "criticality": {"value"},
    "conclusion": {"value", "text"},
    "dosage": NUMBER,
    "valueQuantity": NUMBER,
    "valueSampledData": NUMBER,
    "effectiveDateTime": TIME,
    "effectivePeriod": TIME,
    "onsetDateTime": TIME,
    "abatementDateTime": TIME,
    "recordedDate": TIME,
    "dateRecorded": TIME,
    "authoredOn": TIME,
    "performedPeriod": TIME,
    "occurrenceDateTime": TIME,
    "period": TIME,
    "gender": {"value"},
    "birthDate": {*TIME, "value"},
    "deceasedDateTime": {*TIME, "value", "code"},
}
"""Of each element, what of a fact it may change; any other element changes nothing."""
SPOILT = [None, "", "zz", "entered-in-error", 7, Decimal("-1.5"), True, [], {}, ["zz"], {"zz": 1}, "2024-02-30"]


def mapped(resource, version):
    return map_resource(resource, version, Origin("north", str(resource.get("resourceType")), "1"), {})


def facts(outcomes):
    return [outcome for outcome in outcomes if isinstance(outcome, Fact)]


def changed(one, other):
    return {name for name in Fact.__struct_fields__ if getattr(one, name) != getattr(other, name)}


def allowed(path):
    inside = [step for step in path if isinstance(step, str)]
    if inside[0] == "component":
        return MAY_CHANGE.get(inside[1], set()) if len(inside) > 1 else set()
    return MAY_CHANGE.get(inside[0], set())


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_is_understood(sample):
    version, resource = SAMPLES[sample]
    assert facts(mapped(resource, version))
    assert not [outcome for outcome in mapped(resource, version) if isinstance(outcome, Refusal)]


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_element_left_out_or_spoilt_changes_its_own_respect_only_or_refuses(sample):
    version, resource = SAMPLES[sample]
    before = facts(mapped(resource, version))
    for path in places(resource):
        if not path or path == ("resourceType",):
            continue
        for mutant in [without(resource, path), *(put(resource, path, new) for new in SPOILT)]:
            outcomes = mapped(mutant, version)
            after = facts(outcomes)
            assert outcomes, path
            if not any(isinstance(outcome, Refusal) for outcome in outcomes):
                gone = {fact.code for fact in before} - {fact.code for fact in after}
                assert len(after) == len(before) or resource["resourceType"] == "Patient" or path[0] == "component", (
                    path
                )
                assert not gone or allowed(path) & {"code"} or len(after) < len(before), path
            for fact in after:
                peers = [old for old in before if old.origin.path == fact.origin.path and old.kind == fact.kind]
                peers = [old for old in peers if old.name == fact.name] or peers
                if path[0] == "component" and len(after) < len(before):
                    peers = [old for old in before if old.name == fact.name]  # the next one has moved up
                    assert changed(fact, peers[0]) <= allowed(path) | {"origin"}, path
                    continue
                assert peers, path
                assert changed(fact, peers[0]) <= allowed(path), (path, mutant.get(path[0]))


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_was_entered_in_error_is_never_a_fact(sample):
    version, resource = SAMPLES[sample]
    if resource["resourceType"] == "Patient":
        return  # it has no status; its links say what became of it
    element = "verificationStatus" if "verificationStatus" in resource else "status"
    wrong = "entered-in-error"
    if isinstance(resource[element], dict):
        wrong = coded(resource[element]["coding"][0]["system"], wrong)
    assert not facts(mapped({**resource, element: wrong}, version))


@pytest.mark.parametrize("gone", ["unit", "code", "system"])
def test_without_one_word_of_its_unit_a_number_stays_what_it_was_or_is_refused(gone):
    [before], after = facts(mapped(GLUCOSE, "r4")), mapped(without(GLUCOSE, ("valueQuantity", gone)), "r4")
    assert [outcome.value for outcome in facts(after)] in ([before.value], [])


def test_without_any_unit_a_number_is_refused():
    bare = {**GLUCOSE, "valueQuantity": {"value": Decimal("5.50")}}
    assert [outcome.reason for outcome in mapped(bare, "r4")] == ["no-unit"]


@cache
def registry():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ucumvert import PintUcumRegistry

        return PintUcumRegistry()


UNITS = [
    "mmol/L", "umol/L", "mol/L", "mg/dL", "g/L", "mg/L", "ug/mL", "kg/m3", "cg/L", "mg/mL", "ng/mL", "mg/g", "%", "1",
    "meq/L", "mmol", "mg", "dL", "U/L", "[IU]/L", "[iU]/mL", "mmol/mol", "mosm/kg", "kPa", "mm[Hg]", "Cel", "/min",
    "10*3/uL", "mg/dL{x}", "Mmol/L", "mMol/L", "MMOL/L", "mg/DL", "mg/d", "mmol/l", "MG/DL", "{score}", "[pH]", "mol",
    "mmol/kg",
]  # fmt: skip
GLUCOSE_MASS = 180.16  # g/mol, C6H12O6


def expected(code):
    """What pint says that 5.50 of a unit are in mg/dL, of glucose; `None` where that is no concentration of it."""
    try:
        told = registry().from_ucum(code).to_base_units()
        dimensions = dict(told.dimensionality)
    except (LarkError, PintError):
        return None
    if dimensions == {"[mass]": 1, "[length]": -3}:
        return 5.50 * float(told.magnitude) * 100
    if dimensions == {"[substance]": 1, "[length]": -3}:
        return 5.50 * float(told.magnitude) * GLUCOSE_MASS / 10
    return None


@pytest.mark.parametrize("told", ["code", "words", "both"])
@pytest.mark.parametrize("unit", UNITS)
def test_another_unit_is_another_value_or_a_refusal(unit, told):
    """The number never stays with another meaning: pint, which we did not write, says what it would be."""
    words = {"value": Decimal("5.50"), "unit": unit}
    code = {"value": Decimal("5.50"), "system": UCUM, "code": unit}
    value = {"code": code, "words": words, "both": {**words, **code}}[told]
    [outcome] = mapped({**GLUCOSE, "valueQuantity": value}, "r4")
    if isinstance(outcome, Fact):
        spelt = {"mMol/L": "mmol/L", "MMOL/L": "mmol/L", "MG/DL": "mg/dL"}.get(unit, unit)  # of our table, no UCUM
        assert math.isclose(float(outcome.value.value), expected(spelt), rel_tol=5e-3)
        assert outcome.value.unit == "mg/dL"
        assert outcome.original is not None or spelt == "mg/dL"
    else:
        assert outcome.reason in {"implausible", "unknown-unit", "unit-not-convertible"}


@pytest.mark.parametrize("number", ["55", "0.55", "-5.50", "5.5", "0", "550000", "1E+30"])
def test_another_number_is_that_number_or_a_refusal(number):
    [outcome] = mapped(put(GLUCOSE, ("valueQuantity", "value"), Decimal(number)), "r4")
    if isinstance(outcome, Fact):
        assert math.isclose(float(outcome.value.value), float(number) * GLUCOSE_MASS / 10, rel_tol=5e-3)
        assert outcome.original.value == Decimal(number)
    else:
        assert outcome.reason == "implausible"


def test_no_mutation_changes_the_sample_itself():
    before = msgspec.json.encode([resource for _, resource in SAMPLES.values()])
    for version, resource in SAMPLES.values():
        mapped(resource, version)
    assert msgspec.json.encode([resource for _, resource in SAMPLES.values()]) == before


@pytest.mark.parametrize("comparator", ["about", "≥", ">5", 7, True, ["<"], {}, [], {"value": "<"}])
def test_a_comparator_that_nobody_can_read_is_not_dropped(comparator):
    """Without it, "more than 5.50" would be 5.50."""
    assert [outcome.reason for outcome in mapped(put(GLUCOSE, ("valueQuantity", "comparator"), comparator), "r4")] == [
        "bad-value"
    ]


@pytest.mark.parametrize("comparator", ["<", "<=", ">=", ">"])
def test_a_comparator_changes_nothing_but_itself(comparator):
    [before], [after] = (
        facts(mapped(GLUCOSE, "r4")),
        facts(mapped(put(GLUCOSE, ("valueQuantity", "comparator"), comparator), "r4")),
    )
    assert after.value == msgspec.structs.replace(before.value, comparator=comparator)


STANDING = [
    {"coding": [{"code": "refuted"}]},
    {"text": "Refuted"},
    coded(SCT, "410516002"),
    coded("urn:oid:1.2.3", "refuted"),
    coded(f"{HL7}/condition-ver-status", "Refuted"),
    "refuted",
    7,
    ["zz"],
]


@pytest.mark.parametrize("told", STANDING)
@pytest.mark.parametrize("element", ["verificationStatus", "clinicalStatus"])
@pytest.mark.parametrize("sample", ["condition", "allergy"])
def test_a_status_that_nobody_can_read_is_not_passed_over(sample, element, told):
    """It changes the meaning: a refuted diagnosis under a code without a system would be one that holds."""
    version, resource = SAMPLES[sample]
    assert [outcome.reason for outcome in mapped({**resource, element: told}, version)] == ["status"]


def test_two_values_are_none():
    """FHIR allows one value[x]; by the order of the keys, which says nothing, each would be the one."""
    for values in ({"valueString": "5.50"}, {"valueInteger": 5}):
        for resource in ({**GLUCOSE, **values}, {**values, **GLUCOSE}):
            assert [outcome.reason for outcome in mapped(resource, "r4")] == ["bad-value"]


@pytest.mark.parametrize("quantities", [2, 3])
def test_a_list_of_several_quantities_is_not_its_first(quantities):
    [outcome] = mapped(
        {**GLUCOSE, "valueQuantity": [quantity(str(n), "mmol/L") for n in range(5, 5 + quantities)]}, "r4"
    )
    assert outcome.reason == "bad-value"


@pytest.mark.parametrize(
    "sample", [name for name, (version, _) in SAMPLES.items() if version == "r4" and name != "patient"]
)
def test_what_is_read_by_a_form_is_what_thinking_it_through_gives(sample):
    """`mappers.forms` remembers what an EHR wrote before: a mutant of what it knows must not slip through as known."""
    _, resource = SAMPLES[sample]
    forms, compared = Forms("north"), 0
    for number in range(3):  # it has to learn the form
        forms.read(ENCODER.encode({**resource, "id": str(number)}), "r4")
    for path in places(resource):
        for new in (
            [*SPOILT, Decimal("0.97"), Decimal("98.6"), Decimal("1E+3")] if path and path != ("resourceType",) else ()
        ):
            raw = ENCODER.encode(put(resource, path, new))
            filled = forms.read(raw, "r4")
            if filled is None:
                continue
            origin = Origin("north", resource["resourceType"], filled.id)
            careful = map_resource(read_json(raw), "r4", origin, {})
            assert [forgotten(o) for o in filled.outcomes()] == [forgotten(o) for o in careful], (path, new)
            compared += 1
    assert compared > 20


def forgotten(outcome):
    """Leave out the version of the resource, which another test looks at."""
    return msgspec.structs.replace(outcome, origin=msgspec.structs.replace(outcome.origin, version=""))
