"""A ward: a simulated EHR with two patients, and a home that pulls from it; what tests of taking back share."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from conformance.hostile import Ehr, EhrSettings, serve
from gateway.cli import main
from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.page import Certificate
from gateway.settings import load_settings
from gateway.sources import open_source
from security.reidentification import Reidentify

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
Json = dict[str, Any]


def person(id_: str = "p0", **changes: Any) -> Json:
    return {"resourceType": "Patient", "id": id_, "gender": "female", "birthDate": "1970-01-01", **changes}


def weight(number: int, patient: str = "p0", **changes: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2024-01-01",
        "valueQuantity": {"value": 70 + number, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        **changes,
    }


def understood(outcomes: Iterable[Any]) -> list[str]:
    """Say what was understood of a resource, but for the page or the line where it stood."""
    return sorted(re.sub(r"place='[^']*'", "", str(each)) for each in outcomes)


class Ward:
    """A simulated EHR with two patients and nine measurements of the first, and a home that pulls from it."""

    def __init__(self, ehr: Ehr, folder: Path, base: str, answers: dict[str, int], asked: list[str]) -> None:
        self.ehr, self.folder, self.base, self.answers, self.asked = ehr, folder, base, answers, asked
        ehr.load(person("p0"), person("p1", birthDate="1950-05-05"), *(weight(n) for n in range(9)))
        self.configure()

    def configure(self, types: str = '"Patient", "Observation"', more: str = "", base: str = "") -> None:
        text = f'[sources.ward]\nurl = "{base or self.base}"\ntypes = [{types}]\npage_size = 4\n{more}'
        (self.folder / "twin.toml").write_text(text, "utf-8")

    def copied(self, folder: Path) -> Ward:
        """Go on with a copy of the home, at the same EHR."""
        shutil.copytree(self.folder, folder)
        found = Ward.__new__(Ward)
        found.ehr, found.folder, found.base = self.ehr, folder, self.base
        found.answers, found.asked = self.answers, self.asked
        return found

    def home(self) -> Home:
        return Home.open(load_settings(self.folder))

    def pull(self, progress: Callable[[str], None] = lambda text: None, *, ask_all: bool = False) -> Report:
        with self.home() as home:

            async def run() -> Report:
                async with open_source("ward", home.settings.source("ward")) as source:
                    return await ingest(home, source, progress, ask_all=ask_all)

            return asyncio.run(run())

    def facts(self) -> dict[str, set[str]]:
        """Return the weights that stand, by the patients of their twins as the EHR names them now."""
        with self.home() as home:
            return {
                patient: {fact.origin.id for fact in home.store.twin_record(twin).facts if fact.name == "body-weight"}
                for patient in ("p0", "p1")
                if (twin := home.store.twin_of("ward", f"Patient/{patient}"))
            }

    def twin(self, patient: str) -> str:
        with self.home() as home:
            found = home.store.twin_of("ward", f"Patient/{patient}")
        assert found is not None
        return found

    def retracted(self) -> set[tuple[str, str]]:
        with self.home() as home:
            records = [home.store.twin_record(twin.id) for twin in home.store.twins()]
        return {(end.key, end.retracted) for record in records for end in record.retracted}

    def certificate(self) -> Certificate:
        with self.home() as home:
            last = home.store.last_pull("ward")
        assert last is not None
        assert last.certificate is not None
        return last.certificate

    def twin_counts(self) -> list[tuple[int, int]]:
        with self.home() as home:
            return sorted((twin.resources, twin.facts) for twin in home.store.twins())

    def ask(self, capsys: pytest.CaptureFixture[str], *command: str) -> Any:
        capsys.readouterr()
        assert main([*command, "--home", str(self.folder), "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    def everything(self) -> Any:
        """Tell all that is stored, but for what differs from one installation to the next."""
        with self.home() as home:
            kept = []
            for twin in home.store.twins():
                record = home.store.twin_record(twin.id, leave=Reidentify("compare in a test what was kept"))
                found = sorted((r.key, r.raw, [*map(str, r.outcomes)]) for r in record.resources)
                kept.append((found, sorted((r.key, r.retracted) for r in record.retracted), twin.resources, twin.facts))
            astray = sorted((r.key, r.retracted, [*map(str, r.refusals)]) for r in home.store.unlinked("ward"))
            pulls = [pull.certificate for pull in home.store.pulls("ward")]
            assert home.store.verify_audit().ok
            return sorted(map(repr, kept)), astray, [(c.verdict, c.retracted) for c in pulls if c]


@contextmanager
def ward_in(folder: Path, *, still: bool = False, **settings: Any) -> Iterator[Ward]:
    """Serve a ward whose answers a test may take into its own hands.

    `answers` maps a path ("Observation/o3") to a status; -1 gives the resource as it was before it was deleted, and -2
    an answer that takes a second. Where the EHR's clock is `still`, the same bytes come each time.
    """
    ehr = Ehr(
        EhrSettings(name="ward", **{"require_auth": False, "page_size": 4, **settings}),
        clock=(lambda: NOON) if still else None,
    )
    answers: dict[str, int] = {}
    asked: list[str] = []
    inner = ehr.app

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = Request(scope).url.path.removeprefix("/fhir/") if scope["type"] == "http" else ""
        asked.append(path)
        if answers.get(path) == -2:
            await asyncio.sleep(1)
        if answers.get(path) == -1:
            kept = ehr.store.history(*path.split("/"))[1].body
            await Response(kept, media_type="application/fhir+json")(scope, receive, send)
            return
        if answers.get(path, 0) > 0:
            await JSONResponse({"resourceType": "OperationOutcome"}, answers[path])(scope, receive, send)
            return
        await inner(scope, receive, send)

    ehr.app = app  # type: ignore[assignment]  # an ASGI app, as the server takes it
    with serve([ehr]) as [base]:
        yield Ward(ehr, folder, base, answers, asked)


class Killed(BaseException):
    """Stands for the end of the process: between two transactions of the store, wherever we say."""


def killed_everywhere(before: Ward, folder: Path) -> Iterator[tuple[bool, Ward]]:
    """Pull in copies of a home: undisturbed first, then each time killed one step later and pulled again."""
    steps: list[str] = []
    ward = before.copied(folder / "whole")
    ward.pull(steps.append)
    assert len(steps) > 6
    yield False, ward
    for last in range(1, len(steps) + 1):
        left = [last]

        def tell(text: str, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise Killed

        ward = before.copied(folder / str(last))
        with pytest.raises(Killed):
            ward.pull(tell)
        ward.pull()
        yield True, ward
