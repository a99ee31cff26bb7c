from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.pull.folder import Folder
from security.errors import Misuse, NotFhir

PATIENT = {"resourceType": "Patient", "id": "p"}
CONDITIONS = {
    "dstu2": {"resourceType": "Condition", "patient": {"reference": "Patient/p"}, "clinicalStatus": "active"},
    "stu3": {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/p"},
        "context": {"reference": "Encounter/e"},
        "clinicalStatus": "active",
    },
    "r4": {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/p"},
        "encounter": {"reference": "Encounter/e"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
    },
}


async def walk(source, cursor=None):
    return [page async for page in source.pages(cursor)]


def entries(pages):
    return [entry for page in pages for entry in page.entries]


def bundle(*resources, type_="collection", **changes) -> bytes:
    return json.dumps(
        {"resourceType": "Bundle", "type": type_, "entry": [{"resource": r} for r in resources], **changes}
    ).encode()


def lines(*resources) -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n" for r in resources)


def observations(count, start=0):
    return [{"resourceType": "Observation", "id": f"o{n}"} for n in range(start, start + count)]


@pytest.mark.parametrize("type_", ["transaction", "collection", "searchset", "batch", "document"])
async def test_bundles_of_any_type_are_read(tmp_path, type_):
    (tmp_path / "a.json").write_bytes(bundle(PATIENT, CONDITIONS["r4"], type_=type_))
    [page] = await walk(Folder("files", tmp_path))
    assert [json.loads(e.raw) for e in page.entries] == [PATIENT, CONDITIONS["r4"]]
    assert {e.version for e in page.entries} == {"r4"}
    assert not any(e.problem for e in page.entries)


async def test_resources_arrays_ndjson_and_gzip_are_read_in_the_order_of_names(tmp_path):
    (tmp_path / "1.json").write_bytes(json.dumps(CONDITIONS["r4"], indent=2).encode())
    (tmp_path / "2.json").write_bytes(json.dumps(observations(2)).encode())
    (tmp_path / "3.ndjson").write_bytes(lines(*observations(2, 2)))
    (tmp_path / "4.jsonl").write_bytes(lines(*observations(1, 4)).replace(b"\n", b"\r\n\r\n"))
    (tmp_path / "5.ndjson.gz").write_bytes(gzip.compress(lines(*observations(1, 5))))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "6.json.GZ").write_bytes(gzip.compress(bundle(*observations(1, 6))))
    source = Folder("files", tmp_path)
    pages = await walk(source)
    assert [json.loads(e.raw).get("id") for e in entries(pages)] == [None, *(f"o{n}" for n in range(7))]
    assert entries(pages)[-1].place == "deep/6.json.GZ entry 1"
    assert entries(pages)[3].place == "3.ndjson line 1"
    assert [a.what for a in source.certificate().asked] == [f"file {n} of 6" for n in range(1, 7)]
    assert source.certificate().verdict == "unprovable"


async def test_bytes_are_kept_as_they_stand_in_the_file(tmp_path):
    raw = b'{ "resourceType":"Observation", "valueQuantity":{"value":7.10} ,"id":"a","id":"b"}'
    (tmp_path / "a.ndjson").write_bytes(b"  " + raw + b" \r\n")
    (tmp_path / "b.json").write_bytes(b'{"resourceType":"Bundle","entry":[{"resource":' + raw + b"}]}")
    assert [e.raw for e in entries(await walk(Folder("files", tmp_path, "r4")))] == [raw, raw]


async def test_a_truncated_line_costs_only_itself(tmp_path):
    whole = lines(*observations(3))
    (tmp_path / "a.ndjson").write_bytes(whole[:-9])
    (tmp_path / "b.ndjson").write_bytes(b'{"resourceType":"Pat\n' + lines(PATIENT) + b"not json\n7\n")
    problems = [e.problem for e in entries(await walk(Folder("files", tmp_path, "r4")))]
    assert problems == ["", "", "truncated", "truncated", "", "not-json", "not-fhir"]


async def test_a_truncated_gzip_file_keeps_the_lines_before(tmp_path):
    packed = gzip.compress(
        lines(*({"resourceType": "Observation", "id": f"{n * 7919 % 100_003}"} for n in range(5000)))
    )
    (tmp_path / "a.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "b.ndjson").write_bytes(lines(PATIENT))
    found = entries(await walk(Folder("files", tmp_path, "r4")))
    assert [e.problem for e in found if e.problem] == ["truncated"]
    assert len(found) > 1000
    assert json.loads(found[-1].raw) == PATIENT


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n", "not-json"),
        (b"<html>Sign in</html>", "not-json"),
        (b'\xff\xfe{\x00"\x00', "not-json"),
        (b"", "truncated"),
        (bundle(PATIENT)[:-20], "truncated"),
        (b'{"name":"package","version":"1.0"}', "not-fhir"),
        (b'"text"', "not-fhir"),
        (b'{"resourceType":"Bundle","entry":[{"resource":{}}],"entry":[]}', "not-json"),
    ],
)
async def test_a_file_that_is_not_fhir_costs_only_itself(tmp_path, data, problem):
    (tmp_path / "a.json").write_bytes(data)
    (tmp_path / "b.json").write_bytes(bundle(CONDITIONS["r4"]))
    bad, good = entries(await walk(Folder("files", tmp_path)))
    assert (bad.problem, bad.raw) == (problem, data)
    assert (good.problem, good.version) == ("", "r4")


