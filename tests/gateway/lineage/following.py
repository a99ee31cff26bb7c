"""A home whose results are at two EHRs: what the tests of lineage follow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from conformance.cohort import VERSIONS, EhrName, build, to_json
from conformance.hostile import Ehr, EhrSettings, serve
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.sources import open_source
from gateway.store import Attempt, Landed
from security.audit import delivery_event, proposal_event

__all__ = ["Place", "arrived", "pull", "written"]


@dataclass
class Place:
    """An opened home, its EHRs by name, and the twins of which something was delivered."""

    home: Home
    ehrs: dict[str, Ehr]
    bases: dict[str, str]
    twins: list[str] = field(default_factory=list)


def pull(home: Home, *sources: str) -> None:
    """Pull from some sources, or from all."""

    async def all_of_them() -> None:
        for name in sources or tuple(home.settings.sources):
            async with open_source(name, home.settings.source(name), home) as source:
                await ingest(home, source, lambda text: None)

    asyncio.run(all_of_them())


@contextmanager
def written(
    folder: Path, names: Sequence[EhrName] = ("summit",), models: Sequence[str] = ("kidney",)
) -> Iterator[Place]:
    """Pull one person from EHRs, run models on them, propose, agree and send."""
    from gateway.deliver import propose, send

    cohort = build(3)
    cohort = replace(cohort, persons=(cohort.person("p04"),))  # diabetic kidney disease, known at two EHRs
    ehrs = {}
    for name in names:
        ehrs[name] = Ehr(EhrSettings(name=name, fhir_version=VERSIONS[name], require_auth=False, page_size=200))
        ehrs[name].load(*(to_json(bundle) for bundle in cohort.bundles(name)))
    with serve(list(ehrs.values())) as bases:
        told = dict(zip(names, bases, strict=True))
        toml = "".join(f'[sources.{name}]\nurl = "{base}"\n' for name, base in told.items())
        (folder / "twin.toml").write_text(toml, "utf-8")
        with Home.open(load_settings(folder)) as home:
            place = Place(home, dict(ehrs), told)
            pull(home)
            for twin in home.store.twins():
                record = open_twin(home, twin.id)
                for model in models:
                    run_model(home, record, model)
                if any(each.is_new for each in propose(home, record)):
                    for sent in asyncio.run(send(home, twin.id)):
                        assert sent.fault is None, sent.fault
                    place.twins.append(twin.id)
            yield place


def arrived(home: Home, run: str, source: str, *landed: Landed, replaces: str = "", content: bytes = b"") -> str:
    """Let a result of a run arrive at a source, as the worker notes it; returns the delivery. No EHR is needed."""
    saved, when = home.store.run(run), now()
    delivery = home.blind.of("delivery", f"{saved.id} {source} {replaces}")
    access = home.access(patient=saved.twin, peer=home.peer(source))
    decision = json.dumps({"agreed": True, "who": home.actor, "how": "person", "rule": 0, "when": when.isoformat()})
    home.store.propose(
        delivery,
        saved.twin,
        source,
        saved.id,
        b"{}",
        now=when,
        events=[proposal_event(home.access(patient=saved.twin), proposal=delivery)],
        model=saved.model,
        kind="risk",
        replaces=replaces,
        content=content,
        decision=decision.encode(),
    )
    [taken] = home.store.claim("test", when, when + timedelta(minutes=1), limit=1, twin=saved.twin)
    assert home.store.note_leaving("test", taken.id, now(), [delivery_event(access, delivery=taken.id)])
    assert home.store.settle("test", {taken.id: Attempt("sent", status=201, landed=landed)}, now()) == [taken.id]
    return delivery
