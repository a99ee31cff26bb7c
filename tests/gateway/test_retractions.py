"""What a source no longer has, or no longer means, stands as a fact no more, and is seen in the past as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conformance.hostile import Misbehaviour
from gateway.calibration import Calibrated, current, dynamic_model, go_on
from gateway.cli import main
from gateway.home import now
from gateway.pull.keys import new_key
from gateway.pull.page import RETRACTIONS, Certificate, Entry, Page
from gateway.simulation import open_twin
from gateway.stream.delivery import Delivery
from gateway.stream.mapping import map_waiting
from gateway.stream.resources import deletion
from tests.gateway.test_bad_readings import glucose as measured
from tests.gateway.warding import Ward, killed_everywhere, person, ward_in, weight


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with ward_in(tmp_path) as found:
        yield found


ALL = {f"o{n}" for n in range(9)}


def glucose(when: datetime, value: float, name: str) -> dict[str, object]:
    return {**measured(when, value, name), "subject": {"reference": "Patient/p1"}}


# ---- deleted ---------------------------------------------------------------------------------------------------------


def test_a_deleted_observation_stands_no_more(ward):
    ward.pull()
    ward.ehr.store.remove("Observation", "o3")
    report = ward.pull()
    assert ward.facts()["p0"] == ALL - {"o3"}
    assert ward.retracted() == {("Observation/o3", "deleted")}
    assert (report.certificate.verdict, report.certificate.retracted, report.certificate.seen) == ("complete", 1, 10)
    assert report.ledger.resources == report.ledger.understood + report.ledger.refused == 10
    assert ward.twin_counts() == [(1, 2), (9, 10)]
    assert ward.pull().certificate.retracted == 0  # once is enough


def test_what_was_known_before_a_retraction_is_still_seen(ward, capsys):
    ward.pull()
    twin = ward.twin("p0")
    with ward.home() as home:
        before = home.store.twin_record(twin)
    ward.ehr.store.remove("Observation", "o3")
    ward.pull()
    then = ward.ask(capsys, "diff", twin, "--from", str(before.version))
    [change] = then["facts"]
    assert (change["what"], change["because"], change["after"]) == ("retracted", ["deleted"], None)
    assert ward.ask(capsys, "versions", twin)["versions"][-1]["retracted"] == 1
    assert ward.ask(capsys, "show", twin)["retracted"] == [
        {"reason": "deleted", "source": "ward", "resource": "Observation/o3"}
    ]
    with ward.home() as home:
        versions = home.store.twin_versions(twin)
        past = home.store.twin_record(twin, versions[-2].created)
    assert (list(past.resources), past.retracted) == (list(before.resources), ())
    assert main(["diff", twin, "--from", str(before.version), "--home", str(ward.folder)]) == 0
    assert RETRACTIONS["deleted"] in " ".join(capsys.readouterr().out.split())


def test_a_deleted_patient_leaves_no_facts_and_the_twin_stays(ward):
    ward.pull()
    twin = ward.twin("p0")
    for number in range(9):
        ward.ehr.store.remove("Observation", f"o{number}")
    ward.ehr.store.remove("Patient", "p0")
    assert ward.pull().certificate.verdict == "complete"
    with ward.home() as home:
        record = home.store.twin_record(twin)
        assert (record.resources, len(record.retracted)) == ((), 10)
        assert home.store.twin_of("ward", "Patient/p0") is None
    ward.ehr.load(person("p0"), weight(0))
    ward.pull()  # it is there again, under the id that the server promises
    assert ward.twin("p0") == twin
    assert ward.facts()["p0"] == {"o0"}
    assert ("Observation/o0", "deleted") not in ward.retracted()


def test_what_names_a_deleted_patient_is_about_nobody(ward):
    ward.pull()
    twin = ward.twin("p0")
    ward.ehr.store.remove("Patient", "p0")
    report = ward.pull()
    assert dict(report.ledger.refusals) == {"unknown-patient": 9}
    with ward.home() as home:
        assert home.store.twin_record(twin).resources == ()


# ---- reassigned ------------------------------------------------------------------------------------------------------


def test_a_resource_that_changes_its_patient_counts_once(ward):
    ward.pull()
    ward.ehr.load(*(weight(n, "p1") for n in range(5)))
    report = ward.pull()
    assert ward.facts() == {"p0": {f"o{n}" for n in range(5, 9)}, "p1": {f"o{n}" for n in range(5)}}
    assert ward.retracted() == {(f"Observation/o{n}", "reassigned") for n in range(5)}
    assert (report.certificate.verdict, report.certificate.retracted) == ("complete", 5)
    ward.ehr.load(*(weight(n) for n in range(5)))
    ward.pull()  # and back again
    assert ward.facts() == {"p0": ALL, "p1": set()}


def test_what_an_older_release_counted_twice_is_healed_by_the_next_pull(ward):
    ward.pull()
    with ward.home() as home:  # as it was stored before: the same resource in both twins
        one, other = (home.store.twin_of("ward", f"Patient/{name}") for name in ("p0", "p1"))
        twice = [r for r in home.store.twin_record(one).resources if r.key.startswith("Observation/")]
        pull = home.store.begin_pull("ward", now())
        home.store.land(pull, Page(1, "all", (), "end"))
        home.store.finish_fetch(pull, Certificate("ward", "r4", ()))
        home.store.append(pull, 1, {other: twice}, [], {}, now=now())
        home.store.finish_pull(pull, now())
    assert ward.facts() == {"p0": ALL, "p1": ALL}
    ward.pull()
    assert ward.facts() == {"p0": ALL, "p1": set()}


def test_what_is_no_longer_about_anybody_known_is_taken_back_too(ward):
    ward.pull()
    ward.ehr.load(weight(3, "stranger"))
    report = ward.pull()
    assert ward.facts()["p0"] == ALL - {"o3"}
    assert dict(report.ledger.refusals) == {"unknown-patient": 1}
    ward.ehr.load(weight(3))
    ward.pull()
    assert ward.facts()["p0"] == ALL


# ---- what rests on them ----------------------------------------------------------------------------------------------


def test_a_calibration_forgets_a_reading_that_was_retracted(ward):
    ended = datetime.now(UTC).replace(second=0, microsecond=0)
    ward.ehr.load(*(glucose(ended - timedelta(minutes=10 + 5 * n), 90 + n, str(n)) for n in range(72)))
    ward.ehr.load(glucose(ended - timedelta(minutes=5), 130, "wrong"))
    ward.pull()
    twin = ward.twin("p1")
    with ward.home() as home:
        model = dynamic_model(home, "glucose")
        found = current(home, open_twin(home, twin), model)
        assert isinstance(found, Calibrated)
        assert found.series.readings[-1].value == 130
        with home.store.transaction():
            assert go_on(home, twin, model) is not None
        before = home.store.state(twin, "glucose", "track")
    ward.ehr.store.remove("Observation", "gwrong")
    ward.pull()
    with ward.home() as home:
        with home.store.transaction():
            assert go_on(home, twin, model) is None  # all of the past is looked at
        found = current(home, open_twin(home, twin), model)
        assert isinstance(found, Calibrated)
        assert found.series.readings[-1].value == 90
        assert home.store.state(twin, "glucose", "track").content != before.content
        with home.store.transaction():
            assert go_on(home, twin, model) is not None


# ---- not believed ----------------------------------------------------------------------------------------------------


def hide(ward: Ward, *names: str) -> None:
    """Take resources out of the server's lists."""
    for name in names:
        ward.ehr.store.remove("Observation", name)


