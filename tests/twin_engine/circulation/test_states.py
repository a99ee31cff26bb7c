"""States of the circulation reach their published numbers, or the table says which they miss; and nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from pydantic import ValidationError

from security.errors import Diverged, Misuse, UnknownName
from twin_engine import Array
from twin_engine.circulation.body import ADULT, INDEX
from twin_engine.circulation.heart import run, volume
from twin_engine.circulation.published import QUANTITIES, Published
from twin_engine.circulation.report import DIGITS
from twin_engine.circulation.states import SOURCES, STATES, Change, Reached, State, answered, changed, reach

PRINTED = sorted({row.quantity for state in STATES.values() for row in state.published})
_R_PUL, _C_PA = ADULT[INDEX["R_pul"]], ADULT[INDEX["C_pa"]]


def embolised(times: float) -> tuple[Change, ...]:
    """An embolus that raises pulmonary resistance so many times, as the head of its part of the table says."""
    raised = _R_PUL * times
    return (
        Change(symbol="R_pul", value=raised, why="the bed is blocked"),
        Change(symbol="C_pa", value=0.564 / (0.047 + raised), why="Tedford 2012"),
        Change(symbol="Ees_rv", factor=1.0 / (1.0 + (times / 16.0) ** 2), why="coronary flow of the right ventricle"),
        Change(symbol="HR0", factor=1.3, why="sympathetic drive"),
        Change(symbol="V0_sv", add=-400.0, why="sympathetic drive"),
    )


def short(**changes: object) -> State:
    """A state that someone of 45 falls into."""
    return State.model_validate(
        {"name": "x", "title": "x", "before": "man-45", "acute": True, "published": ()} | changes
    )


@pytest.mark.parametrize("name", STATES)
def test_a_state_reaches_its_published_numbers_and_misses_exactly_what_the_table_says(
    name: str, reached: Mapping[str, Reached]
) -> None:
    shown = {row.name: (reached[name].shows(row), row.bounds) for row in STATES[name].published}
    missed = {row for row, (value, (low, high)) in shown.items() if not low <= value <= high}
    assert missed == set(STATES[name].fails), shown


def test_the_table_has_the_states_that_it_must_and_each_source_is_used():
    for part in ("man", "woman", "hfref", "hfpef", "hypertension", "haemorrhage", "septic", "cardiogenic", "tamponade"):
        assert any(name.startswith(part) for name in STATES), part
    assert {
        f"{valve}-regurgitation-{course}" for valve in ("aortic", "mitral") for course in ("acute", "chronic")
    } < set(STATES)
    assert set(SOURCES) == {row.source for state in STATES.values() for row in state.published}


def test_a_range_is_the_papers_and_a_mean_alone_is_held_to_a_fifth():
    assert Published(quantity="wedge-pressure", mean=28, sd=7, source="x").bounds == (21, 35)
    assert Published(quantity="wedge-pressure", mean=20, source="x").bounds == (16, 24)
    assert Published(quantity="heart-rate", by="change", mean=2, digit=1, source="x").bounds == (1, 3)
    assert not Published(quantity="wedge-pressure", low=6, source="x").holds(float("nan"))
    for wrong in ({"mean": 1, "low": 0}, {}, {"low": 2, "high": 1}, {"sd": 1, "low": 0}, {"mean": 1, "colour": 2}):
        with pytest.raises(ValidationError):
            Published.model_validate({"quantity": "wedge-pressure", "source": "x"} | wrong)


@pytest.mark.parametrize("name", ["man-45", "hfref", "aortic-regurgitation-chronic", "tamponade", "septic-shock"])
def test_no_blood_is_lost_and_what_flows_in_is_there(name: str, reached: Mapping[str, Reached]) -> None:
    now, parameters = reached[name].state.copy(), reached[name].parameters.copy()
    before = volume(now)
    run(now, parameters, 120.0)
    assert volume(now) == pytest.approx(before, abs=1e-9)
    parameters[:, INDEX["Q_ext"]] = -2.5
    run(now, parameters, 60.0)
    assert volume(now) == pytest.approx(before - 150.0, abs=1e-9)


def test_the_blood_of_a_state_is_the_blood_volume_it_tells(reached: Mapping[str, Reached]) -> None:
    for name, each in reached.items():
        assert volume(each.state) == pytest.approx(each.parameters[:, INDEX["TBV"]], abs=1e-7), name
    before, after = reached["man-25"].state, reached["haemorrhage-1000"].state
    assert volume(after) == pytest.approx(volume(before) - 1000.0, abs=1e-7)


@pytest.mark.parametrize(
    "name", ["man-45", "hfref", "aortic-stenosis-severe", "aortic-regurgitation-chronic", "haemorrhage-1000"]
)
def test_what_is_printed_does_not_depend_on_the_step(name: str, reached: Mapping[str, Reached]) -> None:
    for step in (0.00025, 0.0005, 0.001):
        finer = reach(name, step=step).tells
        for quantity in PRINTED:
            half = 0.5 * 10.0 ** -DIGITS.get(quantity, 0)
            assert abs(finer[quantity] - reached[name].tells[quantity]) < half, (step, quantity)


def test_a_healthy_right_ventricle_fails_rather_than_pass_40_mmhg(reached: Mapping[str, Reached]) -> None:
    # McIntyre, Sasahara 1971: mean pulmonary pressure never above 40 mmHg without prior disease.
    times = (2.0, 4.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 18.0, 24.0)
    healthy = reached["man-45"]
    parameters = np.stack([changed(healthy.parameters[0], embolised(each)) for each in times])
    beats = answered(healthy, parameters, minutes=1.0)[1]
    pressure, flow, venous = (beats[:, list(QUANTITIES).index(name)] for name in _LUNGS)
    assert pressure.max() < 40.0
    assert (np.diff(flow) < 0.0).all()
    assert (np.diff(venous) > 0.0).all()
    assert (venous[pressure > 30.0] > 6.0).all()  # the same paper: right atrial pressure is raised above 30 mmHg
    assert pressure[-1] < pressure.max() - 3.0  # it fails
    for name, factor in (("pulmonary-embolism", 7.0), ("pulmonary-embolism-massive", 12.0)):
        mine, law = (changed(healthy.parameters[0], each) for each in (STATES[name].changes, embolised(factor)))
        assert mine == pytest.approx(law, rel=2e-3)


_LUNGS = ("mean-pulmonary-pressure", "cardiac-output", "central-venous-pressure")


def test_a_pericardium_that_fills_further_ends_in_collapse_and_not_in_nonsense() -> None:
    # A change within one step of time once gave no numbers at 500 mL.
    told = [
        reach(short(changes=({"symbol": "V_eff", "value": each, "why": "filled"},))).tells for each in (300, 400, 500)
    ]
    assert [round(each["cardiac-output"]) for each in told] == [5, 4, 2]
    assert told[0]["central-venous-pressure"] < told[1]["central-venous-pressure"] < told[2]["central-venous-pressure"]


def test_someone_in_whom_nothing_changes_stays_as_he_is(reached: Mapping[str, Reached]) -> None:
    same = reach(short())
    for quantity in PRINTED:
        assert same.tells[quantity] == pytest.approx(reached["man-45"].tells[quantity], rel=0.03, abs=0.15), quantity
    told = same.shows(Published(quantity="mean-pressure", by="change", mean=0, source="x"))
    assert told == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize(
    ("symbol", "value"),
    [("C_sa", float("nan")), ("R_sys", float("inf")), ("R_pul", 0.0), ("Ees", -1.0), ("EROA_mv", -0.1), ("TBV", 0.0)],
)
def test_an_absurd_parameter_is_refused_by_name(symbol: str, value: float) -> None:
    with pytest.raises(Misuse) as refused:
        changed(ADULT, (Change(symbol=symbol, value=value, why="absurd"),))
    assert str(refused.value).startswith(symbol.removesuffix("_lv"))


def test_what_may_be_nothing_may_be_nothing() -> None:
    told: Array = changed(
        ADULT, [Change(symbol=each, value=0.0, why="none") for each in ("EROA_av", "G_R", "V_eff", "Pth")]
    )
    assert told[INDEX["G_R"]] == told[INDEX["Pth"]] == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"changes": ({"symbol": "R_sis", "factor": 2, "why": "a slip"},)},
        {"changes": ({"symbol": "R_sys", "factor": 2, "value": 1, "why": "both"},)},
        {"changes": ({"symbol": "TBV", "factor": 0.8, "why": "blood is lost as inflow"},)},
        {"before": None},
        {"fails": ("heart-rate x",)},
        {"published": ({"quantity": "heart-rate", "mean": 1, "source": "x"},) * 2},
        {"published": ({"quantity": "hart-rate", "mean": 1, "source": "x"},)},
    ],
)
def test_a_slip_in_the_table_is_an_error_when_it_is_read(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        short(**wrong)


def test_a_state_in_which_nobody_lives_is_refused() -> None:
    with pytest.raises(UnknownName, match="hfref"):
        reach("hfreff")
    with pytest.raises(Misuse, match="body surface"):
        reach(short(surface=19.0))
    with pytest.raises(Diverged, match="No circulation lives"):
        reach(short(changes=({"symbol": "V_eff", "value": 3000.0, "why": "three litres"},)))
    alone = reach(State(name="x", title="x", published=()))
    with pytest.raises(Misuse, match="no state is told before"):
        alone.shows(Published(quantity="heart-rate", by="change", mean=0, source="x"))
