"""A home with one patient of a folder, whose resources and Consents a test chooses; and who asks the API for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.api.charts import StoreCharts
from gateway.api.consents import Consents, Hearing, Rules
from gateway.api.view import View
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.sources import open_source
from mappers.search import matches
from security.audit import TokenUse
from security.grants import compile_grants
from security.policy import Caller, Role
from tests.security.consent.saying import ICD, concept, consent

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "birthDate": "1970-01-01",
    "gender": "female",
    "name": [{"family": "Muster", "given": ["Erika"]}],
}
LAB = "http://terminology.hl7.org/CodeSystem/observation-category"
UNTIL = datetime.fromisoformat("2030-01-01T00:00:00+00:00")


def condition(id_: str, icd: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": id_,
        "subject": {"reference": "Patient/p1"},
        "code": concept(ICD, icd),
        "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "verificationStatus": concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"),
        **changes,
    }


def observation(id_: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "category": [concept(LAB, "laboratory")],
        "code": concept("http://loinc.org", "2160-0"),
        "effectiveDateTime": "2026-05-01T10:00:00Z",
        "valueQuantity": {"value": 1.1, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        **changes,
    }


DIABETES = condition("diabetes", "E11.9")
ALCOHOL = condition("alcohol", "F10.20")
CREATININE = observation("creatinine")


@contextmanager
def home_of(
    folder: Path, *resources: Mapping[str, Any], serve: str = "", purpose: str = ""
) -> Iterator[tuple[Home, str]]:
    """Open a home with a twin of these resources, and the Patient."""
    told = f'purpose = "{purpose}"\n' if purpose else ""
    (folder / "twin.toml").write_text(
        f'{told}[sources.ward]\nfolder = "in"\nfhir_version = "r4"\n[serve]\n{serve}\n', "utf-8"
    )
    with Home.open(load_settings(folder)) as home:
        arrive(home, PATIENT, *resources)
        [twin] = home.store.twins()
        yield home, twin.id


def arrive(home: Home, *resources: Mapping[str, Any]) -> None:
    """Let resources come from the folder, as new versions where they are there already."""
    inbox = home.settings.home / "in"
    inbox.mkdir(exist_ok=True)
    for each in resources:
        (inbox / f"{each['resourceType']}-{each['id']}.json").write_text(json.dumps(each), "utf-8")

    async def pull() -> None:
        async with open_source("ward", home.settings.source("ward")) as source:
            await ingest(home, source, lambda text: None)

    asyncio.run(pull())


def of_p1(base: str = "", provision: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Write a Consent of this patient, as the folder has it; R4 wants a policy or a policyRule (ppc-1)."""
    told: dict[str, Any] = {"patient": {"reference": "Patient/p1"}, "id": "consent"}
    policy = {} if base else {"policy": [{"uri": "http://example.org/policy"}]}
    return consent(base, provision, **(told | policy | changes))


def who(
    purpose: str = "TREAT",
    *,
    user: str = "maria",
    roles: Iterable[Role] = ("clinician",),
    scopes: tuple[str, ...] = ("user/*.cruds",),
    **more: Any,
) -> Caller:
    return Caller(
        client="app",
        user=user,
        roles=frozenset(roles) if user else frozenset(),
        purpose=purpose,
        scopes=scopes,
        token=TokenUse("urn:ietf:params:oauth:jti:1"),
        expires=UNTIL,
        **more,
    )


class Window:
    """Sees a home as the API does: the charts of the store, real grants and real Consents."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.charts = StoreCharts(home)
        self.consents = Consents(self.charts, Rules.of(home.settings.serve))

    def view(self, caller: Caller, moment: datetime | None = None, hearing: Hearing | None = None) -> View:
        consents = hearing or self.consents.during()
        return View(caller, self.charts, compile_grants(caller, matches), consents, moment or now())

    def codes(self, caller: Caller, twin: str, type_: str = "Condition") -> set[str]:
        """Name the codes of what is seen."""
        seen = self.view(caller).resources(twin, type_)
        return {str(each.body["code"]["coding"][0]["code"]) for each in seen}
