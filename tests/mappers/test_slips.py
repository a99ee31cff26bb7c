"""A healthy value under the wrong unit: refused with a hint, flagged, or, where both readings occur, told in the docs.

`docs/units.md` has the same three lists; a new analyte with two units has to be put into one of them.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from mappers import map_resource
from mappers.analytes import ANALYTES, step_to
from mappers.codes import SYSTEM
from mappers.facts import Fact, Origin, Refusal

DOCS = Path(__file__).resolve().parents[2] / "docs" / "units.md"

# What is measured, a value that is common in health in our unit, and another unit that laboratories report it in.
COMMON = """
glucose 95 mmol/L
glucose 95 g/L
fasting-glucose 90 mmol/L
interstitial-glucose 120 mmol/L
hba1c 5.4 mmol/mol
creatinine 0.9 umol/L
urea-nitrogen 14 mmol/L
urate 5 umol/L
urate 5 mmol/L
calcium 9.4 mmol/L
calcium 9.4 meq/L
ionised-calcium 1.2 mg/dL
magnesium 2.0 mmol/L
magnesium 2.0 meq/L
phosphate 3.5 mmol/L
total-cholesterol 190 mmol/L
total-cholesterol 190 g/L
hdl-cholesterol 50 mmol/L
ldl-cholesterol 110 mmol/L
ldl-cholesterol 110 g/L
non-hdl-cholesterol 130 mmol/L
triglycerides 110 mmol/L
triglycerides 110 g/L
albumin 4.3 g/L
total-protein 7.2 g/L
bilirubin 0.7 umol/L
direct-bilirubin 0.2 umol/L
alt 25 ukat/L
ast 25 ukat/L
alkaline-phosphatase 70 ukat/L
ldh 180 ukat/L
haemoglobin 14 g/L
haemoglobin 14 mmol/L
haematocrit 42 L/L
haematocrit 42 1
leukocytes 7 /uL
platelets 250 /uL
erythrocytes 4.8 /uL
neutrophils 4 /uL
mchc 33 g/L
mchc 33 mmol/L
mch 30 fmol
crp 3 mg/dL
iron 90 umol/L
iron-binding-capacity 320 umol/L
vitamin-b12 450 pmol/L
folate 9 nmol/L
vitamin-d 30 nmol/L
fibrinogen 300 g/L
d-dimer 300 mg/L{FEU}
troponin-i 0.01 ng/L
troponin-t 0.008 ng/L
nt-probnp 80 pmol/L
ejection-fraction 60 1
oxygen-saturation 97 1
mixed-venous-saturation 70 1
end-diastolic-diameter 48 cm
end-systolic-diameter 32 cm
septum-thickness 9 cm
tapse 22 cm
aortic-peak-velocity 1.2 cm/s
systolic-pressure 120 kPa
diastolic-pressure 78 kPa
wedge-pressure 10 kPa
body-temperature 37 [degF]
body-temperature 37 K
body-weight 72 [lb_av]
body-weight 72 g
body-height 172 m
body-height 172 [in_i]
free-t4 1.2 pmol/L
free-t3 3.1 pmol/L
total-t4 8 nmol/L
total-t3 120 nmol/L
cortisol 12 nmol/L
testosterone 500 nmol/L
estradiol 100 pmol/L
progesterone 8 nmol/L
insulin 8 pmol/L
c-peptide 1.8 nmol/L
parathyrin 40 pmol/L
lactate 1.0 mg/dL
ammonia 25 ug/dL
arterial-oxygen 90 kPa
arterial-carbon-dioxide 40 kPa
inspired-oxygen 21 1
tidal-volume-setting 450 L
fev1 3.2 mL
cardiac-output 5 mL/min
systemic-vascular-resistance 1100 [wood'U]
homocysteine 9 mg/L
transferrin 260 g/L
ferritin 100 pmol/L
uacr 10 mg/mmol
estimated-average-glucose 110 mmol/L
lithium-level 0.8 mg/dL
"""
CASES = [tuple(line.split()) for line in COMMON.strip().splitlines()]


def mislabelled(name, value, rival):
    """Send the value as it reads in the other unit, under the name of our unit."""
    analyte = next(each for each in ANALYTES if each.name == name)
    step = step_to(analyte, rival, "")
    assert not isinstance(step, str), (name, rival)
    exact = (Fraction(value) - step.offset) / step.slope
    told = Decimal(exact.numerator) / Decimal(exact.denominator)
    told = told.quantize(Decimal(1).scaleb(told.adjusted() - 2))
    short, _, code = analyte.codes[0].partition("|")
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": SYSTEM[short], "code": code}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-02-03",
        "valueQuantity": {"value": told, "system": SYSTEM["ucum"], "code": analyte.unit.code},
    }
    [outcome] = map_resource(resource, "r4", Origin("north", "Observation", "1"), {})
    return outcome


def verdict(outcome):
    if isinstance(outcome, Refusal):
        return "refused"
    assert isinstance(outcome, Fact)
    return "flagged" if outcome.flags else "not seen"


def listed(heading):
    """Read one list of the document: `name` in `unit`, ..."""
    section = DOCS.read_text("utf-8").split(f"**{heading}**", 1)[1].split("\n\n", 1)[0]
    return set(re.findall(r"`([a-z0-9-]+)`\s+in\s+`([^`]+)`", section))


@pytest.mark.parametrize(("name", "value", "rival"), CASES)
def test_what_a_slip_of_the_unit_costs_is_what_the_document_says(name, value, rival):
    outcome = mislabelled(name, value, rival)
    assert (name, rival) in listed(verdict(outcome).capitalize())
    if isinstance(outcome, Refusal):
        assert outcome.reason == "implausible"
        assert "; plausible in " in outcome.said


def test_the_document_lists_nothing_else():
    told = [listed(heading) for heading in ("Refused", "Flagged", "Not seen")]
    assert set.union(*told) == {(name, rival) for name, _, rival in CASES}
    assert sum(map(len, told)) == len(CASES)


def test_the_example_of_the_issue():
    outcome = mislabelled("glucose", "99.09", "mmol/L")
    assert (outcome.reason, outcome.said) == ("implausible", "5.50 mg/dL; plausible in mmol/L, g/L")


def test_every_analyte_with_two_scales_is_among_them():
    """Moles and mass, or two scales of one thing: whoever adds one says what a slip costs."""
    known = {name for name, _, _ in CASES}
    by_moles = {
        each.name for each in ANALYTES if each.bridges.keys() & {"mass-concentration", "substance-concentration"}
    }
    assert by_moles - known <= SAME_AS


# Rows whose numbers lie as those of a row above, and levels of drugs, which begin at nought and have no healthy value.
SAME_AS = {
    "glucose-2h", "urine-glucose", "urine-creatinine", "urine-bilirubin", "calcitriol", "vitamin-d-total",
    "aldosterone", "corticotropin", "dhea-sulfate", "copper", "lead", "myoglobin", "digoxin-level", "valproate-level",
    "phenytoin-level", "carbamazepine-level", "phenobarbital-level", "theophylline-level", "acetaminophen-level",
    "ethanol-level", "salicylate-level", "vancomycin-trough", "vancomycin-level",
}  # fmt: skip
