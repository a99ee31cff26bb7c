"""`POST Patient/[id]/$break-glass`: opens a record past its consents, for a person with the right who says why.

What consents hide, this opens; what scopes, roles and tenant do not allow, it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gateway.api.call import Call, Pairs, Reply
from gateway.api.operations.definition import Declared, Parameter, offers_of
from gateway.api.operations.told import read_told
from gateway.api.refusal import Refusal
from gateway.api.shown import Charts
from gateway.api.view import not_found
from gateway.break_glass import REASONS, begin, events_of, glass_of, keep
from security.policy import Caller

__all__ = ["BREAK_GLASS", "OFFERS", "break_glass", "glass_of", "twin_asked"]

_LONGEST: Final = 2_000
_PATIENT: Final = frozenset({"patient", "subject"})

BREAK_GLASS: Final = Declared(
    code="break-glass",
    name="BreakGlass",
    title="Open a record in an emergency",
    says=(
        "Lets the person who asks see, with the scopes that they have, what the patient's consents keep from them, for "
        "a short time. It is recorded, all that is done meanwhile is marked, and somebody reviews it."
    ),
    parameters=(
        Parameter(name="reason", type="code", least=1, says=f"One of {', '.join(REASONS)}."),
        Parameter(name="text", type="string", least=1, says="Why, in words; for who reviews it."),
        Parameter(name="return", use="out", type="Parameters", least=1, says="The grant: id, purpose, and until when."),
    ),
    comment=f"{'; '.join(f'{code}: {said}' for code, said in REASONS.items())}.",
)


async def break_glass(call: Call) -> Reply:
    """Give the grant. Raises a `Refusal`: 403 without the right, 404 for who is not theirs, 400 without a reason."""
    caller, view, twin = call.view.caller, call.view, call.path["id"]
    settings = call.home.settings.serve
    view.demand("r", "Patient")
    if not caller.user or not caller.roles & set(settings.break_glass_roles):
        raise Refusal(403, "forbidden", "This person may not open a record past its consents.")
    if view.charts.tenant_of(twin) != caller.tenant or not view.grants.reaches(twin):
        raise not_found()
    if call.parameters:
        raise Refusal(400, "invalid", "Reason and text are sent in the body: a URL is no place for them.")
    told = read_told(call, BREAK_GLASS.known)
    reason, text = told.demanded("reason"), told.demanded("text").strip()
    if reason not in REASONS:
        raise Refusal(400, "code-invalid", f"The reason is one of {', '.join(REASONS)}.")
    if not text or len(text) > _LONGEST:
        raise Refusal(400, "value", "Say why in words, in 2,000 characters at most.")
    glass = begin(caller, twin, reason, text, call.now, settings.break_glass_minutes, settings.break_glass_roles)
    return Reply(
        body={
            "resourceType": "Parameters",
            "parameter": [
                {"name": "id", "valueId": glass.id},
                {"name": "purpose", "valueCode": "BTG"},
                {"name": "until", "valueInstant": glass.until.isoformat(timespec="seconds")},
            ],
        },
        patient=twin,
        events=events_of(glass, call.access),
        done=lambda events: keep(call.home.store, glass, events),
    )


OFFERS = tuple(replace(offer, event="own") for offer in offers_of(BREAK_GLASS, break_glass))


def twin_asked(charts: Charts, caller: Caller, path: Mapping[str, str], parameters: Pairs = ()) -> str:
    """Say which one twin a request is about, for `glass_of`; "" where it is about none, or many.

    It is the one that the path names, else the one patient that a search names, else the one in context of the token.
    """
    type_, id_ = path.get("type", "Patient"), path.get("id", "")
    if id_:
        return charts.twin_of(type_, id_)
    told = {
        value.removeprefix("Patient/")
        for name, value in parameters
        if name.partition(":")[0] in _PATIENT or (name == "_id" and type_ == "Patient")
    }
    if told:
        return charts.twin_of("Patient", told.pop()) if len(told) == 1 else ""
    return caller.patient
