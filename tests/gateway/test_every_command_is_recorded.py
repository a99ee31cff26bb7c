"""No command opens the store without leaving an event: each is run, in an order that a person could have (I1, I7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from gateway.cli import app, main
from gateway.home import Home
from gateway.settings import load_settings
from security.audit.entry import read_entry

Json = dict[str, Any]

# What leaves no event, and why that is right.
SILENT = {
    "convert": "converts a file that the person has; it opens no store",
    "demo": "makes a home of its own, and verifies its log: tests/gateway/demo",
    "hostile list": "tells faults of the simulator; it opens no store",
    "hostile serve": "plays an EHR with made-up patients; it opens no store",
    "hostile proxy": "loses requests and answers between two that know each other; it opens no store",
    "model card": "tells what is published of a model; it opens no store",
    "model check": "runs a model on made-up numbers; it opens no store",
    "model list": "tells what is published of models; it opens no store",
    "model new": "writes a file to begin from; it opens no store",
    "model show": "tells what is published of a model; it opens no store",
    "source vendors": "tells the habits of EHRs; it opens no store",
    "source list": "tells the settings, which the person can read; it opens no store",
    "source show": "tells the settings, which the person can read; it opens no store",
    "codes list": "tells tables of codes in the folder; it opens no store",
    "codes show": "tells tables of codes in the folder; it opens no store",
    "codes check": "tells tables of codes in the folder; it opens no store",
    "keys status": "tells how many keys there are and how old; no twin and no patient",
    "store status": "tells where the database is, and how it is set up; it opens no store",
    "store sql": "prints statements; it opens no store",
    "audit witness": "is run by a witness, elsewhere: it needs no store",
}
# What leaves its own event only where there is more than this home has; the test that has it.
ELSEWHERE = {
    "compare": "wants a kept run: tests/gateway/test_what_if.py",
    "explain": "wants the handle of a fact: tests/gateway/test_explain.py",
    "proposals show": "wants a proposal: tests/gateway/deliver/test_proposals.py",
    "proposals approve": "wants a proposal: tests/gateway/deliver/test_approval.py",
    "proposals decline": "wants a proposal: tests/gateway/deliver/test_approval.py",
    "consent show": "wants a Consent: tests/gateway/test_consented.py",
    "outbox show": "wants a delivery: tests/gateway/deliver/test_outbox_command.py",
    "outbox retry": "wants a delivery: tests/gateway/deliver/test_outbox_command.py",
    "outbox drop": "wants a delivery: tests/gateway/deliver/test_outbox_command.py",
    "outbox retract": "wants a delivery: tests/gateway/deliver/test_outbox_command.py",
    "warnings ack": "wants a warning: tests/gateway/test_warnings.py",
    "warnings silence": "wants the rule of a model that fits: tests/gateway/test_warnings.py",
    "restore": "checks files, or makes a new home whose log begins with it: tests/gateway/test_backup.py",
    "serve": "serves until it is ended: tests/gateway/api/test_every_route.py",
    "audit serve": "serves until it is ended: tests/gateway/api/test_iti81.py",
    "audit cosign": "wants a witness: tests/gateway/audit",
}
TWIN, OTHER = "{north}", "{south}"
# In this order; the kinds of event that each has to leave, among others.
STEPS: list[tuple[str, str, set[str]]] = [
    ("init", "", {"settings"}),
    ("source add", "source add files --folder {folder}/in --fhir-version r4", {"settings"}),
    (
        "source add",
        "source add signing --url https://ehr.example.org/fhir --auth backend-services --client-id us",
        {"settings"},
    ),
    ("source keys", "source keys signing --new", {"key"}),
    ("codes import", "codes import {folder}/map.json", {"settings"}),
    ("pull", "pull --folder {folder}/north", {"import", "key", "certificate"}),
    ("pull", "pull --folder {folder}/south", {"import", "certificate"}),
    ("listen", "listen --once", {"import"}),
    ("doctor", "doctor files", {"query"}),
    ("list", "list", {"read"}),
    ("show", "show {north}", {"read"}),
    ("shown", "shown {north}", {"read"}),
    ("profile", "profile {north}", {"read"}),
    ("versions", "versions {north}", {"read"}),
    ("diff", "diff {north} --from 2026-01-01", {"read"}),
    ("refusals", "refusals", {"read"}),
    ("quality", "quality", {"read"}),
    ("lineage", "lineage Observation/w-north --source north", {"read"}),
    ("codes missing", "codes missing", {"read"}),
    ("codes replay", "codes replay", {"read"}),
    ("simulate", "simulate {north} --model kidney", {"read", "run"}),
    ("forecast", "forecast {north} --model glucose", {"read"}),
    ("what-if", "what-if {north} --give=carbs", {"read"}),
    ("rehearse", "rehearse {north}", {"read"}),
    ("operate", "operate {north} --plan repair", {"read"}),
    ("medicate", "medicate {north}", {"read"}),
    ("glycaemia", "glycaemia {north}", {"read"}),
    ("propose", "propose {north}", {"read"}),
    ("proposals list", "proposals list", {"read"}),
    ("send", "send {north} --dry-run", {"read"}),
    ("deliver", "deliver", {"read"}),
    ("outbox list", "outbox list", {"read"}),
    ("warnings check", "warnings check {north}", {"read"}),
    ("warnings list", "warnings list {north}", {"read"}),
    ("certificates list", "certificates list", {"read"}),
    ("certificates show", "certificates show {pull}", {"read"}),
    ("identities list", "identities list", {"read"}),
    ("identities show", "identities show 1", {"read"}),
    ("identities part", "identities part 1", {"unmerge"}),
    ("identities undo", "identities undo 1", {"merge"}),
    ("identities join", "identities join 1", {"merge"}),
    ("identities undo", "identities undo 1", {"unmerge"}),
    ("export", "export {north} --out {folder}/all.zip", {"export"}),
    ("hold", "hold {north} --why case-1", {"hold"}),
    ("hold", "hold {north} --release --why case-1", {"release"}),
    ("restrict", "restrict {north} --why case-1", {"restriction"}),
    ("restrict", "restrict {north} --lift --why case-1", {"restriction"}),
    ("backup", "backup {folder}/backup --keys {folder}/keys.copy", {"backup"}),
    ("keys rotate", "keys rotate", {"key-rotate"}),
    ("keys protect", "keys protect", set()),
    ("keys tokens", "keys tokens --rotate", {"key-rotate"}),
    ("audit list", "audit list", {"log-search"}),
    ("audit show", "audit show 1", set()),
    ("audit reindex", "audit reindex", {"log"}),
    ("audit verify", "audit verify", set()),
    ("audit bundle", "audit bundle {folder}/bundle", set()),
    ("audit export", "audit export --out {folder}/events.ndjson", {"log-export"}),
    ("audit retain", "audit retain --out {folder}/old.ndjson", {"log-export"}),
    ("audit prove", "audit prove 1", {"log"}),
    ("audit consistency", "audit consistency 0", {"log"}),
    ("audit disclosures", "audit disclosures --patient {north}", {"log-report"}),
    ("audit access-log", "audit access-log --patient {north}", {"log-report"}),
    ("audit anomalies", "audit anomalies", {"log-report"}),
    ("audit review", "audit review 1 --found justified", {"review"}),
    ("audit mark", "audit mark {north}", {"read"}),
    ("consent list", "consent list {north}", {"read"}),
    ("consent test", "consent test {north} --type Observation", {"read"}),
    ("user add", "user add ana --role clinician --password-file {folder}/password", {"settings"}),
    ("user list", "user list", {"read"}),
    ("user show", "user show ana", {"read"}),
    ("user roles", "user roles ana --role auditor", {"settings"}),
    ("user password", "user password ana --password-file {folder}/password", {"settings"}),
    ("user passkeys", "user passkeys ana", {"read"}),
    ("user disable", "user disable ana", {"settings"}),
    ("user enable", "user enable ana", {"settings"}),
    (
        "client add",
        "client add app --name App --kind symmetric --redirect-uri https://app.example.org/cb --scopes launch "
        "--launch-url https://app.example.org/launch",
        {"settings"},
    ),
    ("client list", "client list", {"read"}),
    ("client show", "client show app", {"read"}),
    ("client launch", "client launch app {north} --user ana", {"read"}),
    ("client rotate", "client rotate app", {"settings"}),
    ("client disable", "client disable app", {"settings"}),
    ("client enable", "client enable app", {"settings"}),
    ("client remove", "client remove app", {"settings"}),
    ("user remove", "user remove ana", {"settings"}),
    ("erase", "erase {south} --why request --yes", {"erasure"}),
    ("source remove", "source remove signing --yes", {"settings"}),
]


def commands(of: App, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that a person can type."""
    for name in of:
        if not name.startswith("-"):
            inner = of[name]
            below = list(commands(inner, (*path, name))) if any(not n.startswith("-") for n in inner) else []
            yield from below or [" ".join((*path, name))]


