"""The EHRs on real sockets: several at once, connections cut, nothing left running; and the command by hand."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import httpx
import pytest

from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve
from security.errors import BadSettings

PATIENT = {"resourceType": "Patient", "id": "p1"}


def open_ehr(version="r4", **settings):
    ehr = Ehr(EhrSettings(name=version, fhir_version=version, require_auth=False, **settings))
    ehr.load(*({**PATIENT, "id": f"p{n}"} for n in range(3)))
    return ehr


def free(base):
    """Say whether nobody listens at a base any more."""
    where = urlsplit(base)
    with socket.socket() as probe:
        return probe.connect_ex((where.hostname, where.port)) != 0


def test_all_versions_are_served_at_once_and_nothing_is_left():
    before = threading.active_count()
    ehrs = [open_ehr(version) for version in ("dstu2", "stu3", "r4", "r4b", "r5")]
    with serve(ehrs) as bases, httpx.Client() as http:
        assert len(set(bases)) == 5
        numbers = [http.get(f"{base}/metadata").json()["fhirVersion"] for base in bases]
        assert numbers == ["1.0.2", "3.0.2", "4.0.1", "4.3.0", "5.0.0"]
    assert threading.active_count() == before
    assert all(free(base) for base in bases)


def test_links_and_token_url_name_the_real_address(ec_client):
    ehr = Ehr(EhrSettings(page_size=1))
    ehr.load(PATIENT, {**PATIENT, "id": "p2"})
    ehr.smart.register(ec_client.name, ec_client.jwks)
    with serve([ehr]) as [base], httpx.Client() as http:
        token_url = http.get(f"{base}/.well-known/smart-configuration").json()["token_endpoint"]
        token = http.post(token_url, data=ec_client.form(token_url)).json()["access_token"]
        told = http.get(f"{base}/Patient", headers={"Authorization": f"Bearer {token}"}).json()
        assert all(link["url"].startswith(f"{base}/Patient?") for link in told["link"][1:])
        assert told["entry"][0]["fullUrl"] == f"{base}/Patient/p1"


def test_the_block_ends_cleanly_though_it_failed_and_a_connection_is_open():
    ehr = open_ehr()
    with httpx.Client() as http:
        with pytest.raises(ZeroDivisionError), serve([ehr]) as [base]:  # noqa: PT012
            http.get(f"{base}/Patient")
            raise ZeroDivisionError
        assert free(base)


def test_an_answer_is_lost_on_the_wire_after_the_write_was_kept():
    ehr = open_ehr()
    ehr.misbehaviours.add(Misbehaviour("lost-answer", type="Bundle", times=1))
    entry = {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    with serve([ehr]) as [base], httpx.Client() as http:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            http.post(base, json=bundle)
        assert len(ehr.store.all("Patient")) == 4
        assert http.post(base, json=bundle).status_code == 200


def test_a_connection_is_cut_in_the_middle_of_a_body():
    ehr = open_ehr()
    ehr.misbehaviours.add(Misbehaviour("cut-connection", times=1))
    with serve([ehr]) as [base], httpx.Client() as http:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            http.get(f"{base}/Patient")
        assert http.get(f"{base}/Patient").json()["total"] == 3


def test_a_slow_answer_arrives_piece_by_piece():
    ehr = open_ehr()
    ehr.misbehaviours.add(Misbehaviour("slow-drip", value="0.01"))
    with serve([ehr]) as [base], httpx.Client() as http, http.stream("GET", f"{base}/Patient") as answer:
        chunks = list(answer.iter_raw())
    assert len(chunks) > 1
    assert json.loads(b"".join(chunks))["total"] == 3


def test_a_next_link_leads_to_an_ehr_that_notes_who_comes():
    """D1: the second host is where a leaked token would be seen."""
    near, far = open_ehr(page_size=1), open_ehr()
    with serve([near, far]) as [base, elsewhere], httpx.Client() as http:
        near.misbehaviours.add(Misbehaviour("foreign-next-link", value=elsewhere))
        told = http.get(f"{base}/Patient").json()
        http.get(told["link"][1]["url"], headers={"Authorization": "Bearer leaked"})
    assert [seen.had_authorization for seen in far.seen] == [True]


def test_a_port_that_is_taken_is_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadSettings, match="Port"), serve([open_ehr()], ports=[taken.getsockname()[1]]):
            pass


def command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "conformance.hostile", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_the_command_serves_until_it_is_told_to_stop(tmp_path, ec_client):
    (tmp_path / "keys.json").write_text(json.dumps(ec_client.jwks))
    (tmp_path / "p.json").write_text(json.dumps(PATIENT))
    arguments = ["--version", "stu3", "--port", "0", "--client", f"twin={tmp_path / 'keys.json'}"]
    with command(*arguments, "--misbehave", "no-total:Patient", str(tmp_path / "p.json")) as running:
        assert running.stdout
        base = running.stdout.readline().split()[0]
        assert httpx.get(f"{base}/metadata").json()["fhirVersion"] == "3.0.2"
        assert httpx.get(f"{base}/Patient").status_code == 401
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
    assert free(base)


def test_the_command_serves_an_ehr_of_the_cohort_in_r5():
    with command("--version", "r5", "--cohort", "summit", "--port", "0") as running:
        assert running.stdout
        base = running.stdout.readline().split()[0]
        found = httpx.get(f"{base}/Encounter", params={"_count": "1"}).json()
        assert found["entry"][0]["resource"]["actualPeriod"]
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version", "r5", "--cohort", "harbor"], "Known: stu3"),
        (["absent.json"], "cannot be read"),
        (["--misbehave", "nonsense"], "Known:"),
        (["--client", "twin"], "ID=FILE"),
        ([__file__], "not JSON"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, said):
    with command("--port", "0", *arguments) as running:
        _, told = running.communicate(timeout=20)
    assert running.returncode in (1, 2)
    assert said in told
    assert "Traceback" not in told
