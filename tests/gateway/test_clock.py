"""A device whose clock runs ahead: nothing is forecast or warned of as if it were now, and the source is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.calibration import Calibrated, current, dynamic_model, go_on
from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from gateway.simulation import open_twin
from gateway.warnings import Assessed, assess, follow
from tests.gateway.test_bad_input import PATIENT, bundle, weight
from tests.gateway.test_bad_readings import glucose
from twin_engine import Missing

MODEL = "glucose"


def worn(ahead: timedelta, hours: int = 6) -> Iterator[dict[str, Any]]:
    """Yield what a sensor told until now, dated by its clock; it falls by 1 mg/dL in five minutes, towards a low."""
    ended = datetime.now(UTC).replace(second=0, microsecond=0) + ahead
    for number in range(12 * hours):
        yield glucose(ended - timedelta(minutes=5 * number), 90 + number)


@pytest.fixture
def pull(tmp_path, capsys):
    """Pull resources into a home, one delivery after the other."""

    def bring(*resources: dict[str, Any]) -> Path:
        folder = tmp_path / f"in{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "a.json").write_bytes(bundle(PATIENT, weight(), *resources))
        command = ("pull", "--folder", str(folder), "--fhir-version", "r4", "--name", "ward-7")
        assert main([*command, "--home", str(tmp_path / "home")]) == 0
        capsys.readouterr()
        return tmp_path / "home"

    return bring


def twin_of(home: Home) -> str:
    [summary] = home.store.twins()
    return summary.id


@pytest.mark.parametrize(
    ("ahead", "said"), [(timedelta(hours=1), "(58|59|60) minutes"), (timedelta(days=1), "(23|24) hours")]
)
def test_from_a_clock_that_is_ahead_nothing_is_forecast_and_nothing_warned_of(pull, capsys, ahead, said):
    place = pull(*worn(ahead, hours=30))
    with Home.open(load_settings(place), create=False) as home:
        twin = twin_of(home)
        for found in (current(home, open_twin(home, twin), dynamic_model(home, MODEL)), assess(home, twin, MODEL)):
            assert isinstance(found, Missing)
            assert re.match(f"The clock of the source ward-7 is ahead by {said} or more", found.say[0])
        assert home.store.state(twin, MODEL, "track") is None
    for command in ("forecast", "what-if"):
        plan = ("--give", "60 g carbohydrate at +30min") if command == "what-if" else ()
        assert main([command, twin, *plan, "--format", "json", "--home", str(place)]) == 5
        assert "ward-7" in json.loads(capsys.readouterr().out)["result"]["say"][0]
    at = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    assert main(["forecast", twin, "--at", at, "--format", "json", "--home", str(place)]) == 5


def test_from_a_clock_that_is_kept_there_is_a_forecast_and_a_single_slip_is_said_and_not_used(pull):
    right = list(worn(timedelta(minutes=-1)))
    slip = glucose(datetime.now(UTC) + timedelta(minutes=40), 300, "slip")
    with Home.open(load_settings(pull(*right)), create=False) as home:
        clean = current(home, open_twin(home, twin_of(home)), dynamic_model(home, MODEL))
    with Home.open(load_settings(pull(*right, slip)), create=False) as home:
        found = current(home, open_twin(home, twin_of(home)), dynamic_model(home, MODEL))
    assert isinstance(clean, Calibrated)
    assert isinstance(found, Calibrated)
    assert found.series.readings == clean.series.readings
    assert [text for text in found.assumptions if text not in clean.assumptions] == [
        f"The source ward-7: 1 value is dated after the present, the last at {slip['effectiveDateTime'][:10]} "
        f"{slip['effectiveDateTime'][11:16]} UTC; not used."
    ]


def test_a_clock_that_is_put_ahead_while_values_come_stops_the_step_and_the_warnings(pull):
    with Home.open(load_settings(pull(*worn(timedelta(minutes=-1)))), create=False) as home:
        twin = twin_of(home)
        assert isinstance(assess(home, twin, MODEL), Assessed)
        with home.store.transaction():
            assert go_on(home, twin, dynamic_model(home, MODEL)) is not None
        before = home.store.state(twin, MODEL, "track")
    place = pull(*(glucose(datetime.now(UTC) + timedelta(minutes=60 - 5 * n), 80, f"ahead{n}") for n in range(4)))
    with Home.open(load_settings(place), create=False) as home:
        assert follow(home, twin, MODEL) is None
        assert isinstance(assess(home, twin, MODEL), Missing)
        assert home.store.state(twin, MODEL, "track") == before
