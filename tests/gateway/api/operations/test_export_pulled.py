"""Our export, pulled over loopback by our own bulk client into another home: the same resources come out."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from gateway.api.app import API_PATH, fhir_app
from gateway.api.charts import StoreCharts
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.pull.keys import new_key
from gateway.settings import SourceSettings, load_settings
from gateway.smart.registration import Clients, checked, keys_in
from gateway.smart.values import Client
from gateway.sources import open_source
from tests.gateway.api.operations.shelf import DOCTOR, NOBODY, person, pull


@contextmanager
def served(home: Home) -> Iterator[str]:
    """Serve a home on loopback, with its worker; yields the base URL."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(fhir_app(home, base + API_PATH), log_level="error", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield base + API_PATH
        finally:
            server.should_exit = True
            thread.join()


def register(home: Home, id_: str, *scopes: str) -> str:
    """Register a backend client, and return its private key."""
    private, public = new_key()
    client = Client(
        id=id_,
        name=id_,
        kind="asymmetric",
        scopes=scopes,
        grants=("client_credentials",),
        keys=keys_in(json.loads(public)),
        backend=True,
        created=now(),
    )
    Clients(home).add(checked(client), now())
    return private


@pytest.mark.parametrize("export", ["system", "patient", "group"])
async def test_another_home_has_the_same_resources_after_a_pull(tmp_path: Path, export: str):
    with Home.open(load_settings(tmp_path / "home")) as home, Home.open(load_settings(tmp_path / "other")) as other:
        await pull(home, tmp_path / "in", [DOCTOR, NOBODY, *person(1), *person(2)])
        key = tmp_path / "key.jwk"
        key.write_text(register(home, "puller", "system/*.rs"), "utf-8")
        key.chmod(0o600)
        with served(home) as base:
            settings = SourceSettings(
                url=base,
                auth="backend-services",
                client_id="puller",
                key_file=key,
                scopes="system/*.rs",
                way="bulk",
                types=("Patient", "Observation", "Condition", "Practitioner"),
                export=export,
                group=StoreCharts(home, base).group_of("files") if export == "group" else "",
            )
            async with open_source("ours", settings, other) as source:
                report = await ingest(other, source, lambda text: None)
        assert report.certificate.verdict == "complete", report.certificate
        mine = charts_of(home)
        theirs = charts_of(other)
        wanted = {name: count for name, count in mine.items() if name not in ("Provenance", "Group")}
        if export != "system":
            wanted["Practitioner"] = 1
        assert {name: theirs[name] for name in wanted} == wanted


def charts_of(home: Home) -> Counter[str]:
    """Count what a home holds, by type."""
    every = [resource for each in home.store.twins() for resource in home.store.twin_record(each.id).resources]
    every += [each for source in home.store.sources() for each in home.store.unlinked(source)]
    return Counter(each.key.partition("/")[0] for each in every)
