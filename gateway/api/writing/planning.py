"""What a write would do, as things stand: asked before it is answered, and again in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.api.call import Call
from gateway.api.refusal import Refusal
from gateway.api.shown import Shown
from gateway.api.view import View, not_found
from gateway.api.writing.changes import Change, encoded
from gateway.api.writing.conditions import found_by, versions_of
from gateway.api.writing.faults import Unfit
from gateway.api.writing.origins import Origin, id_of, naming_of, origin_of
from gateway.api.writing.taking import Fresh, Taken, subject_of, take
from gateway.written import Written
from mappers.incoming import Issue
from mappers.shown.showing import REASONS as SHOWN_REASONS
from mappers.shown.showing import Withheld, show

__all__ = ["changing", "creating", "putting", "there"]

_SOME_TIME: Final = "2000-01-01T00:00:00Z"
_NOT_SHOWN: Final = "This is kept, and left out of what is shown."
_NOT_ALLOWED: Final = "The access token, or the patient's consent, does not allow this resource to be written."


def creating(
    call: Call,
    view: View,
    resource: Mapping[str, Any],
    origin: Origin,
    *,
    condition: str = "",
    fresh: Mapping[str, Fresh] | None = None,
) -> Change:
    """Plan to create a resource, or with a condition to find it. Raises a `Refusal`: 400, 403, 412, 422."""
    type_ = str(resource["resourceType"])
    view.demand("c", type_)
    if condition:
        view.demand("s", type_)
    taken = take(view, call.base, resource, fresh=fresh or {})
    if condition:
        found = found_by(view, taken.twin, type_, condition, call.base)
        if len(found) > 1:
            raise _several()
        if found:
            return Change("c", type_, found[0].id, taken.twin, found[0].version, None, found[0])
    if not view.may_write("c", type_, taken.body, taken.twin):
        raise Refusal(403, "forbidden", _NOT_ALLOWED)
    written, lost = _written(call, origin, taken)
    return Change("c", type_, id_of(call.home, origin, type_, taken.twin), taken.twin, 1, written, lost=lost)


def changing(
    call: Call,
    view: View,
    resource: Mapping[str, Any],
    id_: str,
    *,
    if_match: str,
    must_match: bool = True,
    fresh: Mapping[str, Fresh] | None = None,
) -> Change:
    """Plan to change a resource. Raises a `Refusal`: 400, 403, 404, 412, 422, 428."""
    type_ = str(resource["resourceType"])
    view.demand("u", type_)
    if resource.get("id") != id_:
        raise Unfit(400, [Issue("invalid", f"{type_}.id", "The resource has the id that the URL names.")])
    versions = versions_of(if_match) if must_match or if_match else None
    before = there(view, type_, id_)
    origin = origin_of(call.home, type_, id_, call.now)
    if origin is None:
        raise Refusal(403, "forbidden", "This resource is an EHR's: it is changed there, and not here.")
    if versions is not None and str(before.version) not in versions:
        raise Refusal(412, "conflict", "Somebody changed this resource since the version that you name.")
    taken = take(view, call.base, resource, before=before.body, fresh=fresh or {})
    if taken.twin != before.twin:
        raise Unfit(422, [Issue("business-rule", type_, "A resource stays with the patient whom it is about.")])
    after = {**taken.body, "id": id_}
    if not (view.may_write("u", type_, before.body, before.twin) and view.may_write("u", type_, after, taken.twin)):
        raise Refusal(403, "forbidden", _NOT_ALLOWED)
    written, lost = _written(call, origin, taken)
    held = call.home.store.held(taken.twin, origin.source, [written.key]).get(written.key)
    if held is not None and held.raw == written.raw:
        return Change("u", type_, id_, taken.twin, before.version, None, before)
    return Change("u", type_, id_, taken.twin, before.version + 1, written, before, lost)


def putting(
    call: Call,
    view: View,
    resource: Mapping[str, Any],
    origin: Origin,
    *,
    condition: str,
    if_match: str,
    fresh: Mapping[str, Fresh] | None = None,
) -> Change:
    """Plan to change the one resource that a condition finds, or to create it where it finds none."""
    type_ = str(resource["resourceType"])
    view.demand("u", type_)
    view.demand("s", type_)
    twin = subject_of(resource, call.base)
    found = found_by(view, twin, type_, condition, call.base) if twin else []
    if len(found) > 1:
        raise _several()
    if found:
        named = {**resource, "id": resource.get("id", found[0].id)}
        return changing(call, view, named, found[0].id, if_match=if_match, must_match=False, fresh=fresh)
    if "id" in resource:
        raise Unfit(400, [Issue("invalid", f"{type_}.id", "Ids are given here; nothing is found to be changed.")])
    if if_match:
        raise Refusal(412, "conflict", "Nothing is found whose version that could be.")
    return creating(call, view, resource, origin, fresh=fresh)


def there(view: View, type_: str, id_: str) -> Shown:
    """Find what is to be changed, among what may be, or may be seen. Raises a `Refusal` with 404 for all else."""
    twin = view.charts.twin_of(type_, id_)
    if not twin:
        raise not_found()
    try:
        return view.get(type_, id_)
    except Refusal:  # who may only write sees what they may change
        found = next((each for each in view.resources(twin, type_, "u") if each.id == id_), None)
        if found is None:
            raise
        return found


def _written(call: Call, origin: Origin, taken: Taken) -> tuple[Written, tuple[Issue, ...]]:
    """Write it as it is kept. Raises `Unfit` for what could not be shown then: what is taken is there to be read."""
    written = Written(origin.source, taken.twin, taken.type, origin.name, encoded(taken.body, origin.name))
    made = show(written.raw, "r4", naming_of(call.home, origin, taken.twin), written.key, number=1, updated=_SOME_TIME)
    if isinstance(made, Withheld):
        raise Unfit(422, [Issue("business-rule", _at(taken.type, made.path), SHOWN_REASONS[made.reason])])
    lost = (Issue("informational", _at(taken.type, each.path), _NOT_SHOWN, "information") for each in made.lost)
    return written, tuple(lost)


def _at(type_: str, path: str) -> str:
    return f"{type_}.{path}" if path else type_


def _several() -> Refusal:
    return Refusal(412, "multiple-matches", "More than one resource answers the condition.")
