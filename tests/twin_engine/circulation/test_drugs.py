"""Drugs against published groups: what is claimed passes, and what is known to fail fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twin_engine.circulation.body import INDEX, adult
from twin_engine.circulation.drugs import CHANGES, audit, drugs, effect, under
from twin_engine.circulation.evidence import page, passes
from twin_engine.circulation.heart import TOLD, at_rest
from twin_engine.circulation.studies import heart_of, studies

# What lies outside its published range, by drug and group: stated in docs/circulation.md.
KNOWN = {
    ("nitroprusside", "mullens-2008"): {"wedge-pressure-percent"},
    ("ace-inhibitor", "akhtar-1975"): {"wedge-pressure-percent"},
    ("beta-blocker-first", "kukin-1999"): {"ejection-fraction"},
    ("beta-blocker-first", "iskandrian-1986"): {"ejection-fraction"},
    ("beta-blocker-first", "akhtar-1975"): {"ejection-fraction"},
    ("beta-blocker-first", "monrad-1986"): {"ejection-fraction"},
}
CASES = [(name, study) for name, drug in drugs().items() for study in (drug.fitted, *drug.tested)]


@pytest.mark.parametrize(("name", "study"), CASES)
def test_each_change_is_inside_its_published_range_or_known_to_be_outside(name, study):
    outside = {finding.change for finding in audit(drugs()[name], study) if not finding.inside}
    assert outside == KNOWN.get((name, study), set())


def test_eight_drugs_pass_on_every_group_they_were_not_fitted_to():
    failing = {name for name, study in KNOWN if study in drugs()[name].tested}
    assert failing == {"nitroprusside", "ace-inhibitor", "beta-blocker-first"}
    assert len(drugs()) - len(failing) == 8


def test_no_group_is_both_fitted_and_tested_and_all_are_known():
    for drug in drugs().values():
        assert drug.tested
        assert drug.fitted not in drug.tested
        assert {drug.fitted, *drug.tested} <= set(studies())
        assert set(drug.published) | set(drug.aims) <= set(CHANGES)
        assert set(drug.steps) == set(drug.free)
        for symbol in set(drug.free) - {"volume", "Ees"}:
            assert symbol in INDEX


@pytest.mark.parametrize("name", [name for name, study in studies().items() if study.kind != "cardiogenic-shock"])
def test_a_group_s_heart_tells_what_its_paper_tells(name):
    beats = at_rest(heart_of(name)[None])[2][0]
    near = {"heart-rate": 2.0, "mean-pressure": 2.0, "cardiac-output": 0.4, "wedge-pressure": 1.0}
    for quantity, value in studies()[name].told.items():
        assert beats[list(TOLD).index(quantity)] == pytest.approx(value, abs=near.get(quantity, 7.0)), quantity


def test_the_effect_of_a_dose_saturates():
    drug = drugs()["dobutamine"]
    assert effect(drug, np.array([0.0, drug.usual, 1e9])) == pytest.approx([0.0, 1.0, 2.0])
    assert effect(drug, -1.0) == 0.0


def test_drugs_add_up_on_the_scale_of_their_steps():
    one = np.tile(adult(), (1, 1))
    both = under(one, {"dobutamine": 1.0, "nitroprusside": 1.0})
    after = under(under(one, {"nitroprusside": 1.0}), {"dobutamine": 1.0})
    assert both == pytest.approx(after)
    assert under(one, {"dobutamine": 0.0}) == pytest.approx(one)


def test_the_page_says_what_the_model_does_now():
    path = Path(__file__).resolve().parents[3] / "docs" / "circulation-drugs.md"
    text = path.read_text(encoding="utf-8")
    assert text == page(text), "run: python benchmarks/circulation_drugs.py --page"


@pytest.mark.parametrize("name", drugs())
def test_what_is_called_validated_passes_and_what_is_not_does_not(name):
    assert drugs()[name].validated == passes(drugs()[name])
