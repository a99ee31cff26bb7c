"""What a patient may ask of the audit log: to whom data went (J1), and who used the record (J2)."""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.home import Home, now
from gateway.settings import load_settings
from security.audit import (
    System,
    answer_events,
    delivery_event,
    disclosure_event,
    export_event,
    merge_event,
    read_event,
    run_event,
)

TWIN = "0f4be5f5-8a1c-4f0e-9d9b-0d3c4a7f2b11"
OTHER = "7d0c1b7e-5c0d-4f0b-8a53-3f1d7e4b9a20"
TRIAL = System("heart-trial", "https://trial.example.org/fhir")
REGISTRY = System("registry", "192.0.2.40")
EHR = System("north", "https://ehr.example.org/fhir")
NASTY = '=HYPERLINK("http://evil.example","x")<script>alert(1)</script>'.replace(" ", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A home whose log tells of years: events are recorded as they would have been, at their own instants."""
    home_folder = tmp_path_factory.mktemp("reports")
    with Home.open(load_settings(home_folder)) as home:
        here = home.access(patient=TWIN, what=("Observation/1/_history/2", "Condition/4"))
        today = now()

        def ago(days: float, **changes):
            return replace(here, when=today - timedelta(days=days), **changes)

        research = {"purpose": "HRESCH", "peer": TRIAL}
        events = [
            disclosure_event(ago(2500, **research), disclosure="d-0", content=["laboratory"]),  # before the six years
            *(disclosure_event(ago(d, **research), disclosure=f"d-{d}", content=["laboratory"]) for d in (90, 60, 30)),
            disclosure_event(ago(20, purpose="PUBHLTH", peer=REGISTRY), disclosure="d-5", content=["diagnosis"]),
            disclosure_event(ago(19, purpose="PUBHLTH", peer=REGISTRY, outcome="8", reason="denied"), disclosure="d-6"),
            delivery_event(ago(18, peer=EHR), delivery="delivery-1"),  # for treatment
            delivery_event(ago(17, peer=EHR, purpose="HRESCH"), delivery="delivery-2"),
            *answer_events(ago(16, peer=TRIAL, purpose="HMARKT", query=b"GET /Observation"), {TWIN: ["Observation/9"]}),
            *answer_events(ago(15, peer=TRIAL, purpose="HRESCH", query=b"GET /Condition"), {OTHER: ["Condition/7"]}),
            export_event(ago(14, purpose="PATRQT", what=()), archive="sha256:1"),
            read_event(ago(3, what=(), actor="dr-huber")),
            read_event(ago(3 - 1 / 1440, what=(), actor="dr-huber")),
            run_event(ago(2, actor="dr-huber"), run="run-1", model="kidney@1"),
            read_event(ago(1, what=(), actor=NASTY, outcome="8", reason="no-scope")),
        ]
        for event in events:
            home.store.append_audit([event])
    return home_folder


@pytest.fixture
def twin(folder, capsys):
    def run(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        assert main(["audit", *arguments, "--home", str(folder)]) == status
        return capsys.readouterr().out

    return run


@pytest.fixture
def told(twin):
    return lambda *arguments: json.loads(twin(*arguments, "--format", "json"))


def test_j1_the_accounting_tells_date_recipient_address_what_and_why_of_each_disclosure_that_counts(told):
    found = told("disclosures", "--patient", TWIN)["disclosures"]
    rows = {(d["recipient"], d["purpose"]): d for d in found}
    assert set(rows) == {
        ("heart-trial", "HRESCH"),
        ("registry", "PUBHLTH"),
        ("north", "HRESCH"),
        ("heart-trial", "HMARKT"),
    }
    assert rows["registry", "PUBHLTH"]["address"] == "192.0.2.40"
    assert rows["registry", "PUBHLTH"]["description"] == "diagnosis; 1 Condition, 1 Observation"
    assert rows["heart-trial", "HMARKT"]["description"] == "1 Observation"
    assert datetime.fromisoformat(rows["registry", "PUBHLTH"]["first"]).date() == (now() - timedelta(days=20)).date()


def test_j1_several_to_one_recipient_for_one_purpose_are_told_with_first_last_and_how_often(told):
    [row] = [d for d in told("disclosures", "--patient", TWIN)["disclosures"] if d["recipient"] == "heart-trial"][:1]
    assert row["frequency"] == "3 times, on average every 30 days"
    assert (datetime.fromisoformat(row["last"]) - datetime.fromisoformat(row["first"])).days == 60
    assert len(row["events"]) == 3


def test_j1_six_years_are_told_unless_somebody_says_otherwise(told):
    early = told("disclosures", "--patient", TWIN, "--from", "2000-01-01")["disclosures"]
    [trial] = [d for d in early if (d["recipient"], d["purpose"]) == ("heart-trial", "HRESCH")]
    assert len(trial["events"]) == 4
    none = told("disclosures", "--patient", TWIN, "--from", "2000-01-01", "--to", "2001-01-01")
    assert none["disclosures"] == []


def test_j1_what_is_excepted_is_counted_with_its_rule_and_what_failed_is_no_disclosure(told):
    excepted = told("disclosures", "--patient", TWIN)["excepted"]
    assert excepted == {
        "treatment, payment and health care operations: 164.528(a)(1)(i)": 1,
        "disclosure to the individual: 164.528(a)(1)(ii)": 1,
    }


def test_j1_nothing_of_another_patient_is_told(told):
    assert [d["recipient"] for d in told("disclosures", "--patient", OTHER)["disclosures"]] == ["heart-trial"]
    assert TWIN not in json.dumps(told("access-log", "--patient", OTHER)["viewings"])


def test_j2_who_used_the_record_is_told_in_words_with_when_and_why(told):
    viewings = told("access-log", "--patient", TWIN)["viewings"]
    [looked] = [v for v in viewings if v["who"] == "dr-huber" and v["did"] == "looked at your record"]
    assert (looked["why"], looked["ended"], len(looked["events"])) == ("treatment", "done", 2)
    assert any(v["did"] == "computed a forecast or a simulation from your record" for v in viewings)
    [refused] = [v for v in viewings if v["who"] == NASTY]
    assert refused["ended"] == "refused: no-scope"
    instants = [v["last"] for v in viewings]
    assert instants == sorted(instants, reverse=True)


def test_j2_each_event_can_be_told_by_itself_and_none_is_lost(told):
    together, alone = (told("access-log", "--patient", TWIN, *more)["viewings"] for more in ((), ("--each",)))
    numbers = sorted(number for viewing in alone for number in viewing["events"])
    assert all(len(viewing["events"]) == 1 for viewing in alone)
    assert set(numbers) >= {number for viewing in together for number in viewing["events"]}
    assert len(numbers) == len(set(numbers))


def test_j2_days_begin_in_the_zone_that_is_asked_for(told, twin):
    in_utc, far = (
        told("access-log", "--patient", TWIN, "--each", "--zone", zone)["viewings"] for zone in ("UTC", "Asia/Tokyo")
    )
    assert {v["first"][-6:] for v in far} == {"+09:00"}
    assert {tuple(v["events"]) for v in far} >= {tuple(v["events"]) for v in in_utc}
    twin("access-log", "--patient", TWIN, "--zone", "Nowhere/Land", status=2)


def test_asking_for_a_report_is_recorded_before_it_is_told(twin, folder):
    twin("disclosures", "--patient", TWIN)
    with Home.open(load_settings(folder)) as home:
        [newest] = home.store.audit_events(1)
    assert newest.event["subtype"][0]["code"] == "report"
    assert f"Patient/{TWIN}" in json.dumps(newest.event)


def test_a_report_says_of_which_state_of_the_log_it_is(twin, folder):
    said = twin("disclosures", "--patient", TWIN)
    with Home.open(load_settings(folder)) as home:
        root = home.store.checkpoints()[-1].split("\n")[2]
    assert root in said


def test_records_that_were_joined_are_named_unless_they_were_parted_again(folder, twin, told):
    third = "11111111-8a1c-4f0e-9d9b-0d3c4a7f2b11"
    with Home.open(load_settings(folder)) as home:
        peer = System("identities", "here")
        for other, parted in ((OTHER, False), (third, False), (third, True)):
            event = merge_event(home.access(patient=other, peer=peer), twin=TWIN, parted=parted)
            home.store.append_audit([event])
    said = twin("access-log", "--patient", TWIN)
    assert f"data of record {OTHER} and of this one were joined" in said
    assert f"record {third}" not in said


class Page(HTMLParser):
    """What a screen reader would be told of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_can_be_read_aloud_holds_no_script_and_fetches_nothing(twin, tmp_path):
    twin("access-log", "--patient", TWIN, "--out", str(tmp_path / "log.html"))
    text = (tmp_path / "log.html").read_text("utf-8")
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}]
    assert [each["scope"] for each in page.all("th")][:8] == ["col"] * 8
    assert len(page.all("h1")) == len(page.all("caption")) == len(page.all("main")) == len(page.all("title")) == 1
    assert len([each for each in page.all("th") if each["scope"] == "row"]) == len(page.all("tr")) - 1
    assert page.all("script") == page.all("img") == page.all("link") == []
    assert "default-src 'none'" in page.all("meta")[2]["content"]
    assert "&lt;script&gt;" in text
    assert "@media print" in text


