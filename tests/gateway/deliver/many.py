"""Many proposals of invented patients, agreed to and ready to leave: without an EHR to pull from, and without models.

One of each patient is rendered as `twin propose` does it, the others are made from it by putting their own names in:
ten thousand would take minutes otherwise. `Expected` says under which names which resources have to be at the EHR in
the end, and in which order those of one patient.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from gateway.approval_settings import Kind
from gateway.deliver.approval import at_once
from gateway.deliver.draft import Draft, write_draft
from gateway.home import Home, now
from gateway.settings import load_settings
from mappers import FhirVersion
from mappers.facts import Coding
from mappers.outbound import Result, ResultInput, ResultOutput, to_json
from mappers.outbound.names import RESULT_TAG, entry_url, result_uuid
from security.audit import proposal_event

__all__ = ["Expected", "Found", "home_of", "patients", "propose_many", "tally"]

SOURCE = "ward"
_TOGETHER = 200  # proposals in one transaction of the store
_PARTS = ("observation/egfr", "risk", "provenance")
_MADE = datetime(2026, 11, 24, 2, 3, 4, tzinfo=UTC)
_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Expected:
    """What has to be there in the end: names (UUIDs) of resources by type, and of each patient in their order."""

    names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    in_order: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    deliveries: list[str] = field(default_factory=list)

    @property
    def resources(self) -> int:
        """Count the resources."""
        return sum(map(len, self.names.values()))


@dataclass(frozen=True)
class Found:
    """What is wrong at a server in the end: names that are not there, are there more than once, or in a wrong place."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    out_of_order: tuple[str, ...]
    strangers: int

    @property
    def is_well(self) -> bool:
        """Say whether each is there once, in order."""
        return not (self.lost or self.doubled or self.out_of_order or self.strangers)


def patients(number: int) -> list[dict[str, Any]]:
    """Make the Patients for the EHR."""
    return [{"resourceType": "Patient", "id": f"p{n}", "gender": "female"} for n in range(number)]


def home_of(folder: Path, base: str, store: str = "", **told: Any) -> Path:
    """Make a home with one source, where all is agreed to as it is proposed; `told` are the source's settings.

    `store` is the table of twin.toml that says where the store is, where that is not a file.
    """
    folder.mkdir(exist_ok=True)
    lines = [f'[[approval.rules]]\nby = "automatic"\n\n[sources.{SOURCE}]\nurl = "{base}"']
    lines += [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in told.items()]
    (folder / "twin.toml").write_text("\n".join([*lines, store]) + "\n", "utf-8")
    return folder


def propose_many(
    folder: Path, number: int, *, of: int, seed: int, version: FhirVersion = "r4", risks: bool = True
) -> Expected:
    """Put so many proposals of `of` patients into the outbox of a home, patients in an order drawn from the seed."""
    dice, expected = random.Random(seed), Expected()  # noqa: S311 - a test's choice
    whose = [n % of for n in range(number)]
    dice.shuffle(whose)
    with Home.open(load_settings(folder)) as home:
        twins = [home.store.new_twin(now()) for _ in range(of)]
        for number_of, twin in enumerate(twins):
            home.store.link_patient(twin, SOURCE, f"p{number_of}")
        moulds = [_Mould.of(f"Patient/p{n}", version, risks=risks) for n in range(of)]
        for start in range(0, number, _TOGETHER):
            with home.store.transaction():
                for place in range(start, min(start + _TOGETHER, number)):
                    _propose(home, twins[whose[place]], place, moulds[whose[place]], expected)
    return expected


@dataclass(frozen=True)
class _Mould:
    """A proposal of one patient, into which the names of any other of theirs are put."""

    draft: Draft
    bundle: bytes
    types: tuple[str, ...]

    @classmethod
    def of(cls, patient: str, version: FhirVersion, *, risks: bool) -> _Mould:
        draft = Draft(_result("0" * 64, risks=risks), version, patient, summary="An invented result.")
        bundle = draft.rendered()
        return cls(draft, to_json(bundle), tuple(entry["resource"]["resourceType"] for entry in bundle["entry"]))

    def cast(self, run: str) -> tuple[Draft, bytes, list[str]]:
        """Return the draft of a run, its bundle, and our names of what is in it."""
        draft = msgspec.structs.replace(self.draft, result=msgspec.structs.replace(self.draft.result, run=run))
        bundle = self.bundle
        for part in _PARTS:
            old, new = result_uuid(self.draft.result.run, part), result_uuid(run, part)
            for text, other in ((old, new), (entry_url(old), entry_url(new))):
                bundle = bundle.replace(text.encode(), other.encode())
        asked = [entry["request"]["ifNoneExist"] for entry in msgspec.json.decode(bundle)["entry"]]
        return draft, bundle, [_NAME.findall(each)[0] for each in asked]


