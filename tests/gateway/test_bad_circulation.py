"""What contradicts itself, cannot be, or kills: a refusal, a stated collapse with its time, or a wider answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.calibration import Calibrated, current, dynamic_model
from gateway.cli import main
from gateway.home import Home
from gateway.operations import operations_on
from gateway.outlook import branch_out
from gateway.simulation import open_twin, run_model
from security.errors import Misuse
from tests.gateway.circulating import ECHO, SEEN, amount, loinc, observation, person, pulled
from twin_engine import Missing, Run
from twin_engine.circulation.model import Circulation
from twin_engine.plan import Plan
from twin_engine.series import Dose

AT = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def few_members() -> Iterator[None]:
    """A third of the members tells the same here, in half of the time."""
    usual = Circulation.members
    Circulation.members = 32
    yield
    Circulation.members = usual


def with_cuff(systolic: float, diastolic: float, **values: float) -> list[dict[str, Any]]:
    """Return a person with another cuff, and a catheter where its readings are told."""
    told = [each for each in person(**values) if each["id"] != "cuff"]
    ends = zip(("8480-6", "8462-4"), (systolic, diastolic), strict=True)
    parts = [{"code": loinc(code), "valueQuantity": amount(value, "mm[Hg]")} for code, value in ends]
    return [*told, observation("cuff", "85354-9", SEEN, component=parts)]


def changed(name: str, **changes: Any) -> list[dict[str, Any]]:
    """Return a person of whom one resource is another one; `None` takes a part away."""
    return [
        {key: value for key, value in (each | changes).items() if value is not None} if each["id"] == name else each
        for each in person()
    ]


async def answered(folder: Path, resources: list[dict[str, Any]], at: datetime = AT) -> Run | Missing:
    with await pulled(folder, resources) as home:
        [twin] = home.store.twins()
        return run_model(home, open_twin(home, twin.id), "circulation", at=at)[0]


def used(run: Run) -> set[str]:
    return {each.name for each in run.inputs}


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        (with_cuff(70.0, 112.0), "Pulse pressure is -42 mm[Hg]"),
        (with_cuff(90.0, 90.0), "Pulse pressure is 0 mm[Hg]"),
        (with_cuff(49.9, 25.0), "Systolic pressure, measured is 49.9 mm[Hg]; the model holds from 50"),
        (with_cuff(112.0, 160.1), "Diastolic pressure, measured is 160.1 mm[Hg]"),
        (changed("cuff", status="entered-in-error"), "Systolic pressure, measured"),
        (changed("cuff", effectiveDateTime="2026"), "Systolic pressure, measured"),
        (changed("cuff", effectiveDateTime="2027-01-01T00:00:00Z"), "Systolic pressure, measured"),
        (changed("weight", effectiveDateTime="2023-11-20T09:00:00Z"), "The last Weight is 1100 days old"),
        (changed("height", valueQuantity=amount(1.76, "cm")), "Height"),
        (changed("p1", birthDate="2010-03-02"), "Age is 16"),
        (changed("p1", birthDate=None), "The birth date is not known."),
        (changed("p1", deceasedBoolean=True), "recorded as dead"),
        (changed("p1", deceasedDateTime="2026-11-23"), "recorded as dead"),
    ],
)
async def test_without_a_body_and_a_cuff_that_can_be_there_is_no_number(tmp_path, resources, says):
    answer = await answered(tmp_path, resources)
    assert isinstance(answer, Missing)
    assert says in " ".join(answer.say)


async def test_a_cuff_that_cannot_be_stops_operations_and_plans_too(tmp_path, capsys):
    with await pulled(tmp_path, with_cuff(70.0, 112.0)) as home:
        [twin] = home.store.twins()
        found = current(home, open_twin(home, twin.id), dynamic_model(home, "circulation"))
    assert isinstance(found, Missing)
    assert "Pulse pressure is -42" in found.say[0]
    at = ["--home", str(tmp_path / "home")]
    assert main(["operate", twin.id, "--plan", "pump 9000 /min", *at]) == 5
    assert main(["medicate", twin.id, *at]) == 5
    assert main(["what-if", twin.id, "--model", "circulation", "--give", "10 mL/min bleeding for 5 min", *at]) == 5
    assert "collapse" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        (changed("ejection", valueQuantity={"value": 28}), "never-measured"),
        (changed("ejection", valueQuantity=amount(30.0, "%") | {"comparator": "<"}), "comparator"),
        (changed("ejection", status="preliminary"), "preliminary"),
        ([*person(), observation("other", "10230-1", ECHO, valueQuantity=amount(55.0, "%"))], "conflict"),
    ],
)
async def test_an_echo_that_is_not_understood_is_left_out_and_widens(tmp_path, resources, why):
    run = await answered(tmp_path, resources)
    assert isinstance(run, Run)
    assert "measured-ejection-fraction" not in used(run)
    [lack] = [each for each in run.lacks if each.need == "measured-ejection-fraction"]
    assert lack.why == why
    [output] = [each for each in run.outputs if each.name == "ejection-fraction"]
    assert output.low is not None
    assert output.high is not None
    assert output.high - output.low > 15.0  # with the echo it is 14


async def test_a_catheter_that_contradicts_is_named(tmp_path):
    told = [("wedge", "75994-4", 35.0), ("lungs", "8414-5", 15.0)]  # blood does not run uphill
    both = [observation(name, code, SEEN, valueQuantity=amount(value, "mm[Hg]")) for name, code, value in told]
    run = await answered(tmp_path, [*person(), *both])
    assert isinstance(run, Run)
    said = [text for text in run.remarks if "contradicts the other readings" in text]
    assert [text.split(" of ")[0] for text in said] == ["Wedge pressure", "Mean pulmonary pressure"]
    assert all(np.isfinite([each.value, each.low, each.high]).all() for each in run.outputs)


async def test_readings_of_nobody_are_refused_and_the_refusal_tells_no_number(tmp_path, capsys):
    nobody = with_cuff(55.0, 40.0, ejection=8.0, weight=35.0, height=150.0, rate=220.0, volume=480.0)
    with await pulled(tmp_path, nobody) as home:
        [twin] = home.store.twins()
    assert main(["simulate", twin.id, "--model", "circulation", "--at", "2026-11-25", "--home", str(tmp_path / "home")])
    told = capsys.readouterr()
    assert told.out == ""
    assert "contradict each other too much for a circulation of this person: heart rate" in told.err
    assert not any(number in told.err for number in ("220", "480", "55", "35"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with asyncio.run(pulled(tmp_path_factory.mktemp("one"), person())) as opened:
        yield opened


def calibrated(home: Home) -> Calibrated:
    [twin] = home.store.twins()
    found = current(home, open_twin(home, twin.id), dynamic_model(home, "circulation"))
    assert isinstance(found, Calibrated)
    return found


def outcomes(found: Calibrated, *given: tuple[str, float], minutes: int = 15) -> dict[str, float]:
    start = found.track.at
    plan = Plan("plan", start, tuple(Dose(start, name, level, float(minutes)) for name, level in given))
    return {each.name: each.value for each in branch_out(found, [plan], minutes=minutes).branches[1].outcomes}


def test_plans_at_their_bounds_give_numbers_or_a_collapse_with_its_time(home):
    found = calibrated(home)
    largest = {each.name: each.bounds[1] for each in found.model.plan}
    relaxed = [(name, largest[name]) for name in ("nitroprusside", "hydralazine", "nitrate", "ace-inhibitor")]
    for given in ([*relaxed, ("airway-pressure", 25.0)], [("bleeding", 500.0)]):
        told = outcomes(found, *given, minutes=8)
        assert all(map(np.isfinite, told.values()))
        assert ("collapse-at" in told) == (told["collapse"] > 0.0)
    assert told["collapse"] == 1.0
    assert 1.0 <= told["collapse-at"] <= 8.0
    with pytest.raises(Misuse, match="Blood lost: the model holds from 0 to 500 mL/min"):
        outcomes(found, ("bleeding", 500.1))


def test_a_pacemaker_slows_nobody_in_a_plan_nor_in_an_operation(home):
    found = calibrated(home)
    [nothing, slow] = [outcomes(found, *given, minutes=5) for given in ((), (("pacing", 45.0),))]
    assert slow == nothing  # they beat at 77
    [plan] = operations_on(found, ["pacing 45 /min"])[0].plans
    [rate] = [row for row in plan.rows if row.name == "heart-rate"]
    assert rate.change is not None
    assert max(map(abs, rate.change)) < 0.5


def test_a_valve_too_small_is_told_as_what_it_does(home):
    [plan] = operations_on(calibrated(home), ["aortic valve 0.3 cm2"])[0].plans
    risks = {each.name: each.after for each in plan.risks}
    assert risks["severe-mismatch"] == 1.0
    assert risks["aortic-gradient"] == 1.0
    assert risks["congestion"] > 0.9


def test_before_is_what_the_answer_says_and_the_same_facts_are_the_same_run(home):
    [twin] = home.store.twins()
    answer, run = run_model(home, open_twin(home, twin.id), "circulation")
    _, same = run_model(home, open_twin(home, twin.id), "circulation")
    assert run == same
    assert isinstance(answer, Run)
    result, _ = operations_on(calibrated(home), ["balloon 40 mL"])
    before = {row.name: row.before for row in result.plans[0].rows}
    for each in answer.outputs:
        if each.name in before:
            assert before[each.name] == pytest.approx((each.low, each.value, each.high), rel=1e-9, abs=1e-9)


def test_each_access_is_recorded_first_and_nothing_is_told_where_it_cannot_be(home, monkeypatch):
    [twin] = home.store.twins()
    before = len(home.store.audit_events(500))
    operations_on(calibrated(home), ["balloon 40 mL"])
    newest = [json.dumps(each.event) for each in home.store.audit_events(500)]
    assert len(newest) > before
    assert twin.id in newest[0]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(home.store), "append_audit", full)
    with pytest.raises(OSError, match="No space"):
        calibrated(home)


async def test_a_death_that_came_later_does_not_change_the_past(tmp_path):
    resources = changed("p1", deceasedDateTime="2026-11-27")
    assert isinstance(await answered(tmp_path, resources, AT), Run)
    assert isinstance(await answered(tmp_path, resources, AT + timedelta(days=4)), Missing)
