"""Bad readings, clocks, weights and plans, from the file to the forecast: refused or told, never sure and wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.test_bad_input import PATIENT, bundle, weight

ENDED = datetime(2026, 3, 4, 12, tzinfo=UTC)


def glucose(when: datetime, value: float, name: str = "", **changes: Any) -> dict[str, Any]:
    quantity = {"value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"}
    told = {
        "id": f"g{name or int(when.timestamp())}",
        "code": {"coding": [{"system": "http://loinc.org", "code": "99504-3"}]},
        "effectiveDateTime": when.isoformat(),
        "valueQuantity": quantity,
    }
    return weight(0, **told | changes)


def worn(ended: datetime = ENDED, hours: int = 6) -> Iterator[dict[str, Any]]:
    """Yield a reading in five minutes that rises by 1 mg/dL each."""
    for number in range(12 * hours):
        yield glucose(ended - timedelta(minutes=5 * (12 * hours - 1 - number)), 90 + number)


@pytest.fixture
def forecast(tmp_path, capsys):
    """Pull resources into a home of their own, and forecast from a time."""

    def ask(*resources: dict[str, Any], at: datetime = ENDED) -> tuple[int, Any, dict[str, int]]:
        home = tmp_path / f"home{len(list(tmp_path.iterdir()))}"
        (folder := tmp_path / f"in-{home.name}").mkdir()
        (folder / "a.json").write_bytes(bundle(PATIENT, weight(), *resources))
        main(["pull", "--folder", str(folder), "--fhir-version", "r4", "--format", "json", "--home", str(home)])
        [source] = json.loads(capsys.readouterr().out)["sources"]
        assert source["resources"] == source["understood"] + source["refused"]
        main(["list", "--format", "json", "--home", str(home)])
        [one] = json.loads(capsys.readouterr().out)["twins"]
        status = main(["forecast", one["id"], "--at", at.isoformat(), "--format", "json", "--home", str(home)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return status, json.loads(said.out)["result"], source["refusals"]

    return ask


def test_values_that_cannot_be_are_refused_or_not_believed_and_move_no_forecast(forecast):
    clean = forecast(*worn())
    assert clean[0] == 0
    between = ENDED - timedelta(minutes=2)
    bad = {
        "nothing": glucose(between, 0, "zero"),
        "below": glucose(between, -40, "minus"),
        "above": glucose(between, 5000, "thousands"),
        "no sensor tells it": glucose(between, 900, "hundreds"),
        "mmol/L that are called mg/dL": glucose(between, 8.3, "mislabelled"),
        "no unit": glucose(between, 120, "bare", valueQuantity={"value": 120}),
        "no number": glucose(between, 120, "none", valueQuantity=None, dataAbsentReason={"text": "sensor error"}),
        "no zone": glucose(between, 120, "local", effectiveDateTime="2026-03-04T12:58:00"),
        "not final": glucose(between, 120, "early", status="preliminary"),
        "a mistake": glucose(between, 120, "mistake", status="entered-in-error"),
    }
    status, result, refused = forecast(*worn(), *bad.values())
    assert (status, result["courses"], result["last"]) == (0, clean[1]["courses"], clean[1]["last"])
    assert refused == {"implausible": 4, "no-unit": 1, "no-value": 1, "bad-date": 1, "status": 1}


def test_shuffled_and_doubled_files_give_the_same_forecast(forecast):
    clean, again = list(worn()), list(worn())
    copies = [{**one, "id": f"copy-{one['id']}"} for one in clean[::4]]
    assert forecast(*again[::-1], *copies)[1]["courses"] == forecast(*clean)[1]["courses"]


def test_a_clock_of_1970_or_of_a_far_future_moves_no_forecast(forecast):
    lost = [glucose(datetime(year, 1, 1, tzinfo=UTC), 300, str(year)) for year in (1970, 2099, 9999)]
    assert forecast(*worn(), *lost)[1]["courses"] == forecast(*worn())[1]["courses"]


def test_the_end_of_summer_time_is_no_jump(forecast):
    """The hour that a clock on the wall shows twice is two hours, told apart by their zones."""
    ended = datetime(2026, 10, 25, 4, tzinfo=UTC)
    turn = datetime(2026, 10, 25, 1, tzinfo=UTC)
    zones = [timezone(timedelta(hours=2)), timezone(timedelta(hours=1))]
    local = []
    for one in worn(ended):
        when = datetime.fromisoformat(one["effectiveDateTime"])
        local.append({**one, "effectiveDateTime": when.astimezone(zones[when >= turn]).isoformat()})
    shown = [one["effectiveDateTime"][11:16] for one in local]
    assert shown.count("02:30") == 2
    assert forecast(*local, at=ended)[1]["courses"] == forecast(*worn(ended), at=ended)[1]["courses"]


def test_after_a_gap_a_forecast_says_how_old_it_is_and_a_stream_that_is_none_is_refused(forecast):
    status, result, _ = forecast(*worn(), at=ENDED + timedelta(hours=5))
    assert (status, result["last"]) == (0, "2026-03-04T12:00:00Z")
    status, result, _ = forecast(*list(worn())[::8])
    assert status == 5
    assert "9 usable readings" in " ".join(result["say"])


def test_two_weights_that_contradict_each_other_are_said_and_nothing_is_forecast(forecast):
    other = {"value": 95, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
    status, result, _ = forecast(*worn(), weight(2, valueQuantity=other))
    assert status == 5
    assert "Body weight" in " ".join(result["say"])
    assert forecast(*worn(), weight(2))[0] == 0  # the same told twice is no contradiction


@pytest.mark.parametrize(
    "give",
    ["301 g carbohydrate", "61 [iU] insulin-bolus", "16 [iU]/h insulin-basal", "5 mg aspirin", "60 carbohydrate"],
)
def test_a_plan_outside_the_range_of_a_model_is_a_sentence_and_nothing_is_kept(tmp_path, capsys, give):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_bytes(bundle(PATIENT, weight(), *worn()))
    home = ("--home", str(tmp_path / "home"))
    main(["pull", "--folder", str(tmp_path / "in"), "--fhir-version", "r4", *home])
    with Home.open(load_settings(tmp_path / "home"), create=False) as opened:
        [one] = opened.store.twins()
    capsys.readouterr()
    status = main(["what-if", one.id, "--give", give, "--at", ENDED.isoformat(), *home])
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.startswith("twin: ")
    assert "Traceback" not in said.err
    with Home.open(load_settings(tmp_path / "home"), create=False) as opened:
        assert opened.store.runs(one.id) == []


@pytest.mark.parametrize("minutes", ["0", "-5", "100000"])
def test_a_forecast_over_a_time_that_cannot_be_is_refused(tmp_path, capsys, minutes):
    assert main(["forecast", "any", "--minutes", minutes, "--home", str(tmp_path)]) == 2
    assert "A forecast looks 1 to 10080 minutes ahead." in capsys.readouterr().err
