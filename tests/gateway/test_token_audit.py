"""Each token that an EHR gives us or refuses is recorded before it is used, and none of it can be used (I5)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from conformance.hostile import Ehr, EhrSettings, serve
from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from security.audit.entry import read_entry

SECRET = "ZZTESTCANARY-of-the-client"


@pytest.fixture
def looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Look at a server that knows us by one secret, with another or the same, and return the events, oldest first."""

    def look(shown: str) -> list[dict]:
        ehr = Ehr(EhrSettings(require_auth=True))
        ehr.smart.register_secret("us", SECRET)
        secret = tmp_path / "secret"
        secret.write_text(shown, "utf-8")
        secret.chmod(0o600)
        with serve([ehr]) as [base]:
            (tmp_path / "twin.toml").write_text(
                f'[sources.ward]\nurl = "{base}"\nauth = "client-secret"\nclient_id = "us"\nsecret_file = "secret"\n',
                "utf-8",
            )
            main(["doctor", "ward", "--home", str(tmp_path)])
        capsys.readouterr()
        with Home.open(load_settings(tmp_path), create=False) as home:
            return [entry.event for entry in reversed(home.store.audit_events(100))]

    return look


def test_a_token_that_we_are_given_is_recorded_with_client_server_and_scopes_and_cannot_be_used(looked):
    events = looked(SECRET)
    [event] = [e for e in events if read_entry(1, e).kind == "token"]
    assert event["meta"]["profile"] == ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.IUA.71"]
    client, server, _ = event["agent"]
    assert client["who"]["identifier"]["value"] == "us"
    assert server["network"]["address"].startswith("http://127.0.0.1:")
    request = base64.b64decode(event["entity"][0]["query"]).decode()
    assert "grant_type=client_credentials" in request
    assert "scope=system" in request
    said = json.dumps(events) + request
    assert SECRET not in said
    assert base64.b64encode(f"us:{SECRET}".encode()).decode() not in said


def test_a_token_that_we_are_refused_is_recorded_with_the_servers_word(looked):
    refused = [read_entry(1, e) for e in looked("another secret") if read_entry(1, e).kind == "token"]
    assert refused
    assert {(e.outcome, e.reason) for e in refused} == {("8", "invalid-client")}