@pytest.mark.parametrize(("status", "taken"), [(404, "absent"), (403, ""), (500, ""), (410, "deleted")])
def test_what_is_not_listed_is_gone_only_where_the_server_says_so(ward, status, taken):
    ward.pull()
    hide(ward, "o3")
    ward.answers["Observation/o3"] = status
    report = ward.pull()
    assert ward.retracted() == ({("Observation/o3", taken)} if taken else set())
    assert ward.facts()["p0"] == ALL - ({"o3"} if taken else set())
    assert report.certificate.verdict == ("complete" if taken else "incomplete")
    stopped = {asked.stopped for asked in report.certificate.asked}
    assert ("unclear-absence" in stopped) == (not taken)


def test_a_list_that_leaves_out_what_is_there_is_not_believed(ward):
    ward.pull()
    hide(ward, "o3")
    ward.answers["Observation/o3"] = -1  # not listed, and given when it is asked for
    report = ward.pull()
    assert ward.facts()["p0"] == ALL
    assert ward.retracted() == set()
    [asked] = [asked for asked in report.certificate.asked if asked.signs]
    assert (asked.what, asked.signs, asked.missing) == ("Observation", ("known-to-be-missing",), ("Observation/o3",))
    assert report.certificate.verdict == "incomplete"


def test_a_404_is_not_believed_of_a_server_that_says_it_of_everything(ward):
    ward.pull()
    hide(ward, "o3")
    ward.answers |= {f"Observation/o{n}": 404 for n in range(9)}
    assert ward.pull().certificate.verdict == "incomplete"
    assert ward.facts()["p0"] == ALL


def test_many_that_are_missing_at_once_are_told_and_not_taken_back(ward):
    ward.ehr.load(*(weight(n) for n in range(9, 60)))
    ward.pull()
    hide(ward, *(f"o{n}" for n in range(30)))
    ward.asked.clear()
    report = ward.pull()
    assert [asked.stopped for asked in report.certificate.asked if asked.stopped] == ["many-absent"]
    assert report.certificate.verdict == "incomplete"
    assert len(ward.facts()["p0"]) == 60
    assert not [path for path in ward.asked if path.startswith("Observation/o")]
    report = ward.pull(ask_all=True)  # a person has looked
    assert (report.certificate.verdict, report.certificate.retracted) == ("complete", 30)
    assert len(ward.facts()["p0"]) == 30


def test_a_source_that_moved_to_another_server_has_not_deleted_everything(ward, tmp_path):
    ward.pull()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with ward_in(elsewhere) as other:
        hide(other, "o3", "o4")
        ward.configure(base=other.base)
        report = ward.pull()
        assert ward.facts()["p0"] == ALL
        assert "another url" in report.certificate.note
        assert "another url" in ward.pull().certificate.note


