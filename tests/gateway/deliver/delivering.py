"""One hostile EHR, one home with results for it, and what becomes of them when a worker delivers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve
from gateway.deliver.ended import Ended
from gateway.deliver.learned import Learned, learned
from gateway.deliver.worker import work
from gateway.home import Home
from gateway.settings import load_settings
from gateway.store import Delivery
from mappers import FhirVersion
from tests.gateway.deliver.many import SOURCE, Expected, Found, home_of, patients, propose_many, tally

VERSIONS: tuple[FhirVersion, ...] = ("dstu2", "stu3", "r4", "r4b", "r5")
WRITTEN = ("Device", "Observation", "RiskAssessment", "DocumentReference", "Provenance")


@dataclass
class Ward:
    """The EHR, the home, and how each attempt ended."""

    ehr: Ehr
    home: Home
    expected: Expected
    ends: list[tuple[Delivery, Ended]] = field(default_factory=list)

    async def deliver(self, **told: Any) -> list[Ended]:
        """Let a worker deliver what may leave now; says how each attempt ended."""
        before = len(self.ends)
        await work(self.home, tell=lambda delivery, ended: self.ends.append((delivery, ended)), **told)
        return [ended for _, ended in self.ends[before:]]

    def hurry(self) -> None:
        """Let what waits for its next try have it now."""
        from gateway.home import now

        for each in self.home.store.outbox(states=("failed", "held")):
            self.home.store.decide_delivery(each, each.state, now(), reason=each.reason)

    @property
    def found(self) -> Found:
        """What is wrong at the EHR."""
        return tally(self.expected, {type_: self.ehr.store.all(type_) for type_ in self.expected.names})

    @property
    def held(self) -> dict[str, int]:
        """How many resources of ours are there; the Observation of the patient's own is not."""
        found = {type_: len(self.ehr.store.all(type_)) for type_ in WRITTEN}
        return {type_: number for type_, number in found.items() if number}

    @property
    def learned(self) -> Learned:
        """What was learned of the server."""
        return learned(self.home.settings.home, SOURCE)

    @property
    def told(self) -> list[tuple[str, str]]:
        """State and reason of each delivery."""
        return [(each.state, each.reason) for each in self.home.store.outbox()]

    def strike(self, name: str, **how: Any) -> None:
        """Throw a switch of the EHR."""
        self.ehr.misbehaviours.add(Misbehaviour(name, **how))

    def asked(self, method: str = "POST") -> list[str]:
        """The paths that were asked by a method, below the base."""
        return [seen.path for seen in self.ehr.seen if seen.method == method]


@contextmanager
def ward(
    folder: Path,
    version: FhirVersion = "r4",
    *,
    number: int = 1,
    of: int = 1,
    risks: bool = True,
    ehr: dict[str, Any] | None = None,
    **source: Any,
) -> Iterator[Ward]:
    """Serve an EHR and open a home with results that were agreed to; `ehr` are habits, `source` settings."""
    made = Ehr(EhrSettings(name="ward", fhir_version=version, require_auth=False, **(ehr or {})))
    made.load(*patients(of))
    with serve([made]) as [base]:
        told = {"settle_s": 0, "read_back": "never", "tries": 1} | source
        home_of(folder / "home", base, **told)
        expected = propose_many(folder / "home", number, of=of, seed=1, version=version, risks=risks)
        with Home.open(load_settings(folder / "home")) as home:
            yield Ward(made, home, expected)
