"""Non-interference of the whole server: what comes into a home changes no byte of an answer to who may not see it.

Each caller asks, then data comes that they may not see, in the way data comes, and they ask again.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.ingest import ingest
from gateway.pull.folder import Folder
from tests.gateway.api.visiting import CATEGORY, Visited, observation, person, visited

CHANGES = {"date", "x-request-id"}
SEALED = re.compile(r"(_page|page)=[A-Za-z0-9._~%=-]+")
LABORATORY = f"patient/Observation.rs?category={CATEGORY}|laboratory"

OTHERS: list[dict[str, Any]] = [
    *person("c", "Adams", "1990-09-09"),  # sorts before all
    *(observation(f"b-more-{n}", "b", 50 + n, 20 + n) for n in range(3)),
]
OWN_BUT_HIDDEN: list[dict[str, Any]] = [
    *(observation(f"a-vital-{n}", "a", 60 + n, 20 + n, "vital-signs") for n in range(4)),
    {
        "resourceType": "Condition",
        "id": "a-cond",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
        "subject": {"reference": "Patient/a"},
        "recordedDate": "2026-03-01",
    },
]


def urls(mine: str, other: str) -> list[str]:
    """Return what is asked, about oneself, about another patient, and about everybody."""
    found = [f"Patient/{mine}", f"Patient/{other}", f"Patient/{mine}/_history", f"Patient/{other}/_history", "metadata"]
    found += [f"Patient/{mine}/$everything", f"Patient/{other}/$everything", f"Patient/{mine}/$everything?_count=3"]
    found += [f"Observation?patient={who}&_sort=-date&_count=2" for who in (mine, other)]
    found += [f"Observation?patient={who}&_summary=count" for who in (mine, other)]
    found += [f"Patient/{who}/Observation?_include=*" for who in (mine, other)]
    found += [
        "Observation",
        "Observation?_count=1&_total=accurate",
        "Observation?_sort=_lastUpdated",
        "Observation?value-quantity=lt80",
        "Observation?category=vital-signs",
        "Observation?patient.family=Brown",
        "Observation?subject:Patient.family=Adams",
        "Observation?_include=Observation:patient&_include=Observation:performer&_revinclude=Provenance:target",
        "Patient",
        "Patient?family=Adams",
        "Patient?_has:Observation:patient:value-quantity=lt80",
        "Patient?_has:Condition:patient:code=44054006",
        "Patient?_sort=family&_count=1",
        "Condition",
        "Condition?code=44054006",
        "Practitioner?_revinclude=Observation:performer",
        "Practitioner?_has:Observation:performer:value-quantity=lt80",
        "Provenance",
        "Group",
        "Device",
        "AuditEvent",
    ]
    return found


async def answers(there: Visited, token: str) -> dict[str, Any]:
    """Ask everything, follow each link to a further page, and return all that can be told."""
    told: dict[str, Any] = {}
    async with there.caller(token) as caller:
        for asked in urls(there.twins["a"], there.twins["b"]):
            url, pages = asked, 0
            while url and pages < 12:
                answer = await caller.get(url)
                headers = {name: value for name, value in answer.headers.items() if name not in CHANGES}
                headers.pop("content-length", "")
                told[f"{asked} {pages}"] = answer.status_code, SEALED.sub("page", answer.text), headers
                links = answer.json().get("link", []) if answer.status_code == 200 else []
                onward = [each["url"] for each in links if each.get("relation") == "next"]
                url, pages = (onward or [""])[0], pages + 1
        entries = [{"request": {"method": "GET", "url": url}} for url in urls(there.twins["a"], there.twins["b"])[5:]]
        batch = await caller.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
        told["batch"] = batch.status_code, SEALED.sub("page", batch.text)
    return told


async def counted(there: Visited, token: str) -> int:
    """Count what a clinician sees."""
    async with there.caller(token) as caller:
        told = [await caller.get(f"{type_}?_summary=count") for type_ in ("Observation", "Condition", "Patient")]
    return sum(each.json()["total"] for each in told)


@pytest.mark.parametrize(
    ("scopes", "granted", "comes"),
    [
        (("launch/patient", "patient/*.rs"), {"patient": "a"}, OTHERS),
        (("patient/Observation.rs", "patient/Patient.rs"), {"patient": "a"}, [*OTHERS, OWN_BUT_HIDDEN[-1]]),
        ((LABORATORY, "patient/Patient.rs", "patient/Practitioner.rs"), {"patient": "a"}, [*OTHERS, *OWN_BUT_HIDDEN]),
        (("user/Practitioner.rs",), {}, [*OTHERS, *OWN_BUT_HIDDEN]),
        (("user/Patient.rs", f"user/Observation.rs?category={CATEGORY}|laboratory"), {}, OWN_BUT_HIDDEN),
        (("system/Observation.rs?category=laboratory",), {"user": "", "client": "job"}, OWN_BUT_HIDDEN),
    ],
    ids=["one-patient", "some-types", "laboratory-only", "no-patients", "laboratory-of-all", "backend"],
)
def test_what_comes_changes_no_answer_to_who_may_not_see_it(
    tmp_path: Path, scopes: tuple[str, ...], granted: dict[str, str], comes: list[dict[str, Any]]
):
    with visited(tmp_path) as there:
        token = there.token(*scopes, **{name: there.twins.get(value, value) for name, value in granted.items()})
        before = asyncio.run(answers(there, token))
        (tmp_path / "bundles" / "more.ndjson").write_text("\n".join(map(json.dumps, comes)), "utf-8")
        clinician = there.token("user/*.rs")
        known = asyncio.run(counted(there, clinician))
        asyncio.run(ingest(there.home, Folder("ward", tmp_path / "bundles", "r4"), lambda text: None))
        assert asyncio.run(counted(there, clinician)) > known  # it is there, for who may see it
        after = asyncio.run(answers(there, token))
    assert any(status == 200 for status, *_ in before.values())
    assert after.keys() == before.keys()
    for asked, told in before.items():
        assert after[asked] == told, asked
