"""Resources by HTTP POST, over loopback: who may, what is answered, and that 202 is said of what is on disk only."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.home import Home
from gateway.store import Store
from gateway.stream import post as under_test
from gateway.stream.inbox import Inbox
from gateway.stream.post import post_route
from security.errors import BadSettings
from security.keys import SecretKeyRing
from tests.gateway.stream.arriving import (
    PATIENT,
    TOKEN,
    Told,
    bundle,
    facts_of,
    open_home,
    open_inbox,
    raw,
    reading,
    settle_home,
)

FHIR = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/fhir+json"}


@pytest.fixture
def home(tmp_path: Path):
    streams = (
        '[streams.ward]\nkind = "post"\ntoken_file = "ward.token"\nlargest_mb = 1\n'
        '[streams.drop]\nkind = "folder"\nsource = "ward"\nfolder = "in"\n'
    )
    with open_home(settle_home(tmp_path / "home", streams)) as opened:
        yield opened


@pytest.fixture
def serving(home):
    """Serve the stream on loopback, in the loop of the test; yields a client, the inbox and what is told."""

    @asynccontextmanager
    async def serving_(*, home_: Home = home, **options: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Inbox, Told]]:
        told = Told()
        inbox = open_inbox(home_, told, **options)
        app = Starlette(routes=[post_route(inbox, home.settings.streams, told)])
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
            running = asyncio.create_task(server.serve([listening]))
            while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.01)
            base = f"http://127.0.0.1:{listening.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
                yield client, inbox, told
            server.should_exit = True
            await running

    return serving_


def outcome(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/fhir+json"
    found = answer.json()
    assert found["resourceType"] == "OperationOutcome"
    [issue] = found["issue"]
    return str(issue["diagnostics"])


BODIES = {
    "one resource": (raw(PATIENT), {}),
    "a collection": (bundle(PATIENT, reading()), {}),
    "a transaction": (bundle(PATIENT, reading(), kind="transaction"), {}),
    "a batch": (bundle(PATIENT, reading(), kind="batch"), {"Content-Type": "application/json; charset=utf-8"}),
    "lines": (raw(PATIENT) + b"\n\n" + raw(reading()), {"Content-Type": "application/fhir+ndjson"}),
    "with its version": (raw(PATIENT), {"Content-Type": "application/fhir+json; fhirVersion=4.0"}),
    "in R5": (raw(PATIENT), {"Content-Type": "application/fhir+json; fhirVersion=5.0"}),
}


@pytest.mark.parametrize("case", BODIES)
async def test_what_is_posted_is_on_disk_when_202_is_said(serving, home, case):
    body, headers = BODIES[case]
    async with serving() as (client, inbox, _):
        answer = await client.post("/streams/ward", content=body, headers={**FHIR, **headers})
        assert answer.status_code == 202
        assert "on disk" in outcome(answer)
        assert home.store.waiting("ward") == 1
        assert "post-to-ward" in json.dumps(home.store.audit_events(1)[0].event)
        await inbox.drain()
    assert len(facts_of(home)) == (3 if b"Observation" in body else 2)


async def test_the_bytes_are_kept_as_they_came(serving, home):
    odd = raw(reading()).replace(b'"value": 120', b'"value":   120.50')
    async with serving() as (client, inbox, _):
        body = b'{ "resourceType":"Bundle","type":"batch","entry":[{"resource":%s},{"resource":%s}]}' % (
            raw(PATIENT),
            odd,
        )
        await client.post("/streams/ward", content=body, headers=FHIR)
        await inbox.drain()
    [one] = home.store.twins()
    assert odd in [resource.raw for resource in home.store.twin_record(one.id).resources]


async def test_the_same_post_again_is_taken_and_done_once(serving, home):
    async with serving() as (client, inbox, _):
        for _ in range(3):
            answer = await client.post("/streams/ward", content=bundle(PATIENT, reading()), headers=FHIR)
            assert answer.status_code == 202
        assert "arrived before" in outcome(answer)
        await inbox.drain()
    assert home.store.lane("ward").ledger["repeats"] == 2
    assert len(facts_of(home)) == 3


async def test_an_idempotency_key_holds_for_its_body_only(serving, home):
    """A sender that uses one key for everything loses nothing by it."""
    async with serving() as (client, inbox, _):
        headers = {**FHIR, "Idempotency-Key": '"k1"'}
        for body in (raw(PATIENT), raw(reading()), raw(reading())):
            assert (await client.post("/streams/ward", content=body, headers=headers)).status_code == 202
        assert (home.store.waiting("ward"), home.store.lane("ward").ledger["repeats"]) == (2, 1)
        again = {**FHIR, "Idempotency-Key": '"k2"'}
        assert "on disk" in outcome(await client.post("/streams/ward", content=raw(reading()), headers=again))
        long = {**FHIR, "Idempotency-Key": "k" * 300}
        assert (await client.post("/streams/ward", content=raw(reading()), headers=long)).status_code == 400
        await inbox.drain()
    assert len(facts_of(home)) == 3


@pytest.mark.parametrize(
    "shown",
    [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"],
)
async def test_without_the_token_nothing_is_taken(serving, home, shown):
    headers = {"Content-Type": "application/fhir+json", **({"Authorization": shown} if shown is not None else {})}
    async with serving() as (client, _, told):
        answer = await client.post("/streams/ward", content=raw(PATIENT), headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "token" in outcome(answer)
    assert home.store.lane("ward") is None
    assert told.of("refused") == [{"status": 401}]


REFUSED = {
    "unknown stream": ("/streams/nobody", raw(PATIENT), {}, 404),
    "another kind of stream": ("/streams/drop", raw(PATIENT), {}, 404),
    "no FHIR": ("/streams/ward", b'{"colour": "blue"}', {}, 400),
    "no JSON": ("/streams/ward", b"Zzcanary", {}, 400),
    "no body": ("/streams/ward", b"", {}, 400),
    "no lines": ("/streams/ward", b"\n \n", {"Content-Type": "application/fhir+ndjson"}, 400),
    "cut JSON": ("/streams/ward", raw(PATIENT)[:-3], {}, 400),
    "an entry twice": ("/streams/ward", bundle(PATIENT)[:-1] + b', "entry": []}', {}, 400),
    "XML": ("/streams/ward", b"<Patient/>", {"Content-Type": "application/fhir+xml"}, 415),
    "packed": ("/streams/ward", raw(PATIENT), {"Content-Encoding": "gzip"}, 415),
    "another version": ("/streams/ward", raw(PATIENT), {"Content-Type": "application/fhir+json; fhirVersion=6.0"}, 415),
    "too large": ("/streams/ward", b"x" * ((1 << 20) + 1), {}, 413),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_not_taken_is_answered_with_a_sentence_that_repeats_nothing(serving, home, case):
    path, body, headers, status = REFUSED[case]
    async with serving() as (client, _, told):
        answer = await client.post(path, content=body, headers={**FHIR, **headers})
        assert answer.status_code == status
        assert outcome(answer).endswith(".")
        assert "Zzcanary" not in answer.text + repr(told)
    assert home.store.lane("ward") is None


async def test_a_body_without_a_length_is_cut_off_where_it_is_too_large(serving, home):
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * (1 << 16)

    async with serving() as (client, _, _told):
        answer = await client.post("/streams/ward", content=endless(), headers=FHIR)
        assert answer.status_code == 413


async def test_a_full_queue_is_503_with_the_time_to_wait(serving, home, monkeypatch):
    monkeypatch.setattr(under_test, "_PATIENCE_SECONDS", 0.05)
    async with serving(limit=1) as (client, inbox, _):
        assert (await client.post("/streams/ward", content=raw(PATIENT), headers=FHIR)).status_code == 202
        busy = await client.post("/streams/ward", content=raw(reading()), headers=FHIR)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "5")
        assert home.store.waiting("ward") == 1
        await inbox.drain()
        assert (await client.post("/streams/ward", content=raw(reading()), headers=FHIR)).status_code == 202


async def test_what_does_not_fit_on_the_disk_is_503_and_not_half_there(home, serving, tmp_path):
    folder = tmp_path / "home"
    keys = SecretKeyRing.from_text((folder / "twin.key").read_text("utf-8"))
    quota = (folder / "twin.db").stat().st_size + 200_000
    with Store.create_or_open(folder / "twin.db", keys, datetime.now(UTC), quota_bytes=quota) as small:
        async with serving(home_=replace(home, store=small)) as (client, inbox, _):
            big = bundle(PATIENT, reading(note=[{"text": os.urandom(200_000).hex()}]))
            answer = await client.post("/streams/ward", content=big, headers=FHIR)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert "nothing of it is stored" in outcome(answer)
            assert (small.waiting("ward"), inbox.waiting) == (0, 0)
    async with serving() as (client, _, _told):
        assert "on disk" in outcome(await client.post("/streams/ward", content=big, headers=FHIR))


async def test_a_bad_entry_costs_only_itself_and_deletions_are_told(serving, home):
    found = json.loads(bundle(PATIENT, {"colour": "blue"}, reading()))
    found["entry"].append({"request": {"method": "DELETE", "url": "Observation/g9"}})
    async with serving() as (client, inbox, _):
        answer = await client.post("/streams/ward", content=raw(found), headers=FHIR)
        assert answer.status_code == 202
        said = outcome(answer)
        assert said.startswith("4 resources")
        assert "1 of them cannot be read" in said
        assert "1 of them are deletions, which are not followed" in said
        await inbox.drain()
    assert home.store.lane("ward").ledger["refusals"] == {"not-fhir": 1, "deleted": 1}
    assert len(facts_of(home)) == 3


@pytest.mark.parametrize("content", [None, b"short"])
def test_a_stream_without_a_usable_token_does_not_start(home, tmp_path, content):
    file = tmp_path / "home" / "ward.token"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadSettings, match="ward"):
        post_route(open_inbox(home), home.settings.streams, Told())
