"""The tables of what R4 demands are what HL7 published."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from mappers.shown import REASONS
from tests.mappers.shown.published import Package, tables


def test_the_tables_are_those_of_the_published_package(shared_data: Path):
    package = Package(shared_data / "igs" / "hl7.fhir.r4.core-4.0.1-from-hapi.tgz")
    for name, text in tables(package).items():
        assert (files("mappers") / "tables" / f"{name}.toml").read_text("utf-8") == text, name


def test_every_reason_for_which_something_is_not_shown_is_documented():
    told = (Path(__file__).parents[3] / "docs" / "api-resources.md").read_text("utf-8")
    assert [reason for reason, text in REASONS.items() if f"| `{reason}` | {text} |" not in told] == []
