"""A report on quality: what was refused and what to do, coverage, delays and doubles, without a word of any patient."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fhir.resources.R4B.measurereport import MeasureReport
from fhir.resources.R4B.operationoutcome import OperationOutcome

from gateway.cli import main
from gateway.home import Home
from gateway.quality import quality_of_pull, quality_of_source, quality_of_twin
from gateway.quality_fhir import as_fhir
from gateway.settings import load_settings
from gateway.timeliness import summed
from mappers.ledger import REASONS
from tests.gateway.telling import AT, pull, result

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def unitless(name: str) -> dict[str, object]:
    return {**result(name), "valueQuantity": {"value": 99}}


def local(name: str) -> dict[str, object]:
    return {**result(name), "code": {"coding": [{"system": "urn:lab", "code": "GLU"}]}}


def in_words(name: str) -> dict[str, object]:
    """A code and a unit that are none: what somebody typed, with a name in it."""
    told = {"coding": [{"system": "urn:lab", "code": "sugar of Zzcanary"}]}
    return {**result(name, 99, "as told by Zzcanary"), "code": told}


@pytest.fixture
def home(tmp_path: Path):
    with Home.open(load_settings(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Two EHRs that share one result."""
    tmp_path = tmp_path_factory.mktemp("two")
    with Home.open(load_settings(tmp_path / "home")) as home:
        mine = (result("a", 5.5, "mmol/L", issued="2026-03-04T07:06:07Z"), unitless("u"), local("l"), in_words("w"))
        pull(home, tmp_path / "north", "north", *mine, result("m", 99, "furlong"), result("w2", 99, "zz Zzcanary"))
        pull(home, tmp_path / "south", "south", result("b", 99, issued="2026-03-04T06:06:07Z"))
        yield home


def test_a_source_tells_refusals_with_what_to_do_and_where_they_stand(two):
    report = quality_of_source(two, "north")
    assert {each.reason: each.count for each in report.refusals} == {"no-unit": 1, "unknown-code": 2, "unknown-unit": 2}
    assert all(
        each.meaning == REASONS[each.reason] and each.types == {"Observation": each.count} for each in report.refusals
    )
    assert report.resources == report.understood + report.refused == 7
    assert [verdict.source for verdict in report.verdicts] == ["north"]


def test_coverage_is_of_statements_and_names_what_is_missing_most(two):
    report = quality_of_source(two, "north")
    assert (report.codes.count, report.codes.of) == (
        3,
        5,
    )  # sex, birth date and one result; two have codes of their own
    assert (report.units.count, report.units.of) == (1, 4)
    assert report.codes.missing == {"urn:lab|GLU": 1}
    assert report.units.missing == {"furlong": 1, "(words)": 1}
    assert report.conversions == {"mmol/L to mg/dL": 1}


def test_doubles_are_told_of_the_twin_and_of_each_source(two):
    [twin] = two.store.twins()
    report = quality_of_twin(two, twin.id)
    assert (report.statements, report.facts, report.copies) == (6, 3, 3)
    assert (quality_of_source(two, "south").facts, quality_of_source(two, "south").statements) == (3, 3)
    assert sorted(verdict.source for verdict in report.verdicts) == ["north", "south"]


def test_delays_are_from_the_clinical_time(two):
    [twin] = two.store.twins()
    [issued] = quality_of_twin(two, twin.id).delays
    assert (issued.what, issued.count, issued.median, issued.most) == ("issued", 2, 1.0, 2.0)


def test_what_came_after_the_first_pull_tells_how_long_it_took_to_arrive(home, tmp_path):
    stamped = {"meta": {"lastUpdated": "2026-03-04T08:00:00Z"}}
    pull(home, tmp_path / "one", "north", result("a", **stamped))
    pull(
        home,
        tmp_path / "two",
        "north",
        result("a", **stamped),
        result("b", 90, effectiveDateTime="2026-03-05T05:06:07Z", **stamped),
    )
    delays = {delay.what: delay for delay in quality_of_source(home, "north").delays}
    assert (delays["changed"].count, delays["changed"].before) == (2, 1)
    assert delays["arrived"].count == 1


def test_the_nearest_rank_is_a_delay_that_was_seen():
    [delay] = summed({"issued": [float(hour) for hour in range(1, 12)]})
    assert (delay.median, delay.most) == (6.0, 10.0)
    assert summed({"issued": []}) == ()


def test_a_pull_is_told_from_its_ledger_and_equals_the_source_where_it_is_the_only_one(two):
    [last, first] = two.store.pulls()
    assert (first.source, last.source) == ("north", "south")
    report, source = quality_of_pull(two, first), quality_of_source(two, "north")
    for name in ("resources", "understood", "refused", "statements", "links", "refusals", "types", "conversions"):
        assert getattr(report, name) == getattr(source, name)
    assert (report.units.count, report.units.of) == (source.units.count, source.units.of)


def test_an_old_ledger_that_counted_less_is_read_and_claims_nothing(two):
    [_, first] = two.store.pulls()
    old = {
        name: told for name, told in first.ledger.items() if name not in ("numbers", "flags", "translations", "reasons")
    }
    report = quality_of_pull(two, replace(first, ledger=old))
    assert report.units.share is None
    assert {each.reason: each.count for each in report.refusals} == {"no-unit": 1, "unknown-code": 2, "unknown-unit": 2}


def test_the_report_as_fhir_is_valid_and_counts_the_same(two):
    report = quality_of_source(two, "north")
    outcome, measured = (entry["resource"] for entry in as_fhir(report, NOW)["entry"])
    OperationOutcome.model_validate(outcome)
    MeasureReport.model_validate(measured)
    told = {issue["details"]["coding"][0]["code"] for issue in outcome["issue"]}
    assert told == {"no-unit", "unknown-code", "unknown-unit"}
    groups = {group["code"]["coding"][0]["code"]: group for group in measured["group"]}
    assert groups["understood"]["measureScore"]["value"] == round(2 / 7, 6)
    assert sum(s["population"][0]["count"] for s in groups["refusals"]["stratifier"][0]["stratum"]) == 5


def test_no_form_of_the_report_holds_a_word_of_a_patient(two, capsysbinary):
    [twin] = two.store.twins()
    folder = str(two.settings.home)
    for of in ([], ["north"], [twin.id[:8]]):
        for form in ("text", "json", "fhir"):
            assert main(["quality", *of, "--format", form, "--home", folder]) == 0
            said = capsysbinary.readouterr().out.decode()
            assert "no-unit" in said
            assert not any(word in said for word in ("Zzcanary", "1950", AT, "Observation/", "Patient/1"))


def test_what_is_neither_source_nor_twin_nor_pull_is_told_with_what_there_is(two, capsys):
    folder = str(two.settings.home)
    assert main(["quality", "west", "--home", folder]) == 2
    assert "north" in capsys.readouterr().err
    assert main(["quality", "--home", folder]) == 0


def test_that_it_was_read_is_recorded(two):
    [twin] = two.store.twins()

    def reads() -> int:
        return sum(
            "Basic/quality" in json.dumps(entry.event) or twin.id in json.dumps(entry.event)
            for entry in two.store.audit_events(10_000)
        )

    before = reads()
    quality_of_source(two, "north")
    quality_of_twin(two, twin.id)
    assert reads() == before + 2
