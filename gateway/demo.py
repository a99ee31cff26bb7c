"""The whole mission on embedded defaults: three simulated EHRs that disagree, a virtual sensor, and all of twin."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from conformance.cohort import VERSIONS, Cohort, EhrName, build
from conformance.hostile import Ehr, EhrSettings, serve
from gateway.deliver import Proposed, Sent, propose, send
from gateway.deliver.approval import approve_due
from gateway.deliver.ended import Ended
from gateway.deliver.worker import work
from gateway.demo_living import LivingPart, live
from gateway.home import Home, now
from gateway.ingest import Report, ingest
from gateway.pull.keys import new_key
from gateway.sensor_feed import SensorFeed
from gateway.settings import SourceSettings, load_settings
from gateway.simulation import answering_models, open_twin, run_model
from gateway.sources import open_source
from gateway.store import Delivery
from mappers.outbound import StepDown
from security.audit import Verdict
from security.errors import Misuse
from twin_engine import Missing

__all__ = ["Summary", "demonstration"]

SEED = 20261124
_MARK = "demo"
_CLIENT = "fhirtwin-demo"
_ECHO = "ejection-fraction"

Tell = Callable[[str], None]


@dataclass
class Summary:
    """What the demonstration did; `as_json` has the keys that scripts rely on."""

    reports: list[Report] = field(default_factory=list)
    twins: int = 0
    over_several_sources: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    proposed: list[Proposed] = field(default_factory=list)
    agreed: int = 0
    delivered: int = 0
    steps: Counter[tuple[str, StepDown]] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    written_to: dict[str, Counter[str]] = field(default_factory=dict)
    written_again: int = 0
    failed: list[Sent] = field(default_factory=list)
    audit: Verdict | None = None
    example: str = ""
    living: LivingPart | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Write it: counts only, and of the virtual person under the sensor, who is nobody, what the twin foresees."""
        return {
            "sources": [report.as_json() for report in self.reports],
            "twins": {"total": self.twins, "over_several_sources": self.over_several_sources},
            "runs": dict(self.runs),
            "missing": dict(self.missing),
            "proposed": sum(one.is_new for one in self.proposed),
            "agreed": self.agreed,
            "delivered": self.delivered,
            "written": dict(self.written),
            "written_to": {source: dict(counts) for source, counts in sorted(self.written_to.items())},
            "written_again": self.written_again,
            "failed": [sent.as_json() for sent in self.failed],
            "audit": {"events": self.audit.size if self.audit else 0, "verified": bool(self.audit and self.audit.ok)},
            "living": self.living.as_json() if self.living else None,
            "seconds": round(self.seconds, 1),
        }


@contextmanager
def simulated_ehrs(cohort: Cohort, folder: Path, more: str = "") -> Iterator[dict[EhrName, str]]:
    """Start the EHRs of the cohort, register our key with each, write twin.toml (and `more`); yields URLs by name."""
    ehrs: list[Ehr] = []
    for name, version in VERSIONS.items():
        ehr = Ehr(EhrSettings(name=name, fhir_version=version))
        private, public = new_key()
        ehr.smart.register(_CLIENT, json.loads(public))
        for bundle in cohort.bundles(name):
            ehr.load(bundle)
        _write_private(folder / f"{name}.jwk", private)
        ehrs.append(ehr)
    with serve(ehrs) as bases:
        urls = dict(zip(VERSIONS, bases, strict=True))
        sections = [*(_section(name, url) for name, url in urls.items()), more]
        (folder / "twin.toml").write_text("\n".join(sections), "utf-8")
        yield urls


def _section(name: str, url: str) -> str:
    told = {"url": url, "auth": "backend-services", "client_id": _CLIENT, "key_file": f"{name}.jwk"}
    return "\n".join([f"[sources.{name}]", *(f'{key} = "{value}"' for key, value in told.items()), ""])


@contextmanager
def demonstration(folder: Path, today: date, tell: Tell) -> Iterator[tuple[Home, Summary, SensorFeed]]:
    """Do all of it in a folder of its own; EHRs and store stay open while the block runs, nothing behind it."""
    begun = time.monotonic()
    _prepare(folder)
    tell("Making a synthetic cohort and starting three EHRs on loopback")
    cohort = build(SEED, today)
    feed = SensorFeed(folder / "sensor", now())
    feed.lay_past()
    with simulated_ehrs(cohort, folder, feed.section), Home.open(load_settings(folder)) as home:
        summary = Summary()
        for name, told in home.settings.sources.items():
            summary.reports.append(asyncio.run(_pull(home, name, told, tell)))
        _simulate(home, summary, tell)
        tell("Calibrating a twin to its sensor")
        summary.living = live(home)
        asyncio.run(_write_back(home, summary, tell))
        tell("Verifying the audit log")
        summary.audit = home.store.verify_audit()
        summary.seconds = time.monotonic() - begun
        yield home, summary, feed


async def _pull(home: Home, name: str, told: SourceSettings, tell: Tell) -> Report:
    tell(f"Pulling {name}")
    async with open_source(name, told) as source:
        return await ingest(home, source, tell)


def _prepare(folder: Path) -> None:
    """Take a folder that is empty, or that an earlier demonstration left, which is cleared."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise Misuse(
            "The folder holds something that is no demonstration.", hint="Say another --home, or leave it out."
        )
    for file in folder.iterdir():
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    (folder / _MARK).write_text("Synthetic patients only; twin demo clears this folder.\n", "utf-8")


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)


def _simulate(home: Home, summary: Summary, tell: Tell) -> None:
    twins = home.store.twins()
    summary.twins = len(twins)
    summary.over_several_sources = sum(len(t.sources) > 1 for t in twins)
    best = (-1, -1)  # the example is the twin of whom every model says much
    for number, twin in enumerate(twins, 1):
        tell(f"Running the models on twin {number} of {len(twins)}")
        record = open_twin(home, twin.id)
        results = []
        for name, model in answering_models(home).items():
            if model.members > 1 and not any(fact.name == _ECHO for fact in record.facts):
                continue  # an ensemble takes seconds, and is worth most where there is an echo
            result, _ = run_model(home, record, name)
            (summary.missing if isinstance(result, Missing) else summary.runs)[name] += 1
            results.append(0 if isinstance(result, Missing) else len(result.outputs))
        if (min(results), sum(results)) > best:
            best, summary.example = (min(results), sum(results)), twin.id


async def _write_back(home: Home, summary: Summary, tell: Tell) -> None:
    """Propose, agree, deliver; and send all once more, to see that nothing new comes of it."""
    twins = [twin.id for twin in home.store.twins()]
    for twin in twins:
        summary.proposed += propose(home, open_twin(home, twin))
        summary.agreed += sum(agreed.fault is None for agreed in approve_due(home, twin, "shown in the demonstration"))
    heard = Counter[str]()

    def hear(delivery: Delivery, ended: Ended) -> None:
        heard[ended.attempt.state] += 1
        tell(f"Delivering results: {heard['sent']} of {summary.agreed} arrived")
        created = ended.counted("created")
        summary.written.update(created)
        summary.written_to.setdefault(delivery.source, Counter()).update(created)
        summary.steps.update((delivery.source, step) for step in ended.steps)

    await work(home, tell=hear)
    summary.delivered = heard["sent"]
    for number, twin in enumerate(twins, 1):
        tell(f"Sending everything a second time: twin {number} of {len(twins)}")
        again = await send(home, twin, again=True)
        summary.written_again += sum(sum(sent.created.values()) for sent in again)
        summary.failed += [sent for sent in again if sent.fault or sent.state not in ("sent", "superseded")]
