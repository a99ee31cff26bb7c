"""`twin pull` of a server: what is asked for is said in twin.toml or at the command line, and is certified."""

from __future__ import annotations

import json

import pytest

from conformance.hostile import Ehr, EhrSettings, Misbehaviour
from gateway.cli import main
from gateway.home import Home
from gateway.proof import proven_types
from gateway.settings import load_settings
from tests.conformance.desk import sockets
from tests.gateway.pull.crawling import observation, patient, record


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


@pytest.fixture
def ehr(socket, tmp_path):
    ehr = Ehr(EhrSettings(name="north", require_auth=False, page_size=4))
    ehr.load(*record())
    socket.insert(ehr)
    (tmp_path / "twin.toml").write_text(f'[sources.north]\nurl = "{ehr.base_url}"\npage_size = 4\n', "utf-8")
    return ehr


@pytest.fixture
def pull(ehr, tmp_path, capsys):
    def run(*said: str, status: int = 0) -> dict:
        capsys.readouterr()
        assert main(["pull", "north", *said, "--home", str(tmp_path), "--format", "json"]) == status
        [told] = json.loads(capsys.readouterr().out)["sources"]
        return told

    return run


def asked(ehr, type_: str) -> list[str]:
    return [each.query for each in ehr.seen if each.path == f"/fhir/{type_}"]


def test_changes_alone_come_with_auto_and_the_list_stays_whole(ehr, pull, tmp_path):
    assert pull("--types", "Patient,Observation")["certificate"] == "complete"
    ehr.load(observation("new", 0))
    ehr.seen.clear()
    told = pull("--types", "Patient,Observation", "--since", "auto")
    assert told["certificate"] == "complete"
    assert all(
        "_lastUpdated=ge" in each for each in asked(ehr, "Observation") if "ct=" not in each and "no-such" not in each
    )
    with Home.open(load_settings(tmp_path)) as home:
        newest, oldest = home.store.pulls("north")
        assert newest.certificate.after == oldest.id
        assert proven_types(home.store, "north")[1] == {"Patient", "Observation"}


def test_a_way_and_an_instant_may_be_said(ehr, pull):
    told = pull("--way", "patients", "--since", "2020-01-01T00:00:00Z", "--types", "Observation")
    assert told["resources"] == 20
    assert "patient=p0" in " ".join(asked(ehr, "Observation"))


@pytest.mark.parametrize("said", [("--since", "yesterday"), ("--since", "2020-01-01T00:00:00")])
def test_an_instant_without_its_zone_is_refused(pull, tmp_path, said, capsys):
    assert main(["pull", "north", *said, "--home", str(tmp_path)]) == 2


def test_a_folder_is_read_whole(tmp_path, capsys):
    assert main(["pull", "--folder", str(tmp_path), "--since", "auto", "--home", str(tmp_path / "home")]) == 2


def test_a_pull_that_was_stopped_goes_on_with_what_was_landed(ehr, pull, tmp_path):
    ehr.misbehaviours.add(Misbehaviour("unavailable", "Observation", after=4, value="3600"))
    assert main(["pull", "north", "--types", "Patient,Observation", "--home", str(tmp_path)]) == 3
    ehr.misbehaviours.clear()
    told = pull("--types", "Patient,Observation")
    assert (told["certificate"], told["resources"], told["resumed"]) == ("complete", 20, True)


def test_what_a_prescription_refers_to_is_filled_in_once(ehr, pull):
    order = {"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order"}
    about = {"subject": {"reference": "Patient/p0"}, "medicationReference": {"reference": "Medication/x"}}
    ehr.load({"resourceType": "Medication", "id": "x"}, {**order, **about}, patient(9))
    types = ("--types", "Patient,MedicationRequest")
    pull(*types)
    assert "_id=x&_count=1" in asked(ehr, "Medication")
    ehr.seen.clear()
    pull(*types)
    assert not [each for each in asked(ehr, "Medication") if "_id=x" in each]


def test_questions_whose_answers_are_not_kept_are_in_the_audit_log_before_they_are_asked(ehr, pull, tmp_path):
    """Probes, the control and counts may be answered with data."""
    ehr.misbehaviours.add(Misbehaviour("login-page"))  # so that no page of data comes at all
    main(["pull", "north", "--home", str(tmp_path)])
    assert asked(ehr, "Patient")
    with Home.open(load_settings(tmp_path)) as home:
        events = [json.dumps(each.event) for each in home.store.audit_events(50)]
    assert [event for event in events if '"probes"' in event]
