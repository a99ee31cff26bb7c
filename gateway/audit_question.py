"""What a person at the terminal asks of the audit log: words and short ids in, criteria out, and the text to record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from gateway.home import Home
from gateway.told_dates import read_span
from security.audit.search import Aspect, Criterion, Span
from security.errors import Misuse, UnknownName

__all__ = ["Question", "ask"]

_OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "success": ("0",),
    "minor": ("4",),
    "serious": ("8",),
    "major": ("12",),
    "failure": ("4", "8", "12"),
}
"""Words for R4 audit-event-outcome; its codes are taken as they are."""
_WHOLE = 32  # digits of a twin's id


@dataclass(frozen=True, slots=True)
class Question:
    """Criteria and span of a search, the one twin that it is about (else ""), and what of it is recorded."""

    criteria: tuple[Criterion, ...]
    span: Span
    patient: str
    text: bytes


def ask(
    home: Home,
    *,
    patient: str = "",
    actor: str = "",
    purpose: str = "",
    outcome: str = "",
    what: str = "",
    entity: str = "",
    source: str = "",
    request_id: str = "",
    since: str = "",
    until: str = "",
) -> Question:
    """Understand what was asked; values separated by commas are alternatives. Raises `Misuse` for what cannot be meant.

    A patient is a twin's id or the beginning of it (an erased twin's whole id), or a source and its reference:
    "north/Patient/12".
    """
    twins = tuple(_twin(home, each) for each in _split(patient))
    told: dict[Aspect, tuple[str, ...]] = {
        "patient": twins,
        "actor": _split(actor),
        "purpose": tuple(each.upper() for each in _split(purpose)),
        "outcome": tuple(code for each in _split(outcome) for code in _outcome(each)),
        "what": _split(what),
        "entity": _split(entity),
        "agent": _split(source),
        "request": _split(request_id),
    }
    begin, end = (_span(name, text) for name, text in (("--since", since), ("--until", until)))
    told = {aspect: values for aspect, values in told.items() if values}
    query: list[tuple[str, str]] = [(aspect, ",".join(values)) for aspect, values in told.items()]
    query += [("date", f"{sign}{text}") for sign, text in (("ge", since), ("le", until)) if text]
    return Question(
        tuple(Criterion(aspect, values) for aspect, values in told.items()),
        Span(begin.since, end.until),
        twins[0] if len(twins) == 1 else "",
        f"AuditEvent?{urlencode(query, safe=':/,')}".encode(),
    )


def _split(told: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in told.split(",") if each.strip())


def _twin(home: Home, told: str) -> str:
    source, slash, reference = told.partition("/")
    if slash and reference.startswith("Patient/"):
        home.must_know(source)
        return _linked(home, source, reference)
    plain = told.removeprefix("Patient/")
    try:
        return home.store.find_twin(plain)
    except UnknownName:
        if len(plain) < _WHOLE:
            raise
        return plain  # erased, or never here: what was done about it is still on record


def _linked(home: Home, source: str, reference: str) -> str:
    twin = home.store.twin_of(source, reference)
    if twin is None:
        raise Misuse("This source has no patient of that reference, as far as we know.", hint="Say a twin's id.")
    return twin


def _outcome(told: str) -> Iterator[str]:
    if told not in _OUTCOMES and told not in ("0", "4", "8", "12"):
        raise UnknownName("outcome", told, [*_OUTCOMES, "0", "4", "8", "12"])
    yield from _OUTCOMES.get(told, (told,))


def _span(name: str, text: str) -> Span:
    if not text:
        return Span()
    try:
        return read_span(text)
    except ValueError as error:
        raise Misuse(f"{name} takes a date or a time, such as 2026-11-29 or 2026-11-29T21:05Z.") from error
