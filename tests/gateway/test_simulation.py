"""Running a model on a stored twin: what absence means, what a run is called, and whose settings count."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.simulation import closed_kinds, models_of, open_twin, run_model
from gateway.sources import open_source
from security.errors import BadSettings, UnknownName
from twin_engine import Missing, Run

AT = datetime(2026, 11, 1, tzinfo=UTC)
MEASURED = {"2160-0": (1.1, "mg/dL"), "2093-3": (201, "mg/dL"), "2085-9": (47, "mg/dL"), "39156-5": (27.5, "kg/m2")}
MEASURED |= {"8480-6": (138, "mm[Hg]")}


def observation(number: int, code: str, **value: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-09-10T08:00:00Z",
        **value,
    }


def person() -> list[dict[str, Any]]:
    """A woman of 55 of whom all is measured that PREVENT asks for, and no problem or medicine is on record."""
    never = {"coding": [{"system": "http://snomed.info/sct", "code": "266919005"}]}
    measured = (
        observation(n, code, valueQuantity={"value": v, "unit": u, "code": u, "system": "http://unitsofmeasure.org"})
        for n, (code, (v, u)) in enumerate(MEASURED.items())
    )
    return [
        {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1971-03-04"},
        observation(99, "72166-2", valueCodeableConcept=never),
        *measured,
    ]


@pytest.fixture
async def from_folder(tmp_path: Path) -> AsyncIterator[Home]:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.ndjson").write_text("\n".join(map(json.dumps, person())), "utf-8")
    with Home.open(load_settings(tmp_path / "home")) as home:
        await ingest(home, Folder("files", folder, "r4"), lambda text: None)
        yield home


async def pull(tmp_path: Path, *misbehaviours: Misbehaviour) -> tuple[Home, str]:
    ehr = Ehr(EhrSettings(name="ward", require_auth=False))
    ehr.load(*person())
    ehr.misbehaviours.add(*misbehaviours)
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.ward]\nurl = "{base}"\n', "utf-8")
        home = Home.open(load_settings(tmp_path))
        async with open_source("ward", home.settings.source("ward")) as source:
            await ingest(home, source, lambda text: None)
    [twin] = home.store.twins()
    return home, twin.id


async def test_absence_is_no_answer_where_the_list_cannot_be_proven_whole(from_folder):
    [twin] = from_folder.store.twins()
    record = open_twin(from_folder, twin.id)
    assert closed_kinds(from_folder, record) == frozenset()
    answer, run = run_model(from_folder, record, "prevent", at=AT)
    assert isinstance(answer, Missing)
    assert "unproven" in {lack.why for lack in answer.lacks}
    assert run == ""
    assert from_folder.store.runs(twin.id) == []


async def test_who_assumes_absence_is_quoted_in_the_result(from_folder):
    [twin] = from_folder.store.twins()
    answer, _ = run_model(from_folder, open_twin(from_folder, twin.id), "prevent", at=AT, assume_absent=True)
    assert isinstance(answer, Run)
    assert any("assum" in text.lower() for text in answer.assumptions)


async def test_a_complete_certificate_makes_absence_an_answer(tmp_path):
    home, twin = await pull(tmp_path)
    with home:
        record = open_twin(home, twin)
        assert closed_kinds(home, record) == {"condition", "medication"}
        answer, _ = run_model(home, record, "prevent", at=AT)
    assert isinstance(answer, Run)
    assert len(answer.outputs) == 10
    assert {i.basis for i in answer.inputs if i.name == "diabetes"} == {"none recorded"}


@pytest.mark.parametrize("name", ["no-total", "wrong-total", "login-page"])
async def test_a_list_that_was_not_walked_to_a_proven_end_is_not_closed(tmp_path, name):
    always = Misbehaviour(name, type="Condition")
    home, twin = await pull(tmp_path, always)
    with home:
        closed = closed_kinds(home, open_twin(home, twin))
    # a server that leaves the total out is asked for the count once more, and that proves the end
    assert closed == ({"condition", "medication"} if name == "no-total" else {"medication"})


async def test_the_same_facts_give_the_same_run_whenever_it_is_made(from_folder):
    [twin] = from_folder.store.twins()
    record = open_twin(from_folder, twin.id)
    first = run_model(from_folder, record, "kidney", at=AT)
    later = run_model(from_folder, record, "kidney", at=AT.replace(day=20))
    assert first[1] == later[1] != ""
    assert len(from_folder.store.runs(twin.id)) == 1
    ours = [e for e in from_folder.store.audit_events(50) if e.event["subtype"][0]["code"] == "run"]
    assert len(ours) == 2


async def test_settings_of_a_model_come_from_twin_toml(tmp_path):
    (tmp_path / "twin.toml").write_text('[models.kidney]\nregion = "elsewhere"\n', "utf-8")
    with Home.open(load_settings(tmp_path)) as home:
        assert models_of(home)["kidney"].settings == {"region": "elsewhere"}


@pytest.mark.parametrize(
    ("text", "fault", "said"),
    [
        ('[models.kidney]\nregoin = "elsewhere"\n', BadSettings, "region"),
        ('[models.kidney]\nregion = "moon"\n', BadSettings, "not usable"),
        ('[models.kidny]\nregion = "elsewhere"\n', UnknownName, "kidney"),
    ],
)
async def test_a_wrong_setting_of_a_model_is_named(tmp_path, text, fault, said):
    (tmp_path / "twin.toml").write_text(text, "utf-8")
    with Home.open(load_settings(tmp_path)) as home, pytest.raises(fault) as raised:
        models_of(home)
    assert said in str(raised.value)
