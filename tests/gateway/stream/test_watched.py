"""The watched folder: files that grow, are cut, replaced or broken, and nothing is read twice or left out."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from gateway.stream.watched import WatchedFolder, watch_folder
from security.errors import BadSettings
from tests.gateway.stream.arriving import (
    PATIENT,
    Told,
    bundle,
    facts_of,
    open_home,
    open_inbox,
    raw,
    reading,
    settle_home,
)

MEGABYTE = 1 << 20


@pytest.fixture
def home(tmp_path: Path):
    with open_home(settle_home(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    return found


@pytest.fixture
def watched(home, folder):
    """Watch the folder as a process does that has just started; what was read before is in the store."""

    def start(largest: int = MEGABYTE) -> WatchedFolder:
        return WatchedFolder("drop", folder, "ward", lambda name: home.store.memo("ward", name), largest)

    return start


async def take(home, watched: WatchedFolder, told: Told | None = None) -> int:
    """Walk once and map it; returns how many deliveries came."""
    inbox = open_inbox(home, told)
    before = home.store.lane("ward")
    await watch_folder("drop", watched, inbox.accept, told if told is not None else Told(), once=True)
    await inbox.drain()
    after = home.store.lane("ward")
    return (after.pages if after else 0) - (before.pages if before else 0)


def age(file: Path, seconds: float) -> None:
    os.utime(file, (time.time() - seconds,) * 2)


def refusals(home) -> dict[str, int]:
    return dict(home.store.lane("ward").ledger["refusals"])


async def test_a_file_that_is_dropped_is_read_once_over_restarts(home, folder, watched):
    (folder / "a.ndjson").write_bytes(raw(PATIENT) + b"\n" + raw(reading()) + b"\n")
    (folder / "b.json").write_bytes(bundle(reading("g2"), reading("g3")))
    (folder / "below").mkdir()
    (folder / "below" / "c.json").write_bytes(raw(reading("g4")))
    here = watched()
    assert [await take(home, here), await take(home, here), await take(home, watched())] == [3, 0, 0]
    assert len(facts_of(home)) == 6
    assert home.store.lane("ward").ledger.get("repeats", 0) == 0


async def test_a_growing_file_is_read_up_to_its_last_whole_line_and_goes_on_there(home, folder, watched):
    file, here = folder / "a.ndjson", watched()
    first, second = raw(PATIENT) + b"\n", raw(reading()) + b"\n"
    file.write_bytes(first + second[:40])
    assert await take(home, here) == 1
    assert len(facts_of(home)) == 2
    file.write_bytes(first + second)
    assert await take(home, watched()) == 1  # also by a process that started since
    with file.open("ab") as more:
        more.write(raw(reading("g2")))  # whole, without an end of line
    assert await take(home, here) == 1
    with file.open("ab") as more:
        more.write(b"\n\n" + raw(reading("g3")) + b"\n")
    assert await take(home, here) == 1
    assert len(facts_of(home)) == 5
    counts = home.store.lane("ward").ledger
    assert (counts["resources"], counts["refused"], counts["links"]) == (4, 0, 0)
    [one] = home.store.twins()
    places = {r.key: r.place for r in home.store.twin_record(one.id).resources}
    assert places["Observation/g3"] == "a.ndjson line 5"


async def test_what_was_not_accepted_comes_again(home, folder, watched):
    (folder / "a.ndjson").write_bytes(b"".join(raw(reading(f"g{n}")) + b"\n" for n in range(1200)))
    walk = watched().news()
    first = next(walk)
    inbox = open_inbox(home)
    assert await inbox.accept(first)
    next(walk)  # read, and then we are killed
    assert await take(home, watched()) == 2
    assert home.store.lane("ward").ledger["resources"] == 1200


async def test_a_file_that_is_replaced_or_shrinks_is_read_anew(home, folder, watched):
    file, here = folder / "a.ndjson", watched()
    file.write_bytes(raw(PATIENT) + b"\n" + raw(reading("g1")) + b"\n")
    await take(home, here)
    new = folder / ".new"
    new.write_bytes(raw(reading("g2")) + b"\n" + raw(reading("g3")) + b"\n" + raw(reading("g4")) + b"\n")
    new.rename(file)
    assert await take(home, here) == 1
    file.write_bytes(raw(reading("g5")) + b"\n")
    assert await take(home, here) == 1
    assert sorted(name for name, _, _ in facts_of(home)).count("interstitial-glucose") == 5


async def test_a_file_of_one_name_and_another_length_with_the_same_start_is_read_anew(home, folder, watched):
    file, here = folder / "a.ndjson", watched()
    lines = [raw(reading(f"g{n}")) + b"\n" for n in range(20)]
    file.write_bytes(raw(PATIENT) + b"\n" + b"".join(lines[:10]))
    await take(home, here)
    file.write_bytes(raw(PATIENT) + b"\n" + lines[15] + b"".join(lines[:14]))
    await take(home, here)
    counts = home.store.lane("ward").ledger
    assert counts["facts"] == 2 + 10 + 5
    assert counts["links"] == 11


async def test_a_json_file_is_waited_for_until_it_is_whole(home, folder, watched):
    file, here = folder / "a.json", watched()
    whole = bundle(PATIENT, reading())
    file.write_bytes(b"")
    assert await take(home, here) == 0
    file.write_bytes(whole[:-20])
    assert await take(home, here) == 0
    file.write_bytes(whole)
    assert await take(home, here) == 1
    file.write_bytes(whole)  # touched only
    assert await take(home, here) == 0
    assert len(facts_of(home)) == 3


@pytest.mark.parametrize("name", ["a.json", "a.ndjson"])
async def test_what_stays_cut_is_refused_in_the_end(home, folder, watched, name):
    file, here = folder / name, watched()
    file.write_bytes(raw(reading())[:50])
    assert await take(home, here) == 0
    age(file, 600)
    assert await take(home, here) == 0
    age(file, 4000)
    assert await take(home, here) == 1
    assert refusals(home) == {"truncated": 1}
    assert await take(home, here) == 0


async def test_garbage_in_files_costs_only_itself(home, folder, watched):
    (folder / "a.ndjson").write_bytes(raw(PATIENT) + b"\nhello\n{}\n\xff\n" + raw(reading()) + b"\n")
    (folder / "b.json").write_bytes(b"hello")
    age(folder / "b.json", 60)
    (folder / "c.json").write_bytes(b"[" + raw(reading("g2")) + b', {"colour": "blue"}]')
    (folder / "d.pdf").write_bytes(b"%PDF")
    (folder / ".hidden.json").write_bytes(raw(reading("g9")))
    (folder / "e.json").symlink_to("/etc/hostname")
    told = Told()
    await take(home, watched(), told)
    assert len(facts_of(home)) == 4
    assert refusals(home) == {"not-json": 3, "not-fhir": 2}
    assert [text for kind, text, _ in told if kind == "fault"] == [
        "drop: 2 files are no .ndjson, .jsonl or .json, 0 cannot be read."
    ]


async def test_what_is_too_large_is_refused_and_not_read(home, folder, watched):
    long = raw(reading("g2", note=[{"text": "x" * 5000}]))
    (folder / "a.ndjson").write_bytes(raw(PATIENT) + b"\n" + long + b"\n" + raw(reading()) + b"\n")
    (folder / "b.json").write_bytes(long)
    await take(home, watched(largest=2000))
    assert refusals(home) == {"too-large": 2}
    assert len(facts_of(home)) == 3


async def test_a_long_file_comes_in_parts(home, folder, watched):
    (folder / "a.ndjson").write_bytes(raw(PATIENT) + b"\n" + b"".join(raw(reading(f"g{n}")) + b"\n" for n in range(30)))
    assert await take(home, watched(largest=2000)) > 4
    assert home.store.lane("ward").ledger["resources"] == 31


async def test_names_of_files_are_not_told(home, folder, watched, capsys):
    (folder / "Zzcanary.ndjson").write_bytes(raw(PATIENT) + b"\nhello\n")
    os.mkfifo(folder / "other")
    told = Told()
    await take(home, watched(), told)
    captured = capsys.readouterr()
    assert "Zzcanary" not in repr(told) + captured.out + captured.err


async def test_a_folder_that_is_gone_is_told_and_waited_for(home, folder, watched):
    folder.rmdir()
    with pytest.raises(BadSettings, match="folder"):
        await watch_folder("drop", watched(), open_inbox(home).accept, Told(), once=True)
    told = Told()
    inbox = open_inbox(home)
    watching = asyncio.create_task(watch_folder("drop", watched(), inbox.accept, told))
    while not told:  # noqa: ASYNC110 - it is a poll that we wait for
        await asyncio.sleep(0.01)
    folder.mkdir()
    (folder / "a.json").write_bytes(raw(PATIENT))
    async with asyncio.timeout(10):
        while not inbox.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    watching.cancel()
    assert told[0][0] == "fault"
