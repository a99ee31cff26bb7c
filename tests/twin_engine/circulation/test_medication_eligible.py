"""Which drugs may be compared: every reason is named, and what is not known is not taken for normal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from security.errors import Misuse, UnknownName
from tests.twin_engine.circulation.medication_people import known
from twin_engine.circulation.combined import page, pairs, sums
from twin_engine.circulation.drugs import drugs
from twin_engine.circulation.eligible import Known, kind_of, sort_drugs
from twin_engine.circulation.formulary import formulary
from twin_engine.circulation.heart import at_rest
from twin_engine.circulation.resting import Resting
from twin_engine.circulation.studies import heart_of, studies


@pytest.fixture(scope="module")
def resting():
    """A group as if it were a person, with a pressure that all drugs of heart failure may be given at."""
    hearts, parameters, beats = at_rest(np.tile(heart_of("kukin-1999"), (4, 1)))
    return Resting(hearts, parameters, beats, 1.9)


# Limits are tried on drugs whatever the evidence says of them.
TABLE = {**drugs(), "ace-inhibitor": replace(drugs()["ace-inhibitor"], validated=True)}


def reasons(resting, told, name, **asked):
    found = sort_drugs(resting, told, TABLE, **({"within": "hours", "share": 0.9} | asked))
    return {reason.code: reason for row in found.left_out if row.drug == name for reason in row.reasons}


def test_potassium_decides(resting):
    assert not reasons(resting, known(), "ace-inhibitor")
    for name in ("ace-inhibitor", "mineralocorticoid-antagonist"):
        assert reasons(resting, known(potassium=5.8), name)["outside"].said.startswith("potassium at most 5 mmol/L")
        assert "not known" in reasons(resting, known(potassium=None), name)["not-known"].said
    assert set(reasons(resting, known(), "mineralocorticoid-antagonist")) == {"not-modelled"}
    assert "outside" in reasons(resting, known(potassium=3.1), "furosemide")


def test_kidney_function_decides_as_told_or_from_creatinine(resting):
    assert "outside" in reasons(resting, known(egfr=24.0), "ace-inhibitor")
    assert "not-known" in reasons(resting, known(egfr=None), "ace-inhibitor")
    failing = known(egfr=None, creatinine=3.2, age=70.0, female=True)
    assert "outside" in reasons(resting, failing, "ace-inhibitor")
    # National Kidney Foundation's calculator of CKD-EPI 2021: a man of 60 years with 1.0 mg/dL has 86.
    assert Known(creatinine=1.0, age=60.0, female=False).filtration == pytest.approx(86.0, abs=0.6)
    assert Known(creatinine=1.0, age=60.0).filtration is None


def test_what_is_taken_is_not_given_again_nor_what_does_not_go_with_it(resting):
    assert "already-taken" in reasons(resting, known(taken=("ace-inhibitor",)), "ace-inhibitor")
    assert "angioedema" in reasons(resting, known(taken=("neprilysin-inhibitor",)), "ace-inhibitor")["apart"].said
    assert "apart" in reasons(resting, known(taken=("phosphodiesterase-5-inhibitor",)), "nitrate")
    assert "apart" in reasons(resting, known(taken=("beta-blocker",)), "dobutamine")
    found = sort_drugs(resting, known(taken=None), drugs(), within="hours", share=0.9)
    assert found.compared == ()
    assert all("not known which drugs are taken" in str(row.reasons) for row in found.left_out)


def test_a_condition_has_to_be_known_to_be_absent(resting):
    told = known(assume_absent=False, conditions={"heart-failure": True, "cardiogenic-shock": False})
    assert "not-known" in reasons(resting, told, "furosemide")
    there = known(conditions={"heart-failure": True, "angioedema": True})
    assert reasons(resting, there, "ace-inhibitor")["present"].said == "angioedema: there"
    assumed = sort_drugs(resting, known(), TABLE, within="hours", share=0.9).assumed
    assert {"angioedema", "cardiogenic-shock"} <= set(assumed)
    assert "heart-failure" not in assumed


def test_a_drug_is_compared_only_in_people_like_those_it_was_tested_in(resting):
    assert kind_of(known()) == "heart-failure"
    assert kind_of(known(assume_absent=False)) is None
    assert "not-known" in reasons(resting, known(assume_absent=False), "furosemide")
    assert "not-tested" in reasons(resting, known(conditions={"heart-failure": False}), "furosemide")
    assert "not-tested" in reasons(resting, known(), "norepinephrine")
    hearts, parameters, beats = at_rest(heart_of("septic-21")[None])
    preserved = reasons(Resting(hearts, parameters, beats, 1.9), known(), "furosemide")
    assert preserved["outside"].said.startswith("ejection fraction at most 40 %")


def test_a_limit_on_the_circulation_asks_for_the_declared_share_of_the_members(resting):
    pressure = resting.beats.copy()
    pressure[0, 1] = 85.0
    torn = Resting(resting.hearts, resting.parameters, pressure, 1.9)
    assert reasons(torn, known(), "ace-inhibitor")["outside"].said.endswith("75 % of the members")
    assert not reasons(torn, known(), "ace-inhibitor", share=0.75)


@pytest.mark.parametrize(
    "changes",
    [
        {"potassium": 58.0},
        {"potassium": float("nan")},
        {"egfr": -1.0},
        {"taken": ("ace-inhibitors",)},
        {"conditions": {"angio-oedema": False}},
    ],
)
def test_what_is_not_believed_or_not_known_by_name_is_refused(resting, changes):
    with pytest.raises(Misuse):
        sort_drugs(resting, known(**changes), drugs(), within="hours", share=0.9)


def test_a_drug_nobody_knows_cannot_be_asked_for(resting):
    with pytest.raises(UnknownName):
        sort_drugs(resting, known(), drugs(), within="hours", share=0.9, only=["placebo"])


def test_every_drug_has_its_row_and_doses_that_exist():
    rows = {entry.drug: entry for entry in formulary().entry}
    assert set(drugs()) <= set(rows)
    for name, drug in drugs().items():
        doses = rows[name].doses
        assert drug.usual in doses
        assert list(doses) == sorted(set(doses))
        assert 0.0 < doses[0] <= doses[-1] <= drug.largest
        assert {studies()[study].kind for study in drug.tested} <= set(formulary().kinds)
    assert all(not rows[name].doses and rows[name].title for name in set(rows) - set(drugs()))


def test_drugs_added_up_miss_what_the_table_says_they_miss():
    for pair in pairs():
        assert {each.published.name for each in sums(pair) if not each.inside} == set(pair.fails), pair.title
    counted = [each.inside for pair in pairs() for each in sums(pair)]
    assert (len(counted) - sum(counted), len(counted)) == (5, 12)  # as candidate.py says to whoever reads


def test_the_page_says_what_the_tables_say_now():
    text = (Path(__file__).resolve().parents[3] / "docs" / "circulation-medication.md").read_text(encoding="utf-8")
    assert text == page(text), "run: python benchmarks/circulation_medication.py --page"
