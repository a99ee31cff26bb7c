"""The right of access (security requirement J3): all that is held about one person, in a signed archive, completely."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from gateway import cli
from gateway.erasure import hold
from gateway.export import gather, write_export
from gateway.home import Home, now
from gateway.pull.page import Entry, Page
from gateway.simulation import open_twin, run_model
from gateway.store import Attempt, Landed
from security.audit.statement import Statement, open_statement
from security.errors import Misuse, Tampered
from tests.gateway.erasing import ADA, CANARIES, GRACE, lay, observation, opened, pull, twin_named


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path / "home") as opened_home:
        pull(opened_home, lay(tmp_path / "in", *ADA, *GRACE))
        yield opened_home


def exported(home: Home, twin: str, place: Path) -> dict[str, bytes]:
    write_export(home, gather(home, twin), place)
    with zipfile.ZipFile(place) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def lines(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.decode().splitlines()]


def resources(parts: dict[str, bytes], kind: str) -> list[dict[str, Any]]:
    entries = json.loads(parts["bundle.json"])["entry"]
    return [e["resource"] for e in entries if e["resource"]["resourceType"] == kind]


def test_a_canary_in_every_table_that_can_hold_something_of_a_twin_is_in_the_export(home, tmp_path):
    """J3: completeness. Each canary goes in by the store's own door."""
    ada = twin_named(home, "Patient/ada")
    store, when = home.store, now()
    told = json.dumps
    store.save_run("r" * 32, ada, "kidney", 1, told({"type": "other", "say": "canary-run"}).encode(), now=when)
    store.save_state(ada, "m", "track", b"canary-state \xff", after=0, twin_version=1, now=when)
    store.propose("d" * 32, ada, "north", "r" * 32, told({"say": "canary-bundle"}).encode(), now=when)
    [due] = store.outbox(twin=ada)
    store.decide_delivery(due, "approved", when, decision=told({"why": "canary-why"}).encode())
    [due] = store.claim("test", when, when + timedelta(minutes=1), limit=1)
    landed = (Landed("u" * 36, "RiskAssessment/canary-landed"),)
    store.settle("test", {due.id: Attempt("sent", status=200, reply=b'{"say":"canary-reply"}', landed=landed)}, when)
    hold(home, ada, "canary-hold")
    waiting = b'{"resourceType":"Observation","id":"a9","subject":{"reference":"Patient/ada"},"note":"canary-page"}'
    store.land(store.begin_pull("north", when), Page(1, "page", (Entry(waiting),), ""))
    pair = store.pair(ada, twin_named(home, "Patient/grace"), when)

    parts = exported(home, ada, tmp_path / "ada.zip")
    every = b"".join(parts.values())
    wanted = {
        "block (raw)": "1.2345",
        "block (its history)": '"resource":"Observation/a1"',
        "block of no twin": "Canaryagent",
        "person": "canary-4711",
        "patient_link": store.linked(ada)[0].patient,
        "identity": f'"number":{pair.number},"one"',
        "run": "canary-run",
        "outbox (bundle)": "canary-bundle",
        "outbox (reply)": "canary-reply",
        "outbox (decision)": "canary-why",
        "outbox (landed)": "canary-landed",
        "guard": "canary-hold",
        "page": "canary-page",
        "audit_event": f'"reference":"Patient/{ada}"',
    }
    missing = [table for table, canary in wanted.items() if canary.encode() not in every]
    assert missing == []
    assert b"canary-state" in base64.b64decode(lines(parts["states.ndjson"])[0]["content"]["base64"])
    assert not [canary for canary in CANARIES if canary.encode() not in every]
    assert b"Hopper" not in every  # and nothing of anybody else


