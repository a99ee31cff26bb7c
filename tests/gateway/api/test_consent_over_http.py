"""Consents over HTTP, at the whole server: what they hide is hidden from every kind of request (N3, N4, N6; I3)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api.breaking_glass import twin_asked
from gateway.api.charts import StoreCharts
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from security.audit.entry import read_entry
from tests.gateway.api.visiting import RECORDS, Visited, visited
from tests.gateway.consenting import who
from tests.security.consent.saying import consent, rule

ALL = ("user/*.cruds",)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Visited]:
    with visited(tmp_path) as found:
        yield found


def says(place: Visited, base: str, provision: dict[str, Any] | None = None, **changes: Any) -> None:
    """Let a Consent of the patient "a" come from the source, or another version of it."""
    folder = place.home.settings.home / "consents"
    folder.mkdir(exist_ok=True)
    told = consent(base, provision, id="c1", patient={"reference": "Patient/a"}, **changes)
    records = [*RECORDS, told]
    (folder / "all.ndjson").write_text("\n".join(map(json.dumps, records)), "utf-8")
    asyncio.run(ingest(place.home, Folder("ward", folder, "r4"), lambda text: None))


def entries(answer: Any) -> int:
    return len(answer.json().get("entry", []))


async def asked(place: Visited, twin: str, token: str) -> dict[str, Any]:
    """Ask for a patient in every way, and tell what came."""
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": f"Patient/{twin}"}}],
    }
    async with place.caller(token) as us:
        return {
            "read": (await us.get(f"/Patient/{twin}")).status_code,
            "history": (await us.get(f"/Patient/{twin}/_history")).status_code,
            "everything": (await us.get(f"/Patient/{twin}/$everything")).status_code,
            "twin": (await us.get(f"/Patient/{twin}/$twin")).status_code,
            "search": entries(await us.get(f"/Observation?patient={twin}")),
            "post": entries(await us.post("/Observation/_search", data={"patient": twin})),
            "include": entries(await us.get(f"/Observation?patient={twin}&_include=Observation:subject")),
            "revinclude": entries(await us.get(f"/Patient?_id={twin}&_revinclude=Observation:subject")),
            "chain": entries(await us.get("/Observation?subject:Patient.name=Silva")),
            "has": entries(await us.get("/Patient?_has:Observation:patient:code=2339-0&_id=" + twin)),
            "count": (await us.get(f"/Observation?patient={twin}&_summary=count")).json().get("total"),
            "batch": (await us.post("/", json=batch)).json()["entry"][0]["response"]["status"][:3],
        }


async def test_a_patient_who_denies_all_is_as_if_not_there_by_every_way(place):
    twin, token = place.twins["a"], place.token(*ALL)
    before = await asked(place, twin, token)
    assert before["read"] == 200
    assert before["search"] == before["post"] == 6
    await asyncio.to_thread(says, place, "OPTOUT")
    hidden = await asked(place, twin, token)
    nobody = await asked(place, f"{'0' * 8}-0000-4000-8000-{'0' * 12}", token)
    assert hidden == nobody
    assert (await asked(place, place.twins["b"], token))["search"] == 6


async def test_a_withdrawal_opens_or_closes_with_the_next_request(place):
    twin, token = place.twins["a"], place.token(*ALL)
    async with place.caller(token) as us:
        for status, code in (("active", 404), ("inactive", 200), ("active", 404)):
            await asyncio.to_thread(says, place, "OPTOUT", status=status)
            assert (await us.get(f"/Patient/{twin}")).status_code == code


async def test_what_consents_decided_is_in_the_audit(place):
    await asyncio.to_thread(says, place, "OPTIN", rule("deny", class_="Observation"))
    async with place.caller(place.token(*ALL)) as us:
        assert (await us.get(f"/Patient/{place.twins['a']}")).status_code == 200
        told = [read_entry(0, event) for event in place.newest(4)]
        assert [(e.outcome, e.patients) for e in told if e.kind == "consent"] == [("0", (place.twins["a"],))]
        assert entries(await us.get(f"/Observation?patient={place.twins['a']}")) == 0
        told = [read_entry(0, event) for event in place.newest(4)]
        assert ("8", "consent-denies") in {(e.outcome, e.reason) for e in told if e.kind == "consent"}
        charts = StoreCharts(place.home)
        hidden = charts.chart(place.twins["a"]).of_type("Observation")[0]
        assert (await us.get(f"/{hidden.reference}")).status_code == 404
        told = [read_entry(0, event) for event in place.newest(2)]
        assert {(e.kind, e.outcome, e.reason) for e in told} == {
            ("read", "8", "not-found"),
            ("consent", "8", "consent-denies"),
        }


async def test_an_emergency_is_opened_by_a_reason_and_marked(place):
    twin, token = place.twins["a"], place.token(*ALL)
    await asyncio.to_thread(says, place, "OPTOUT")
    told = [{"name": "reason", "valueCode": "ETREAT"}, {"name": "text", "valueString": "Unconscious on arrival."}]
    body = {"resourceType": "Parameters", "parameter": told}
    async with place.caller(token) as us, place.caller(place.token(*ALL, user="odd")) as odd:
        assert (await odd.post(f"/Patient/{twin}/$break-glass", json=body)).status_code == 403
        assert (await us.post(f"/Patient/{twin}/$break-glass?reason=ETREAT&text=x")).status_code == 400
        assert (await us.get(f"/Patient/{twin}")).status_code == 404
        answer = await us.post(f"/Patient/{twin}/$break-glass", json=body)
        assert answer.status_code == 200
        assert (await us.get(f"/Patient/{twin}")).status_code == 200
        [event, *_] = place.newest(1)
        assert read_entry(0, event).purpose == "BTG"
        assert (await us.get(f"/Patient/{twin}/$everything")).status_code == 200
    kinds = {read_entry(0, event).kind for event in place.newest(12)}
    assert "break-glass" in kinds
    assert place.home.store.verify_audit().ok


def test_the_twin_that_a_request_is_about_is_the_one_that_it_names(place):
    charts, twin, other = StoreCharts(place.home), place.twins["a"], place.twins["b"]
    launched = who(patient=other)
    assert twin_asked(charts, launched, {"type": "Patient", "id": twin}) == twin
    assert twin_asked(charts, launched, {"id": twin}) == twin
    assert twin_asked(charts, launched, {"type": "Observation", "id": f"{twin}-{'a' * 26}"}) == twin
    for name in ("patient", "subject", "subject:Patient"):
        for value in (twin, f"Patient/{twin}"):
            assert twin_asked(charts, launched, {"type": "Observation"}, [(name, value)]) == twin
    assert twin_asked(charts, launched, {"type": "Patient"}, [("_id", twin)]) == twin
    assert twin_asked(charts, launched, {"type": "Observation"}, [("code", "x")]) == other
    assert twin_asked(charts, launched, {"type": "Observation"}, [("patient", twin), ("patient", other)]) == ""
    assert twin_asked(charts, who(), {"type": "Observation"}, [("patient", "nonsense")]) == ""


async def test_a_glass_opens_one_record_whatever_the_request_seems_to_be_about(place: Visited) -> None:
    """A parameter that a search leaves out names nobody: those who are behind other glasses stay there."""
    folder = place.home.settings.home / "consents"
    folder.mkdir()
    denied = [consent("deny", id=f"c{p}", patient={"reference": f"Patient/{p}"}) for p in "ab"]
    (folder / "all.ndjson").write_text("\n".join(map(json.dumps, [*RECORDS, *denied])), "utf-8")
    await asyncio.to_thread(lambda: asyncio.run(ingest(place.home, Folder("ward", folder, "r4"), lambda text: None)))
    mine, other = place.twins["a"], place.twins["b"]
    lenient = {"Prefer": "handling=lenient"}
    async with place.caller(place.token(*ALL)) as us:
        assert entries(await us.get(f"/Observation?patient={mine}")) == 0
        told = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueCode": "ETREAT"}]}
        told["parameter"].append({"name": "text", "valueString": "unconscious, no relatives"})  # type: ignore[attr-defined]
        assert (await us.post(f"/Patient/{mine}/$break-glass", json=told)).status_code == 200
        assert entries(await us.get(f"/Observation?patient={mine}")) == 6
        for query in (
            f"Patient?subject={mine}",
            f"Patient?patient={mine}",
            f"Observation?patient:missing=false&x={mine}",
        ):
            found = (await us.get(f"/{query}", headers=lenient)).json().get("entry", [])
            assert not any(other in json.dumps(entry) for entry in found), query