def person(id_: str, **more: Any) -> Json:
    name = [{"family": "Smith", "given": ["John"]}]
    return {"resourceType": "Patient", "id": id_, "name": name, "gender": "male", "birthDate": "1961-02-03", **more}


def weight(patient: str) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"w-{patient}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-03-04T05:06:07Z",
        "valueQuantity": {"value": 61, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


CODES = {
    "resourceType": "ConceptMap",
    "status": "active",
    "name": "local",
    "group": [
        {
            "source": "urn:local",
            "target": "http://loinc.org",
            "element": [{"code": "W", "target": [{"code": "29463-7", "equivalence": "equal"}]}],
        }
    ],
}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[str, set[str]]]:
    """Run all steps, and say of each how it ended and which kinds of event it left."""
    folder = tmp_path_factory.mktemp("every")
    homes = {"addresses": ("7 Elm Ave", "10022"), "others": ("12 Oak Street", "10007")}
    for source, (street, postal) in zip(("north", "south"), homes.values(), strict=True):
        place = folder / source
        place.mkdir()
        who = person(source, address=[{"line": [street], "postalCode": postal}])
        (place / "a.ndjson").write_text("\n".join(map(json.dumps, (who, weight(source)))), "utf-8")
    (folder / "in").mkdir()
    (folder / "map.json").write_text(json.dumps(CODES), "utf-8")
    (folder / "password").write_text("seven quiet herons wade", "utf-8")
    (folder / "password").chmod(0o600)
    home = folder / "home"
    names = {"folder": str(folder), "north": "", "south": "", "pull": ""}
    found: dict[int, tuple[str, set[str]]] = {}
    for number, (command, typed, _) in enumerate(STEPS):
        if command == "listen":
            _prepare(home, folder)
        before = _size(home)
        words = [word.format(**names) for word in (typed or command).split()]
        status = main([*words, "--home", str(home)])
        found[number] = (f"{typed}: status {status}", _kinds(home, before))
        if command == "pull":
            names |= _known(home)
    return found


