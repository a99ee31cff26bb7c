"""A stored twin's circulation: from facts, once, with what it stands on; and no number where the facts do not allow."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conformance.hostile import Ehr, EhrSettings, serve
from gateway.calibration import current, dynamic_model, dynamic_models, followed_model
from gateway.cli import main
from gateway.deliver import propose, propose_plans, send
from gateway.home import Home
from gateway.ingest import ingest
from gateway.medication import Medication, medicines_for
from gateway.operations import Operations, operations_on, picture_of
from gateway.outlook import branch_out, keep
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.sources import open_source
from security.errors import Misuse
from tests.gateway.circulating import SEEN, amount, observation, person, pulled
from twin_engine import Missing, Run
from twin_engine.circulation.clinic import fresh
from twin_engine.plan import Plan
from twin_engine.series import Dose

AT = datetime(2026, 11, 25, tzinfo=UTC)
THO = "http://terminology.hl7.org/CodeSystem"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    opened = await pulled(tmp_path, person())
    with opened:
        yield opened


def twin_of(home: Home) -> str:
    [twin] = home.store.twins()
    return twin.id


def answer_of(home: Home, at: datetime | None = AT) -> Run | Missing:
    return run_model(home, open_twin(home, twin_of(home)), "circulation", at=at)[0]


def told(run: Run, name: str) -> tuple[float, float, float]:
    [output] = [each for each in run.outputs if each.name == name]
    assert output.low is not None
    assert output.high is not None
    return output.low, output.value, output.high


def test_what_was_measured_is_met_and_the_rest_has_an_interval(home):
    run = answer_of(home)
    assert isinstance(run, Run)
    low, ejection, high = told(run, "ejection-fraction")
    assert 22.0 < low < ejection < high < 42.0
    assert abs(ejection - 28.0) < 5.0
    wedge = told(run, "wedge-pressure")
    assert wedge[2] - wedge[0] > 8.0  # nobody measured it, and the answer does not pretend to know
    used = {each.name for each in run.inputs}
    assert {"measured-heart-rate", "measured-ejection-fraction", "haemoglobin"} <= used
    assert "measured-wedge-pressure" not in used
    assert any("Not told by these readings" in text for text in run.remarks)
    assert run.members == 100


async def test_an_older_reading_leaves_more_open(tmp_path):
    with await pulled(tmp_path, person()) as home:
        fresh, old = answer_of(home, AT), answer_of(home, AT + timedelta(days=200))
    assert isinstance(fresh, Run)
    assert isinstance(old, Run)
    for name in ("heart-rate", "systolic-pressure"):  # in 200 days these may go further than a cuff errs
        widths = [told(run, name)[2] - told(run, name)[0] for run in (fresh, old)]
        assert widths[1] > 1.3 * widths[0], name


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("cuff", "Systolic pressure, measured was never measured."),
        ("height", "Height was never measured."),
    ],
)
async def test_without_a_cuff_or_a_height_there_is_no_number(tmp_path, missing, said):
    with await pulled(tmp_path, person(leave_out=frozenset({missing}))) as home:
        answer = answer_of(home)
    assert isinstance(answer, Missing)
    assert said in answer.say


async def test_a_rate_that_nobody_counted_stays_open_and_is_told(tmp_path):
    with await pulled(tmp_path, person(leave_out=frozenset({"rate"}))) as home:
        run = answer_of(home)
    assert isinstance(run, Run)
    low, _, high = told(run, "heart-rate")
    assert high - low > 30.0
    assert any("Heart rate at rest" in text for text in run.remarks if "Not told" in text)


async def test_without_haemoglobin_only_the_oxygen_is_missing(tmp_path):
    with await pulled(tmp_path, person(leave_out=frozenset({"haemoglobin"}))) as home:
        run = answer_of(home)
        found = current(home, open_twin(home, twin_of(home)), dynamic_model(home, "circulation"))
        assert not isinstance(found, Missing)  # what only one number needs holds no plan back
    assert isinstance(run, Run)
    assert set(run.not_computed) == {"oxygen-delivery"}


async def test_an_echo_that_contradicts_itself_is_named_and_widens_the_answer(tmp_path):
    # 240 mL at the end of diastole and an ejection fraction of 28 % leave 173 mL, not 60.
    wrong = person()
    echo = next(each for each in wrong if each["id"] == "volume")
    systole = json.loads(json.dumps(echo)) | {"id": "systole"}
    systole["code"]["coding"][0]["code"] = "80001-1"
    systole["valueQuantity"]["value"] = 60.0
    with await pulled(tmp_path, [*wrong, systole]) as home:
        run = answer_of(home)
    assert isinstance(run, Run)
    assert [text for text in run.remarks if "contradicts the other readings" in text]
    low, _, high = told(run, "ejection-fraction")
    assert high - low > 15.0


async def test_a_reading_outside_what_can_be_is_not_used_and_is_told(tmp_path):
    with await pulled(tmp_path, person(ejection=6.0)) as home:
        run = answer_of(home)
    assert isinstance(run, Run)
    assert "measured-ejection-fraction" not in {each.name for each in run.inputs}
    [lack] = [each for each in run.lacks if each.need == "measured-ejection-fraction"]
    assert lack.why == "out-of-range"


def test_the_ensemble_is_made_once_and_kept_sealed(home, tmp_path):
    twin = twin_of(home)
    first = run_model(home, open_twin(home, twin), "circulation")
    kept = home.store.state(twin, "circulation", "ensemble")
    second = run_model(home, open_twin(home, twin), "circulation")
    assert kept is not None
    assert kept.revision == 1
    assert first[1] == second[1]  # the same run
    again = home.store.state(twin, "circulation", "ensemble")
    assert again is not None
    assert again.revision == 1
    calibrations = [e for e in home.store.audit_events(50) if "calibration" in json.dumps(e.event)]
    assert len(calibrations) == 1


async def test_a_new_reading_moves_the_kept_ensemble_on_and_says_so(tmp_path, monkeypatch):
    clock = [AT]
    for module in ("gateway.resting", "gateway.simulation"):
        monkeypatch.setattr(f"{module}.now", lambda: clock[0])
    with await pulled(tmp_path, person()) as home:
        twin = twin_of(home)
        before, _ = run_model(home, open_twin(home, twin), "circulation")
        clock[0] = AT + timedelta(days=10)
        later = [
            {**each, "id": f"{each['id']}-later", "effectiveDateTime": "2026-12-03T09:00:00Z"}
            for each in person(rate=84.0)
            if each["id"] in ("rate", "cuff")
        ]
        (tmp_path / "in" / "b.ndjson").write_text("\n".join(map(json.dumps, later)), "utf-8")
        await ingest(home, Folder("files", tmp_path / "in", "r4"), lambda text: None)
        record = open_twin(home, twin)
        moved, _ = run_model(home, record, "circulation", online=True)
        assert isinstance(before, Run)
        assert isinstance(moved, Run)
        assert "Moved on by 3 readings" in moved.remarks[0]
        assert told(moved, "heart-rate")[1] > told(before, "heart-rate")[1] + 2.0
        assert abs(told(moved, "ejection-fraction")[1] - told(before, "ejection-fraction")[1]) < 6.0
        again, _ = run_model(home, record, "circulation", online=True)
        anew, _ = run_model(home, record, "circulation")
    assert isinstance(again, Run)
    assert isinstance(anew, Run)
    assert [each.value for each in again.outputs] == [each.value for each in moved.outputs]  # kept
    assert not any("Moved on" in text for text in anew.remarks)  # asked for plainly, it is the facts' alone
    assert abs(told(anew, "heart-rate")[1] - told(moved, "heart-rate")[1]) < 8.0


def test_only_what_was_taken_since_moves_an_ensemble_on():
    assert (
        fresh({"measured-ejection-fraction": 28.0, "measured-heart-rate": 70.0}, {"measured-heart-rate": 90.0}, 1.0)
        is None
    )
    late = {"measured-heart-rate": 90.0, "measured-heart-rate-days": 3.0}
    assert fresh({"measured-heart-rate": 70.0}, late, 1.0) is None  # taken before, and not known then
    assert set(fresh({"measured-heart-rate": 70.0}, {**late, "measured-heart-rate-days": 0.0}, 1.0) or {}) == {
        "heart-rate"
    }
    assert fresh({"measured-heart-rate": 90.0, "measured-heart-rate-days": 2.0}, late, 1.0) is None  # the same, older


def test_it_follows_no_readings_and_is_not_watched(home):
    assert "circulation" not in dynamic_models(home)
    with pytest.raises(Misuse, match="follows none"):
        followed_model(home, "circulation")


def test_bleeding_is_a_plan_and_a_killing_one_says_when(home):
    found = current(home, open_twin(home, twin_of(home)), dynamic_model(home, "circulation"))
    assert not isinstance(found, Missing)
    start = found.track.at
    little = Plan("little", start, (Dose(start, "bleeding", 25.0, 20.0),))
    much = Plan("much", start, (Dose(start, "bleeding", 300.0, 20.0),))
    result = branch_out(found, [little, much], minutes=30)
    outcomes = [{each.name: each.value for each in branch.outcomes} for branch in result.branches]
    assert outcomes[0]["collapse"] == 0.0
    assert "collapse-at" not in outcomes[0]
    assert outcomes[1]["mean"] < outcomes[0]["mean"]
    assert outcomes[2]["collapse"] == 1.0
    assert 5.0 <= outcomes[2]["collapse-at"] <= 25.0


def test_operations_stand_side_by_side_and_are_kept(home):
    found = current(home, open_twin(home, twin_of(home)), dynamic_model(home, "circulation"))
    assert not isinstance(found, Missing)
    result, done = operations_on(found, ["balloon 40 mL", "pump 9000 /min and mitral repair"])
    rows = [{row.name: row for row in plan.rows} for plan in result.plans]
    assert rows[0]["wedge-pressure"].before == rows[1]["wedge-pressure"].before
    change = rows[1]["wedge-pressure"].change
    assert change is not None
    assert change[1] < -3.0  # a pump unloads the lungs
    assert result.plans[1].held.startswith("Published numbers")
    run = keep(home, found, result)
    kept = msgspec.json.decode(home.store.run(run).content, type=Operations)
    assert kept == result
    picture = picture_of(found, done)
    assert picture.count("simulated") >= 1
    assert "112" in picture  # what the cuff told


async def test_a_plan_is_written_back_as_risks_and_only_when_asked_for(tmp_path, capsys):
    ehr = Ehr(EhrSettings(name="ward", require_auth=False))
    ehr.load(*person())
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.ward]\nurl = "{base}"\n', "utf-8")
        with Home.open(load_settings(tmp_path)) as home:
            async with open_source("ward", home.settings.source("ward")) as source:
                await ingest(home, source, lambda text: None)
            record = open_twin(home, twin_of(home))
            found = current(home, record, dynamic_model(home, "circulation"))
            assert not isinstance(found, Missing)
            run = keep(home, found, operations_on(found, ["aortic valve: Edwards SAPIEN 3 26 mm"])[0])
            answer, answered = run_model(home, record, "circulation")
            assert isinstance(answer, Run)
            assert propose_plans(home, record, run[:12])[0].resources == ("Device", "RiskAssessment", "Provenance")
            again = propose_plans(home, record, run[:12])
            assert [each.is_new for each in again] == [False]
            with pytest.raises(Misuse, match="no operations"):
                propose_plans(home, record, answered)
            [usual] = [each for each in propose(home, record) if each.model == "circulation"]
            assert "RiskAssessment" not in usual.resources
            await send(home, twin_of(home))
        risks = ehr.store.all("RiskAssessment")
        observations = [each for each in ehr.store.all("Observation") if each.get("note")]
    assert len(risks) == 1
    text = json.dumps(risks[0], default=str)
    assert "Severe mismatch" in text
    assert "SAPIEN 3 26 mm" in text
    assert "of 100 simulated circulations" in text
    said = {each["code"].get("coding", [{}])[0].get("code") for each in observations}
    assert "8741-1" in said  # cardiac output, which nobody measured
    assert not {"8867-4", "8480-6", "8462-4", "10230-1"} & said  # what the EHR told is not told back


def congested() -> list[dict[str, Any]]:
    """A person with known heart failure, much water in the lungs, and a catheter that says so."""
    catheter = [
        observation("wedge", "75994-4", SEEN, valueQuantity=amount(28.0, "mm[Hg]")),
        observation("output", "8741-1", SEEN, valueQuantity=amount(4.1, "L/min")),
    ]
    failure = {
        "resourceType": "Condition",
        "id": "failure",
        "clinicalStatus": {"coding": [{"system": f"{THO}/condition-clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{THO}/condition-ver-status", "code": "confirmed"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "84114007"}]},
        "subject": {"reference": "Patient/p1"},
    }
    return [*person(rate=88.0, ejection=25.0, volume=260.0), *catheter, failure]


async def test_medicines_are_compared_only_where_the_facts_let_them(tmp_path, capsys):
    with await pulled(tmp_path, congested()) as home:
        record = open_twin(home, twin_of(home))
        found = current(home, record, dynamic_model(home, "circulation"))
        assert not isinstance(found, Missing)
        careful = medicines_for(home, record, found)
        assert careful.comparison.verdict == "none-eligible"  # a folder proves no list whole
        assert all("not known which drugs are taken" in str(each.reasons) for each in careful.comparison.left_out)
        assert careful.known.taken is None
        assert careful.known.conditions["heart-failure"] is True
        assert careful.known.potassium == 4.4
        assumed = medicines_for(home, record, found, assume_absent=True, only=("furosemide", "hydralazine"), largest=1)
        best = assumed.comparison.candidates[0]
        assert assumed.comparison.verdict == "compared"
        assert best.feasible
        assert best.change["wedge-pressure"].median < -4.0
        assert "septic-shock" in assumed.comparison.assumed
        left = {each.drug: each.reasons[0].code for each in assumed.comparison.left_out}
        assert left["ace-inhibitor"] in ("not-validated", "not-asked")
        run = keep(home, found, assumed)
        assert msgspec.json.decode(home.store.run(run).content, type=Medication) == assumed
        [plan] = propose_plans(home, record, run)
        assert plan.left_out == "the source is a folder"
    at = ["--home", str(tmp_path / "home")]
    assert main(["medicate", record.id, *at]) == 5
    assert "never an order" in capsys.readouterr().out
    assert main(["medicate", record.id, "--drug", "aspirin", *at]) == 2


def test_a_terminal_draws_before_and_after_and_says_what_is_wrong_with_a_plan(home, tmp_path, capsys):
    twin, place, at = twin_of(home), tmp_path / "loop.svg", ["--home", str(tmp_path / "home")]
    plan = ["--after", "mitral repair"]
    assert main(["simulate", twin, "--model", "circulation", "--plot", str(place), *plan, *at]) == 0
    assert "Not told by these readings" in capsys.readouterr().out
    assert place.read_text("utf-8").count("<svg") == 1
    assert place.stat().st_mode & 0o077 == 0
    assert main(["operate", twin, "--plan", "aortic valve: Edwards SAPIEN 9 26 mm", *at]) == 2
    assert "SAPIEN 3" in capsys.readouterr().err
    assert main(["simulate", twin, "--model", "circulation", "--plot", str(tmp_path / "a.png"), *at]) == 2
    assert ".svg" in capsys.readouterr().err
    assert main(["simulate", twin, "--model", "kidney", "--plot", str(place), *at]) in (2, 5)
    capsys.readouterr()
    assert main(["forecast", twin, "--model", "circulation", *at]) == 2
    assert "twin operate" in capsys.readouterr().err
