"""An event of the audit log in words: in one line, and all that it says. Names and references, no content."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from security.audit import kind_of
from security.audit.traits import REQUEST_ID, patient_of

__all__ = ["in_brief", "in_full"]

_NONE: Mapping[str, Any] = {}
_OUTCOMES = {"0": "ok", "4": "minor failure", "8": "serious failure", "12": "major failure"}
_ACTIONS = {"C": "create", "R": "read", "U": "update", "D": "delete", "E": "execute"}
_SHORT = 8  # digits of a twin's id


def in_brief(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Tell an event in one line: recorded, what, who, why, twin, other side, outcome."""
    agents = event.get("agent", ())
    us = _name(event.get("source", _NONE).get("observer", _NONE))
    who = [_name(agent.get("who", _NONE)) for agent in agents if agent.get("requestor")]
    others = [_name(agent.get("who", _NONE)) for agent in agents if not agent.get("requestor")]
    outcome, kind = event.get("outcome", ""), kind_of(event)
    return (
        event.get("recorded", ""),
        kind.name if kind else (_codes(event.get("subtype", ())) or [event.get("type", _NONE).get("code", "")])[0],
        ", ".join(dict.fromkeys(who)),
        ", ".join(code for purpose in event.get("purposeOfEvent", ()) for code in _codes(purpose.get("coding", ()))),
        ", ".join(dict.fromkeys(twin[:_SHORT] for twin in _twins(event))),
        ", ".join(dict.fromkeys(name for name in others if name != us)),
        "ok" if outcome == "0" else f"{outcome} {event.get('outcomeDesc', '')}".strip(),
    )


def in_full(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Tell all parts of an event, each with its name."""
    outcome = event.get("outcome", "")
    kind = [event.get("type", _NONE).get("code", ""), *_codes(event.get("subtype", ()))]
    yield "Recorded", event.get("recorded", "")
    yield "What", f"{' / '.join(kind)} ({_ACTIONS.get(event.get('action', ''), event.get('action', ''))})"
    yield "Outcome", f"{_OUTCOMES.get(outcome, outcome)} {event.get('outcomeDesc', '')}".strip()
    for purpose in event.get("purposeOfEvent", ()):
        yield "Why", ", ".join(_codes(purpose.get("coding", ())))
    for agent in event.get("agent", ()):
        part = ", ".join(_codes(agent.get("type", _NONE).get("coding", ())))
        address = agent.get("network", _NONE).get("address", "")
        said = [_name(agent.get("who", _NONE)), f"at {address}" if address else "", f"as {part}" if part else ""]
        yield "Who" if agent.get("requestor") else "System", " ".join(each for each in said if each)
        if agent.get("policy"):
            yield "By right of", " ".join(agent["policy"])
    for entity in event.get("entity", ()):
        yield from _entity(entity)
    for profile in event.get("meta", _NONE).get("profile", ()):
        yield "Profile", profile


def _entity(entity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    what = entity.get("what", _NONE)
    name = what.get("reference") or _name(what)
    if entity.get("type", _NONE).get("code") == REQUEST_ID:
        yield "X-Request-Id", name
    elif name:
        kind = what.get("identifier", _NONE).get("system", "").rpartition(":")[2]
        yield "About", f"{kind} {name}".strip()
    for detail in entity.get("detail", ()):
        yield f"  {detail.get('type', '')}", str(detail.get("valueString", ""))
    if query := entity.get("query"):
        text = base64.b64decode(query).decode("utf-8", "replace")
        for line in text.splitlines():
            if line.strip():
                yield "Request", "".join(c if c.isprintable() else "?" for c in line)


def _twins(event: Mapping[str, Any]) -> Iterator[str]:
    for entity in event.get("entity", ()):
        if twin := patient_of(entity.get("what", _NONE).get("reference", "")):
            yield twin


def _name(who: Mapping[str, Any]) -> str:
    return str(who.get("identifier", _NONE).get("value", "") or who.get("display", ""))


def _codes(codings: Any) -> list[str]:
    return [coding.get("code", "") for coding in codings]