def _prepare(home: Path, folder: Path) -> None:
    with (home / "twin.toml").open("a", encoding="utf-8") as out:
        out.write(
            f'\n[audit]\nkeep_years = 6\n[streams.drop]\nkind = "folder"\nsource = "files"\nfolder = "{folder}/in"\n'
        )
    (folder / "in" / "late.ndjson").write_text(json.dumps(person("late", birthDate="1999-01-01")), "utf-8")


def _size(home: Path) -> int:
    if not (home / "twin.db").exists():
        return 0
    with Home.open(load_settings(home), create=False) as opened:
        return opened.store.search_audit(limit=1).size


def _kinds(home: Path, before: int) -> set[str]:
    with Home.open(load_settings(home), create=False) as opened:
        page = opened.store.search_audit(limit=10_000)
    return {read_entry(e.sequence, e.event).kind for e in page.entries if e.sequence > before}


def _known(home: Path) -> dict[str, str]:
    with Home.open(load_settings(home), create=False) as opened:
        twins = {s: t.id for t in opened.store.twins() for s in t.sources}
        return {**twins, "pull": opened.store.pulls(None)[0].id}


def test_every_command_is_run_here_or_is_said_why_not():
    known = set(commands(app))
    run = {command for command, _, _ in STEPS}
    assert known - run - set(SILENT) - set(ELSEWHERE) == set()
    assert (run | set(SILENT) | set(ELSEWHERE)) - known == set()


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[typed or command for command, typed, _ in STEPS])
def test_what_opens_the_store_leaves_an_event_of_its_kind(left, number):
    command, _, wanted = STEPS[number]
    said, kinds = left[number]
    assert kinds, f"{said}; left no event"
    assert wanted <= kinds, f"{said}; left {kinds}"
    assert command not in SILENT
