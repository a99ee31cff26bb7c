"""`twin serve`, killed with an export in work: its next life, or another worker, ends it; whole and once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.api.charts import StoreCharts
from gateway.api.operations.job import Jobs
from gateway.home import Home, now
from gateway.settings import load_settings
from tests.gateway.api.operations.shelf import DOCTOR, person, pull
from tests.gateway.api.operations.test_export_pulled import register

PEOPLE = 120
PATIENCE = 90.0


@contextmanager
def serving(home: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `twin serve` until the block ends, or it is killed in it."""
    command = [sys.executable, "-m", "gateway.cli", "serve", "--home", str(home), "--port", str(port)]
    with subprocess.Popen([*command, "--format", "json"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        told = ""
        while not told.rstrip().endswith("}"):
            line = server.stdout.readline()
            assert line, "the server ended"
            told += line
        try:
            yield server, json.loads(told)["base"]
        finally:
            server.terminate()


def token_for(base: str, key: ECKey) -> dict[str, str]:
    """Get a token as SMART Backend Services has it."""
    endpoint = httpx.get(f"{base}/.well-known/smart-configuration").json()["token_endpoint"]
    claims = {"iss": "puller", "sub": "puller", "aud": endpoint, "jti": str(uuid4()), "exp": int(time.time()) + 200}
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": kind,
        "client_assertion": jwt.encode({"alg": "ES384", "kid": str(key.kid)}, claims, key, algorithms=["ES384"]),
    }
    answer = httpx.post(endpoint, data=form)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def ended(place: str, headers: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Ask as often as the server wants until it is done."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = httpx.get(place, headers=headers)
        if answer.status_code == 200:
            found: dict[str, list[dict[str, str]]] = answer.json()
            return found
        assert answer.status_code == 202, answer.text
        time.sleep(int(answer.headers["retry-after"]))
    raise AssertionError("it takes too long")


def test_a_killed_server_goes_on_with_an_export_in_its_next_life(tmp_path: Path):
    place = tmp_path / "home"
    with Home.open(load_settings(place)) as home:
        asyncio.run(pull(home, tmp_path / "in", [DOCTOR, *(each for n in range(PEOPLE) for each in person(n))]))
        key = ECKey.import_key(json.loads(register(home, "puller", "system/*.rs")))
        charts = StoreCharts(home)
        twins = len(list(charts.twins("")))
    with serving(place) as (server, base):
        port = int(base.split(":")[2].partition("/")[0])
        headers = token_for(base, key)
        begun = httpx.get(f"{base}/$export", headers=headers | {"Prefer": "respond-async"})
        assert begun.status_code == 202, begun.text
        job = begun.headers["content-location"]
        with Home.open(load_settings(place)) as home:
            while not (kept := Jobs(home.store).job(job.rpartition("/")[2], now())) or kept.state == "waiting":
                time.sleep(0.02)
            server.kill()
            server.wait()
            kept = Jobs(home.store).job(job.rpartition("/")[2], now())
        assert kept is not None
        assert kept.state == "running", "it was killed too late to tell anything"
    with serving(place, port) as (_, base):
        manifest = ended(job, token_for(base, key))
        headers = token_for(base, key)
        found = [
            f"{each['type']}/{json.loads(line)['id']}"
            for each in manifest["output"]
            for line in httpx.get(each["url"], headers=headers).text.splitlines()
        ]
    assert len(found) == len(set(found))
    assert sum(each.startswith("Patient/") for each in found) == twins
