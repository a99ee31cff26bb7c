"""The parameters of an operation, from a URL or from a Parameters resource, as one list that is read strictly.

What an operation does not know is refused; so is a value of another type than its definition says, a second value where
one may stand, and a resource where there is none to be. Texts repeat nothing of what was sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from gateway.api.call import Call
from gateway.api.refusal import Refusal

__all__ = ["Told", "read_moment", "read_told"]

_MOST: Final = 2000
_DEEPEST: Final = 2
_LONGEST: Final = 64 * 1024
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class Told:
    """What was told, by name, in order. Each verb raises a `Refusal` with 400 for what it cannot be."""

    def __init__(self, values: Mapping[str, Sequence[Any]]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def texts(self, name: str) -> list[str]:
        """Return all values of a parameter that are texts."""
        return [_text(name, value) for value in self._values.get(name, ())]

    def text(self, name: str, default: str = "") -> str:
        """Return the one text."""
        found = self._one(name)
        return default if found is None else _text(name, found)

    def demanded(self, name: str) -> str:
        """Return the one text, which has to be there."""
        if name not in self._values:
            raise Refusal(400, "required", f"The parameter {name} is missing.")
        return self.text(name)

    def flag(self, name: str) -> bool:
        """Return whether it is told to be true."""
        found = self._one(name)
        if found is None or found in (False, "false"):
            return False
        if found in (True, "true"):
            return True
        raise _wrong(name, "true or false")

    def count(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 on."""
        found = self._one(name)
        if found is None:
            return default
        if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 10:
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= most:
            raise _wrong(name, f"a whole number from 1 to {most}")
        return found

    def moment(self, name: str) -> datetime | None:
        """Return an instant, with its zone."""
        found = self._one(name)
        return None if found is None else read_moment(name, _text(name, found))

    def parts(self, name: str, known: Collection[str]) -> list[Told]:
        """Return the parameters that have parts, each with what these say; `known` names the parts that there are."""
        found = self._values.get(name, ())
        if not all(isinstance(each, Told) for each in found):
            raise _wrong(name, "a parameter with parts")
        if any(part not in known for each in found for part in each._values):
            raise Refusal(400, "not-supported", f"The parameter {name} has no such part.")
        return [*found]

    def references(self, name: str) -> list[str]:
        """Return the references of a parameter."""
        told = []
        for value in self._values.get(name, ()):
            reference = value.get("reference") if isinstance(value, Mapping) else value
            told.append(_text(name, reference))
        return told

    def _one(self, name: str) -> Any:
        found = self._values.get(name, ())
        if len(found) > 1:
            raise Refusal(400, "invalid", f"The parameter {name} stands here once.")
        return found[0] if found else None


def read_told(call: Call, known: Mapping[str, str], *, lenient: bool = False) -> Told:
    """Read what a call was told; `known` names each parameter that the operation takes, with its FHIR type.

    Raises a `Refusal` with 400 for another one, unless `lenient`, and for a body that is no Parameters.
    """
    told: dict[str, list[Any]] = {}
    for name, value in (*call.parameters, *_of_body(call)):
        if name in known:
            told.setdefault(name, []).append(value)
        elif not lenient:
            raise Refusal(400, "not-supported", "This operation takes no such parameter.")
    return Told(told)


def read_moment(name: str, text: str) -> datetime:
    """Read an instant. A date alone is none: nobody knows in which zone its midnight is."""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))  # a "+" that nobody escaped in a URL
        if found.tzinfo is not None and len(text) > len("2026-01-01"):
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _wrong(name, "an instant with its zone")


def _of_body(call: Call) -> list[tuple[str, Any]]:
    if not call.body:
        return []
    if len(call.body) > 1 << 20:
        raise Refusal(413, "too-long", "The parameters are too large.")
    try:
        body = _decode(call.body)
    except (msgspec.DecodeError, ArithmeticError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, "structure", "The body is no JSON that we can read.") from error
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise Refusal(400, "structure", "The body of an operation is a Parameters resource.")
    return _pairs(body.get("parameter", []), 0)


def _pairs(found: Any, depth: int) -> list[tuple[str, Any]]:
    if not isinstance(found, list) or len(found) > _MOST or depth > _DEEPEST:
        raise Refusal(400, "structure", "The Parameters resource is not built as FHIR says.")
    return [_parameter(each, depth) for each in found]


def _parameter(each: Any, depth: int) -> tuple[str, Any]:
    if not isinstance(each, dict) or not isinstance(each.get("name"), str):
        raise Refusal(400, "structure", "The Parameters resource is not built as FHIR says.")
    values = [name for name in each if name.startswith("value") or name in ("resource", "part")]
    if len(values) != 1:
        raise Refusal(400, "structure", "A parameter has one value, one resource or parts.")
    if values[0] == "part":
        pairs = _pairs(each["part"], depth + 1)
        parts: dict[str, list[Any]] = {}
        for name, value in pairs:
            parts.setdefault(name, []).append(value)
        return each["name"], Told(parts)
    return each["name"], each[values[0]]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > _LONGEST or "\x00" in value:
        raise _wrong(name, "a text")
    return value


def _wrong(name: str, wanted: str) -> Refusal:
    return Refusal(400, "value", f"The parameter {name} is {wanted}.")
