"""Charts: what the API has of twins, out of a real store; and what it never has."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from conformance.cohort import build, to_json
from gateway.api.charts import StoreCharts
from gateway.api.opened import OpenedChart
from gateway.api.shown import Gone, Shown
from gateway.cli import main
from gateway.erasure import erase
from gateway.home import Home, now
from gateway.identities import join
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.store import StoredResource
from tests.gateway.erasing import ADA, GRACE, lay, observation, opened, patient, pull, twin_named

Json = dict[str, Any]
OF_PATIENTS = ("subject", "patient", "beneficiary")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path / "home") as found:
        yield found


def observations(chart: OpenedChart) -> list[Shown]:
    return list(chart.of_type("Observation"))


def everything(chart: OpenedChart) -> list[Shown]:
    return [each for type_ in sorted(chart.types()) for each in chart.of_type(type_)]


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for each in value.values():
            yield from references_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from references_in(each)


def test_a_chart_has_what_a_twin_has_and_another_ones_has_none_of_it(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA, *GRACE))
    charts = StoreCharts(home)
    ada, grace = twin_named(home, "Patient/ada"), twin_named(home, "Patient/grace")
    assert sorted([ada, grace]) == list(charts.twins(""))
    chart = charts.chart(ada)
    [patient_] = chart.of_type("Patient")
    assert (patient_.id, patient_.version, patient_.twin) == (ada, 1, ada)
    [told] = observations(chart)
    assert told.body["subject"] == {"reference": f"Patient/{ada}"}
    assert json.loads(told.raw)["valueQuantity"]["value"] == 1.2345
    assert chart.get("Observation", told.id) == told
    assert charts.twin_of("Observation", told.id) == ada
    [hers] = observations(charts.chart(grace))
    assert chart.get("Observation", hers.id) is None
    shared = charts.shared("")
    assert [each.body["name"] for each in shared.of_type("Organization")] == ["Ward 7"]
    assert shared.of_type("Observation") == ()  # what names nobody whom we know is shown to nobody
    assert shared.withheld == {"of-nobody": 2}
    assert charts.twin_of("Organization", shared.of_type("Organization")[0].id) == ""


def test_a_reference_into_another_record_says_nothing_of_whether_we_have_that(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA, *GRACE))
    ada, grace = twin_named(home, "Patient/ada"), twin_named(home, "Patient/grace")
    charts = StoreCharts(home)
    [hers] = observations(charts.chart(grace))
    [reference] = references_in(hers.body["derivedFrom"])
    assert reference.startswith(f"Observation/{grace}-")
    assert charts.chart(grace).get("Observation", reference.partition("/")[2]) is None
    assert ada not in hers.raw.decode()


def test_a_chart_is_the_same_with_and_without_the_others(tmp_path: Path):
    with opened(tmp_path / "home") as home:
        pull(home, lay(tmp_path / "in", *ADA))
        ada = twin_named(home, "Patient/ada")
        before = [each.raw for each in everything(StoreCharts(home).chart(ada))]
        state = StoreCharts(home).chart(ada).version
        pull(home, lay(tmp_path / "more", *GRACE), "south")
        pull(home, lay(tmp_path / "in", *ADA, *GRACE))
        after = StoreCharts(home).chart(ada)
        assert [each.raw for each in everything(after)] == before
        assert after.version == state


def test_what_changed_is_another_version_and_the_first_one_stays(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA))
    ada = twin_named(home, "Patient/ada")
    charts = StoreCharts(home)
    first = charts.chart(ada)
    [old] = observations(first)
    changed = [ADA[0], observation("a1", "Patient/ada", 2.5)]
    pull(home, lay(tmp_path / "in", *changed))
    chart = charts.chart(ada)
    assert chart is not first
    [new] = observations(chart)
    assert (new.id, old.version, new.version) == (old.id, 1, 2)
    assert new.updated > old.updated
    assert [each.version for each in chart.versions("Observation", new.id)] == [2, 1]
    assert chart.versions("Observation", new.id)[1] == old
    assert [each.version for each in chart.versions("Patient", ada)] == [1]
    assert charts.chart(ada) is chart


def test_what_the_source_took_back_is_gone_and_its_history_is_not(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA))
    ada = twin_named(home, "Patient/ada")
    charts = StoreCharts(home)
    [old] = observations(charts.chart(ada))
    again = home.store.begin_pull("north", now())
    end = StoredResource("north", "Observation/a1", "r4", b"", (), retracted="deleted")
    home.store.retract(again, {ada: [end]}, {}, now=now())
    chart = charts.chart(ada)
    assert observations(chart) == []
    gone = chart.get("Observation", old.id)
    assert isinstance(gone, Gone)
    assert gone.version == 2
    assert chart.gone() == (gone,)
    assert chart.versions("Observation", old.id) == (gone, old)


def test_everything_in_a_chart_leads_to_it_or_to_nobody_and_each_resource_is_counted(home: Home, tmp_path: Path):
    cohort = build(7)
    for ehr, version in (("lakeside", "dstu2"), ("harbor", "stu3"), ("summit", "r4")):
        folder = tmp_path / ehr
        folder.mkdir()
        rows = [to_json(e["resource"]) for b in cohort.bundles(ehr, version)[:6] for e in b["entry"]]
        (folder / "all.ndjson").write_bytes(b"\n".join(rows))
        asyncio.run(ingest(home, Folder(ehr, folder, version), lambda _: None))
    charts = StoreCharts(home)
    shared = charts.shared("")
    known = {each.reference for each in everything(shared)}
    counted: Counter[str] = Counter()
    for twin in charts.twins(""):
        chart = charts.chart(twin)
        found = everything(chart)
        mine = {each.reference for each in found}
        assert len(mine) == len(found)
        for each in found:
            assert each.twin == twin
            assert each.id.startswith(twin)
            assert each.etag == f'W/"{each.body["meta"]["versionId"]}"'
            about = [each.body[name] for name in OF_PATIENTS if name in each.body]
            assert not about or {"reference": f"Patient/{twin}"}.items() <= about[0].items()
            for reference in references_in(each.body):
                assert reference in mine | known or reference.startswith("#"), reference
        assert chart.received == sum(1 for _ in chart.from_sources()) + sum(chart.withheld.values())
        counted.update(chart.withheld)
        for type_ in chart.types():
            listed = chart.of_type(type_)
            assert list(listed) == sorted(listed, key=lambda each: (-each.updated.timestamp(), each.id))
            assert all(chart.get(type_, each.id) == each for each in listed)
    assert counted.keys() <= {"another-patient", "missing"}


def test_one_person_of_two_sources_is_one_patient_with_the_identifiers_of_both(home: Home, tmp_path: Path):
    one = patient("1", "Zzcanary", "1951-07-19", "N-1")
    other = {**patient("x", "Zzcanary", "1951-07-19", "S-1"), "address": [{"city": "Southtown"}]}
    pull(home, lay(tmp_path / "north", one, observation("n", "Patient/1", 1.0)))
    pull(home, lay(tmp_path / "south", other, observation("s", "Patient/x", 2.0)), "south")
    north, south = twin_named(home, "Patient/1"), twin_named(home, "Patient/x", "south")
    if north != south:
        join(home, north, south)
    charts = StoreCharts(home)
    [twin] = [each for each in {north, south} if charts.chart(each).received]
    chart = charts.chart(twin)
    [told] = chart.of_type("Patient")
    assert {each["value"] for each in told.body["identifier"]} == {"N-1", "S-1"}
    assert told.body["address"] == [{"city": "Southtown"}]  # the source that told last, whole
    assert len(observations(chart)) == 2
    assert chart.withheld == {"another-patient": 1}


def test_a_result_of_ours_is_shown_once_labelled_and_leads_to_what_it_stands_on(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA))
    ada = twin_named(home, "Patient/ada")
    charts = StoreCharts(home)
    before = charts.chart(ada)
    assert before.of_type("RiskAssessment") == ()
    run_model(home, open_twin(home, ada), "kidney")
    chart = charts.chart(ada)
    assert chart.version != before.version
    measured, simulated = Counter(), []
    for each in observations(chart):
        labels = {label["code"] for label in each.body["meta"].get("security", ())}
        measured["AIAST" in labels] += 1
        simulated += [each] if "AIAST" in labels else []
    assert measured == {False: 1, True: 1}
    [creatinine] = [each for each in observations(chart) if each not in simulated]
    assert creatinine.reference in references_in(simulated[0].body["derivedFrom"])
    [device] = chart.of_type("Device")
    assert simulated[0].body["device"] == {"reference": device.reference}
    assert run_model(home, open_twin(home, ada), "kidney")  # the same run
    assert [each.raw for each in observations(charts.chart(ada))] == [each.raw for each in observations(chart)]
    returned = {**json.loads(simulated[0].raw), "id": "back", "subject": {"reference": "Patient/ada"}}
    for name in ("derivedFrom", "device"):
        returned.pop(name)
    pull(home, lay(tmp_path / "in", *ADA, returned))
    assert charts.chart(ada).withheld == {"own-result": 1}


def test_each_resource_has_a_provenance_when_somebody_asks(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA))
    ada = twin_named(home, "Patient/ada")
    chart = StoreCharts(home).chart(ada)
    targets = {reference for each in chart.of_type("Provenance") for reference in references_in(each.body["target"])}
    assert targets == {f"Patient/{ada}", observations(chart)[0].reference}
    for each in chart.of_type("Provenance"):
        assert chart.get("Provenance", each.id) == each
        assert chart.versions("Provenance", each.id) == (each,)


def test_an_erased_twin_is_not_there(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA, *GRACE))
    ada, grace = twin_named(home, "Patient/ada"), twin_named(home, "Patient/grace")
    charts = StoreCharts(home)
    charts.chart(ada)
    assert charts.shared("").of_type("Organization")
    erase(home, ada, "request")
    with pytest.raises(KeyError):
        charts.chart(ada)
    assert charts.tenant_of(ada) is None
    assert list(charts.twins("")) == [grace]
    assert charts.shared("").of_type("Organization")


def test_a_restricted_twin_may_be_read(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA))
    ada = twin_named(home, "Patient/ada")
    home.store.guard(ada, "restriction", "case-1", now())
    assert observations(StoreCharts(home).chart(ada))


def _pull_elsewhere(home: str, folder: str) -> None:
    with Home.open(load_settings(Path(home))) as other:
        pull(other, Path(folder))


def test_what_another_process_brought_is_there_at_the_next_question(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA))
    ada = twin_named(home, "Patient/ada")
    charts = StoreCharts(home)
    assert len(observations(charts.chart(ada))) == 1
    lay(tmp_path / "in", *ADA, observation("a2", "Patient/ada", 1.5))
    other = multiprocessing.get_context("spawn").Process(
        target=_pull_elsewhere, args=(str(home.settings.home), str(tmp_path / "in"))
    )
    other.start()
    other.join()
    assert other.exitcode == 0
    assert len(observations(charts.chart(ada))) == 2


def test_threads_that_ask_at_once_get_the_same(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA, *(observation(f"n{n}", "Patient/ada", 1 + n / 9) for n in range(60))))
    ada = twin_named(home, "Patient/ada")
    charts = StoreCharts(home)
    found: list[list[bytes]] = []

    def ask() -> None:
        found.append([each.raw for each in observations(charts.chart(ada))])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 8
    assert all(each == found[0] and len(each) == 61 for each in found)


def test_charts_take_no_more_room_than_they_are_given(home: Home, tmp_path: Path):
    rows = [patient(str(n), f"Family{n}", f"19{n:02d}-01-01", f"I-{n}") for n in range(10, 30)]
    pull(home, lay(tmp_path / "in", *rows))
    charts = StoreCharts(home, room=20_000)
    for twin in charts.twins(""):
        assert charts.chart(twin).of_type("Patient")
    assert len(charts._opened) < 6


def test_a_group_holds_the_patients_of_a_source_and_tells_not_how_many(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA, *GRACE))
    pull(home, lay(tmp_path / "south", patient("s", "Southern", "1970-01-01", "S")), "south")
    charts = StoreCharts(home)
    groups = {each.body["name"]: each for each in charts.shared("").of_type("Group")}
    assert groups.keys() == {"Patients of north", "Patients of south"}
    assert "quantity" not in groups["Patients of north"].body
    members = charts.members(groups["Patients of north"].id, "")
    assert members is not None
    assert list(members) == sorted([twin_named(home, "Patient/ada"), twin_named(home, "Patient/grace")])
    assert charts.members(groups["Patients of north"].id, "elsewhere") is None
    assert charts.members("g-nothing", "") is None


def test_tenants_are_apart(home: Home, tmp_path: Path):
    lay(tmp_path / "in", *ADA, *GRACE)
    home.settings.home.joinpath("twin.toml").write_text(
        f'[sources.north]\nfolder = "{tmp_path / "in"}"\ntenant = "one"\n', "utf-8"
    )
    with opened(home.settings.home) as again:
        pull(again, tmp_path / "in")
    pull(home, lay(tmp_path / "south", patient("s", "Southern", "1970-01-01", "S")), "south")
    charts = StoreCharts(home)
    south = twin_named(home, "Patient/s", "south")
    assert list(charts.twins("")) == [south]
    assert charts.tenant_of(twin_named(home, "Patient/ada")) == "one"
    assert charts.shared("").of_type("Organization") == ()
    assert len(charts.shared("one").of_type("Organization")) == 1
    assert len(charts.shared("one").of_type("Group")) == 1


def test_the_stored_resource_of_each_shown_one_is_found(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", *ADA))
    ada = twin_named(home, "Patient/ada")
    charts = StoreCharts(home)
    stored = charts.stored(ada)
    [told] = observations(charts.chart(ada))
    assert stored[told.reference].key == "Observation/a1"
    assert stored[f"Patient/{ada}"].raw


def test_a_command_tells_why_a_resource_is_not_shown(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pull(home, lay(tmp_path / "in", *ADA, observation("bad", "Patient/ada", 1.0, effectiveDateTime="2026-02-30")))
    ada = twin_named(home, "Patient/ada")
    capsys.readouterr()
    assert main(["shown", ada, "--format", "json", "--home", str(home.settings.home)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["received"], told["shown"], told["withheld"]) == (3, 2, {"bad-value": 1})
    assert told["hidden"] == [
        {"source": "north", "resource": "Observation/bad", "reason": "bad-value", "path": "effectiveDateTime"}
    ]
    assert main(["shown", ada, "--resource", "Observation/bad", "--home", str(home.settings.home)]) == 0
    assert "effectiveDateTime" in capsys.readouterr().out


def test_of_whom_no_source_tells_what_can_be_shown_there_is_a_patient_and_no_more(home: Home, tmp_path: Path):
    pull(home, lay(tmp_path / "in", {**ADA[0], "deceasedDateTime": "2026-02-30"}, ADA[1]))
    ada = twin_named(home, "Patient/ada")
    chart = StoreCharts(home).chart(ada)
    [told] = chart.of_type("Patient")
    assert told.body.keys() == {"resourceType", "id", "meta"}
    assert chart.withheld == {"bad-value": 1}


def test_a_consent_that_is_not_shown_as_it_came_is_doubtful(home: Home, tmp_path: Path):
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    consent = {
        "resourceType": "Consent",
        "id": "c",
        "status": "active",
        "scope": scope,
        "category": [{"text": "privacy"}],
        "patient": {"reference": "Patient/ada"},
        "policyRule": {"text": "opt out"},
        "provision": {"type": "deny"},
    }
    broken = [
        {**consent, "id": "d", "provision": {"type": "refuse"}},
        {**consent, "id": "e", "provision": {"type": "deny", "colour": 1}},
    ]
    pull(home, lay(tmp_path / "in", ADA[0], consent, *broken))
    chart = StoreCharts(home).chart(twin_named(home, "Patient/ada"))
    assert len(chart.of_type("Consent")) == 2
    assert len(set(chart.doubtful("Consent"))) == 2


def document(*more: Json, condition: str = "44054006") -> Json:
    """Write a document as a patient summary is one: names within it are urn:uuid."""
    me, medicine = f"urn:uuid:{uuid5(NAMESPACE_OID, 'me')}", f"urn:uuid:{uuid5(NAMESPACE_OID, 'medicine')}"
    resources: list[tuple[str, Json]] = [
        (f"urn:uuid:{uuid5(NAMESPACE_OID, 'head')}", {"resourceType": "Composition", "subject": {"reference": me}}),
        (me, {**ADA[0], "id": "within"}),
        (
            f"urn:uuid:{uuid5(NAMESPACE_OID, 'condition')}",
            {
                "resourceType": "Condition",
                "subject": {"reference": me},
                "clinicalStatus": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
                },
                "code": {"coding": [{"system": "http://snomed.info/sct", "code": condition}]},
            },
        ),
        (medicine, {"resourceType": "Medication", "code": {"text": "tablets"}}),
        (
            f"urn:uuid:{uuid5(NAMESPACE_OID, 'statement')}",
            {
                "resourceType": "MedicationStatement",
                "status": "active",
                "subject": {"reference": me},
                "medicationReference": {"reference": medicine},
            },
        ),
        *((f"urn:uuid:{uuid5(NAMESPACE_OID, str(number))}", each) for number, each in enumerate(more)),
    ]
    entries = [{"fullUrl": url, "resource": each} for url, each in resources]
    return {"resourceType": "Bundle", "id": "doc", "type": "document", "entry": entries}


def test_what_stands_in_a_document_is_shown_entry_by_entry(home: Home, tmp_path: Path):
    stranger = observation("s", "Patient/somebody-else", 1.0)
    pull(home, lay(tmp_path / "in", document(stranger)))
    charts = StoreCharts(home)
    [twin] = charts.twins("")
    chart = charts.chart(twin)
    [told] = chart.of_type("Patient")
    assert told.body["name"][0]["family"] == "Zzcanary"
    [statement] = chart.of_type("MedicationStatement")
    [medicine] = chart.of_type("Medication")
    assert statement.body["subject"] == {"reference": f"Patient/{twin}"}
    assert statement.body["medicationReference"] == {"reference": medicine.reference}
    assert (medicine.twin, charts.twin_of("Medication", medicine.id)) == (twin, twin)
    assert chart.of_type("Observation") == ()
    assert chart.withheld == {"document": 1, "no-type": 1, "other-subject": 1}
    assert chart.received == sum(1 for _ in chart.from_sources()) + sum(chart.withheld.values())
    [before] = chart.of_type("Condition")
    pull(home, lay(tmp_path / "in", document(condition="38341003")))
    after = charts.chart(twin)
    [now_] = after.of_type("Condition")
    assert (now_.id, now_.version) == (before.id, 2)
    assert [each.version for each in after.of_type("MedicationStatement")] == [1]
