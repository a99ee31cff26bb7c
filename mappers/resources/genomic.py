"""Genomics: variants, diplotypes, haplotypes and what they imply, out of the Observations of HL7's Genomics Reporting.

A variant is one fact: its code says which, its value whether it is there. Of one that is not, nothing else is a fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from mappers.codes import SYSTEM, Concept, expand
from mappers.elements import Json, number, objects, text
from mappers.facts import Coding, Fact, Outcome, Refusal
from mappers.resources.sheet import MAPPING, Sheet, Span
from mappers.rows import read_table

__all__ = ["Finding", "as_genomic", "finding_of"]

_TABLE: Final[Mapping[str, Any]] = read_table("genomics")


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What an Observation of genomics is about, as in `tables/genomics.toml`."""

    name: str
    identity: tuple[str, ...] = ()
    presence: bool = False


_FINDINGS: Final = {
    expand(code): Finding(row["name"], tuple(row.get("identity", ())), row.get("presence", False))
    for row in _TABLE["finding"]
    for code in row["codes"]
}
_PARTS: Final = {expand(code): row for row in _TABLE["part"] for code in row["codes"]}
_GENES: Final = {str(number_): symbol for symbol, number_ in _TABLE["genes"].items()}
_PRESENT: Final = expand(_TABLE["present"])


@lru_cache(maxsize=8192)
def finding_of(told: Concept) -> Finding | None:
    """Say what an Observation of this code finds, `None` where it is not about genes."""
    return next((found for c in told.codings if (found := _FINDINGS.get((c.system, c.code)))), None)


def as_genomic(
    outcomes: Iterable[Outcome], sheet: Sheet, finding: Finding, status: str, span: Span
) -> Iterator[Outcome]:
    """Turn what was read of such an Observation into facts of the kind "genomic".

    Gene and identity are told by the finding itself; where it has no answer of its own (an implication, a region that
    was studied), each component is a fact.
    """
    parts = _parts(sheet)
    made = [_coordinates(each, sheet, parts, status, span) for each in outcomes]
    main = next((each for each in made if isinstance(each, Fact) and each.origin.path == sheet.origin.path), None)
    if finding.presence and main is None:
        told = [each for each in made if isinstance(each, Refusal) and each.origin.path == sheet.origin.path]
        yield told[0] if told else sheet.refuse("no-value")
        return
    is_absent = finding.presence and not (
        main and isinstance(main.value, Coding) and (main.value.system, main.value.code) == _PRESENT
    )
    folded = {"gene", *finding.identity} if main else set()
    whole = _main(main, sheet, finding, parts) if main else None
    for each in made:
        if whole and each is main:
            yield whole
        elif not isinstance(each, Fact):
            yield each
        elif (name := parts.get(each.origin.path, ("", {}))[0]) not in folded and not is_absent:
            words = each.text or _medicines(parts, name) or (whole.text if whole else "")
            yield msgspec.structs.replace(each, kind="genomic", name=name, text=words)


def _parts(sheet: Sheet) -> dict[str, tuple[str, Json]]:
    """Say of each component, by its place, what it is called in our table, and what stands there."""
    found = {}
    for index, component in enumerate(objects(sheet.body.get("component"))):
        codes = sheet.codes.read(component.get("code")).codings
        row = next((row for c in codes if (row := _PARTS.get((c.system, c.code)))), None)
        if row:
            found[sheet.at(f"component[{index}]").path] = (row["name"], component)
    return found


def _main(main: Fact, sheet: Sheet, finding: Finding, parts: Mapping[str, tuple[str, Json]]) -> Fact:
    told = [(name, sheet.codes.read(part.get("valueCodeableConcept"))) for name, part in parts.values()]
    genes = list(dict.fromkeys(symbol for name, told_ in told if name == "gene" for symbol in _symbols(told_)))
    numbered = list(dict.fromkeys(known for name, t in told if name == "gene" for known in _known(t)))
    which = [c for wanted in finding.identity for name, t in told if name == wanted for c in t.codings if c.system]
    words = [c.display or c.code for c in which[:1]] or [
        t.text for wanted in finding.identity for name, t in told if name == wanted and t.text
    ][:1]
    name = f"{numbered[0].lower()}-{finding.name}" if len(numbered) == 1 == len(genes) else finding.name
    said = tuple(c for name_, t in told if name_ == "gene" or name_ in finding.identity for c in t.codings)
    return msgspec.structs.replace(
        main,
        kind="genomic",
        name=name,
        code=which[0] if which else main.code,
        said=tuple(dict.fromkeys((*(main.said or (main.code,)), *said))),
        text=" ".join([*genes, *words]) or main.text,
    )


def _known(told: Concept) -> Iterator[str]:
    """List the symbols of the genes of our table, by their numbers."""
    for coding in told.codings:
        if coding.system == SYSTEM["hgnc"] and (symbol := _GENES.get(coding.code.removeprefix("HGNC:"))):
            yield symbol


def _symbols(told: Concept) -> Sequence[str]:
    return list(_known(told)) or [c.display or c.code for c in told.codings[:1]] or ([told.text] if told.text else [])


def _medicines(parts: Mapping[str, tuple[str, Json]], name: str) -> str:
    """Say of an effect on medicines which ones were assessed."""
    if not name.startswith("drug-"):
        return ""
    told = (p.get("valueCodeableConcept") for called, p in parts.values() if called == "medication-assessed")
    words = (
        text(each.get("text")) or next((text(c.get("display")) for c in objects(each.get("coding"))), "")
        for concept in told
        for each in objects(concept)[:1]
    )
    return ", ".join(filter(None, words))


def _coordinates(
    outcome: Outcome, sheet: Sheet, parts: Mapping[str, tuple[str, Json]], status: str, span: Span
) -> Outcome:
    """Read a range of coordinates, which is no range of a measurement: whole numbers, kept as text."""
    if not isinstance(outcome, Refusal) or outcome.reason != "unsupported-value":
        return outcome
    _, part = parts.get(outcome.origin.path, ("", {}))
    codes = sheet.codes.read(part.get("code")).codings
    code = next((c for c in codes if _PARTS.get((c.system, c.code), {}).get("range")), None)
    told = next(iter(objects(part.get("valueRange"))), None)
    if code is None or told is None:
        return outcome
    ends = [number(bound.get("value")) for side in ("low", "high") for bound in objects(told.get(side))[:1]]
    if not ends or any(end is None or end != end.to_integral_value() for end in ends):
        return Refusal("bad-value", outcome.origin)
    value = "..".join(f"{end:f}" for end in ends if end is not None)
    return Fact("genomic", "", code, value, span.when, status, outcome.origin, MAPPING, span.until)
