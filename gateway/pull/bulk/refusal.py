"""What a server means by refusing an export: the form, one of the types, a whole parameter, or all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.pull.bulk.order import Form, Left, Order
from gateway.pull.outcome import Outcome
from security.errors import Denied, Fault, Refused

__all__ = ["NO_SUCH_METHOD", "fault_for", "named_parameter", "named_type", "same_method"]

NO_SUCH_METHOD = frozenset({404, 405, 501})
"""What servers say to a kick-off with a method that they do not take; 404 also where there is no export at all."""

_PARAMETERS: Sequence[Left] = ("_typeFilter", "_since", "_type")  # the narrowest first


def named_type(outcome: Outcome, order: Order) -> str:
    """Name the type that a refusal is about; "" where it names none of ours, or is about a filter or an instant.

    Where several are named, it is the first: a list of what the server does export comes behind what it does not.
    "Patient" is a level too, and counts only where nothing else is named.
    """
    if len(order.types) < 2 or named_parameter(outcome, order) in ("_typeFilter", "_since"):
        return ""
    words = [word for word in re.findall(r"[A-Z][A-Za-z]+", outcome.text) if word in order.types]
    return next((word for word in words if word != "Patient"), words[0] if words else "")


def named_parameter(outcome: Outcome, order: Order) -> Left | None:
    """Name the parameter that a refusal is about, `None` where it names none that was said."""
    words = set(re.findall(r"_[A-Za-z]+", outcome.text))
    return next((name for name in _PARAMETERS if name in words and order.has(name)), None)


def same_method(form: Form, other: Form) -> bool:
    """Say whether two forms are said by the same method."""
    return (form == "post") == (other == "post")


def fault_for(status: int, outcome: Outcome, order: Order) -> Fault:
    """Make the fault for a kick-off that nothing more can be done about; codes alone are in its text."""
    said = f" ({', '.join(outcome.codes)})" if outcome.codes else ""
    if status == 403:
        hint = "Ask its operator for the scope; twin doctor tells which."
        return Denied(f"The server does not allow us this export{said}.", hint=hint, detail=outcome.text)
    if status in NO_SUCH_METHOD:
        of = {"system": "all it has", "patient": "all patients", "group": "this group"}[order.level]
        hint = "Set export or group in twin.toml, or pull with --way crawl."
        return Refused(f"The server offers no export of {of}, status {status}{said}.", hint=hint, detail=outcome.text)
    return Refused(
        f"The server refused the export, status {status}{said}.",
        hint="Set types in twin.toml, or pull with --way crawl.",
        detail=outcome.text,
    )
