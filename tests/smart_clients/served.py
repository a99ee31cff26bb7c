"""A home with two people, and `twin serve` over it, in a process of its own; beside it, an app's own web server."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PASSWORD = "seven quiet herons wade"
MANY = 45


@dataclass(frozen=True)
class Served:
    """What runs, and who is there."""

    base: str
    home: Path
    patients: dict[str, str]

    @property
    def root(self) -> str:
        return self.base.rpartition("/")[0]


def twin(home: Path, *words: str) -> Any:
    """Run one command of ours, and return what it prints as JSON."""
    ran = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *words, "--home", str(home), "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout or "{}")


@contextmanager
def served(folder: Path, *, user: bool = True) -> Iterator[Served]:
    """Make a home, pull two people into it, and serve it until the end; `user` adds ana, who may log in."""
    home, bundles = folder / "home", folder / "bundles"
    bundles.mkdir()
    lines = [json.dumps(each) for each in (*_person("a", "Silva", "Joao"), *_person("b", "Brown", "Ursula"))]
    (bundles / "all.ndjson").write_text("\n".join(lines), "utf-8")
    password = folder / "password"
    password.write_text(PASSWORD, "utf-8")
    password.chmod(0o600)
    twin(home, "pull", "--folder", str(bundles), "--fhir-version", "r4")
    if user:
        named = ("--name", "Dr Ana Silva", "--fhir-user", "Practitioner/17")
        twin(home, "user", "add", "ana", "--role", "clinician", *named, "--password-file", str(password))
    words = [sys.executable, "-m", "gateway.cli", "serve", "--port", "0", "--home", str(home), "--format", "json"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        told = ""
        for line in server.stdout or ():
            told += line
            if line.startswith("}"):
                break
        yield Served(json.loads(told)["base"], home, {each["id"]: each["id"] for each in twin(home, "list")["twins"]})
    finally:
        server.terminate()
        server.wait(30)
        if server.stdout:
            server.stdout.close()


@contextmanager
def app(page: Path, bundle: Path, folder: Path) -> Iterator[str]:
    """Serve an app's page and the library that it uses, at an address of its own."""
    folder.mkdir()
    (folder / "app.html").write_bytes(page.read_bytes())
    (folder / "fhir-client.js").write_bytes(bundle.read_bytes())
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/app.html"
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *told: object) -> None:
        """Say nothing."""


def _person(id_: str, family: str, given: str) -> Iterator[dict[str, Any]]:
    yield {
        "resourceType": "Patient",
        "id": id_,
        "name": [{"use": "official", "family": family, "given": [given]}],
        "gender": "male" if id_ == "a" else "female",
        "birthDate": "1961-02-03" if id_ == "a" else "1947-05-21",
        "identifier": [{"system": "http://hospital.example.org/mrn", "value": f"10327{id_}"}],
    }
    for number in range(MANY):
        yield {
            "resourceType": "Observation",
            "id": f"{id_}-{number}",
            "status": "final",
            "category": [
                {
                    "coding": [
                        {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
                    ]
                }
            ],
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
            "subject": {"reference": f"Patient/{id_}"},
            "effectiveDateTime": f"2026-{1 + number // 28:02}-{1 + number % 28:02}T08:00:00Z",
            "valueQuantity": {"value": 70 + number, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        }
