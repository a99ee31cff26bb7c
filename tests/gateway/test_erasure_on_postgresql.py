"""The same guarantees where the data is in PostgreSQL: a dump from before is unreadable, and stays it when restored."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backup import make_backup
from gateway.erasure import check_receipt, erase, read_receipt
from gateway.export import gather, write_export
from gateway.restore import go_on, restore_backup
from gateway.settings import load_settings
from security.audit import log_event
from security.errors import Misuse, Tampered
from security.reidentification import Reidentify
from tests.gateway.erasing import ADA, GRACE, lay, opened, pull, twin_named
from tests.postgres.fixture import PostgreSQL
from tests.postgres.told import store_table


def test_an_erased_twin_is_gone_there_too_and_no_dump_brings_it_back(postgresql: PostgreSQL, tmp_path: Path):
    server = postgresql.store()
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "twin.toml").write_text(store_table(server))
    folder = lay(tmp_path / "in", *ADA, *GRACE)
    with opened(home) as here:
        pull(here, folder)
        ada, grace = twin_named(here, "Patient/ada"), twin_named(here, "Patient/grace")
        dump = postgresql.run("pg_dump", server, "-d", server.database, "-Fc")
        write_export(here, gather(here, ada), tmp_path / "ada.zip")
        receipt = read_receipt(erase(here, ada, "request"), here.store.audit_public_key)
        assert all(check.is_so for check in check_receipt(here, receipt))
        assert [twin.id for twin in here.store.twins()] == [grace]
        assert dict(pull(here, folder).ledger.refusals) == {"erased": 3, "unknown-patient": 1, "unused-link": 1}
        with pytest.raises(Misuse, match="PostgreSQL"):
            make_backup(here, tmp_path / "b", lambda text: None)
    with pytest.raises(Misuse, match="on a server"):
        restore_backup(tmp_path / "b", load_settings(home), (), lambda text: None)

    # what an operator does: the database of before takes the place of the present one
    with postgresql.connect() as connection:
        connection.execute(f"DROP DATABASE {server.database}")
        connection.execute(f"CREATE DATABASE {server.database}")
    (tmp_path / "dump").write_bytes(dump)
    postgresql.run("pg_restore", server, "-d", server.database, str(tmp_path / "dump"))
    with opened(home) as here, pytest.raises(Tampered):
        here.store.append_audit([log_event(here.access())])
    restored = go_on(load_settings(home))
    assert restored.erased == (ada,)
    with opened(home) as here:
        assert [twin.id for twin in here.store.twins()] == [grace]
        assert here.store.verify_audit().ok
        assert here.store.twin_record(grace, leave=Reidentify("see in a test that all is there")).resources
        assert "erased" in pull(here, folder).ledger.refusals
