"""The circulation of real patients' records: who has a cuff, height and weight has an answer, and an echo is met."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.store import TwinRecord
from mappers.facts import Fact, Quantity
from twin_engine import Missing, Run

SECOND, LITTLE = timedelta(seconds=1), 4


@pytest.fixture(scope="module")
def home(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with Home.open(load_settings(tmp_path_factory.mktemp("real"))) as opened:
        asyncio.run(ingest(opened, Folder("r4", shared_data / "patients" / "r4"), lambda text: None))
        yield opened


def records(home: Home) -> list[TwinRecord]:
    return [open_twin(home, twin.id) for twin in home.store.twins()]


def measured(record: TwinRecord, name: str) -> list[tuple[datetime, Fact]]:
    facts = [(fact.when.latest, fact) for fact in record.facts if fact.name == name and fact.when]
    return sorted(facts, key=lambda each: each[0])


def answer(home: Home, record: TwinRecord, at: datetime) -> Run | Missing:
    return run_model(home, record, "circulation", at=at.replace(microsecond=0) + SECOND)[0]


def test_an_echo_on_record_is_met_within_its_error(home):
    with_echo = [record for record in records(home) if measured(record, "ejection-fraction")]
    assert len(with_echo) == 7
    met = 0
    for record in with_echo:
        when, fact = measured(record, "ejection-fraction")[-1]
        run = answer(home, record, when)
        if isinstance(run, Missing):  # a cuff of the year before the echo has to be there
            assert any("pressure" in text.lower() for text in run.say)
            continue
        [output] = [each for each in run.outputs if each.name == "ejection-fraction"]
        assert isinstance(fact.value, Quantity)
        assert output.low is not None
        assert output.high is not None
        assert output.low <= float(fact.value.value) <= output.high
        assert any("Heart rate at rest" in text for text in run.remarks)  # nobody counted one
        met += 1
    assert met >= LITTLE


def test_a_cuff_is_met_and_what_was_never_measured_stays_wide(home):
    told = 0
    for record in records(home)[:LITTLE]:
        cuffs = measured(record, "systolic-pressure")
        run = answer(home, record, cuffs[-1][0])
        if isinstance(run, Missing):
            assert any(word in " ".join(run.say) for word in ("dead", "Age"))
            continue
        told += 1
        outputs = {each.name: each for each in run.outputs}
        systolic, wedge = outputs["systolic-pressure"], outputs["wedge-pressure"]
        assert isinstance(cuffs[-1][1].value, Quantity)
        assert abs(systolic.value - float(cuffs[-1][1].value.value)) < 15.0
        assert wedge.low is not None
        assert wedge.high is not None
        assert wedge.high - wedge.low > 10.0
    assert told > 0
