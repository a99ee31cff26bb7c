"""What is hidden changes no answer to a write: the same, to the byte, with it and without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway.api.writing.desk import TWO, Answer, Desk, coded, desk_in, weight

Json = dict[str, Any]
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
DEVICE = "http://device.example/readings"
MRN = "http://hospital.example/mrn"
LIMITED = ("patient/Observation.cruds?category=vital-signs", "patient/Patient.rs")
HIDDEN_TWIN = "b0000000-0000-4000-8000-000000000000"


def numbered(patient: str, number: str, **changes: Any) -> Json:
    return weight(patient, identifier=[{"system": DEVICE, "value": number}], **changes)


def answers(desk: Desk, other: str, hidden: str) -> list[tuple[int, str, str]]:
    """Ask all that an app of one patient may try; `other` is another twin, `hidden` a resource that it may not see."""
    anna = desk.twin("p0")
    app = desk.asked_by(scopes=LIMITED, patient=anna, client="phone")
    laboratory = [coded(CATEGORY, "laboratory")]
    someone = {"resourceType": "Patient", "identifier": [{"system": MRN, "value": "B-2"}]}
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": someone}]}

    def entry(method: str, url: str, resource: Json | None = None, **request: str) -> Json:
        return {"request": {"method": method, "url": url, **request}} | ({"resource": resource} if resource else {})

    entries = [
        entry("POST", "Observation", weight(other)),
        entry("GET", f"Patient/{other}"),
        entry("GET", f"Observation/{hidden}"),
        entry("PUT", f"Observation/{hidden}", weight(anna, id=hidden), ifMatch='W/"1"'),
        entry("POST", "Observation", numbered(anna, "9"), ifNoneExist=f"identifier={DEVICE}|1"),
    ]
    asked = [
        ("POST", "/Observation", weight(other), {}),
        ("POST", "/Observation", weight(anna, derivedFrom=[{"reference": f"Observation/{hidden}"}]), {}),
        ("POST", "/Observation", weight(anna, category=laboratory), {}),
        ("POST", "/Observation", numbered(anna, "1"), {"if_none_exist": f"identifier={DEVICE}|1"}),
        ("POST", "/Observation", numbered(anna, "1"), {"if_none_exist": "category=laboratory"}),
        ("PUT", f"/Observation?identifier={DEVICE}|1", numbered(anna, "1", status="amended"), {}),
        ("PUT", f"/Observation/{hidden}", weight(anna, id=hidden), {"if_match": 'W/"1"'}),
        ("PUT", f"/Observation/{hidden}", weight(anna, id=hidden), {"if_match": 'W/"7"'}),
        ("PUT", f"/Observation/{hidden}", weight(anna, id=hidden), {}),
        ("PUT", f"/Patient/{other}", {"resourceType": "Patient", "id": other}, {"if_match": 'W/"1"'}),
        ("POST", "/Patient/$match", parameters, {}),
        ("POST", "/Observation/$validate?mode=create", weight(other), {}),
        ("POST", "/", {"resourceType": "Bundle", "type": "batch", "entry": entries}, {}),
        ("POST", "/", {"resourceType": "Bundle", "type": "transaction", "entry": entries[4:]}, {}),
        (
            "POST",
            "/",
            {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [entry("POST", "Observation", weight(f"Patient?identifier={MRN}|B-2"))],
            },
            {},
        ),
    ]
    names: dict[str, str] = {anna: "ANNA", other: "OTHER", hidden: "HIDDEN"}
    return [told(app.ask(method, url, body, **headers), names) for method, url, body, headers in asked]


def told(answer: Answer, names: dict[str, str]) -> tuple[int, str, str]:
    """Take out of an answer what is drawn and when it was."""
    if answer.status == 201:
        names.setdefault(answer.id.partition("-")[2], f"made {len(names)}")
    text, headers = answer.raw.decode(), str(answer.headers.get("ETag", ""))
    for part, name in names.items():
        text = text.replace(part, name)
    marks = ('"lastUpdated":"', '"location":"', "/Observation/ANNA-", '"id":"ANNA-')
    for mark in marks:
        pieces = text.split(mark)
        text = mark.join([pieces[0], *(piece[piece.find('"') :] for piece in pieces[1:])])
    return answer.status, text, headers


@pytest.mark.parametrize("what", ["record", "nothing"])
def test_what_is_hidden_changes_no_answer(tmp_path: Path, what: str) -> None:
    found = []
    for has_it in (True, False):
        folder = tmp_path / str(has_it)
        folder.mkdir()
        with desk_in(folder, people=TWO if has_it else TWO[:1]) as desk:
            other = desk.twin("p1") if has_it else HIDDEN_TWIN
            hidden = f"{desk.twin('p0')}-{'a' * 26}"
            if has_it and what == "record":
                laboratory = [coded(CATEGORY, "laboratory")]
                hidden = desk.ask("POST", "/Observation", numbered(desk.twin("p0"), "1", category=laboratory)).id
                desk.ask("POST", "/Observation", numbered(other, "1"))
            found.append(answers(desk, other, hidden))
    for with_it, without in zip(*found, strict=True):
        assert with_it == without
