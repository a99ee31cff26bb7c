"""The tables are what the guides publish, and hold all that US Core asks of a server."""

from __future__ import annotations

import json
import tarfile
import tomllib
from pathlib import Path

import pytest

from mappers.rows import read_table
from mappers.search import SEARCHED, find_parameter, parameters
from tests.mappers.search import definitions

TABLES = Path(__file__).resolve().parents[3] / "mappers" / "tables"


@pytest.fixture(scope="module")
def core(shared_data: Path) -> list[dict]:
    with tarfile.open(shared_data / "igs" / "us_core_610.tgz") as tar:
        file = tar.extractfile("package/CapabilityStatement-us-core-server.json")
        assert file is not None
        return [each for each in json.load(file)["rest"][0]["resource"] if each["type"] in SEARCHED]


def test_the_summaries_are_those_of_the_published_definitions(shared_data: Path):
    assert tomllib.loads(definitions.summaries_toml()) == read_table("summaries")


def test_the_rows_of_us_core_are_those_of_its_definitions(shared_data: Path):
    table = read_table("search")
    own = [each for each in definitions.us_core() if not each["code"].startswith("_")]
    known = {each["url"]: each for each in own}
    compared = 0
    for parameter in own:
        for type_ in parameter["base"]:
            if type_ not in table:
                continue
            row = table[type_][parameter["code"]]
            made = definitions.row(parameter, type_, known)
            assert row["type"] == made["type"]
            if row["url"] == made["url"]:
                assert row == made
            else:  # FHIR's own: it looks where US Core looks, or in more places
                assert set(made["paths"].split()) <= set(row["paths"].split()), (type_, parameter["code"])
            compared += 1
    assert compared > 80


def test_what_us_core_asks_of_a_server_can_be_searched(core: list[dict]):
    for resource in core:
        type_ = resource["type"]
        for asked in resource.get("searchParam", []):
            parameter = find_parameter(type_, asked["name"])
            assert parameter is not None, (type_, asked["name"])
            assert parameter.type == asked["type"]
        for include in resource.get("searchInclude", []):
            source, by, *target = include.split(":")
            parameter = find_parameter(source, by)
            assert parameter is not None
            assert parameter.type == "reference"
            assert not target or target[0] in parameter.targets


def test_every_row_compiles_and_every_type_has_what_all_have():
    for type_ in SEARCHED:
        known = parameters(type_)
        assert {"_id", "_lastUpdated", "_tag", "_security", "_profile", "_source"} <= set(known)
        for parameter in known.values():
            assert parameter.url.startswith("http://hl7.org/fhir/")
            assert parameter.places or parameter.parts
            assert (parameter.type == "reference") == bool(parameter.targets)
