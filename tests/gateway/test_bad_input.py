"""Bad input costs only itself, and gives a sentence that tells what to do."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:oid:2.25.1", "value": "ZZCANARY-17"}],
    "name": [{"family": "Zzcanary", "given": ["Ada"]}],
    "gender": "female",
    "birthDate": "1970-02-03",
}


def weight(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e1"},
        "effectiveDateTime": "2026-03-04T05:06:07Z",
        "valueQuantity": {"value": 70.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    } | changes


def bundle(*resources: dict[str, Any]) -> bytes:
    return json.dumps(
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}
    ).encode()


def twin(home: Path, *arguments: str, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, preexec_fn=before)


def pull(tmp_path: Path, *arguments: str, **files: bytes) -> dict[str, Any]:
    """Write files into a folder (`one__json` becomes one.json), pull it, and return the one source that was told."""
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    done = twin(
        tmp_path / "home", "pull", "--folder", str(folder), "--fhir-version", "r4", "--format", "json", *arguments
    )
    assert done.returncode in (0, 5), done.stderr
    assert "Traceback" not in done.stderr
    [source] = json.loads(done.stdout)["sources"]
    assert source["resources"] == source["understood"] + source["refused"]
    return dict(source)


GOOD = bundle(PATIENT, weight())
BAD_FILES: dict[str, tuple[dict[str, bytes], str]] = {
    "a truncated NDJSON line": (
        {"more__ndjson": json.dumps(weight(2)).encode() + b"\n" + json.dumps(weight(3)).encode()[:90]},
        "truncated",
    ),
    "a file that is not FHIR": ({"more__json": b'{"colour": "blue"}'}, "not-fhir"),
    "a file that is not JSON": ({"more__json": b"hello"}, "not-json"),
    "duplicate keys": ({"more__json": json.dumps(weight(2)).encode()[:-1] + b', "status": "final"}'}, "duplicate-key"),
    "a wrong resourceType": ({"more__json": bundle(weight(2, resourceType="Observatory"))}, "unknown-type"),
    "an Observation with no unit": ({"more__json": bundle(weight(2, valueQuantity={"value": 70}))}, "no-unit"),
    "a truncated gzip": ({"more__json__gz": gzip.compress(bundle(weight(2)))[:-9]}, "truncated"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_costs_only_itself(tmp_path, case):
    files, reason = BAD_FILES[case]
    found = pull(tmp_path, good__json=GOOD, **files)
    assert found["refusals"] == {reason: 1}
    assert found["facts"] >= 3  # sex, birth date, weight
    listed = json.loads(twin(tmp_path / "home", "refusals", "--format", "json").stdout)
    assert listed["counts"] == {reason: 1}
    assert "Zzcanary" not in json.dumps(listed)


def test_a_bundle_of_another_version_than_told_is_refused_whole(tmp_path):
    dstu2 = {
        "resourceType": "MedicationOrder",
        "id": "m1",
        "patient": {"reference": "Patient/p1"},
        "dateWritten": "2020-01-01",
        "status": "active",
    }
    found = pull(tmp_path, good__json=GOOD, old__json=bundle(dstu2))
    assert found["refusals"] == {"wrong-version": 1}


def test_what_is_about_nobody_who_came_is_refused_and_kept(tmp_path):
    found = pull(tmp_path, good__json=bundle(PATIENT, weight(), weight(2, subject={"reference": "Patient/other"})))
    assert found["refusals"] == {"unknown-patient": 1}
    [listed] = json.loads(twin(tmp_path / "home", "refusals", "--format", "json").stdout)["refusals"]
    assert (listed["resource"], listed["twin"]) == ("Observation/o2", None)


def test_a_partial_date_stays_partial(tmp_path):
    found = pull(tmp_path, good__json=bundle(PATIENT, weight(effectiveDateTime="2024-02")))
    assert found["refused"] == 0
    [one] = json.loads(twin(tmp_path / "home", "list", "--format", "json").stdout)["twins"]
    facts = json.loads(twin(tmp_path / "home", "show", one["id"], "--format", "json").stdout)["facts"]
    assert [(f["when"], f["precision"]) for f in facts if f["name"] == "body-weight"] == [("2024-02", "month")]


def test_a_bundle_of_30_megabytes_goes_through(tmp_path):
    many = bundle(PATIENT, *(weight(n, note=[{"text": "x" * 700}]) for n in range(30_000)))
    assert len(many) > 30_000_000
    found = pull(tmp_path, big__json=many)
    assert found["resources"] == found["understood"] == 30_001


def test_a_missing_folder_is_a_sentence(tmp_path):
    done = twin(tmp_path / "home", "pull", "--folder", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stderr.startswith("twin: The folder does not exist.")


def source(home: Path, base: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "twin.toml").write_text(f'[sources.ward]\nurl = "{base}"\npage_size = 10\n')


@pytest.fixture
def ehr() -> Ehr:
    found = Ehr(EhrSettings(name="ward", require_auth=False, page_size=10))
    found.load(json.loads(bundle(PATIENT, *(weight(n) for n in range(55)))))
    return found


SERVER_FAULTS = {
    # the first ones are those by which is learned what the server can do
    "HTML instead of FHIR": (Misbehaviour("login-page", type="Observation", after=4), "not-fhir"),
    "a next link to another host": (Misbehaviour("foreign-next-link", type="Observation"), "foreign-next-link"),
    "a next link that leads in a circle": (Misbehaviour("looping-next-link", type="Observation"), "loop"),
}


@pytest.mark.parametrize("case", SERVER_FAULTS)
def test_a_server_that_misbehaves_costs_one_question_and_never_counts_as_complete(tmp_path, ehr, case):
    misbehaviour, reason = SERVER_FAULTS[case]
    ehr.misbehaviours.add(misbehaviour)
    with serve([ehr]) as [base]:
        source(tmp_path, base)
        done = twin(tmp_path, "pull", "ward", "--format", "json")
    assert done.returncode == 5, done.stderr
    [found] = json.loads(done.stdout)["sources"]
    assert found["certificate"] == "incomplete"
    assert found["stopped"] == {"Observation": reason}
    assert found["facts"] >= 3


def test_html_at_the_door_tells_what_to_do(tmp_path, ehr):
    with serve([ehr]) as [base]:
        source(tmp_path, base.removesuffix("/fhir") + "/nothing-here")
        done = twin(tmp_path, "pull", "ward")
    assert done.returncode == 1
    assert "url" in done.stderr
    assert "Traceback" not in done.stderr


def _no_more_than(size: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_is_told_and_nothing_that_was_stored_is_lost(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.json").write_bytes(
        bundle(PATIENT, *(weight(n, note=[{"text": os.urandom(400).hex()}]) for n in range(3000)))
    )
    arguments = ("pull", "--folder", str(folder), "--fhir-version", "r4", "--format", "json")
    full = twin(tmp_path / "home", *arguments, before=_no_more_than(700_000))
    assert full.returncode == 3
    assert full.stderr.startswith("twin: ")
    assert "Traceback" not in full.stderr
    again = twin(tmp_path / "home", *arguments)
    assert again.returncode == 0, again.stderr
    [found] = json.loads(again.stdout)["sources"]
    assert found["resources"] == found["understood"] == 3001
    assert twin(tmp_path / "home", "audit", "verify").returncode == 0


def test_kill_9_in_mid_pull_loses_nothing_and_doubles_nothing(tmp_path, ehr):
    ehr.misbehaviours.add(Misbehaviour("slow-drip", type="Observation", value="0.03"))
    with serve([ehr]) as [base]:
        source(tmp_path, base)
        for pages in (1, 2, 2):
            begun = len([s for s in ehr.seen if "/Observation" in s.path])
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "pull", "ward", "--home", str(tmp_path)],
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            until = time.monotonic() + 60
            while (
                len([s for s in ehr.seen if "/Observation" in s.path]) < begun + pages
                and process.poll() is None
                and time.monotonic() < until
            ):
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, "the pull ended before it could be killed"
        done = twin(tmp_path, "pull", "ward", "--format", "json")
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)["sources"]
    assert found["resumed"] is True
    assert found["resources"] == found["understood"] == 56
    assert found["certificate"] == "complete"
    [one] = json.loads(twin(tmp_path, "list", "--format", "json").stdout)["twins"]
    assert one["facts"] == found["facts"] == 57
    assert twin(tmp_path, "audit", "verify").returncode == 0


def test_a_token_that_ends_in_mid_paging_is_renewed(tmp_path):
    from gateway.pull.keys import new_key

    ehr = Ehr(EhrSettings(name="ward", page_size=10))
    ehr.load(json.loads(bundle(PATIENT, *(weight(n) for n in range(55)))))
    private, public = new_key()
    ehr.smart.register("us", json.loads(public))
    (tmp_path / "ward.jwk").write_text(private)
    (tmp_path / "ward.jwk").chmod(0o600)
    ehr.misbehaviours.add(Misbehaviour("expired-token", type="Observation", after=2, times=1))
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(
            f'[sources.ward]\nurl = "{base}"\npage_size = 10\n'
            'auth = "backend-services"\nclient_id = "us"\nkey_file = "ward.jwk"\n'
        )
        done = twin(tmp_path, "pull", "ward", "--format", "json")
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)["sources"]
    assert found["resources"] == found["understood"] == 56
    assert found["certificate"] == "complete"


def test_one_source_that_is_gone_costs_only_itself(tmp_path, ehr):
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(
            f'[sources.ward]\nurl = "{base}"\n[sources.gone]\nurl = "http://127.0.0.1:9/fhir"\n'
        )
        done = twin(tmp_path, "pull", "--format", "json")
    assert done.returncode == 5, done.stderr
    told = json.loads(done.stdout)
    assert [source["name"] for source in told["sources"]] == ["ward"]
    assert told["failed"]["gone"]["code"] == "unreachable"


def test_killing_at_any_moment_of_fetching_or_mapping_loses_nothing(tmp_path):
    """The moments are spread over a whole pull; wherever they fall, the end is the same."""
    folder = tmp_path / "in"
    folder.mkdir()
    for part in range(8):
        many = (weight(part * 1000 + n) for n in range(1000))
        (folder / f"{part}.json").write_bytes(bundle(PATIENT, *many))
    arguments = ("pull", "--folder", str(folder), "--fhir-version", "r4", "--format", "json")
    command = [sys.executable, "-m", "gateway.cli", *arguments, "--home", str(tmp_path / "home")]
    for seconds in (0.8, 1.1, 1.4, 1.7):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    done = twin(tmp_path / "home", *arguments)
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)["sources"]
    assert found["resources"] == found["understood"] == 8008  # the Patient came with each file
    assert (found["facts"], found["links"]) == (8002, 7)
    [one] = json.loads(twin(tmp_path / "home", "list", "--format", "json").stdout)["twins"]
    assert one["facts"] == 8002
    assert twin(tmp_path / "home", "audit", "verify").returncode == 0
