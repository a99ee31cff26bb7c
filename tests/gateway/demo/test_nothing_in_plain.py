"""After a whole demonstration, and all that people then ask of it, nothing of the cohort is anywhere in plain.

Looked through are the home folder with store, write-ahead log and key files, the temporary folder, caches, command
lines, environments and names of open files while it ran, what was told on stderr, and the addresses in the pages. What
a person asks for is printed on stdout, and that is no leak. `tests/secrecy` says which pieces are looked for and in
which forms, and shows that each of them would be found.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from conformance.cohort import VERSIONS, build, to_json
from gateway.demo import SEED
from tests.gateway.demo.demonstrated import Demonstration, Watched, watch
from tests.secrecy.places import Found, Spot, found_in, spots
from tests.secrecy.search import Search
from tests.secrecy.told import pieces, read

OURS = ("Unknown", "active")  # words that the cohort's records and our own sentences share
INPUT = ("sensor",)  # what the demonstration's virtual sensor writes is a source, as an EHR is

EVERY_COMMAND = """
import contextlib, io, sys
from gateway.cli import main

home, several, glucose, erased = sys.argv[1:]
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
    for line in f'''
        list
        show {several} --limit 0
        show {glucose}
        profile {several}
        versions {several}
        diff {several}
        refusals
        refusals summit
        explain {several}
        quality
        quality --format json
        simulate {several} --model kidney
        simulate {several} --model prevent
        forecast {glucose}
        what-if {glucose} --give 60g
        glycaemia {glucose}
        medicate {several} --drug furosemide
        compare {several}
        rehearse {glucose}
        propose {several}
        send {several}
        send {several} --send
        pull summit
        pull nowhere
        pull --folder /nowhere/at/all
        show NAME
        show {several} --at yesterday
        explain {several} nothing
        warnings list
        warnings check
        certificates list
        certificates show summit
        codes missing
        identities list
        identities show 1
        audit list
        audit list --patient {several}
        audit show 5
        audit anomalies
        audit disclosures --patient {several}
        audit access-log --patient {several}
        audit bundle {home}/bundle
        audit prove 5
        audit reindex --check
        audit verify
        keys status
        keys rotate
        store status
        backup {home}/backup --keys {home}/copies
        restore {home}/backup --verify
        hold {several} --why case-2026-17
        erase {several} --why request --yes
        erase {erased} --why request --yes
        erase {erased} --why request --yes
        show {erased}
        source list
        doctor summit
    '''.split(chr(10)):
        if line.strip():
            typed = [word if word != "NAME" else "ebmoceltteN"[::-1] for word in line.split()]
            print("twin", line.strip(), main([*typed, "--home", home]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def search(demonstrated: Demonstration) -> Search:
    """Whatever the EHRs and the sensor know, and what twins make of some of it."""
    assert demonstrated.watched.status == 0, demonstrated.watched.err
    cohort = build(SEED, demonstrated.today)
    resources: list[Any] = [
        entry["resource"]
        for name in VERSIONS
        for each in cohort.bundles(name)
        for entry in read(to_json(each))["entry"]
    ]
    for file in demonstrated.home.joinpath("sensor").iterdir():
        resources += map(read, file.read_bytes().splitlines())
    assert len(resources) > 6000
    days = {(demonstrated.today + timedelta(days=n)).isoformat() for n in range(2)}
    return Search(pieces([*resources, *_understood(demonstrated)], left_out={*days, *OURS}))


def _understood(demonstrated: Demonstration) -> Iterable[Any]:
    """Read values and times of some twins as we have understood them: canonical units have other digits."""
    for twin in _twins(demonstrated):
        shown = read(_twin(demonstrated, "show", twin, "--limit", "0", "--format", "json"))
        yield [{name: fact.get(name) for name in ("value", "when")} for fact in shown["facts"]]


def _twin(demonstrated: Demonstration, *arguments: str) -> bytes:
    command = [sys.executable, "-m", "gateway.cli", *arguments, "--home", str(demonstrated.home)]
    return subprocess.run(command, capture_output=True, env=demonstrated.environment, timeout=300, check=True).stdout


def _twins(demonstrated: Demonstration) -> tuple[str, str]:
    """Name a twin that several EHRs know, and the one with the sensor."""
    twins = json.loads(_twin(demonstrated, "list", "--format", "json"))["twins"]
    several = next(each["id"] for each in twins if len(each["sources"]) == 3)
    return several, next(each["id"] for each in twins if "sensor" in each["sources"])


def _nothing(found: Iterable[Found]) -> None:
    counts = Counter((one.where, one.hit.form, one.hit.piece) for one in found)
    assert not counts, counts.most_common(20)


def _of(watched: Watched) -> Iterable[Spot]:
    return [Spot("stderr", watched.err), Spot("/proc", b"\n".join(sorted(watched.seen)))]


def test_the_store_its_log_and_all_files_beside_hold_nothing_of_the_cohort(demonstrated, search):
    _nothing(found_in(search, spots(demonstrated.home, without=INPUT)))
    stored = sum(file.stat().st_size for file in demonstrated.home.glob("twin.db*"))
    assert stored > 2_000_000
    assert len(search) > 200_000


def test_the_search_finds_the_cohort_where_it_lies_open(demonstrated, search):
    assert len(found_in(search, spots(demonstrated.home / "sensor"))) > 10_000


def test_neither_folders_for_other_things_nor_the_process_table_nor_stderr_hold_anything(demonstrated, search):
    _nothing(found_in(search, spots(demonstrated.temp)))
    _nothing(found_in(search, spots(demonstrated.caches)))
    _nothing(found_in(search, _of(demonstrated.watched)))
    assert any(b"gateway.cli\0demo" in seen for seen in demonstrated.watched.seen)
    if os.geteuid() == 0:  # others may not look at the open files of a process that leaves no core (prctl(2))
        assert any(seen.endswith(b"/twin.db") for seen in demonstrated.watched.seen)


def test_no_command_tells_anything_beside_its_result_or_leaves_it_behind(demonstrated, search):
    listed = json.loads(_twin(demonstrated, "list", "--format", "json"))["twins"]
    erased = next(each["id"] for each in listed if each["sources"] == ["harbor"])
    command = [sys.executable, "-c", EVERY_COMMAND, str(demonstrated.home), *_twins(demonstrated), erased]
    watched = watch(command, demonstrated.environment)
    assert watched.status == 0, watched.err.decode()
    endings = re.findall(rb"^twin (.*) (\d+)$", watched.err, re.MULTILINE)
    assert len(endings) > 50
    assert sum(status == b"0" for _, status in endings) > 35, endings
    assert dict(endings)[b"pull summit"] == b"3"
    _nothing(found_in(search, _of(watched)))
    for folder, left_out in ((demonstrated.home, INPUT), (demonstrated.temp, ()), (demonstrated.caches, ())):
        _nothing(found_in(search, spots(folder, without=left_out)))


def _browse(process: subprocess.Popen[bytes], twin: str) -> bytes:
    """Open the pages as a browser does, kill the server in the middle, and return all addresses that it gave."""
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1].decode()
    told = []
    with httpx.Client(base_url=address.partition("/enter")[0], follow_redirects=False, timeout=300) as browser:
        for path in (address, "/", f"/twins/{twin}", "/twins/nobody", f"/twins/{twin}?at=never", "/static/twin.css"):
            answer = browser.get(path)
            told += [f"{name}: {value}" for name, value in answer.headers.items()]
            told += re.findall(r'(?:href|src|action|hx-[a-z]+|sse-connect|data-[a-z]+)="([^"]*)"', answer.text)
        with browser.stream("GET", "/events"):
            os.kill(process.pid, signal.SIGKILL)
    return "\n".join(told).encode()


@pytest.mark.parametrize("which", [0, 1])
def test_pages_have_no_patient_in_their_addresses_and_a_killed_server_leaves_nothing(demonstrated, search, which):
    twin = _twins(demonstrated)[which]
    command = [sys.executable, "-m", "gateway.cli", "show", twin, "--web", "--home", str(demonstrated.home)]
    watched = watch(command, demonstrated.environment, meanwhile=lambda process: _browse(process, twin))
    assert watched.status == -signal.SIGKILL
    assert watched.out.count(b"\n") > 40
    _nothing(found_in(search, [Spot("addresses and headers", watched.out), *_of(watched)]))
    for folder, left_out in ((demonstrated.home, INPUT), (demonstrated.temp, ()), (demonstrated.caches, ())):
        _nothing(found_in(search, spots(folder, without=left_out)))
    assert not list(Path().glob("core*"))