async def test_other_files_are_left_out_and_counted(tmp_path):
    for name in ("README.md", "scan.png", "table.csv", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a.json").write_bytes(bundle(PATIENT))
    source = Folder("files", tmp_path, "r4")
    assert len(entries(await walk(source))) == 1
    assert "3 files of other kinds" in source.certificate().note


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4"])
async def test_the_version_is_found_for_each_file(tmp_path, version):
    others = [v for v in CONDITIONS if v != version]
    (tmp_path / "a.json").write_bytes(bundle(PATIENT, CONDITIONS[version]))
    (tmp_path / "b.ndjson").write_bytes(lines(CONDITIONS[others[0]]))
    source = Folder("files", tmp_path)
    assert [e.version for e in entries(await walk(source))] == [version, version, others[0]]
    assert source.certificate().fhir_version == ", ".join(sorted([version, others[0]]))


async def test_a_file_without_a_sign_takes_the_version_of_the_others(tmp_path):
    (tmp_path / "a.json").write_bytes(bundle(PATIENT))
    (tmp_path / "b.json").write_bytes(bundle(CONDITIONS["stu3"]))
    assert [e.version for e in entries(await walk(Folder("files", tmp_path)))] == ["stu3", "stu3"]


async def test_a_file_without_a_sign_among_several_versions_is_not_guessed(tmp_path):
    (tmp_path / "a.json").write_bytes(bundle(PATIENT))
    (tmp_path / "b.json").write_bytes(bundle(CONDITIONS["stu3"]))
    (tmp_path / "c.json").write_bytes(bundle(CONDITIONS["r4"]))
    assert [e.version for e in entries(await walk(Folder("files", tmp_path)))] == ["", "stu3", "r4"]


async def test_a_bundle_of_another_version_than_told_is_a_problem(tmp_path):
    (tmp_path / "a.json").write_bytes(bundle(PATIENT, CONDITIONS["dstu2"]))
    (tmp_path / "b.json").write_bytes(bundle(PATIENT, CONDITIONS["r4"]))
    (tmp_path / "c.json").write_bytes(bundle(PATIENT))
    found = entries(await walk(Folder("files", tmp_path, "r4")))
    assert [e.problem for e in found] == ["wrong-version", "wrong-version", "", "", ""]
    assert {e.version for e in found} == {"r4"}


async def test_names_of_files_are_in_places_only(tmp_path):
    (tmp_path / "Jane_Doe.json").write_bytes(bundle(PATIENT))
    (tmp_path / "Jane_Doe.ndjson").write_bytes(b"{")
    source = Folder("files", tmp_path, "r4")
    pages = await walk(source)
    assert all("Jane" in e.place for e in entries(pages))
    assert "Jane" not in "".join(p.what + p.query + p.cursor for p in pages) + repr(source.certificate())
    for path in (tmp_path / "Jane_Roe", tmp_path / "Jane_Doe.csv"):
        if path.suffix:
            path.write_text("x")
        with pytest.raises((Misuse, NotFhir)) as caught:
            Folder("files", path)
        assert "Jane" not in str(caught.value)


def test_a_folder_without_fhir_says_what_is_expected(tmp_path):
    (tmp_path / "patients.zip").write_bytes(b"PK")
    with pytest.raises(NotFhir) as caught:
        Folder("files", tmp_path)
    assert "unpack" in caught.value.hint


async def test_one_file_can_be_given_instead_of_a_folder(tmp_path):
    (tmp_path / "a.json").write_bytes(bundle(PATIENT))
    (tmp_path / "b.json").write_bytes(bundle(PATIENT))
    [page] = await walk(Folder("files", tmp_path / "a.json", "r4"))
    assert page.what == "file 1 of 1"


async def test_resuming_from_any_cursor_brings_the_same(tmp_path):
    (tmp_path / "a.json").write_bytes(bundle(*observations(5)))
    (tmp_path / "b.ndjson").write_bytes(lines(*observations(4, 5)))
    (tmp_path / "c.json").write_bytes(b"{}")
    (tmp_path / "d.ndjson").write_bytes(b"")
    (tmp_path / "e.json").write_bytes(bundle(*observations(2, 9), CONDITIONS["r4"]))
    whole = Folder("files", tmp_path, page_size=2)
    pages = await walk(whole)
    assert max(len(p.entries) for p in pages) == 2
    total = sum(a.came for a in whole.certificate().asked)
    assert total == len(entries(pages)) == 13
    for position, page in enumerate(pages):
        source = Folder("files", tmp_path, page_size=2)
        rest = await walk(source, page.cursor)
        assert entries(pages[: position + 1]) + entries(rest) == entries(pages)
        assert [p.number for p in rest] == [p.number for p in pages[position + 1 :]]
        assert sum(a.came for a in source.certificate().asked) == total
        assert sum(a.pages for a in source.certificate().asked) == sum(a.pages for a in whole.certificate().asked)
        assert source.certificate().verdict == whole.certificate().verdict == "unprovable"


async def test_a_changed_folder_is_read_from_the_start(tmp_path):
    for name in "bcd":
        (tmp_path / f"{name}.json").write_bytes(bundle(PATIENT))
    cursor = (await walk(Folder("files", tmp_path, "r4")))[1].cursor
    (tmp_path / "a.json").write_bytes(bundle(PATIENT))
    assert len(entries(await walk(Folder("files", tmp_path, "r4"), cursor))) == 4
    assert len(entries(await walk(Folder("files", tmp_path, "r4"), "no cursor"))) == 4


async def test_a_folder_that_was_left_is_not_certified(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.json").write_bytes(bundle(PATIENT, type_="searchset", total=1))
    source = Folder("files", tmp_path, "r4")
    walking = source.pages(None)
    await anext(walking)
    await walking.aclose()
    assert source.certificate().verdict == "incomplete"
    assert len(await walk(source)) == 3
    assert source.certificate().verdict == "complete"


async def test_a_saved_search_page_says_how_much_there_was(tmp_path):
    (tmp_path / "a.json").write_bytes(bundle(*observations(2), type_="searchset", total=50))
    source = Folder("files", tmp_path, "r4")
    await walk(source)
    assert source.certificate().asked[0].said == 50
    assert source.certificate().verdict == "incomplete"


async def test_a_file_that_vanishes_costs_only_itself(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.json").write_bytes(bundle(PATIENT))
    source = Folder("files", tmp_path, "r4")
    (tmp_path / "b.json").unlink()
    assert len(entries(await walk(source))) == 2
    assert [a.stopped for a in source.certificate().asked] == ["", "unreachable", ""]
    assert source.certificate().verdict == "incomplete"


async def test_entries_without_a_resource_are_counted_aside(tmp_path):
    data = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": "Patient/p"}}],
    }
    (tmp_path / "a.json").write_bytes(json.dumps(data).encode())
    source = Folder("files", tmp_path, "r4")
    assert entries(await walk(source)) == []
    assert "1 entries hold no resource" in source.certificate().note


MEASURE = """
import asyncio, re, sys
from pathlib import Path
from gateway.pull.folder import Folder

async def main():
    count = problems = 0
    async for page in Folder("files", Path(sys.argv[1])).pages(None):
        assert len(page.entries) <= 500
        count += len(page.entries)
        problems += sum(1 for e in page.entries if e.problem)
    most = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    print(count, problems, int(most[1]) // 1024)

asyncio.run(main())
"""


def measured(folder: Path) -> tuple[int, int, int]:
    """Read a folder in a process of its own; return entries, problems, and the most memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)], capture_output=True, text=True, check=True, timeout=60
    )
    count, problems, megabytes = map(int, done.stdout.split())
    return count, problems, megabytes


def test_a_bundle_of_30_mb_goes_through_in_300_mb(tmp_path):
    one = {**CONDITIONS["r4"], "note": [{"text": "x" * 800}]}
    (tmp_path / "a.json").write_bytes(bundle(*({**one, "id": str(n)} for n in range(32_000))))
    assert (tmp_path / "a.json").stat().st_size > 30 << 20
    count, problems, megabytes = measured(tmp_path)
    assert (count, problems) == (32_000, 0)
    assert megabytes < 300


def test_a_bomb_of_a_file_takes_no_memory(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b"[" + bytes(300 << 20), 1))
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(bytes(100 << 20) + b"\n" + lines(PATIENT), 1))
    count, problems, megabytes = measured(tmp_path)
    assert (count, problems) == (3, 2)
    assert megabytes < 250


async def test_the_real_patients_go_in_to_the_resource(shared_data):
    for version in ("dstu2", "stu3", "r4"):
        folder = shared_data / "patients" / version
        expected = sum(len(json.loads(p.read_bytes())["entry"]) for p in folder.glob("*.json"))
        source = Folder("files", folder)
        found = entries(await walk(source))
        assert len(found) == expected
        assert {e.version for e in found} == {version}
        assert not any(e.problem for e in found)