def test_what_came_by_itself_was_never_in_a_list(ward):
    ward.pull()
    with ward.home() as home:
        sent = Entry(json.dumps(weight(77)).encode(), version="r4")
        home.store.accept(Delivery("ward", "77", "post", (sent,)), now())
        assert map_waiting(home, "ward", deliveries=10) is not None
    assert ward.facts()["p0"] == ALL | {"o77"}
    report = ward.pull()
    assert ward.facts()["p0"] == ALL | {"o77"}
    assert "by themselves" in report.certificate.note


def test_a_grant_of_a_part_takes_nothing_back(tmp_path):
    private, public = new_key()
    (tmp_path / "key.json").write_text(private, "utf-8")
    (tmp_path / "key.json").chmod(0o600)
    with ward_in(tmp_path, require_auth=True) as ward:
        ward.ehr.smart.register("fhirtwin", json.loads(public))
        more = 'auth = "backend-services"\nclient_id = "fhirtwin"\nkey_file = "{key}"\n'.format(
            key=tmp_path / "key.json"
        )
        ward.configure(more=more)
        ward.pull()
        ward.ehr.store.remove("Observation", "o3")
        ward.configure(more=more + 'scopes = "system/Patient.rs system/Observation.s"\n')
        report = ward.pull()
        assert ward.facts()["p0"] == ALL
        assert [asked.signs for asked in report.certificate.asked if asked.signs] == [("narrowed-scope",)]
        assert report.certificate.verdict == "unprovable"
        ward.configure(more=more)
        ward.pull()
        assert ward.facts()["p0"] == ALL - {"o3"}


# ---- history ---------------------------------------------------------------------------------------------------------


def test_where_no_list_is_proven_the_history_tells_what_was_deleted(ward):
    ward.pull()
    hide(ward, "o3", "o4")
    ward.ehr.load(weight(4))  # deleted, and there again
    ward.ehr.misbehaviours.add(Misbehaviour("foreign-next-link", type="Observation", times=1))
    report = ward.pull()
    assert ward.facts()["p0"] == ALL - {"o3"}
    assert ward.retracted() == {("Observation/o3", "deleted")}
    [walked] = [asked for asked in report.certificate.asked if asked.what == "Observation, history"]
    assert (walked.verdict, walked.pages) == ("complete", 3)
    assert report.certificate.verdict == "incomplete"  # the list was, and stays so


def test_a_history_that_is_refused_takes_nothing_back(ward):
    ward.pull()
    hide(ward, "o3")
    ward.answers["Observation/_history"] = 403
    ward.ehr.misbehaviours.add(Misbehaviour("foreign-next-link", type="Observation", times=1))
    report = ward.pull()
    assert ward.facts()["p0"] == ALL
    assert {asked.stopped for asked in report.certificate.asked} == {"", "foreign-next-link", "refused"}
    assert "Observation/o3" not in ward.asked


def test_a_deletion_that_a_stream_tells_is_believed_once_the_server_says_so(ward):
    ward.pull()
    with ward.home() as home:
        sent = tuple(deletion(f"Observation/{name}/_history/2") for name in ("o3", "o4"))
        home.store.accept(Delivery("ward", "77", "post", sent), now())
        assert map_waiting(home, "ward", deliveries=10) is not None
    assert ward.facts()["p0"] == ALL
    hide(ward, "o3", "o5")  # o5 is not named, and what others send by themselves is never taken back unnamed
    report = ward.pull()
    assert ward.facts()["p0"] == ALL - {"o3"}
    assert report.certificate.retracted == 1
    ward.asked.clear()
    ward.pull()
    assert "Observation/o3" not in ward.asked  # once is enough


# ---- killed ----------------------------------------------------------------------------------------------------------


def changed(ward: Ward) -> None:
    """Delete, merge and reassign, all at once."""
    ward.ehr.store.remove("Observation", "o3")
    ward.ehr.load(weight(5, "p1"), weight(6, "stranger"))


def test_a_pull_that_is_killed_anywhere_ends_in_the_same_store(tmp_path):
    (tmp_path / "before").mkdir()
    with ward_in(tmp_path / "before", still=True) as before:
        before.pull()
        changed(before)
        for died, ward in killed_everywhere(before, tmp_path):
            found = ward.everything()
            if not died:
                undisturbed = found
            assert found == undisturbed


def test_kill_9_while_the_missing_are_asked_for_loses_and_doubles_nothing(ward):
    ward.ehr.load(*(weight(n) for n in range(9, 60)))
    ward.pull()
    for number in range(3):
        ward.ehr.store.remove("Observation", f"o{number}")
    ward.answers["Observation/o1"] = -2
    ward.asked.clear()
    command = [sys.executable, "-m", "gateway.cli", "pull", "ward", "--home", str(ward.folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while "Observation/o1" not in ward.asked and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    ward.answers.clear()
    report = ward.pull()
    assert report.resumed
    assert ward.facts()["p0"] == {f"o{n}" for n in range(3, 60)}
    assert report.certificate.retracted == 3
