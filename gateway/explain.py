"""A fact explains itself: the kept raw is mapped again, step by step. Nothing of it is stored beside the fact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.handles import handle, split_handle
from gateway.home import Home
from gateway.simulation import open_twin
from gateway.store import StoredResource, TwinRecord
from mappers import MAPPING, Unreadable, as_fhir_version, map_resource, read_json, references_of
from mappers.account import CodeStep, TimeStep, UnitStep, code_step, time_step, unit_step
from mappers.concerned import at_place, concerned
from mappers.duplicates import OVERRULED
from mappers.elements import Json, text
from mappers.facts import Fact, Origin, Outcome, Refusal
from mappers.ledger import FLAGS, REASONS
from mappers.versions.convert import version_steps
from security.audit import read_event
from security.errors import UnknownName
from security.reidentification import Reidentify

__all__ = ["Copy", "Explanation", "FactAccount", "VersionChange", "explain"]

_EXPLAINING = Reidentify("show the place of a Patient, as received, that a person asked to have explained")


class Copy(msgspec.Struct, frozen=True):
    """Another place where the same is, or may be, told."""

    handle: str
    source: str
    resource: str
    path: str


class VersionChange(msgspec.Struct, frozen=True):
    """What the way into R4 did to one element."""

    path: str
    what: str
    to: str
    why: str


class FactAccount(msgspec.Struct, frozen=True):
    """How one fact came to be; `fact` is the one that stands for all its copies, and `told` what this place told.

    `holds` says whether the raw, mapped again now, gives the same.
    """

    fact: Fact
    told: Fact
    code: CodeStep
    unit: UnitStep | None
    time: TimeStep | None
    flags: Mapping[str, str]
    also: tuple[Copy, ...]
    may_be: tuple[Copy, ...]
    overruled: str
    overruled_by: Copy | None
    holds: bool


class Explanation(msgspec.Struct, frozen=True):
    """All that is known of one place in a resource; patient data but for the reasons."""

    handle: str
    twin: str | None
    source: str
    resource: str
    path: str
    place: str
    fhir_version: str
    version: str
    mapping: str
    raw: Mapping[str, Any]
    version_steps: tuple[VersionChange, ...]
    facts: tuple[FactAccount, ...]
    refusals: tuple[tuple[Refusal, str], ...]


def explain(home: Home, told: str) -> Explanation:
    """Explain the place that a handle names: its facts, or why there is none. Reading it is recorded.

    Raises `Misuse` for what is no handle, and `UnknownName` where it names nothing that is current.
    """
    owner, digits = split_handle(told)
    if owner in home.store.sources():
        home.store.append_audit([read_event(home.access(what=("Basic/refusals",)))])
        resources: Sequence[StoredResource] = home.store.unlinked(owner)
        record = None
    else:
        record = open_twin(home, owner, leave=_EXPLAINING)
        resources = record.resources
    twin = record.id if record else None
    wanted = f"{twin[:8] if twin else owner}.{digits}"
    for resource in resources:
        for origin in dict.fromkeys(one.origin for one in resource.outcomes):
            if handle(home, twin, origin) == wanted:
                return _explain(home, record, resource, origin, wanted)
    raise UnknownName("fact or refusal", told, ["twin show TWIN and twin refusals list them"])


def _explain(home: Home, record: TwinRecord | None, resource: StoredResource, origin: Origin, name: str) -> Explanation:
    path, version = origin.path, as_fhir_version(resource.fhir_version)
    body = _readable(resource.raw)
    again = _mapper(home, record, resource, origin)
    here = at_place(again(body), path) if body else []
    raw = concerned(body, again, path) if body else {}
    facts = [one for one in resource.facts if one.origin.path == path]
    raw = _with_times(raw, body, facts)
    refusals = [one for one in resource.refusals if one.origin.path == path]
    return Explanation(
        handle=name,
        twin=record.id if record else None,
        source=origin.source,
        resource=origin.resource,
        path=path,
        place=origin.place,
        fhir_version=resource.fhir_version,
        version=origin.version,
        mapping=MAPPING,
        raw=raw,
        version_steps=_changes(body, version, raw) if version else (),
        facts=tuple(_account(home, record, fact, raw, here) for fact in facts),
        refusals=tuple((one, REASONS.get(one.reason, "")) for one in refusals),
    )


def _with_times(raw: dict[str, Any], body: Json, facts: Sequence[Fact]) -> dict[str, Any]:
    """Add the times that two elements tell alike, so that neither is missed when it is left out."""
    times = {when.text for fact in facts for when in (fact.when, fact.until) if when}
    untold = times - {told for told in raw.values() if isinstance(told, str)}
    twice = {element: told for element, told in body.items() if isinstance(told, str) and told in untold}
    return {**raw, **twice}


def _account(
    home: Home, record: TwinRecord | None, told: Fact, raw: Json, again: Sequence[Fact | Refusal]
) -> FactAccount:
    settled = record.settled if record else None
    out = [each for each in settled.overruled if told.origin in each.fact.origins] if settled else []
    stands = [fact for fact in settled.facts if _is_of(fact, told)] if settled else []
    fact = stands[0] if stands else next((each.fact for each in out if _is_of(each.fact, told)), told)
    groups = [group for group in settled.possible if set(fact.origins) & set(group)] if settled else []
    twin = record.id if record else None

    def copy(origin: Origin) -> Copy:
        return Copy(handle(home, twin, origin), origin.source, origin.resource, origin.path)

    rows = home.codes.current().of(told.origin.source).translations
    others = dict.fromkeys(origin for group in groups for origin in group if origin not in fact.origins)
    return FactAccount(
        fact=fact,
        told=told,
        code=code_step(told, rows),
        unit=unit_step(told),
        time=time_step(told, raw),
        flags={flag: FLAGS.get(flag, "") for flag in fact.flags},
        also=tuple(copy(origin) for origin in fact.origins if origin != told.origin),
        may_be=tuple(map(copy, others)),
        overruled=OVERRULED[out[0].reason] if out else "",
        overruled_by=copy(out[0].by) if out else None,
        holds=any(isinstance(one, Fact) and _plain(one) == _plain(told) for one in again),
    )


def _is_of(fact: Fact, told: Fact) -> bool:
    return told.origin in fact.origins and (fact.kind, fact.name) == (told.kind, told.name)


def _plain(fact: Fact) -> Fact:
    """Leave out what the place in a file and the version of the rules say."""
    return msgspec.structs.replace(fact, mapping="", origin=msgspec.structs.replace(fact.origin, place=""))


def _readable(raw: bytes) -> Json:
    try:
        return read_json(raw)
    except Unreadable:
        return {}


def _mapper(
    home: Home, record: TwinRecord | None, resource: StoredResource, origin: Origin
) -> Callable[[Json], Sequence[Outcome]]:
    """Map as it was mapped: by the same version, the codes of this home, and the resources that it refers to."""
    version = as_fhir_version(resource.fhir_version)
    whole = msgspec.structs.replace(origin, path="")
    codes = home.codes.current()
    linked = _linked(home, record, resource)

    def mapped(body: Json) -> Sequence[Outcome]:
        return map_resource(body, version, whole, linked, codes) if version else []

    return mapped


def _linked(home: Home, record: TwinRecord | None, resource: StoredResource) -> dict[str, Json]:
    wanted = references_of(_readable(resource.raw))
    if not wanted:
        return {}
    near = record.resources if record else ()
    known = (one for one in (*near, *home.store.unlinked(resource.source)) if one.source == resource.source)
    found = {}
    for one in known:
        for written in wanted:
            if written in (one.full_url, one.key) or written.endswith(f"/{one.key}"):
                found[written] = _readable(one.raw)
    return found


def _changes(body: Json, version: Any, raw: Json) -> tuple[VersionChange, ...]:
    """List what the way into R4 did to the elements that are concerned."""
    kind = text(body.get("resourceType"))
    places = {f"{kind}.{element}" for element in raw}
    return tuple(
        VersionChange(step.path, step.what, step.to, step.why)
        for step in version_steps(body, version)
        if ".".join(step.path.split(".")[:2]).partition("[")[0] in places
    )
