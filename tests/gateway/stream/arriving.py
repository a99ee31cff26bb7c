"""Builders for what arrives: people, readings, deliveries, and a home whose streams are set."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.events import Hub
from gateway.home import Home
from gateway.pull.page import Entry
from gateway.settings import load_settings
from gateway.stream.delivery import Delivery
from gateway.stream.inbox import Inbox
from mappers.facts import Quantity
from security.audit import read_event

TOKEN = "a-token-of-24-characters-or-more"
ENDED = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"},
    "identifier": [{"system": "urn:oid:2.25.1", "value": "ZZCANARY-17"}],
    "name": [{"family": "Zzcanary", "given": ["Ada"]}],
    "gender": "female",
    "birthDate": "1980-02-03",
}


def quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def reading(
    name: str = "g1", value: float = 120, when: datetime = ENDED, *, version: int = 0, **changes: Any
) -> dict[str, Any]:
    """A glucose reading of p1; `version` gives it a versionId and a lastUpdated that grows with it."""
    meta = {"versionId": str(version), "lastUpdated": (ENDED + timedelta(minutes=version)).isoformat()}
    found = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "99504-3"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": when.isoformat(timespec="seconds"),
        "valueQuantity": quantity(value, "mg/dL"),
    }
    return {**found, **({"meta": meta} if version else {}), **changes}


def weight() -> dict[str, Any]:
    code = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    return reading("w", when=ENDED - timedelta(days=2), code=code, valueQuantity=quantity(70, "kg"))


def swinging(ended: datetime = ENDED, minutes: int = 2880) -> Iterator[dict[str, Any]]:
    """Yield two days of readings that swing between 80 and 160 mg/dL every four hours, and fall deeper at the end."""
    for minute in range(0, minutes, 5):
        left = minutes - 5 - minute
        wide = 40.0 + 26.0 * max(0.0, 1.0 - left / 150.0)
        value = 120.0 + wide * math.sin(3.836 - 2.0 * math.pi * left / 240.0)
        yield reading(f"g{minute}", round(value), ended - timedelta(minutes=left))


def raw(resource: dict[str, Any]) -> bytes:
    return json.dumps(resource).encode()


def bundle(*resources: dict[str, Any], kind: str = "collection") -> bytes:
    return raw({"resourceType": "Bundle", "type": kind, "entry": [{"resource": one} for one in resources]})


def delivery(key: str, *resources: dict[str, Any] | bytes, source: str = "ward") -> Delivery:
    entries = tuple(Entry(one if isinstance(one, bytes) else raw(one)) for one in resources)
    return Delivery(source, key, "post", entries)


def settle_home(folder: Path, streams: str = "", *, url: str = "http://127.0.0.1:9/fhir") -> Path:
    """Write twin.toml: the EHR "ward" (R4), and a stream of it by POST where none other is told."""
    folder.mkdir(exist_ok=True)
    (folder / "ward.token").write_text(TOKEN, "utf-8")
    streams = streams or '[streams.ward]\nkind = "post"\ntoken_file = "ward.token"\n'
    (folder / "twin.toml").write_text(f'[sources.ward]\nurl = "{url}"\nfhir_version = "r4"\n{streams}', "utf-8")
    return folder


def open_home(folder: Path) -> Home:
    return Home.open(load_settings(folder))


class Told(list[tuple[str, str, dict[str, Any]]]):
    """Keeps what is told."""

    def __call__(self, kind: str, text: str, counts: Any) -> None:
        self.append((kind, text, dict(counts)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [counts for each, _, counts in self if each == kind]


def open_inbox(home: Home, told: Told | None = None, hub: Hub | None = None, limit: int = 256) -> Inbox:
    return Inbox(home, hub or Hub(), told if told is not None else Told(), {"ward": limit})


def facts_of(home: Home) -> list[tuple[str, str, str]]:
    """Name, time and value of all statements of the only twin: what came, before equal ones are one fact."""
    [one] = home.store.twins()
    home.store.append_audit([read_event(home.access(patient=one.id))])
    record = home.store.twin_record(one.id)
    facts = [fact for resource in record.resources for fact in resource.facts]
    return sorted((fact.name, fact.when.text if fact.when else "", _said(fact.value)) for fact in facts)


def _said(value: Any) -> str:
    return f"{value.value} {value.unit}" if isinstance(value, Quantity) else str(value)
