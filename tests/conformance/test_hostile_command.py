"""`twin hostile list` and `twin hostile serve`: the faults by hand."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import httpx
import pytest

from conformance.hostile import FAULTS
from gateway.cli import main
from tests.conformance.desk import PATIENTS, observation


def served(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "hostile", "serve", "--port", "0", "--format", "json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


def first_object(stream):
    text = ""
    for line in stream:
        text += line
        if line == "}\n":
            break
    return json.loads(text)


def test_every_fault_is_listed_with_its_place_its_default_and_its_report(capsys):
    assert main(["hostile", "list", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told["faults"]] == list(FAULTS)
    assert all(each["does"] and each["cite"] and each["place"] in told["places"] for each in told["faults"])


def test_a_place_narrows_the_list(capsys):
    assert main(["hostile", "list", "turn"]) == 0
    told = capsys.readouterr().out
    assert "search-cache-expired" in told
    assert "hapi-fhir#7220" in told
    assert "byte-order-mark" not in told
    assert main(["hostile", "list", "nowhere"]) == 2


def test_a_folder_is_served_with_a_fault_until_it_is_told_to_stop(tmp_path):
    (tmp_path / "patients.ndjson").write_text("".join(json.dumps(each) + "\n" for each in PATIENTS))
    (tmp_path / "o.json").write_text(json.dumps(observation(0)))
    with served("--data", str(tmp_path), "--fault", "wrong-total,type=Patient,value=2", "--bulk", "stu4") as running:
        assert running.stdout
        told = first_object(running.stdout)
        base = told["base"]
        assert (told["resources"], told["fhir_version"]) == (4, "r4")
        assert httpx.get(f"{base}/Patient").json()["total"] == 5
        assert httpx.get(f"{base}/Observation").json()["total"] == 1
        assert len(httpx.get(f"{base}/Group/everybody").json()["member"]) == 3
        assert httpx.get(f"{base}/$export", headers={"Prefer": "respond-async"}).status_code == 405
        assert httpx.get(told["files"]).status_code == 404
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0


def test_a_proxy_that_loses_things_is_put_before_a_server_until_it_is_told_to_stop():
    with served("--data", "cohort") as running:
        assert running.stdout
        behind = first_object(running.stdout)["base"]
        command = [
            sys.executable,
            "-m",
            "gateway.cli",
            "hostile",
            "proxy",
            behind,
            "--refused",
            "1",
            "--format",
            "json",
        ]
        command += ["--swallowed", "0", "--reset", "0", "--storm", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
            assert proxy.stdout
            before = first_object(proxy.stdout)["base"]
            assert [httpx.get(f"{base}/Patient?_count=1").status_code for base in (behind, before)] == [200, 503]
            proxy.send_signal(signal.SIGTERM)
            assert proxy.wait(20) == 0
        running.send_signal(signal.SIGTERM)


def test_the_cohort_is_served_in_the_version_asked_for():
    with served("--fhir-version", "stu3") as running:
        assert running.stdout
        base = first_object(running.stdout)["base"]
        assert httpx.get(f"{base}/metadata").json()["fhirVersion"] == "3.0.2"
        assert httpx.get(f"{base}/Patient?_summary=count").json()["total"] > 5
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "no-totl"], "no-total"),
        (["--fault", "no-total,colour=red"], "NAME,type=.."),
        (["--data", "absent"], "cannot be read"),
        (["--client", "twin"], "ID=FILE"),
    ],
)
def test_what_is_told_wrongly_is_a_sentence(capsys, arguments, said):
    assert main(["hostile", "serve", "--port", "0", *arguments]) == 2
    assert said in capsys.readouterr().err
