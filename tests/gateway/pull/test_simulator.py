"""The pull against the EHR simulator, which was written by others and renders nothing through our code."""

from __future__ import annotations

import json

import msgspec
import pytest

from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve
from gateway.pull.connection import Connection
from gateway.pull.crawl import SearchCrawl
from gateway.pull.doctor import examine
from gateway.pull.keys import SigningKey, new_key
from gateway.pull.metadata import fetch_capability
from gateway.pull.tokens import BackendServices

VERSIONS = ("dstu2", "stu3", "r4", "r4b", "r5")
PRIVATE, PUBLIC = new_key()


def stories() -> list[dict]:
    """Make five patients with three observations each."""
    found = []
    for p in range(5):
        found.append({"resourceType": "Patient", "id": f"p{p}", "gender": "female"})
        for o in range(3):
            found.append(
                {
                    "resourceType": "Observation",
                    "id": f"p{p}-o{o}",
                    "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
                    "subject": {"reference": f"Patient/p{p}"},
                }
            )
    return found


IDS = {f"{r['resourceType']}/{r['id']}" for r in stories()}


@pytest.fixture(scope="module", params=VERSIONS)
def running(request):
    ehr = Ehr(EhrSettings(name=request.param, fhir_version=request.param, page_size=4))
    ehr.load(*stories())
    ehr.smart.register("fhirtwin", json.loads(PUBLIC))
    with serve([ehr]):
        yield ehr


@pytest.fixture
def simulator(running):
    running.misbehaviours.clear()
    running.seen.clear()
    return running


@pytest.fixture
async def crawl(simulator, clock):
    opened = []

    async def make(**settings):
        auth = BackendServices(
            simulator.base_url, "fhirtwin", SigningKey.read(PRIVATE), read=["Patient", "Observation"], sleep=clock.sleep
        )
        connection = Connection(simulator.base_url, None, auth, sleep=clock.sleep)
        opened.append(connection)
        capability = await fetch_capability(connection)
        settings = {"types": ("Patient", "Observation"), "page_size": 4, **settings}
        return SearchCrawl("sim", connection, capability, **settings)

    yield make
    for connection in opened:
        await connection.wire.close()


async def walk(source, cursor=None):
    return [page async for page in source.pages(cursor)]


def keys(pages) -> set[str]:
    resources = [json.loads(e.raw) for page in pages for e in page.entries if not e.problem]
    return {f"{r['resourceType']}/{r['id']}" for r in resources}


async def test_everything_comes_with_a_token_and_a_certificate(simulator, crawl):
    source = await crawl()
    assert keys(await walk(source)) == IDS
    certificate = source.certificate()
    assert certificate.verdict == "complete"
    assert certificate.fhir_version == simulator.settings.fhir_version
    assert [(a.said, a.came, a.pages) for a in certificate.asked] == [(5, 5, 2), (15, 15, 4)]


async def test_resuming_from_any_cursor_brings_the_same(crawl):
    whole = await crawl()
    pages = await walk(whole)
    for position, page in enumerate(pages):
        source = await crawl()
        rest = await walk(source, page.cursor)
        assert keys(pages[: position + 1]) | keys(rest) == IDS
        assert not keys(pages[: position + 1]) & keys(rest)
        resumed, walked = (msgspec.structs.replace(each.certificate(), until={}) for each in (source, whole))
        assert resumed == walked  # but for the server's clock, which went on


@pytest.mark.parametrize("running", ["r4"], indirect=True)
@pytest.mark.parametrize(
    ("name", "times", "verdict"),
    [
        ("expired-token", 1, "complete"),
        ("server-error", 2, "complete"),
        ("unavailable", 2, "complete"),
        ("throttled", 2, "complete"),
        ("cut-connection", 2, "complete"),
        ("relative-next-link", None, "complete"),
        ("repeated-row", None, "complete"),
        ("no-total", None, "complete"),
        ("outcome-entry", None, "complete"),
        ("foreign-next-link", None, "incomplete"),
        ("looping-next-link", None, "incomplete"),
        ("no-next-link", None, "incomplete"),
        ("missing-row", None, "incomplete"),
        ("wrong-total", None, "incomplete"),
        ("login-page", None, "incomplete"),
        ("cut-body", None, "incomplete"),
    ],
)
async def test_what_can_be_sat_out_is_and_what_cannot_is_told(simulator, crawl, name, times, verdict):
    source = await crawl()
    simulator.misbehaviours.add(Misbehaviour(name, type="Observation", after=1, times=times))
    await walk(source)
    assert source.certificate().verdict == verdict


async def test_the_doctor_finds_a_healthy_server_healthy(simulator, clock):
    auth = BackendServices(
        simulator.base_url,
        "fhirtwin",
        SigningKey.read(PRIVATE),
        read=["Patient"],
        create=["Observation"],
        sleep=clock.sleep,
    )
    async with Connection(simulator.base_url, None, auth, sleep=clock.sleep) as connection:
        findings = [f async for f in examine(connection, types=["Patient"], create=["Observation"])]
    assert {f.check: f.state for f in findings} == dict.fromkeys(
        ("url", "metadata", "version", "smart", "token", "scopes", "read Patient", "write"), "ok"
    )
    assert {s.method for s in simulator.seen if s.path.startswith("/fhir")} == {"GET"}
