"""Faults of writing, before anything is kept: what is refused, done late, twice, or otherwise than was asked."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from conformance.hostile import wire
from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Call
from conformance.hostile.problem import Problem, operation_outcome, problem_of

__all__: list[str] = []


def _writes(call: Call) -> bool:
    return call.writes


def _by_name(call: Call) -> bool:
    """Those strike in the middle of a write, where `Rest`, `Interactions` and `process` ask for them by name."""
    return False


def _asked_for(subject: Any, struck: Any) -> bool:
    return True


@fault("write-forbidden", "write", "403 to every write", "39: openemr#14197, athenaFlex#373", fits=_writes)
def write_forbidden(call: Call, struck: Any) -> None:
    raise Problem(403, "forbidden", "Nothing may be written here.")


@fault(
    "write-status",
    "write",
    "a write is not done: a status (value) with an OperationOutcome, no Retry-After",
    "39: openemr#14197; 40: hapi-fhir#1636",
    value="503",
    fits=_writes,
)
def write_status(call: Call, struck: Any) -> None:
    raise problem_of(int(struck.number))


@fault(
    "write-throttled",
    "write",
    "429 to a write, with Retry-After (value: seconds)",
    "14: smart-on-fhir/bulk-data-client#18; interop.md 2a, throttling",
    value="1",
    fits=_writes,
)
def write_throttled(call: Call, struck: Any) -> None:
    raise Problem(429, "throttled", "Too many writes.", {"Retry-After": struck.setting})


@fault(
    "outcome-for-write",
    "write",
    "200 with an OperationOutcome of an error: a write is not done",
    "interop.md 2f: Perfuse, delivery: 200 with an error in the body",
    fits=_writes,
)
def outcome_for_write(call: Call, struck: Any) -> Response:
    body = wire.encode(operation_outcome("processing", "What was sent could not be kept."))
    return Response(body, 200, media_type=call.ehr.version.media_type)


fault(
    "slow-commit",
    "write",
    "hangs up when a write has come in, and does it value seconds later",
    "requirement D10: after a lost answer nobody knows",
    value="2",
    fits=_by_name,
)(_asked_for)
fault(
    "slow-write",
    "write",
    "does a write after value seconds and answers then, whether or not the client is still there",
    "requirement D10: a client that gives up is no reason to stop",
    value="2",
    fits=_by_name,
)(_asked_for)
fault(
    "create-not-atomic",
    "write",
    "a conditional create looks, lets others in for value seconds, then creates: two at a time make two",
    "37: hapi-fhir#3141, microsoft/fhir-server#1382, medplum#4234",
    value="0.05",
    fits=_by_name,
)(_asked_for)
fault("condition-ignored", "write", "creates although If-None-Exist matches", "37: hapi-fhir#3141", fits=_by_name)(
    _asked_for
)
fault(
    "transaction-refused",
    "write",
    "a status (value) to every transaction, which the statement says are taken",
    "40: phdi-azure#130; interop.md 2a: servers rarely advertise correctly (Veradigm)",
    value="400",
    fits=_by_name,
)(_asked_for)
fault(
    "batch-refused",
    "write",
    "a status (value) to every batch, which the statement says are taken",
    "40: phdi-azure#130; interop.md 2a: servers rarely advertise correctly (Veradigm)",
    value="400",
    fits=_by_name,
)(_asked_for)
fault(
    "entry-failed",
    "write",
    "a create in a batch or transaction fails alone (value: status), inside a 200",
    "interop.md 2f: Perfuse, delivery: 200 with an error in the body",
    value="422",
    fits=_by_name,
)(_asked_for)
fault(
    "create-refused",
    "write",
    "a status (value) to a create of a type that the statement says is taken",
    "39: openemr#14197; microsoft/fhir-server#4672",
    value="422",
    fits=_by_name,
)(_asked_for)
fault(
    "update-refused",
    "write",
    "a status (value) to an update, which the statement says is taken",
    "38: openemr#12378; 39: openemr#9076",
    value="405",
    fits=_by_name,
)(_asked_for)
fault(
    "if-match-ignored",
    "write",
    "updates although If-Match names another version",
    "38: microsoft/fhir-server#4647",
    fits=_by_name,
)(_asked_for)
fault(
    "id-replaced",
    "write",
    "a PUT of something new gets an id of the server's own choice",
    "http.html#upsert: a server may refuse ids of the client; iomt-fhir PR 259: hashed ids",
    fits=_by_name,
)(_asked_for)
