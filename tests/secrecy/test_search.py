"""What is planted is found, in every form and every hiding place; what chance brings is not."""

from __future__ import annotations

import base64
import gzip
import json
import os
import sqlite3
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from tests.secrecy.places import found_in, spots
from tests.secrecy.search import Search
from tests.secrecy.told import pieces

PATIENT = {
    "resourceType": "Patient",
    "id": "e601013672.3",
    "identifier": [{"system": "urn:oid:2.25.9", "value": "RX-6076-57"}],
    "name": [{"family": "Żółkiewska", "given": ["Renee"]}],
    "telecom": [{"system": "phone", "value": "555-0170"}],
    "birthDate": "1957-02-23",
    "gender": "female",
    "active": True,
    "text": {"status": "generated", "div": "<div><p>Lives with her sister</p></div>"},
}
MEASURED = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8737-9", "display": "Diastolic blood pressure"}]},
    "subject": {"reference": "Patient/e601013672.3"},
    "effectiveDateTime": "2026-11-23T21:00:00+01:00",
    "valueQuantity": {"value": 135.27, "unit": "mm[Hg]", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
}

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "hex": lambda plain: plain.hex().encode(),
    "HEX": lambda plain: plain.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64, shifted by one": lambda plain: base64.b64encode(b"x" + plain),
    "base64, shifted by two": lambda plain: base64.b64encode(b"xy" + plain),
    "base64 for addresses": lambda plain: base64.urlsafe_b64encode(b"xy" + plain),
    "UTF-16": lambda plain: plain.decode().encode("utf-16"),
    "UTF-16, big end first": lambda plain: plain.decode().encode("utf-16-be"),
    "JSON": lambda plain: json.dumps({"a": plain.decode()}).encode(),
    "upper case": lambda plain: plain.decode().upper().encode(),
    "lower case": lambda plain: plain.decode().lower().encode(),
    "zstd": lambda plain: zstandard.compress(b"{" + plain + b"}"),
    "gzip": lambda plain: gzip.compress(b"{" + plain + b"}"),
    "zlib": lambda plain: zlib.compress(b"{" + plain + b"}"),
    "zstd in gzip in base64's neighbourhood": lambda plain: b"head" + gzip.compress(b"." + zstandard.compress(plain)),
}


@pytest.fixture(scope="module")
def search() -> Search:
    return Search(pieces([PATIENT, MEASURED]))


def test_names_identifiers_telephones_dates_codes_displays_and_values_are_looked_for():
    assert pieces([PATIENT, MEASURED]) == {
        *("e601013672.3", "RX-6076-57", "Żółkiewska", "Renee", "555-0170", "1957-02-23", "Lives with her sister"),
        *("8737-9", "Diastolic blood pressure", "Patient/e601013672.3", "135.27"),
        *("2026-11-23T21:00:00+01:0", "026-11-23T21:00:00+01:00"),
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("piece", ["Żółkiewska", "RX-6076-57", "Diastolic blood pressure", "2026-11-23T21:00:00+01:00"])
def test_each_form_is_found_among_random_bytes(search, form, piece):
    data = os.urandom(5000) + FORMS[form](piece.encode()) + os.urandom(5000)
    assert search.everywhere(data, sealed=True), (form, piece)


@pytest.mark.parametrize("text", ["19570223", "5550170", "%C5%BB%C3%B3%C5%82kiewska", "\\u017b\\u00f3\\u0142kiewska"])
def test_what_is_written_in_another_way_is_found(search, text):
    assert search.hits(f"/find?who={text}&".encode())


@pytest.mark.parametrize("order", "<>")
def test_a_number_in_binary_is_found(search, order):
    assert search.hits(os.urandom(500) + struct.pack(f"{order}d", 135.27) + os.urandom(500), sealed=True)


def test_a_short_name_counts_alone_in_text_and_with_another_one_in_sealed_bytes(search):
    apart = os.urandom(300)
    assert search.hits(b"GET /Renee HTTP/1.1")
    assert not search.hits(apart + b"Renee" + apart, sealed=True)
    assert search.hits(apart + b"Renee\x00\x068737-9\x00" + apart, sealed=True)


def test_a_number_that_is_part_of_another_one_is_none(search):
    assert search.hits(b"value=135.27;")
    assert not search.hits(b"21:13:135.2786 and 2135.27 and id a135.27")


def test_random_bytes_hold_nothing(search):
    assert search.everywhere(os.urandom(5_000_000), sealed=True) == []


def plant(folder: Path, kind: str, data: bytes) -> None:
    if kind == "file":
        (folder / "deep").mkdir()
        (folder / "deep" / "cache.bin").write_bytes(data)
    elif kind == "file name":
        (folder / "RX-6076-57.log").write_bytes(b"")
    else:
        with closing(sqlite3.connect(folder / "some.db")) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE kept (number INTEGER, word TEXT, sealed BLOB)")
            noise = os.urandom(20_000)
            if kind == "column":
                database.execute("INSERT INTO kept VALUES (1, ?, NULL)", (data.decode(),))
            elif kind == "blob over many pages":
                packed = zstandard.compress(noise + data + noise)
                database.execute("INSERT INTO kept VALUES (1, '', ?)", (packed,))
            elif kind == "deleted row":
                database.execute("PRAGMA secure_delete=OFF")
                database.execute("INSERT INTO kept VALUES (1, ?, NULL)", (data.decode(),))
                database.execute("DELETE FROM kept")


@pytest.mark.parametrize("kind", ["file", "file name", "column", "blob over many pages", "deleted row"])
def test_each_place_is_looked_into(search, tmp_path, kind):
    assert found_in(search, spots(tmp_path)) == []
    plant(tmp_path, kind, b'{"value": "RX-6076-57"}')
    assert {one.hit.piece for one in found_in(search, spots(tmp_path))} == {"RX-6076-57"}


def test_what_is_named_as_left_out_is_left_out_and_no_more(search, tmp_path):
    for name in ("input", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.json").write_text(json.dumps(PATIENT), "utf-8")
    assert {one.where for one in found_in(search, spots(tmp_path, without=("input",)))} == {"other/a.json"}
