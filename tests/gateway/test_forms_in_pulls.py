"""A pull of many resources goes by forms, and stores what mapping one by one would have stored."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from mappers import map_resource, read_json
from mappers.facts import Link, Origin
from mappers.forms import Forms
from mappers.ledger import Ledger
from security.reidentification import Reidentify


def lines_of(shared_data: Path) -> list[bytes]:
    """The resources of the two people of whom least is known, as a server exports them."""
    files = sorted((shared_data / "patients" / "r4").glob("*.json"), key=lambda file: file.stat().st_size)[:2]
    return [
        json.dumps(entry["resource"], separators=(",", ":")).encode()
        for file in files
        for entry in json.loads(file.read_bytes())["entry"]
    ]


def test_a_pull_by_forms_stores_what_one_by_one_would_have_stored(shared_data: Path, tmp_path: Path):
    lines = lines_of(shared_data)
    # referred to by type and id, as in exports
    names = {f"urn:uuid:{r['id']}": f"{r['resourceType']}/{r['id']}" for r in map(json.loads, lines)}
    text = b"\n".join(lines).decode()
    for urn, name in names.items():
        text = text.replace(urn, name)
    (tmp_path / "export.ndjson").write_text(text, "utf-8")
    with Home.open(load_settings(tmp_path / "home")) as home:
        source = Folder("folder", tmp_path / "export.ndjson", "r4")
        report = asyncio.run(ingest(home, source, lambda told: None))
        leave = Reidentify("compare in a test what was stored")
        stored = [one for twin in report.touched for one in home.store.twin_record(twin, leave=leave).resources]
        stored += home.store.unlinked("folder")
    assert len(stored) == report.ledger.resources == len(lines)
    ledger, compared = Ledger(), 0
    for one in stored:
        ledger.add(one.key.partition("/")[0], one.outcomes)
        if any(isinstance(outcome, Link) for outcome in one.outcomes):
            continue  # only who sees all resources can tell
        resource = read_json(one.raw)
        origin = Origin("folder", resource["resourceType"], resource["id"], "", one.place)
        expected = map_resource(resource, "r4", origin, {})
        assert list(one.outcomes) == expected or resource["resourceType"] == "Patient"
        compared += 1
    assert ledger.as_json() == report.ledger.as_json()
    assert compared > 0.9 * len(lines)


def test_most_of_a_pull_goes_by_forms(shared_data: Path):
    lines, forms = lines_of(shared_data), Forms("folder")
    assert sum(forms.read(line, "r4") is not None for line in lines) > 0.8 * len(lines)
