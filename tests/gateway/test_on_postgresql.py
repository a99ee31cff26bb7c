"""The same commands on PostgreSQL as in a file, as a person runs them: same twins, same facts, same counts."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from conformance.cohort import VERSIONS, build, to_json
from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from security.errors import BadSettings
from tests.postgres.fixture import WRITER

ROOT = Path(__file__).parents[2]


def settle(home: Path, folder: Path, server=None) -> Path:
    """Write the settings of a home that pulls a folder, into a file or into a database."""
    home.mkdir(mode=0o700)
    text = f'[sources.north]\nfolder = "{folder}"\nfhir_version = "{VERSIONS["summit"]}"\n'
    if server is not None:
        shutil.copy(server.password_file, home / "store.password")
        (home / "store.password").chmod(0o600)
        url = f"postgresql://{server.user}@127.0.0.1:{server.port}/{server.database}"
        text += (
            f'[store]\nurl = "{url}"\ndb_schema = "{server.schema}"\npassword_file = "store.password"\ntls = false\n'
        )
    (home / "twin.toml").write_text(text)
    return home


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What one EHR of a few people exports."""
    made = tmp_path_factory.mktemp("export")
    for number, bundle in enumerate(build(3).bundles("summit")):
        (made / f"{number:03}.json").write_bytes(to_json(bundle))
    return made


def told(home: Path) -> dict[tuple, Counter]:
    """Say what a store knows, by person: facts, refusals, and how many resources and versions there are."""
    with Home.open(load_settings(home), create=False) as opened:
        store = opened.store
        known = {}
        for twin in store.twins():
            record = store.twin_record(twin.id)
            facts = Counter(repr(fact) for fact in record.facts)
            refusals = Counter(repr(refusal) for refusal in record.refusals)
            known[tuple(sorted(facts))] = (facts, refusals, len(record.resources), record.history, record.version)
        [pull] = store.pulls()
        assert store.verify_audit().ok
        return {"twins": known, "ledger": dict(pull.ledger), "seen": pull.certificate.seen, "pages": pull.pages}


def test_a_pull_and_what_is_made_of_it_are_the_same_in_a_database_as_in_a_file(postgresql, folder, tmp_path, capfd):
    server = postgresql.store()
    in_file = settle(tmp_path / "file", folder)
    on_server = settle(tmp_path / "server", folder, server)
    outputs = []
    for home in (in_file, on_server):
        assert main(["pull", "north", "--home", str(home)]) == 0
        with Home.open(load_settings(home), create=False) as opened:
            most = max(opened.store.twins(), key=lambda twin: twin.facts)
        for command in (["show", most.id], ["simulate", most.id, "--model", "kidney"], ["audit", "verify"], ["list"]):
            main([*command, "--home", str(home)])
        outputs.append(capfd.readouterr().out.replace(most.id, "TWIN").replace(most.id[:8], "TWIN"))
    assert told(in_file) == told(on_server)
    assert not (on_server / "twin.db").exists()
    assert (on_server / "keys.db").exists()
    assert "The audit log is whole" in outputs[1]
    assert [line for line in outputs[0].splitlines() if "facts of" in line] == [
        line for line in outputs[1].splitlines() if "facts of" in line
    ]
    assert main(["store", "status", "--home", str(on_server), "--format", "json"]) == 1  # the line is not encrypted
    status = json.loads(capfd.readouterr().out)
    assert (status["account"], len(status["warnings"])) == (WRITER, 1)
    assert main(["pull", "north", "--home", str(on_server)]) == 0
    assert "0 changed" in capfd.readouterr().out


def test_killed_pulls_end_as_one_that_was_left_alone(postgresql, folder, tmp_path):
    """Requirement O1, with the real command and a real kill -9, each time a little further on."""
    server = postgresql.store()
    in_file, on_server = settle(tmp_path / "file", folder), settle(tmp_path / "server", folder, server)
    command = [sys.executable, "-m", "gateway.cli", "pull", "north", "--home"]
    assert main(["pull", "north", "--home", str(in_file)]) == 0
    kills = 0
    for _ in range(3):
        with subprocess.Popen([*command, str(on_server)], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            before = recorded(postgresql, server)
            while process.poll() is None and recorded(postgresql, server) <= before:
                time.sleep(0.002)
            process.kill()
            kills += process.wait() == -signal.SIGKILL
    assert kills > 1
    assert main(["pull", "north", "--home", str(on_server)]) == 0
    one, other = told(in_file), told(on_server)
    assert one["twins"] == other["twins"]
    assert one["seen"] == other["seen"]


def recorded(postgresql, server) -> int:
    [(count,)] = postgresql.do(server, "SELECT count(*) FROM audit_event")
    return count


def test_where_the_store_is_can_be_said_by_variables_and_a_wrong_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TWIN_STORE__URL", "postgresql://ada@db.example.org/twins")
    settings = load_settings(tmp_path)
    where = settings.store.where(tmp_path)
    assert (where.host, where.tls, where.schema) == ("db.example.org", True, "fhirtwin")
    monkeypatch.setenv("TWIN_STORE__URL", "postgresql://ada:sesame@db.example.org/twins")
    with pytest.raises(BadSettings, match="password_file") as fault:
        load_settings(tmp_path)
    assert "sesame" not in f"{fault.value} {fault.value.detail} {fault.value.__cause__}"
    monkeypatch.setenv("TWIN_STORE__URL", "postgresql://ada@db.example.org/twins")
    monkeypatch.setenv("TWIN_STORE__TLS", "false")
    with pytest.raises(BadSettings, match="this machine only"):
        load_settings(tmp_path)


def test_settings_of_a_server_without_a_server_are_refused(tmp_path):
    (tmp_path / "twin.toml").write_text("[store]\ntls = false\n")
    with pytest.raises(BadSettings, match="tls go with url"):
        load_settings(tmp_path)


def test_the_text_for_the_owner_is_printed_without_a_server(tmp_path, capfd):
    (tmp_path / "twin.toml").write_text('[store]\nurl = "postgresql://ward@db.example.org/twins"\n')
    assert main(["store", "sql", "--home", str(tmp_path)]) == 0
    text = capfd.readouterr().out
    assert "GRANT SELECT, INSERT ON audit_event TO ward;" in text
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON twin TO ward;" in text
    assert main(["store", "sql", "--owner", "x; DROP", "--home", str(tmp_path)]) == 2
    assert main(["store", "sql", "--owner", "ward", "--home", str(tmp_path)]) == 2
    assert main(["store", "sql", "--format", "json", "--home", str(tmp_path)]) == 0
