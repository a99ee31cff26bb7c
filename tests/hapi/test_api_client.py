"""HAPI's Java client at `twin serve`: it reads, searches, pages, creates, updates, and runs a transaction."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts
from gateway.smart.granted import Granted, new_id
from gateway.smart.issuing import token_response
from gateway.smart.places import Places
from gateway.smart.registration import Clients
from gateway.smart.values import Client
from tests.hapi.fixture import build
from tests.smart_clients.served import MANY, Served, served

pytestmark = pytest.mark.jvm

WHAT = (
    *("metadata", "read", "search", "paging", "create", "digits", "minimal", "outcome", "update without If-Match"),
    *("update", "version conflict", "vread", "history", "patch", "conditional create", "conditional create makes one"),
    *("conditional update", "transaction", "references of a transaction", "a transaction that cannot be"),
    *("unknown patient", "missing status", "another type", "not there", "$validate", "$match"),
)


def token_of(there: Served, *scopes: str) -> str:
    """An access token for a person's app, as our token endpoint gives it."""
    when = now()
    with Home.open(load_settings(there.home)) as home:
        Clients(home).add(Client(id="hapi", name="HAPI's client", kind="public", scopes=scopes, created=when), when)
        person = Accounts(home).must_get("ana", when)
        told = {"client": "hapi", "user": person.name, "session": person.session, "scopes": scopes, "since": when}
        granted = Granted(id=new_id(), **told)
        return str(token_response(home.store, Places(there.base), granted, scopes, when)["access_token"])


def test_hapis_client_reads_and_writes(tmp_path: Path) -> None:
    built = build()
    classpath = f"{built / 'classes'}{os.pathsep}{(built / 'classpath').read_text()}"
    with served(tmp_path) as there:
        patient = next(iter(there.patients))
        ran = subprocess.run(
            [
                *("java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"),
                *("-cp", classpath, "org.fhirtwin.oracle.ApiClient"),
                *(there.base, token_of(there, "user/*.cruds"), patient, str(MANY)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr[-3000:]}"
    assert ran.stdout.split("\n")[:-1] == [f"ok {each}" for each in WHAT]
