"""One EHR on its own port until it is told to stop, for a person or for the tests of somebody else's client."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.cohort import EhrName, build, to_json
from conformance.hostile.ehr import Ehr
from conformance.hostile.server import serve
from security.errors import BadSettings

__all__ = ["EVERYBODY", "KNOWN_BY", "load", "load_cohort", "register", "serve_alone", "until_stopped"]

_SEED = 7  # the cohort of the demonstration
EVERYBODY = "everybody"  # id of the Group of all patients, for exports of a group
KNOWN_BY: dict[str, EhrName] = {  # which EHR of the cohort speaks a version
    "dstu2": "lakeside",
    "stu3": "harbor",
    "r4": "summit",
    "r4b": "summit",
    "r5": "summit",
}


def load_cohort(ehr: Ehr, name: EhrName | None = None) -> int:
    """Load the people of the cohort that an EHR of this version knows; return how many resources."""
    bundles = build(_SEED, datetime.now(UTC).date()).bundles(name or KNOWN_BY[ehr.version.name], ehr.version.name)
    return ehr.load(*map(to_json, bundles))


def load(ehr: Ehr, paths: Iterable[Path]) -> int:
    """Load files of bundles and resources, and all .json and .ndjson files in folders; return how many resources."""
    return sum(ehr.load_file(file) for path in paths for file in _files(path))


def register(ehr: Ehr, clients: Iterable[str]) -> None:
    """Register SMART clients, each told as ID=FILE with its public JWKS."""
    for told in clients:
        ehr.smart.register(*_client(told))


def serve_alone(ehr: Ehr, port: int, say: Callable[[str, str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; `say` is told the FHIR base and the origin of the file server."""
    group_everybody(ehr)
    with until_stopped() as stop, serve([ehr], ports=[port]) as [base]:
        say(base, ehr.files.origin)
        stop.wait()


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    yield stop


def group_everybody(ehr: Ehr) -> None:
    """Put all patients into a Group, where there are some."""
    patients: Sequence[str] = [held.reference for held in ehr.store.live("Patient")]
    if not patients or ehr.store.last("Group", EVERYBODY):
        return
    members = [{"entity": {"reference": reference}} for reference in patients]
    is_told = {"membership": "enumerated"} if ehr.version.name == "r5" else {"actual": True}
    ehr.load({"resourceType": "Group", "id": EVERYBODY, "type": "person", **is_told, "member": members})


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.rglob("*") if each.suffix in (".json", ".ndjson"))
    if not found:
        raise BadSettings("The folder holds no .json and no .ndjson file.", detail=path)
    return found


def _client(told: str) -> tuple[str, dict[str, Any]]:
    name, mark, file = told.partition("=")
    if not mark or not name:
        raise BadSettings("--client is told as ID=FILE.", hint="FILE is the client's public JWKS.")
    try:
        keys = json.loads(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        raise BadSettings(
            "The client's key set cannot be read as JSON.", hint="Give a JWKS file.", detail=error
        ) from error
    if not isinstance(keys, dict):
        raise BadSettings("The client's key set is not a JSON object.", hint='It reads {"keys": [...]}.')
    return name, keys
