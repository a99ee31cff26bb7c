"""$everything (FHIR R4, Patient/$everything): all of a patient that the caller sees, page by page.

Pages go by type and id behind the last one, so that what is written meanwhile neither repeats nor drops anything. What
belongs to nobody and is referred to (Practitioner, Organization, Medication ...) comes behind it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Reply
from gateway.api.operations.begin import answer_or_begin
from gateway.api.operations.definition import Declared, Parameter, offers_of
from gateway.api.operations.told import Told, read_moment, read_told
from gateway.api.reading import TYPES
from gateway.api.refusal import Refusal
from gateway.api.shown import Shown
from mappers.search import Test, compile_query, find_parameter
from security.errors import Sealed
from security.vault import Place

__all__ = ["EVERYTHING", "OFFERS", "everything"]

_COUNT: Final = 200
_MOST: Final = 1000
_LONGEST: Final = 8_192
_ROUNDS: Final = 3
_PAGE: Final = "_page"
_DATE: Final = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
_NAME: Final = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)
_REFERENCE: Final = re.compile(rb'"reference":\s*"([A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64})')
_DATES: Final = ("date", "onset-date", "authoredon", "effective-time", "whenprepared", "started", "period", "authored")
"""The search parameters by which a resource has a date of care; the first that a type has."""

EVERYTHING: Final = Declared(
    code="everything",
    name="Everything",
    title="All of a patient",
    published="http://hl7.org/fhir/OperationDefinition/Patient-everything",
    says="Returns all that the caller may see of a patient, and what it refers to that belongs to nobody, in pages.",
    comment="A resource without a date of care is in each range of dates.",
    parameters=(
        Parameter(name="start", type="date", says="The first day of care."),
        Parameter(name="end", type="date", says="The last day of care."),
        Parameter(name="_since", type="instant", says="Only what came or changed after this time."),
        Parameter(name="_type", type="code", most="*", says="Only these types."),
        Parameter(name="_count", type="integer", says=f"How many a page has; by default {_COUNT}, at most {_MOST}."),
        Parameter(name="return", use="out", type="Bundle", least=1, says="A searchset."),
    ),
    by_get=True,
)


async def everything(call: Call) -> Reply:
    """Answer it, at once or as a job."""

    async def answer(call: Call) -> Reply:
        return await run_in_threadpool(_page, call)

    return await answer_or_begin(call, EVERYTHING.code, answer)


def _page(call: Call) -> Reply:
    pairs, after = [(name, value) for name, value in call.parameters if name != _PAGE], ("", "", "")
    token = next((value for name, value in call.parameters if name == _PAGE), None)
    if token is not None:
        if pairs or call.body:
            raise Refusal(400, "invalid", "The link to the next page is used as it is.")
        pairs, after = _read_token(call, token)
        told = Told({name: [value for known, value in pairs if known == name] for name, _ in pairs})
    else:
        told = read_told(call, EVERYTHING.known)
        pairs = [(name, value) for name in EVERYTHING.known for value in _values(told, name)]
    count, types = told.count("_count", _COUNT, _MOST), _types(told)
    tests = {type_: _test(type_, told) for type_ in types}
    call.view.demand("r", "Patient")
    patient = call.view.get("Patient", call.path["id"])
    found = _found(call, patient, types, tests, told)
    rest = [each for each in found if _order(each, patient) > after]
    shown, more = rest[:count], len(rest) > count
    links = [{"relation": "self", "url": _url(call, pairs)}]
    if more:
        links.append(
            {"relation": "next", "url": _url(call, [(_PAGE, _token(call, pairs, _order(shown[-1], patient)))])}
        )
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links}
    if shown:
        bundle["entry"] = [
            {
                "fullUrl": f"{call.base}/{each.reference}",
                "resource": msgspec.Raw(each.raw),
                "search": {"mode": "match" if each.twin else "include"},
            }
            for each in shown
        ]
    touched: dict[str, list[str]] = {patient.twin: []}
    for each in shown:
        touched.setdefault(each.twin, []).append(each.reference)
    return Reply(body=msgspec.json.encode(bundle), found=touched, patient=patient.twin)


def _found(
    call: Call, patient: Shown, types: Iterable[str], tests: Mapping[str, Test | None], told: Told
) -> list[Shown]:
    since = read_moment("_since", told.text("_since")) if "_since" in told else None
    wanted, mine = frozenset(types), []
    for type_ in wanted:
        test = tests[type_]
        for each in call.view.resources(patient.twin, type_, "r"):
            if (since is None or each.updated > since) and (test is None or test(each.body)):
                mine.append(each)
    shared = [each for each in _referred(call, mine) if each.type in wanted and (since is None or each.updated > since)]
    return sorted([*mine, *shared], key=lambda each: _order(each, patient))


def _referred(call: Call, mine: Iterable[Shown]) -> list[Shown]:
    """Follow references to what belongs to nobody, and through that."""
    found: dict[str, Shown] = {}
    fresh = {each for shown in mine for each in _references(shown)}
    for _ in range(_ROUNDS):
        seen = []
        for reference in fresh - found.keys():
            type_, _, id_ = reference.partition("/")
            if type_ in ("Patient", "Group") or call.view.charts.twin_of(type_, id_):
                continue
            try:
                seen.append(call.view.get(type_, id_))
            except Refusal:  # it may not be seen, or is not there: that is the same
                continue
        found |= {each.reference: each for each in seen}
        fresh = {each for shown in seen for each in _references(shown)}
    return [*found.values()]


def _references(shown: Shown) -> set[str]:
    return {each.decode() for each in _REFERENCE.findall(shown.raw)}


def _types(told: Told) -> tuple[str, ...]:
    asked = [part.strip() for each in told.texts("_type") for part in each.split(",")]
    if any(not _NAME.fullmatch(each) or each not in TYPES for each in asked):
        raise Refusal(400, "not-supported", "One of the types is none that we have.")
    return tuple(dict.fromkeys(asked)) or TYPES


def _test(type_: str, told: Told) -> Test | None:
    """Test whether a resource is of the range of dates; `None` where there is none, or the type has no such date."""
    bounds = []
    for name, prefix in (("start", "ge"), ("end", "le")):
        if name in told:
            if not _DATE.fullmatch(told.text(name)):
                raise Refusal(400, "value", f"The parameter {name} is a date.")
            bounds.append(f"{prefix}{told.text(name)}")
    date = next((each for each in _DATES if find_parameter(type_, each) is not None), None)
    if not bounds or date is None or type_ == "Patient":
        return None
    try:
        inside = compile_query(type_, "&".join(f"{date}={each}" for each in bounds))
        undated = compile_query(type_, f"{date}:missing=true")
    except ValueError as error:
        raise Refusal(400, "value", "The dates cannot be read.") from error
    return lambda resource: undated(resource) or inside(resource)


def _order(each: Shown, patient: Shown) -> tuple[str, str, str]:
    """Put the Patient first, then the patient's, then what belongs to nobody; by type and id."""
    place = "0" if each.reference == patient.reference else "1" if each.twin else "2"
    return place, each.type, each.id


