"""A person's record as one FHIR R4 Bundle: who they are, what is known, from where, and what was simulated.

Each resource is checked on its own with the classes of fhir.resources before it is written; what a source sent stands
beside the Bundle, byte for byte, and Provenance leads there by the SHA-256 of these bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from gateway import __version__
from gateway.deliver.proposal import result_of
from gateway.export.gathering import Gathered
from gateway.home import Home
from gateway.simulation import answers_of, audit_reference
from gateway.store import StoredResource
from mappers import Unreadable, read_json
from mappers.elements import items, objects, text
from mappers.facts import Fact, Origin
from mappers.identity import Person
from mappers.outbound import render
from mappers.outbound.fact import write_fact
from mappers.outbound.times import instant
from security.errors import NotFhir

__all__ = ["Entries", "entries"]

Resource = dict[str, Any]
Entries = Iterator[tuple[str, Resource]]

_NAMES: Final = UUID("6d0d3c5e-4f0b-4c53-9d1c-5f0f2b6a4f11")  # chosen once
_SHA256: Final = "urn:fhirtwin:sha256"
_SENDER: Final = f"fhirtwin {__version__}"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_DOES: Final = "http://terminology.hl7.org/CodeSystem/v3-DocumentCompletion"


def entries(home: Home, gathered: Gathered) -> Entries:
    """Write the entries: full URL and resource, each checked. Raises `NotFhir`, a mistake of ours, for a bad one."""
    patient = _url(gathered.twin, "patient")
    yield _checked(patient, _patient(gathered))
    ours = _url(gathered.twin, "fhirtwin")
    yield _checked(ours, _device())
    came = _came(gathered)
    by_origin: dict[tuple[str, str], list[str]] = defaultdict(list)
    facts: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for number, fact in enumerate(gathered.record.facts):
        for origin in fact.origins:
            key = (origin.source, origin.resource)
            facts[key].append(fact)
            by_origin[key].append(patient if fact.kind == "demographic" else _url(gathered.twin, f"fact {number}"))
        if fact.kind != "demographic":
            yield _checked(_url(gathered.twin, f"fact {number}"), write_fact(fact, patient))
    for key, targets in by_origin.items():
        when, sha256 = came.get(key, (gathered.record.created, ""))
        resource = _provenance(home, facts[key][0].origin, facts[key], list(dict.fromkeys(targets)), when, sha256, ours)
        yield _checked(_url(gathered.twin, f"provenance {key[0]} {key[1]}"), resource)
    yield from _simulated(home, gathered, patient)


def _patient(gathered: Gathered) -> Resource:
    """Write who the person is, as their sources write it: names, numbers with their systems, sex, birth, death."""
    told = [body for resource in gathered.record.resources if (body := _told(resource)) is not None]
    people = [person for each in gathered.told.values() for person in each.values()]
    identifiers = [
        {"system": system, "value": value}
        for body in told
        for each in objects(body.get("identifier"))
        if (system := text(each.get("system"))).startswith(("http://", "https://", "urn:"))
        and (value := text(each.get("value")).strip())
    ]
    names = [name for body in told for each in objects(body.get("name")) if (name := _name(each))]
    found: Resource = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:fhirtwin:twin", "value": gathered.twin}, *_once(identifiers)],
    }
    if names:
        found["name"] = _once(names)
    if sex := _first(people, "sex"):
        found["gender"] = sex
    if born := _first(people, "birth_date"):
        found["birthDate"] = born
    dead = next((f.value for f in gathered.record.facts if (f.kind, f.name) == ("demographic", "deceased")), None)
    if isinstance(dead, bool):
        found["deceasedBoolean"] = dead
    return found


def _told(resource: StoredResource) -> Mapping[str, Any] | None:
    if not resource.key.startswith("Patient"):
        return None
    try:
        return read_json(resource.raw)
    except Unreadable:
        return None


def _name(told: Mapping[str, Any]) -> Resource:
    """Write a name of any version: DSTU2 has several family names."""
    family = " ".join(part for part in items(told.get("family")) if isinstance(part, str) and part.strip())
    given = [part for part in items(told.get("given")) if isinstance(part, str) and part.strip()]
    written = text(told.get("text")).strip()
    return {
        **({"family": family} if family else {}),
        **({"given": given} if given else {}),
        **({"text": written} if written else {}),
    }


def _once(found: list[Resource]) -> list[Resource]:
    return [each for number, each in enumerate(found) if each not in found[:number]]


def _first(people: list[Person], name: str) -> str:
    return next((value for person in people if (value := str(getattr(person, name)))), "")


def _device() -> Resource:
    return {
        "resourceType": "Device",
        "status": "active",
        "deviceName": [{"name": "fhirtwin", "type": "other"}],
        "version": [{"value": __version__}],
    }


def _came(gathered: Gathered) -> Mapping[tuple[str, str], tuple[datetime, str]]:
    """Say when the current version of each resource came, and which bytes it is."""
    return {
        (resource.source, resource.key): (version.created, resource.sha256)
        for versions in gathered.versions.values()
        for version in versions
        for resource in version.resources
        if not resource.ended
    }


def _provenance(
    home: Home, origin: Origin, facts: list[Fact], targets: list[str], when: datetime, sha256: str, ours: str
) -> Resource:
    """Write from where facts are: who told them, when they came, which bytes it was, by which rules it was read."""
    what: Resource = {"display": f"{origin.source}: {origin.type}"}
    if sha256:
        what["identifier"] = {"system": _SHA256, "value": sha256}
    if (reference := audit_reference(home, origin)).startswith(("http://", "https://")):
        what["reference"] = reference
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": instant(when),
        "policy": sorted({f"urn:fhirtwin:mapping:{fact.mapping.replace(' ', '-')}" for fact in facts}),
        "agent": [
            {"type": _participant("author"), "who": {"display": origin.source}},
            {"type": _participant("assembler"), "who": {"reference": ours}},
        ],
        "entity": [{"role": "source", "what": what}],
    }


def _participant(code: str) -> Resource:
    return {"coding": [{"system": _ROLE, "code": code}]}


def _simulated(home: Home, gathered: Gathered, patient: str) -> Entries:
    """Write the kept answers of models, labelled as simulated; forecasts and what-ifs are told in runs.ndjson alone."""
    written: set[str] = set()
    for twin in (gathered.twin, *gathered.along):
        for saved, run in answers_of(home, twin):
            if not run.outputs:
                continue
            named = f"Patient/{gathered.twin}"
            bundle = render(result_of(home, saved, run, run.outputs, ""), "r4", patient=named, sender=_SENDER)
            for entry in bundle["entry"]:
                if entry["fullUrl"] not in written:  # the Device of a model stands for all of its runs
                    written.add(entry["fullUrl"])
                    yield _checked(entry["fullUrl"], _referring(entry["resource"], named, patient))


def _referring(value: Any, before: str, after: str) -> Any:
    """Let references to one name lead to another one."""
    if isinstance(value, dict):
        return {
            key: after if key == "reference" and part == before else _referring(part, before, after)
            for key, part in value.items()
        }
    return [_referring(part, before, after) for part in value] if isinstance(value, list) else value


def _checked(url: str, resource: Resource) -> tuple[str, Resource]:
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except ValidationError as error:
        places = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
        raise NotFhir(
            f"A {resource['resourceType']} of the export is no valid FHIR.", hint="Report it.", detail=places
        ) from error
    return url, resource


def _url(twin: str, part: str) -> str:
    return f"urn:uuid:{uuid5(_NAMES, f'{twin} {part}')}"
