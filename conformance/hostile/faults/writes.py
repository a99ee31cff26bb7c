"""Faults of writing."""

from __future__ import annotations

from typing import Any

from conformance.hostile import mishap
from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Call
from conformance.hostile.problem import Problem

__all__: list[str] = []


def _writes(call: Call) -> bool:
    return call.writes


@fault("write-forbidden", "write", "403 to every write", "39: openemr#14197, athenaFlex#373", fits=_writes)
def write_forbidden(call: Call, struck: Any) -> None:
    raise Problem(403, "forbidden", "Nothing may be written here.")


# The two that follow strike in the middle of a write, where `Rest` and `Interactions` ask for them by name.
@fault("lost-answer", "write", "commits, then hangs up without an answer", "requirement D10", fits=lambda call: False)
def lost_answer(call: Call, struck: Any) -> mishap.LostAnswer:
    return mishap.LostAnswer(status_code=0)


@fault(
    "condition-ignored",
    "write",
    "creates although If-None-Exist matches",
    "37: hapi-fhir#3141",
    fits=lambda call: False,
)
def condition_ignored(call: Call, struck: Any) -> bool:
    return True
