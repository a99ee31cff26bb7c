"""How fast consents decide: a page of resources, seen for the first time and again, without a Consent and with several.

    python -m benchmarks.consent

One core, one process. "a page" is 50 Observations of one patient, asked for one after the other, as the API does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from gateway.api.consents import Consents, Rules
from gateway.api.shown import Chart, Gone, Shown
from security.audit import TokenUse
from security.consent import Asker, Directives, Item
from security.policy import Caller

__all__ = ["main"]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TWIN = "00000000-0000-0000-0000-000000000001"
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_PAGE = 50


class _Chart:
    """A chart of Observations and Consents, in memory."""

    twin, version = TWIN, "1"

    def __init__(self, consents: list[dict[str, Any]]) -> None:
        self._by_type = {
            "Observation": tuple(_shown(_observation(number)) for number in range(_PAGE)),
            "Consent": tuple(_shown(each) for each in consents),
        }

    def of_type(self, type_: str) -> tuple[Shown, ...]:
        return self._by_type.get(type_, ())

    def types(self) -> frozenset[str]:
        return frozenset(self._by_type)

    def get(self, type_: str, id_: str) -> Shown | Gone | None:
        return next((each for each in self.of_type(type_) if each.id == id_), None)

    def versions(self, type_: str, id_: str) -> tuple[Shown | Gone, ...]:
        return ()

    def gone(self) -> tuple[Gone, ...]:
        return ()


class _Charts:
    def __init__(self, chart: Chart) -> None:
        self._chart, self._shared = chart, _Chart([])

    def twins(self, tenant: str, after: str = "") -> Iterator[str]:
        return iter((TWIN,))

    def chart(self, twin: str) -> Chart:
        return self._chart

    def tenant_of(self, twin: str) -> str | None:
        return ""

    def shared(self, tenant: str) -> Chart:
        return self._shared

    def twin_of(self, type_: str, id_: str) -> str:
        return TWIN


def _shown(body: dict[str, Any]) -> Shown:
    return Shown(body["resourceType"], body["id"], 1, NOW, TWIN, body, b"")


def _observation(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"{TWIN}-{number}",
        "meta": {"versionId": "1", "lastUpdated": "2026-05-01T10:00:00Z", "source": "urn:fhirtwin:source:ward"},
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": f"{2000 + number}-0"}]},
        "subject": {"reference": f"Patient/{TWIN}"},
        "effectiveDateTime": "2026-05-01T10:00:00Z",
        "performer": [{"reference": "Practitioner/s-1"}],
        "valueQuantity": {"value": 1.1, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
    }


def _consent(number: int, **provision: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": f"c{number}",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "patient": {"reference": f"Patient/{TWIN}"},
        "policyRule": {"coding": [{"system": _ACT, "code": "OPTIN"}]},
        "provision": provision,
    }


def consents() -> list[dict[str, Any]]:
    """Write three Consents as people give them: a class withheld but for emergencies, one person, and research."""
    purpose = [{"system": _REASON, "code": "ETREAT"}]
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    return [
        _consent(
            1,
            type="deny",
            securityLabel=[{"system": _ACT, "code": "SUD"}, {"system": _ACT, "code": "PSY"}],
            provision=[{"type": "permit", "purpose": purpose}],
        ),
        _consent(2, type="deny", actor=[{"role": role, "reference": {"reference": "Practitioner/s-9"}}]),
        _consent(
            3,
            type="deny",
            purpose=[{"system": _REASON, "code": "HRESCH"}],
            provision=[{"type": "permit", "code": [{"coding": [{"system": "http://loinc.org", "code": "2000-0"}]}]}],
        ),
    ]


def _rate(work: Callable[[], int], seconds: float = 1.0) -> float:
    work()
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        done += work()
    return done / spent


def main() -> None:
    """Measure, and print decisions a second."""
    rows = [("none", []), ("three", consents())]
    for name, told in rows:
        chart = _Chart(told)
        page = chart.of_type("Observation")
        whole = Consents(_Charts(chart), Rules())

        def again(whole: Consents = whole, chart: _Chart = chart, page: tuple[Shown, ...] = page) -> int:
            caller, now = _caller(), datetime(2026, 6, 1, tzinfo=UTC)  # another request, another object
            return sum(whole.permits(caller, "s", chart, each, now) for each in page)

        def anew(chart: _Chart = chart, page: tuple[Shown, ...] = page) -> int:
            fresh, caller = Consents(_Charts(chart), Rules()), _caller()
            return sum(fresh.permits(caller, "s", chart, each, NOW) for each in page)

        print(f"{name:>6} Consents, a page again: {_rate(again):>12,.0f} decisions/s")
        print(f"{name:>6} Consents, a page anew, Consents compiled: {_rate(anew):>12,.0f} decisions/s")
    directives = Directives.read(TWIN, consents(), "treatment")
    asker = Asker.of(_caller())
    bodies = [_observation(number) for number in range(_PAGE)]

    def bare() -> int:
        for body in bodies:
            directives.decide(asker, "s", Item("Observation", body["id"], body), NOW)
        return len(bodies)

    print(f" three Consents, no memory at all: {_rate(bare):>12,.0f} decisions/s")


def _caller() -> Caller:
    return Caller(
        client="app",
        user="maria",
        fhir_user="Practitioner/s-1",
        roles=frozenset({"clinician"}),
        scopes=("user/*.rs",),
        token=TokenUse("urn:ietf:params:oauth:jti:1"),
        expires=NOW,
    )


if __name__ == "__main__":
    main()
