"""`$validate`: whether a resource would be taken, and what of it would be understood. Nothing is stored.

FHIR R4, operation Resource-validate. It is valid by the same checks by which a write is taken, and the warnings are the
reasons of the project's ledger for what would not become a fact.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.reading import TYPES as SHOWN
from gateway.api.refusal import Refusal
from gateway.api.writing.bodies import LARGEST, read_body
from gateway.api.writing.changes import warnings_of
from gateway.api.writing.faults import Unfit
from gateway.api.writing.parameters import parts_of
from gateway.api.writing.taking import TYPES, demand_valid, take
from mappers import map_resource
from mappers.facts import Origin
from mappers.facts import Refusal as NotUnderstood
from mappers.incoming import Issue, outcome_of
from mappers.incoming.profiles import profile_issues
from security.policy import Action

__all__ = ["OFFERS", "validate"]

_TAKEN: Final = {"resource": "resource", "mode": "valueCode", "profile": "valueUri"}
_MODES: Final[dict[str, Action]] = {"create": "c", "update": "u", "profile": "r", "": "r"}
_ANY: Final[tuple[Action, ...]] = ("c", "r", "u", "s")


async def validate(call: Call) -> Reply:
    """Say what is wrong with a resource: 200 with an OperationOutcome, whether anything is or not."""
    type_ = call.path["type"]
    if not any(call.view.grants.may(action, type_) for action in _ANY):
        call.view.demand("r", type_)
    resource, mode, profile = _asked(call, type_)
    if mode not in _MODES:
        raise Refusal(400, "not-supported", "The modes are create, update and profile.")
    issues = await run_in_threadpool(_issues, call, type_, resource, mode, profile)
    return Reply(body=outcome_of(issues))


def _asked(call: Call, type_: str) -> tuple[dict[str, Any], str, str]:
    """Read what is to be validated: the body itself, or Parameters; the rest may stand in the URL."""
    url = dict(call.parameters)
    if url.keys() - {"mode", "profile"} or len(url) < len(call.parameters):
        raise Refusal(400, "not-supported", "There is a parameter that this operation does not take.")
    body = read_body(call.body, largest=LARGEST)
    if body["resourceType"] != "Parameters":
        return body, url.get("mode", ""), url.get("profile", "")
    told = parts_of(body, _TAKEN)
    resource = told.get("resource")
    if not isinstance(resource, dict):
        raise Refusal(400, "required", "There is no resource to validate.")
    mode, profile = told.get("mode", url.get("mode", "")), told.get("profile", url.get("profile", ""))
    if not isinstance(mode, str) or not isinstance(profile, str):
        raise Refusal(400, "value", "mode and profile are texts.")
    return resource, mode, profile


def _issues(call: Call, type_: str, resource: dict[str, Any], mode: str, profile: str) -> list[Issue]:
    if resource.get("resourceType") != type_:
        return [Issue("invalid", "", "The resource is not of the type that the URL names.")]
    if "id" in call.path and resource.get("id") != call.path["id"]:
        return [Issue("invalid", f"{type_}.id", "The resource has the id that the URL names.")]
    try:
        demand_valid(resource)
        if mode in ("create", "update") and type_ in TYPES:
            take(call.view, call.base, resource)
    except Unfit as unfit:
        return [*unfit.issues]
    return [*profile_issues(resource, profile), *_not_understood(call, type_, resource)]


def _not_understood(call: Call, type_: str, resource: dict[str, Any]) -> list[Issue]:
    """Say what would be counted as refused, as a source's is. What it refers to is not looked for."""
    codes = call.home.codes.current()
    outcomes = map_resource(resource, "r4", Origin("api:validate", type_, "new"), {}, codes)
    reasons = dict.fromkeys(each.reason for each in outcomes if isinstance(each, NotUnderstood))
    return warnings_of([each for each in reasons if each != "unused-link"], type_)


_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/Resource-validate"

OFFERS = tuple(
    Offer(
        method="POST",
        path=path,
        interaction="operation",
        answer=validate,
        event="operation",
        types=SHOWN,
        name="validate",
        definition=_DEFINITION,
    )
    for path in ("/{type}/$validate", "/{type}/{id}/$validate")
)
