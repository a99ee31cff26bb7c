"""What stands on one page of a search: its rows as entries, and what its outcomes say of rows that are not there."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from gateway.pull.asking import codes_in
from gateway.pull.bundle import Bundle, head_of
from gateway.pull.depth import is_deeper
from gateway.pull.increment import as_instant
from gateway.pull.outcome import read_outcome
from gateway.pull.page import Entry, Sign
from gateway.pull.seen import Fingerprint, fingerprint

__all__ = ["Row", "Rows", "read_rows"]

# Warnings that are about what was asked, or about nothing; the rest is about rows (R4 valueset-issue-type.html).
_HARMLESS = frozenset(
    {
        *("informational", "success", "not-supported", "invalid", "value", "code-invalid", "structure", "required"),
        *("invariant", "extension", "business-rule", "duplicate", "unknown"),
    }
)
_HIDDEN = frozenset({"suppressed", "forbidden", "security"})  # "may not contain the entire record" (Epic, code 4119)


class _Meta(msgspec.Struct, frozen=True, gc=False):
    lastUpdated: str = ""  # noqa: N815  FHIR's spelling, here and below


class _Head(msgspec.Struct, frozen=True, gc=False):
    resourceType: str = ""  # noqa: N815
    id: str = ""
    meta: _Meta = _Meta()


_heads = msgspec.json.Decoder(_Head)


class Row(NamedTuple):
    """One resource on a page: its type, its id ("" where it has none), its fingerprint, and when it last changed."""

    type: str
    id: str
    key: Fingerprint
    is_asked: bool
    stamp: str


@dataclass(slots=True)
class Rows:
    """All of a page; `rows` stand beside `entries`. Remarks hold no patient data."""

    entries: list[Entry] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_rows(
    bundle: Bundle, type_: str, place: str, version: str, *, others: Container[str] = (), deepest: int = 100
) -> Rows:
    """Cut the resources out of a page of a search of `type_`; `others` are types that may come as well.

    One that has more levels than `deepest` is too large for its readers.
    """
    found = Rows()
    entries, rows = found.entries, found.rows
    for number, item in enumerate(bundle.entry, 1):
        raw = bytes(item.resource)
        if not raw:
            found.remarks.append(f"{type_}: an entry without a resource came.")
            continue
        head = _head_of(raw)
        kind, id_ = head.resourceType, head.id
        if kind == "OperationOutcome" and type_ != "OperationOutcome":
            found.remarks.append(f"{type_}: the server remarked{codes_in(raw)}.")
            if (sign := _sign_of(raw)) is not None:
                found.signs.append(sign)
            continue
        is_included = item.search.mode == "include"
        is_asked = (kind == type_ or kind in others) and not is_included
        problem = "not-fhir" if not kind else "" if is_asked or is_included else "unexpected-type"
        if kind and is_deeper(raw, deepest):
            problem = "too-large"
        entries.append(Entry(raw, item.fullUrl, f"{place} entry {number}", problem, version))
        key = fingerprint(f"{kind}/{id_}".encode() if id_ else raw)
        stamp = head.meta.lastUpdated
        rows.append(Row(kind, id_, key, is_asked, as_instant(stamp) if stamp else ""))
    return found


def _sign_of(raw: bytes) -> Sign | None:
    """Say what an outcome among the rows means for them: errors leave rows out, warnings may."""
    told = [code.split(" ", 1) for code in read_outcome(raw).codes]
    if any(severity in ("error", "fatal") for severity, _ in told):
        return "outcome-in-set"
    warned = {code for severity, code in told if severity == "warning"} - _HARMLESS
    if warned - _HIDDEN:
        return "outcome-in-set"
    return "narrowed-scope" if warned else None


def _head_of(raw: bytes) -> _Head:
    """Read what is needed of a resource; of one without a type nothing, and no stamp where `meta` is none."""
    try:
        found = _heads.decode(raw)
    except msgspec.ValidationError:
        told = head_of(raw)
        return _Head(told.resourceType, told.id) if told else _Head()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Head()
    return found if found.resourceType else _Head()