def test_no_spreadsheet_computes_what_a_stranger_called_himself(twin, tmp_path):
    twin("access-log", "--patient", TWIN, "--out", str(tmp_path / "log.csv"))
    rows = list(csv.reader(io.StringIO((tmp_path / "log.csv").read_text("utf-8"))))
    assert len({len(row) for row in rows}) == 1
    assert f"'{NASTY}" in [row[1] for row in rows]
    assert not [cell for row in rows for cell in row if cell[:1] in "=+-@\t\r" and cell]


def test_the_pdf_has_the_rows_its_language_and_numbered_pages(twin, tmp_path):
    twin("access-log", "--patient", TWIN, "--each", "--out", str(tmp_path / "log.pdf"))
    content = (tmp_path / "log.pdf").read_bytes()
    assert content.startswith(b"%PDF-1.")
    assert b"/Lang (en" in content
    streams = [
        zlib.decompress(s) for s in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S) if s[:1] == b"x"
    ]
    drawn = b"".join(streams)
    assert b"dr-huber" in drawn
    assert b"1 / " in drawn


@pytest.mark.parametrize("command", ["disclosures", "access-log"])
def test_a_report_is_for_its_owner_alone_and_writes_over_nothing(twin, tmp_path, command):
    place = tmp_path / f"{command}.html"
    twin(command, "--patient", TWIN, "--out", str(place))
    assert place.stat().st_mode & 0o777 == 0o600
    twin(command, "--patient", TWIN, "--out", str(place), status=2)
    twin(command, "--patient", TWIN, "--out", str(tmp_path / "report.docx"), status=2)


def test_nobody_is_reported_of_a_stranger(twin):
    twin("disclosures", "--patient", "nobody", status=2)
