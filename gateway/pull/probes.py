"""Learn what a server does by asking it: a few cheap questions, because what it says of itself is rarely right.

A question that fails leaves "unknown" behind. What was learned is kept (`gateway.profiles`), and holds until the
server's statement or its vendor's habits are others, or a month has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from gateway.pull.connection import Connection
from gateway.pull.created import created_dates
from gateway.pull.habits import Vendor, load_habits, vendor_of, with_habits
from gateway.pull.interview import Interview, Pairs
from gateway.pull.metadata import OF_US_CORE, Capability
from gateway.pull.profile import Profile, Slice, Truth
from gateway.pull.questions import questions
from gateway.pull.trials import (
    CATEGORIES,
    NONSENSE,
    ONE,
    can_be_asked,
    counts_rows,
    filters_by_last_updated,
    handles_unknown,
    largest_page,
    needs,
    truth_of,
)

__all__ = ["HOLDS", "learn"]

HOLDS: Final = timedelta(days=30)
"""How long what was learned is believed, where the server says nothing new."""

_MOST = 16  # requests; nine where nothing is refused
_TYPES = 3  # so many types are tried, to find one that can be searched as it is
_HIDDEN = 4  # and so many of ours that a server does not say it searches


async def learn(
    connection: Connection,
    capability: Capability,
    *,
    types: Sequence[str] = (),
    page_size: int = 200,
    vendor: str = "",
    vendors: Mapping[str, Vendor] | None = None,
    kept: Profile | None = None,
    fresh: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Profile:
    """Say what a server can and cannot do: by its vendor's habits, its statement, and a few questions.

    The connection heeds it from then on. What was seen wins over what is said. `kept` is given back where it still
    holds, unless `fresh`. Nothing is raised but `UnknownName`, for a vendor that there is not: what cannot be learned
    is "unknown".

    Parameters
    ----------
    types
        The types that will be asked for, from the settings.
    page_size
        The size of a page that will be asked for.
    vendor
        Whose habits to expect, as told; else found by itself.
    vendors
        All vendors; else ours.
    """
    known = load_habits() if vendors is None else vendors
    whose = vendor_of(known, capability, str(connection.base.url), vendor)
    basis, now = _basis(connection, capability, whose), clock()
    if kept is not None and not fresh and _holds(kept, basis, now):
        connection.heed(kept)
        return kept
    profile = _said(capability)
    if whose is not None:
        profile = with_habits(profile, whose, capability.fhir_version)
        profile = _with(profile, "told" if vendor else "statement", vendor=whose.key)
    connection.heed(profile)
    interview = Interview(connection, most=_MOST, clock=clock)
    profile = await _asked(interview, profile, capability, *questions(capability, types), page_size)
    if profile.last_updated == "no" and not profile.created:
        profile = _with(profile, "fhir", created=created_dates(capability))
    if interview.skew_s is not None:
        profile = _with(profile, "probe", skew_s=interview.skew_s)
    learned = now.isoformat(timespec="seconds") if interview.is_whole else ""
    return msgspec.structs.replace(profile, basis=basis, learned=learned)


def _said(capability: Capability) -> Profile:
    """Take from the statement what may be believed: where exports begin, and what results may claim to be."""
    levels = [
        name
        for name, type_ in (("system", ""), ("patient", "Patient"), ("group", "Group"))
        if capability.offers("export", type_)
    ]
    profile = Profile(software=capability.software)
    if supported := capability.profiles & OF_US_CORE:
        profile = _with(profile, "statement", profiles=tuple(sorted(supported)))
    if levels or any("/bulkdata/" in url for url in capability.instantiates):
        profile = _with(profile, "statement", bulk={"offered": "yes", "levels": tuple(levels)})
    return profile


async def _asked(
    interview: Interview,
    profile: Profile,
    capability: Capability,
    types: Sequence[str],
    absent: Sequence[str],
    page_size: int,
) -> Profile:
    """Put the questions, one after the other, and keep what was seen."""
    alone = [t for t in types if t not in profile.per_patient and "*" not in profile.per_patient]
    first = sorted(alone, key=lambda t: (t != "Patient", t != "Observation"))  # what servers and tokens mostly allow
    tried = [(t, _sliced(profile, t)) for t in first[:_TYPES]]
    type_, params, plain = await can_be_asked(interview, tried)
    if plain is None:
        interview.is_barren = bool(alone)
        return profile
    profile = await _hidden(interview, profile, absent)
    if plain.bundle is not None and plain.bundle.total is None:
        profile = _with(profile, "probe", totals="absent")
    elif profile.totals != "estimate":
        profile = _with(profile, "probe", totals="told")
    nonsense = (*params, *ONE, *NONSENSE)
    if (unknown := handles_unknown(await interview.ask(type_, nonsense))) != "unknown":
        profile = _with(profile, "probe", unknown_parameters=unknown)
    if unknown in ("dropped", "repeated"):
        answer = await interview.ask(type_, nonsense, prefer="handling=strict")
        if answer is not None:
            profile = _with(profile, "probe", strict="yes" if answer.is_refusal else "no")
    filters = await filters_by_last_updated(interview, type_, params, plain, unknown)
    counts = counts_rows(await interview.ask(type_, (*params, ("_summary", "count"))), plain)
    profile = _saw(_saw(profile, "last_updated", filters), "counts", counts)
    if interview.by_post:
        profile = _with(profile, "probe", post_search="yes", longest_url=0)
    else:
        answer = await interview.ask(type_, (*params, *ONE), by_post=True)
        profile = _saw(profile, "post_search", truth_of(answer))
    if filters == "yes" and (largest := await largest_page(interview, type_, params, page_size)):
        profile = _with(profile, "probe", largest_page=largest)
    patient = plain.first_id if type_ == "Patient" else ""
    if "Observation" in alone and "Observation" not in profile.slices:
        profile = await _narrowed(interview, profile, patient)
    if patient and capability.offers("everything", "Patient"):
        answer = await interview.ask(f"Patient/{patient}/$everything", ONE)
        if answer is not None and answer.is_refusal:
            profile = _with(profile, "probe", everything="no")
    return profile


async def _hidden(interview: Interview, profile: Profile, absent: Sequence[str]) -> Profile:
    """Ask for types of ours that the server does not say it searches."""
    for type_ in absent[:_HIDDEN]:
        answer = await interview.ask(type_, (*_sliced(profile, type_), *ONE))
        if answer is not None and answer.bundle is not None:
            profile = _with(profile, "probe", also_searched=(*profile.also_searched, type_))
    return profile


async def _narrowed(interview: Interview, profile: Profile, patient: str) -> Profile:
    """Find out whether Observations, most of a record, want a category or a patient before they are searched."""
    by_post = profile.post_search == "yes"
    by_category, by_patient = await needs(interview, "Observation", patient, by_post=by_post)
    if by_category:
        slices = tuple(Slice((("category", each),)) for each in CATEGORIES)
        profile = _with(profile, "probe", slices={"Observation": slices})
    if by_patient:
        profile = _with(profile, "probe", per_patient=(*profile.per_patient, "Observation"))
    return profile


def _sliced(profile: Profile, type_: str) -> Pairs:
    return profile.slices[type_][0].parameters if profile.slices.get(type_) else ()


def _saw(profile: Profile, name: str, truth: Truth) -> Profile:
    return profile if truth == "unknown" else _with(profile, "probe", **{name: truth})


def _with(profile: Profile, why: str, **changes: Any) -> Profile:
    """Change fields, or parts of them where they have parts, and say why."""
    because = dict(profile.because)
    for name, value in changes.items():
        if not isinstance(value, dict):
            because[name] = why
            continue
        because |= dict.fromkeys((f"{name}.{part}" for part in value), why)
        here = getattr(profile, name)
        changes[name] = {**here, **value} if isinstance(here, dict) else msgspec.structs.replace(here, **value)
    return msgspec.structs.replace(profile, **changes, because=because)


def _basis(connection: Connection, capability: Capability, vendor: Vendor | None) -> str:
    parts = (str(connection.base.url), capability.fhir_version, capability.edition)
    told = vendor.model_dump_json() if vendor else ""
    return sha256("\n".join((*parts, told)).encode()).hexdigest()[:16]


def _holds(kept: Profile, basis: str, now: datetime) -> bool:
    try:
        age = now - datetime.fromisoformat(kept.learned)
    except (ValueError, TypeError):  # nothing was learned, or somebody wrote into the file
        return False
    return kept.basis == basis and timedelta(0) <= age < HOLDS