def _propose(home: Home, twin: str, place: int, mould: _Mould, expected: Expected) -> None:
    run = home.blind.of("run", f"{twin} {place}")
    draft, bundle, names = mould.cast(run)
    model = f"{draft.result.model}-{place}"  # each of its own: of one model, the newer takes the older one's place
    delivery = home.blind.of("delivery", f"{run} {SOURCE}")
    kind: Kind = "risk" if "RiskAssessment" in mould.types else "observation"
    decision, agreed = at_once(home, twin, delivery, kind, model, SOURCE)
    home.store.save_run(run, twin, model, home.store.twin_version(twin), b"{}", now=now())
    home.store.propose(
        delivery,
        twin,
        SOURCE,
        run,
        bundle,
        now=now(),
        events=[proposal_event(home.access(patient=twin), proposal=delivery), *agreed],
        model=model,
        kind=kind,
        content=write_draft(draft),
        decision=decision,
    )
    expected.deliveries.append(delivery)
    for type_, name in zip(mould.types, names, strict=True):
        expected.names[type_].add(name)
        if type_ != "Device":
            expected.in_order[f"{type_} of {draft.patient}"].append(name)


def _result(run: str, *, risks: bool) -> Result:
    when = (_MADE - timedelta(hours=1)).isoformat(timespec="seconds")
    used = ResultInput("creatinine", "Creatinine", "1.20", "mg/dL", when, "Observation/in/_history/1", SOURCE, True)
    code = Coding("http://loinc.org", "98979-8")
    egfr = ResultOutput("egfr", "eGFR", "observation", code, Decimal("51.5"), "mL/min/{1.73_m2}", None, None, 1)
    risk = ResultOutput("kf5", "Kidney failure", "risk", None, Decimal("0.03"), "1", 5, None, 1)
    return Result(
        model="kidney",
        version="benchmark",
        title="Kidney function",
        citation="Inker 2021, doi:10.1056/NEJMoa2102953",
        limits="Invented numbers of nobody.",
        made_at=_MADE,
        valid_at=when,
        inputs=(used,),
        outputs=(egfr, risk) if risks else (egfr,),
        assumptions=(),
        run=run,
    )


def tally(expected: Expected, held: Mapping[str, Sequence[Mapping[str, Any]]]) -> Found:
    """Compare with what a server holds: by type, its resources in the order in which they were stored."""
    lost, doubled, wrong, strangers = [], [], [], 0
    for type_, names in expected.names.items():
        there = [_ours(resource) for resource in held.get(type_, ())]
        counts = Counter(name for name in there if name)
        lost += [f"{type_} {name}" for name in sorted(names - counts.keys())]
        doubled += [f"{type_} {name}" for name, number in sorted(counts.items()) if number > 1]
        strangers += len(counts.keys() - names)
        place = {name: number for number, name in reversed([*enumerate(there)])}
        for whose, order in expected.in_order.items():
            if whose.startswith(f"{type_} of "):
                found = [place[name] for name in order if name in place]
                wrong += [whose] if found != sorted(found) else []
    return Found(tuple(lost), tuple(doubled), tuple(wrong), strangers)


def _ours(resource: Mapping[str, Any]) -> str:
    """Return the name that we gave a resource, "" where it has none."""
    tags = resource.get("meta", {}).get("tag", ())
    told = [tag.get("code", "") for tag in tags if tag.get("system") == RESULT_TAG]
    return next(iter([*told, *_identifiers(resource.get("identifier"))]), "")


def _identifiers(value: Any) -> Iterable[str]:
    for each in value if isinstance(value, list) else [value] if value else []:
        if _NAME.search(each.get("value", "")):
            yield each["value"].removeprefix("urn:uuid:")
