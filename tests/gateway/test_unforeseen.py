"""A mistake of ours crashes, and what then stands on stderr tells where, and nothing of the patient in hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx

NAME = "Zzcanaryfamily"
PATIENT = {"resourceType": "Patient", "id": "canary-id", "name": [{"family": NAME}], "birthDate": "1951-07-19"}

MISTAKEN = """
import sys, threading, warnings
{mistake}
from gateway.cli import main
sys.exit(main())
"""

READING = """
import gateway.census
def read(patient, *more):
    try:
        int(patient["name"][0]["family"])
    except ValueError as error:
        raise ExceptionGroup(f"cannot read {patient}", [KeyError(str(patient)), error]) from error
gateway.census.read_person = read
"""

BESIDE = """
import asyncio, gc, logging
import gateway.ingest
kept = gateway.ingest.ingest
class Frail:
    def __del__(self):
        raise ValueError("Zzcanaryfamily")
async def lost():
    raise ValueError("Zzcanaryfamily")
def threaded():
    raise ValueError("Zzcanaryfamily")
async def ingest(*arguments, **more):
    Frail()
    warnings.warn("Zzcanaryfamily is no number", RuntimeWarning)
    thread = threading.Thread(target=threaded)
    thread.start()
    thread.join()
    task = asyncio.create_task(lost())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    try:
        float("Zzcanaryfamily")
    except ValueError:
        logging.getLogger("a.library").exception("reading %s failed", "Zzcanaryfamily")
    return await kept(*arguments, **more)
gateway.cli_pull = __import__("gateway.cli.pull", fromlist=["ingest"])
gateway.cli_pull.ingest = gateway.ingest.ingest = ingest
"""

SERVING = """
from gateway.web.pages import Pages
async def twins(self, request):
    raise ValueError("Zzcanaryfamily")
Pages.twins = twins
"""


def start(mistake: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MISTAKEN.format(mistake=mistake), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def pull(folder: Path, mistake: str, *more: str) -> tuple[int, str]:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / "a.json").write_text(json.dumps(PATIENT), "utf-8")
    told = ("--folder", str(folder / "in"), "--fhir-version", "r4", "--home", str(folder / "home"))
    process = start(mistake, "pull", *told, *more)
    _, err = process.communicate(timeout=300)
    return process.returncode, err


def silent_of_the_patient(err: str) -> bool:
    return not any(piece in err for piece in (NAME, "canary-id", "1951-07-19"))


def test_an_exception_of_ours_is_told_by_kind_and_place_without_its_text(tmp_path):
    status, err = pull(tmp_path, READING)
    assert status == 1
    assert silent_of_the_patient(err), err
    for told in ("builtins.ValueError", "builtins.KeyError", "builtins.ExceptionGroup", "census.py", "--debug"):
        assert told in err, err


def test_a_person_who_asks_for_details_sees_all_of_it(tmp_path):
    """The control: the very same mistake does show the patient where nothing keeps it back."""
    status, err = pull(tmp_path, READING, "--debug")
    assert status == 1
    assert not silent_of_the_patient(err)


def test_threads_tasks_warnings_destructors_and_libraries_tell_no_text_either(tmp_path):
    status, err = pull(tmp_path, BESIDE)
    assert status == 0, err
    assert silent_of_the_patient(err), err
    assert err.count("builtins.ValueError") == 4, err
    assert "RuntimeWarning" in err
    assert "a.library:" in err


def test_a_page_that_fails_tells_nothing_in_its_log_or_its_answer(tmp_path):
    assert pull(tmp_path, "")[0] == 0
    listed = start("", "list", "--format", "json", "--home", str(tmp_path / "home")).communicate(timeout=300)[0]
    twin = json.loads(listed)["twins"][0]["id"]
    process = start(SERVING, "show", twin, "--web", "--home", str(tmp_path / "home"))
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]
    with httpx.Client(base_url=address.partition("/enter")[0], timeout=300) as browser:
        browser.get(address)
        answer = browser.get("/")
    process.terminate()
    _, err = process.communicate(timeout=300)
    assert answer.status_code == 500
    assert NAME not in answer.text
    assert silent_of_the_patient(err), err
    assert "builtins.ValueError" in err
