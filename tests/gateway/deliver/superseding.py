"""A patient of an EHR whose creatinine is measured again, corrected or taken back, and the results that stood on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.hostile import Ehr, EhrSettings, FhirVersion, serve
from gateway.deliver import propose, send
from gateway.home import Home
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.sources import open_source
from gateway.store import Delivery

SOURCE = "ward"
FIRST, SECOND = "2026-11-02T08:00:00Z", "2026-11-20T08:00:00Z"
VERSIONS: tuple[FhirVersion, ...] = ("dstu2", "stu3", "r4", "r4b", "r5")


@dataclass
class Ward:
    """One EHR, our home beside it, and the one twin in it."""

    ehr: Ehr
    home: Home = field(init=False)

    @property
    def twin(self) -> str:
        [twin] = self.home.store.twins()
        return twin.id

    def measure(self, id_: str = "c1", value: float = 1.4, when: str = FIRST, **changes: Any) -> None:
        """Let the EHR have a creatinine, or another version of it."""
        self.ehr.load(result(id_, "2160-0", value, "mg/dL", when) | changes)

    async def pull(self) -> None:
        async with open_source(SOURCE, self.home.settings.source(SOURCE)) as source:
            await ingest(self.home, source, lambda text: None)

    def propose(self, model: str = "kidney") -> None:
        record = open_twin(self.home, self.twin)
        run_model(self.home, record, model)
        propose(self.home, record)

    async def deliver(self) -> None:
        await send(self.home, self.twin)

    async def hear(self) -> None:
        """Go the whole way once: pull, run, propose, deliver."""
        await self.pull()
        self.propose()
        await self.deliver()

    def deliveries(self, *kinds: str) -> list[Delivery]:
        return [each for each in self.home.store.outbox(twin=self.twin) if not kinds or each.kind in kinds]

    def results(self) -> list[Delivery]:
        return [each for each in self.deliveries() if each.kind != "change"]

    def changes(self) -> list[Delivery]:
        return self.deliveries("change")

    def there(self, delivery: Delivery, type_: str = "Observation") -> dict[str, Any]:
        """What stands at the EHR of a delivery."""
        [place] = [each.reference for each in delivery.landed if each.reference.startswith(f"{type_}/")]
        found: dict[str, Any] = json.loads(self.ehr.store.read(*place.split("/")).body)
        return found

    def edit(self, delivery: Delivery, type_: str = "Observation", **changes: Any) -> None:
        """Let a person at the EHR change something of ours."""
        self.ehr.load(self.there(delivery, type_) | changes)

    def writes(self) -> list[tuple[str, str]]:
        return [(seen.method, seen.path) for seen in self.ehr.seen if seen.method in ("POST", "PUT", "DELETE")]


def result(id_: str, loinc: str, value: float, unit: str, when: str, patient: str = "p1") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": when,
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }


@contextmanager
def ward(
    path: Path,
    version: FhirVersion = "r4",
    toml: str = "",
    *,
    before: Callable[[Ward], None] = lambda there: None,
    **habits: Any,
) -> Iterator[Ward]:
    """Serve the EHR with a patient and one creatinine, and open a home for it; nothing is pulled yet.

    `before` may put something between the EHR and those who ask it.
    """
    ehr = Ehr(EhrSettings(name=SOURCE, fhir_version=version, require_auth=False, page_size=200, **habits))
    ehr.load({"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1961-03-04"})
    ehr.load(result("u1", "9318-7", 120, "mg/g", FIRST))
    found = Ward(ehr)
    before(found)
    with serve([ehr]) as [base]:
        (path / "twin.toml").write_text(
            f'[sources.{SOURCE}]\nurl = "{base}"\ntypes = ["Patient", "Observation"]\n{toml}', "utf-8"
        )
        with Home.open(load_settings(path)) as home:
            found.home = home
            found.measure()
            yield found