def _values(told: Told, name: str) -> list[str]:
    if name not in told:
        return []
    return [str(told.count("_count", _COUNT, _MOST))] if name == "_count" else told.texts(name)


def _url(call: Call, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode([*pairs])
    return f"{call.base}/Patient/{call.path['id']}/$everything{'?' if query else ''}{query}"


def _place(call: Call) -> Place:
    """Bind a token to who asks and about whom: another one cannot use it."""
    caller = call.view.caller
    who = (caller.token.issuer, caller.tenant, caller.client, caller.user, caller.patient)
    return Place("page", " ".join(who), call.path["id"])


def _token(call: Call, pairs: list[tuple[str, str]], after: tuple[str, str, str]) -> str:
    content = msgspec.json.encode((pairs, after))
    [sealed] = call.home.store.seal_parcels([("", content, _place(call))])
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _read_token(call: Call, token: str) -> tuple[list[tuple[str, str]], tuple[str, str, str]]:
    try:
        if len(token) > _LONGEST:
            raise ValueError("too long")
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        [plain] = call.home.store.open_parcels([("", sealed, _place(call))])
        return msgspec.json.decode(plain or b"", type=tuple[list[tuple[str, str]], tuple[str, str, str]])
    except (Sealed, ValueError, binascii.Error) as error:
        raise Refusal(404, "not-found", "There is no such page: ask anew.") from error


OFFERS = offers_of(EVERYTHING, everything)