def test_the_bundle_is_fhir_and_says_of_each_fact_from_where_it_is(home, tmp_path):
    ada = twin_named(home, "Patient/ada")
    run_model(home, open_twin(home, ada), "kidney")
    parts = exported(home, ada, tmp_path / "ada.zip")
    bundle = json.loads(parts["bundle.json"])
    Bundle.model_validate(bundle)
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    [person] = resources(parts, "Patient")
    assert person["name"] == [{"family": "Zzcanary", "given": ["Q"]}]  # as it was written
    assert (person["gender"], person["birthDate"]) == ("female", "1951-07-19")
    measured = [each for each in resources(parts, "Observation") if "meta" not in each]
    assert [str(each["valueQuantity"]["value"]) for each in measured] == ["1.2345"]
    targets = {t["reference"] for each in resources(parts, "Provenance") for t in each["target"]}
    facts = {url for url, e in zip(urls, bundle["entry"], strict=True) if e["resource"]["resourceType"] != "Provenance"}
    assert facts - targets <= {url for url in facts if _is(bundle, url, "Device")}
    sources = [each for each in resources(parts, "Provenance") if "meta" not in each]
    raw = {hashlib.sha256(line).hexdigest() for line in parts["raw/north-r4.ndjson"].splitlines()}
    assert {each["entity"][0]["what"]["identifier"]["value"] for each in sources} <= raw
    assert all(each["policy"][0].startswith("urn:fhirtwin:mapping:") for each in sources)
    # what nobody measured says so
    simulated = [each for each in resources(parts, "Observation") if "meta" in each]
    assert simulated
    assert all({"system": "urn:fhirtwin:tag", "code": "simulated"} in each["meta"]["tag"] for each in simulated)


def _is(bundle: dict[str, Any], url: str, kind: str) -> bool:
    return any(e["fullUrl"] == url and e["resource"]["resourceType"] == kind for e in bundle["entry"])


def test_the_past_is_in_it_version_by_version_and_the_bytes_as_they_came(home, tmp_path):
    ada = twin_named(home, "Patient/ada")
    other = observation("a1", "Patient/ada", 0.9)
    pull(home, lay(tmp_path / "in", ADA[0], other, *GRACE))
    parts = exported(home, ada, tmp_path / "ada.zip")
    history = lines(parts["history.ndjson"])
    assert [(line["version"], line["resource"]) for line in history if line["resource"] == "Observation/a1"] == [
        (1, "Observation/a1"),
        (2, "Observation/a1"),
    ]
    raw = parts["raw/north-r4.ndjson"].splitlines()
    assert json.dumps(ADA[1]).encode() in raw
    assert json.dumps(other).encode() in raw
    assert {line["sha256"] for line in history} == {hashlib.sha256(line).hexdigest() for line in raw}


def test_the_manifest_names_each_part_and_is_signed(home, tmp_path):
    ada = twin_named(home, "Patient/ada")
    parts = exported(home, ada, tmp_path / "ada.zip")
    manifest = signed(home, parts["manifest.txt"].decode())
    told = {line.split(" ", 3)[3]: line.split(" ", 3)[:3] for line in manifest.all("file")}
    assert told.keys() == parts.keys() - {"manifest.txt"}
    for name, (digest, size, _) in told.items():
        assert (digest, int(size)) == (hashlib.sha256(parts[name]).hexdigest(), len(parts[name]))
    with pytest.raises(Tampered):
        signed(home, parts["manifest.txt"].decode().replace(ada, "0" * 36))


def signed(home: Home, text: str) -> Statement:
    return open_statement(text, home.store.audit_public_key, "fhirtwin export 1")


def test_it_is_recorded_for_the_patient_and_never_written_over(home, tmp_path):
    ada, place = twin_named(home, "Patient/ada"), tmp_path / "ada.zip"
    written = write_export(home, gather(home, ada), place)
    assert place.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(place.read_bytes()).hexdigest() == written.sha256
    event = home.store.audit_events(1)[0].event
    assert event["subtype"][0]["code"] == "extract"
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "PATRQT"
    assert any(e["what"].get("reference") == f"Patient/{ada}" for e in event["entity"])
    with pytest.raises(Misuse):
        write_export(home, gather(home, ada), place)
    assert hashlib.sha256(place.read_bytes()).hexdigest() == written.sha256
    assert not [file for folder in (tmp_path, home.settings.home) for file in folder.glob(".export.*")]


def test_the_command_does_not_write_to_a_terminal(home, tmp_path, capsys, monkeypatch):
    ada, place = twin_named(home, "Patient/ada"), ["--home", str(home.settings.home)]
    home.store.close()
    assert cli.main(["export", ada[:8], "--out", str(tmp_path / "a.zip"), "--format", "json", *place]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["bundle.json"] == len(
        json.loads(zipfile.ZipFile(tmp_path / "a.zip").read("bundle.json"))["entry"]
    )
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        assert cli.main(["export", ada[:8], "--out", "-", *place]) == 2
    os.close(leader)
    sent = io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(sent))
        assert cli.main(["export", ada[:8], "--out", "-", *place]) == 0
        assert "bundle.json" in zipfile.ZipFile(io.BytesIO(sent.getvalue())).namelist()
