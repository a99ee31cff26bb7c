"""What an EHR does not take goes as something that it takes: RiskAssessment, else Observation, else DocumentReference.

Each step down says less to machines and the same to people. What a plan would do is no observation of the patient: it
goes from RiskAssessment to DocumentReference. The model's Device, where it is not taken, stands within each resource;
of a Provenance that is not taken the words stand there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, TypeVar, get_args

import msgspec

from mappers.outbound.attention import Form, choose_form
from mappers.outbound.result import Result
from security.errors import Refused

__all__ = ["DOCUMENT", "RISKS", "VALUES", "Rungs", "StepDown", "choose_rungs", "rungs", "steps"]

Kind = TypeVar("Kind", bound=str)
Rung = Literal["RiskAssessment", "Observation", "DocumentReference"]

DOCUMENT: Final = "DocumentReference"
RISKS: Final[tuple[Rung, ...]] = ("RiskAssessment", "Observation", "DocumentReference")
VALUES: Final[tuple[Rung, ...]] = ("Observation", "DocumentReference")
_OF_A_HYPOTHESIS: Final[tuple[Rung, ...]] = ("RiskAssessment", "DocumentReference")
_HINT: Final = (
    "Its server takes {needed}. Ask its operator to let this client create one of these types, or drop the delivery "
    "(twin outbox drop)."
)


class StepDown(msgspec.Struct, frozen=True):
    """One step: what had to be told ("risks", "provenance"), in what it goes now, and in what it would have gone."""

    what: str
    to: str
    instead_of: str


class Rungs(msgspec.Struct, frozen=True):
    """In what each part of a result goes; "" for risks or values that it has not, or that are not sent.

    `device` and `provenance` say whether they are resources of their own.
    """

    risks: Rung | Literal[""]
    values: Rung | Literal[""]
    form: Form | None
    device: bool
    provenance: bool


def choose_rungs(
    result: Result, takes: Collection[str] | None, *, form: Form | None = None, with_risks: bool = True
) -> Rungs:
    """Choose the highest rung that an EHR takes; `takes` are the types that it takes, `None` where nobody knows: all.

    Raises `Refused` where nothing that it takes can hold a part of the result.
    """
    of_risks = _OF_A_HYPOTHESIS if result.hypothesis else RISKS
    return Rungs(
        risks=_first(of_risks, takes, "risks") if result.risks and with_risks else "",
        values=_first(VALUES, takes, "values") if result.observations else "",
        form=_form(form, takes),
        device=takes is None or "Device" in takes,
        provenance=takes is None or "Provenance" in takes,
    )


def steps(
    result: Result, takes: Collection[str] | None, *, form: Form | None = None, with_risks: bool = True
) -> tuple[StepDown, ...]:
    """List the steps down that `render` takes for an EHR, none where it takes all; raises `Refused` as it does."""
    at = choose_rungs(result, takes, form=form, with_risks=with_risks)
    found = [
        StepDown("hypothesis" if result.hypothesis else "risks", at.risks, RISKS[0]),
        StepDown("values", at.values, VALUES[0]),
        StepDown("warning", at.form or "", form or ""),
        StepDown("device", "Device" if at.device else "contained", "Device"),
        StepDown("provenance", "Provenance" if at.provenance else "words", "Provenance"),
    ]
    return tuple(step for step in found if step.to and step.to != step.instead_of)


def rungs(takes: Collection[str] | None) -> dict[str, str]:
    """Say in what each part of a result would go to an EHR, "" where nothing that it takes can hold that."""
    return {
        "risks": _taken(RISKS, takes),
        "hypothesis": _taken(_OF_A_HYPOTHESIS, takes),
        "values": _taken(VALUES, takes),
        "warning": _taken(get_args(Form), takes),
        "device": _taken(("Device",), takes) or "contained",
        "provenance": _taken(("Provenance",), takes) or "words",
    }


def _taken(types: tuple[Kind, ...], takes: Collection[str] | None) -> Kind | Literal[""]:
    """Return the first of some types that an EHR takes; "" where it takes none."""
    return next((each for each in types if takes is None or each in takes), "")


def _first(types: tuple[Rung, ...], takes: Collection[str] | None, what: str) -> Rung:
    if found := _taken(types, takes):
        return found
    raise _refused(what, types)


def _form(form: Form | None, takes: Collection[str] | None) -> Form | None:
    """Keep the form of a warning, or take the next one that the EHR takes."""
    if form is None or takes is None or form in takes:
        return form
    if (other := choose_form(takes)) is None:
        raise _refused("warning", ("DetectedIssue", "Flag", "Communication"))
    return other


def _refused(what: str, types: Collection[str]) -> Refused:
    needed = f"none of {', '.join(types)}"
    return Refused(f"This EHR takes nothing that can hold the {what} of a result.", hint=_HINT.format(needed=needed))
