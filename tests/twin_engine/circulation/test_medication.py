"""Medication compared: known answers, floors that hold, the best by counting all, plain words where there is none."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from security.errors import Misuse
from tests.twin_engine.circulation.medication_people import CONGESTED, LOW, SHOCK, WELL, known, someone
from twin_engine.circulation.drugs import drugs
from twin_engine.circulation.formulary import formulary
from twin_engine.circulation.front import non_dominated
from twin_engine.circulation.medication import ask
from twin_engine.circulation.objective import USUAL, read_objective
from twin_engine.circulation.regimen import Run, answers, neighbours, regimens, with_gains
from twin_engine.circulation.resting import Resting
from twin_engine.circulation.shortlist import order

UNLOAD = {"hydralazine", "nitrate", "ace-inhibitor", "furosemide"}
SHOCKED = {"cardiogenic-shock": True, "septic-shock": False}


@pytest.fixture(scope="module")
def congested():
    return someone(CONGESTED)


@pytest.fixture(scope="module")
def low():
    return someone(LOW)


@pytest.fixture(scope="module")
def compared(congested):
    return ask(congested, known())


def named(candidate):
    return {part.drug for part in candidate.parts}


def test_a_congested_person_is_relieved_above_the_floor(compared):
    best = compared.candidates[0]
    assert compared.verdict == "compared"
    assert named(best) <= UNLOAD
    assert best.change["wedge-pressure"].high < 0.0
    assert best.told["wedge-pressure"].median < 20.0 < compared.nothing.told["wedge-pressure"].median
    assert best.told["mean-pressure"].low > 62.0
    assert best.share >= 0.9
    assert best.better_than_nothing >= 0.9
    assert all(named(each) <= UNLOAD for each in compared.candidates)


def test_what_is_not_validated_is_named_and_never_proposed(compared):
    for name in ("nitroprusside", "beta-blocker-first"):
        [row] = [row for row in compared.left_out if row.drug == name]
        assert "not-validated" in {reason.code for reason in row.reasons}
    shown = set().union(*(named(each) for each in compared.candidates))
    assert shown <= {name for name, drug in drugs().items() if drug.validated}
    assert {row.drug for row in compared.left_out} | shown == {entry.drug for entry in formulary().entry}


def test_a_drug_that_loses_its_flag_is_proposed_no_more(congested, compared):
    without = {**drugs(), "furosemide": replace(drugs()["furosemide"], validated=False)}
    found = ask(congested, known(), only=["furosemide", "nitrate"], largest=1, table=without)
    assert {name for each in found.candidates for name in named(each)} == {"nitrate"}
    assert {name for each in compared.candidates for name in named(each)} >= {"furosemide"}


def test_nothing_on_the_front_is_beaten_by_anything_that_is_feasible(compared):
    feasible = [each for each in (compared.nothing, *compared.candidates) if each.feasible]
    assert any(each.front for each in feasible)
    assert not any(each.front for each in compared.candidates if not each.feasible)

    def weighed(each):
        doses = sum(part.dose / part.usual for part in each.parts)
        told = {**{name: interval.median for name, interval in each.told.items()}, "usual-doses": doses}
        return np.array([criterion.badness(told[criterion.quantity]) for criterion in USUAL.front])

    for one in feasible:
        beaten = any(
            (weighed(other) <= weighed(one)).all() and (weighed(other) < weighed(one)).any() for other in feasible
        )
        assert one.front != beaten


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(0, 4)))
def test_the_front_is_what_no_other_point_beats(points):
    front = non_dominated(points)
    for i, one in enumerate(points):
        beaten = any(all(a <= b for a, b in zip(other, one, strict=True)) and any(other < one) for other in points)
        assert front[i] != beaten
    assert front.any()


def test_counting_all_finds_the_same_best(congested):
    asked = ("nitrate", "furosemide")
    found = ask(congested, known(), only=asked)
    entries = [entry for entry in formulary().entry if entry.drug in asked]
    hearts = with_gains(congested, "heart-failure")
    every = answers(hearts, list(regimens(entries, 2, coarse=False)), Run.all(hearts), USUAL)
    best = min(every, key=lambda tried: order(tried, USUAL))
    assert tuple((part.drug, part.dose) for part in found.candidates[0].parts) == best.regimen
    assert found.candidates[0].cost == pytest.approx(best.expected, rel=1e-3)
    assert len(every) == 4 + 5 + 4 * 5


def test_a_step_can_be_taken_back_and_keeps_apart_what_is_not_combined():
    entries = [entry for entry in formulary().entry if entry.doses]
    class_of = {entry.drug: entry.class_ for entry in entries}
    start = (("hydralazine", 25.0), ("ace-inhibitor", 50.0))
    near = neighbours(start, entries, 3)
    assert {(("ace-inhibitor", 50.0),), (("hydralazine", 50.0), ("ace-inhibitor", 25.0))} <= set(near)
    for each in near:
        classes = [class_of[name] for name, _ in each]
        assert 1 <= len(classes) == len(set(classes)) <= 3
        assert not any(formulary().why_apart(one, other) for one in classes for other in classes)
        assert start in neighbours(each, entries, 3)
    assert all(len(each) <= 2 for each in neighbours(start, entries, 2))


def test_the_same_question_has_the_same_answer(congested):
    said: list[str] = []
    one = ask(congested, known(), only=["nitrate"], progress=said.append)
    assert one == ask(congested, known(), only=["nitrate"])
    assert said[-1].endswith("combinations compared")


def test_a_person_with_low_pressure_gets_no_drug_that_lowers_it(low):
    found = ask(low, known())
    feasible = [each for each in found.candidates if each.feasible]
    assert feasible
    assert not any(named(each) & UNLOAD for each in feasible)
    assert all(each.told["mean-pressure"].median >= 65.0 for each in feasible)
    # And were the limits of the formulary not there, the floor would still hold.
    hearts = with_gains(low, "heart-failure")
    wanted = [((name, drugs()[name].usual),) for name in ("hydralazine", "nitrate", "ace-inhibitor")]
    assert not any(tried.feasible(0.9) for tried in answers(hearts, wanted, Run.all(hearts), USUAL))


def test_in_shock_only_what_was_tested_in_shock_is_compared():
    found = ask(someone(SHOCK), known(conditions=SHOCKED))
    assert {name for each in found.candidates for name in named(each)} == {"norepinephrine"}
    assert found.verdict == "compared"
    assert found.nothing.share < 0.5 < found.candidates[0].share
    [row] = [row for row in found.left_out if row.drug == "dobutamine"]
    assert "not-tested" in {reason.code for reason in row.reasons}


def test_a_person_who_is_well_is_told_that_nothing_is_better():
    found = ask(someone(WELL), known(), largest=1)
    assert found.verdict == "none-better"
    assert "better than nothing new" in found.said
    assert found.better_than_next is None
    assert found.nothing.cost < min(each.cost for each in found.candidates if each.feasible)


def test_who_collapses_makes_a_combination_infeasible_and_no_number_is_missing(congested):
    drained = congested.hearts.copy()
    drained[:7, 5] -= 2600.0
    found = ask(replace(congested, hearts=drained), known(), only=["furosemide"], largest=1)
    assert found.verdict == "none-feasible"
    assert all(not each.feasible and each.cost is None and not each.told for each in found.candidates)
    assert all(each.collapsed == pytest.approx(7 / congested.members) for each in found.candidates)
    assert b"NaN" not in msgspec.json.encode(found)


def test_effects_of_hours_and_of_weeks_are_not_mixed(congested, compared):
    weeks = ask(congested, known(), within="weeks", only=["hydralazine", "beta-blocker-chronic", "dobutamine"])
    [row] = [row for row in weeks.left_out if row.drug == "dobutamine"]
    assert "other-scale" in {reason.code for reason in row.reasons}
    parts = {part.drug: part for each in weeks.candidates for part in each.parts}
    assert parts["beta-blocker-chronic"].scale == "weeks"
    assert "lasts for weeks" in parts["hydralazine"].measured
    assert "beta-blocker-chronic" not in set().union(*(named(each) for each in compared.candidates))


def test_what_is_added_up_and_what_is_beyond_the_groups_is_said(compared):
    for each in compared.candidates:
        said = " ".join(each.notes)
        assert ("added up" in said) == (len(each.parts) > 1)
        assert ("three together" in said) == (len(each.parts) > 2)
        assert ("above the usual dose" in said) == any(part.dose > part.usual for part in each.parts)
    assert any("never an order" in note for note in compared.notes)


def test_an_answer_becomes_json_and_comes_back(compared):
    text = msgspec.json.encode(compared)
    assert b"NaN" not in text
    assert msgspec.json.decode(text, type=type(compared)) == compared


def test_reflexes_as_in_the_groups_change_no_resting_heart_and_bring_rates_back(congested):
    asked = [(), (("hydralazine", 75.0),)]
    weak = answers(with_gains(congested, "heart-failure"), asked, Run.all(congested), USUAL)
    whole = answers(congested, asked, Run.all(congested), USUAL)
    assert weak[0].values["mean-pressure"] == pytest.approx(congested.beats[:, 3], abs=0.2)
    rise = [np.median(each[1].values["heart-rate"] - each[0].values["heart-rate"]) for each in (weak, whole)]
    low, high = drugs()["hydralazine"].published["heart-rate"]
    assert low <= rise[0] <= high < rise[1]


def test_a_declared_objective_decides(congested):
    text = """
    title = "Output alone"
    declared_by = "Dr A., ward round"
    each_drug = 0
    each_dose = 0
    [[terms]]
    quantity = "cardiac-index"
    below = 4.0
    weight = 1.0
    """
    told = read_objective(text)
    assert told.bounds == USUAL.bounds
    found = ask(congested, known(), told, only=["hydralazine", "furosemide"])
    assert named(found.candidates[0]) == {"hydralazine"}
    assert found.objective.declared_by == "Dr A., ward round"


@pytest.mark.parametrize(
    "text",
    [
        "title = 'x'",
        "title = 'x'\ndeclared_by = ' '",
        "title = 'x'\ndeclared_by = 'y'\nshare = 0.2",
        "title = 'x'\ndeclared_by = 'y'\neach_drug = nan",
        "title = 'x'\ndeclared_by = 'y'\n[[terms]]\nquantity = 'mood'\nabove = 1\nweight = 1",
        "title = 'x'\ndeclared_by = 'y'\n[[terms]]\nquantity = 'heart-rate'\nabove = 1\nbelow = 2\nweight = 1",
        "title = 'x'\ndeclared_by = 'y'\n[[terms]]\nquantity = 'heart-rate'\nweight = 1",
        "title = 'x'\ndeclared_by = 'y'\n[[bounds]]\nquantity = 'heart-rate'\nlow = 90\nhigh = 50",
        "title = 'x'\ndeclared_by = 'y'\nterms = []",
        "title = 'x'\ndeclared_by = 'y'\nwishes = 3",
        "title = ",
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(text):
    with pytest.raises(Misuse):
        read_objective(text)


def test_what_cannot_be_asked_is_refused(congested):
    with pytest.raises(Misuse):
        ask(congested, known(), largest=4)
    beats = congested.beats.copy()
    beats[0, 0] = np.nan
    with pytest.raises(Misuse):
        ask(replace(congested, beats=beats), known())
    with pytest.raises(Misuse):
        ask(Resting(*(each[:0] for each in (congested.hearts, congested.parameters, congested.beats)), 1.9), known())
