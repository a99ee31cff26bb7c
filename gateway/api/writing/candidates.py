"""Which Patients, among those that a caller sees, somebody may be: nobody else is found, or weighed.

The indexes that lead to them are keyed hashes of the caller's tenant. They name twins; who those are is read from the
Patients as the caller is shown them, so that what is hidden of a person changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

from gateway.api.call import Call
from gateway.api.refusal import Refusal
from gateway.api.shown import Shown
from gateway.api.view import View
from gateway.api.writing.conditions import compiled
from mappers.identity import Person, lookup_tokens, read_person
from mappers.matching import search_keys

__all__ = ["patients_by", "patients_like"]

_MOST: Final = 200


def patients_like(call: Call, view: View, person: Person) -> Iterator[Shown]:
    """Walk the Patients that share something with somebody by which people are looked up."""
    tokens, keys = lookup_tokens(person), search_keys(person)
    if not tokens and not keys:
        return
    caller = view.caller
    found = call.home.store.led_to(tokens, keys, caller.tenant)
    near = sorted(twin for twin in found if view.charts.tenant_of(twin) == caller.tenant and view.grants.reaches(twin))
    for twin in near[:_MOST]:
        yield from view.resources(twin, "Patient", "s")


def patients_by(call: Call, view: View, query: str) -> list[str]:
    """Name the twins, of several the first two, that a search by identifier finds. Raises a `Refusal`: 400, 403."""
    view.demand("s", "Patient")
    answers = compiled("Patient", query, call.base)
    told = [value for name, value in parse_qsl(query) if name == "identifier" and "|" in value and "," not in value]
    if not told:
        raise Refusal(400, "not-supported", "A patient is meant by an identifier with its system.")
    system, _, value = told[0].partition("|")
    person = read_person({"identifier": [{"system": system, "value": value}]}, "")
    return [shown.twin for shown in patients_like(call, view, person) if answers(shown.body)][:2]
