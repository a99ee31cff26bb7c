"""What the steps of a mapping did to one fact: its code, its unit, its time; told from the fact and the tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mappers.analytes import ANALYTES, step_to
from mappers.concepts import name_of
from mappers.elements import Json
from mappers.facts import Coding, Fact, Quantity
from mappers.systems import current_system
from mappers.translations import Translations
from mappers.units import Step

__all__ = ["CodeStep", "TimeStep", "UnitStep", "code_step", "time_step", "unit_step"]


class CodeStep(msgspec.Struct, frozen=True):
    """From the codes that were told to the one that counts, and to our name.

    `equivalence` says how that code relates to what was told. `row` is the row that translated it, "" where it was told
    itself; `cite` says who says so. `table` is the one that has our name, "" where only the code says what is stated.
    """

    told: tuple[Coding, ...]
    text: str
    code: Coding
    name: str
    equivalence: str
    table: str
    row: str
    cite: str


class UnitStep(msgspec.Struct, frozen=True):
    """From the number that was told to the one that counts: value = told x factor + offset.

    `rule` is "as told", "decimal point" (digits are kept) or "converted" (one digit more than told, at least three).
    """

    told: Quantity
    value: Quantity
    factor: str
    offset: str
    rule: str
    within: str


class TimeStep(msgspec.Struct, frozen=True):
    """From the text of a time to the span of UTC that it may mean; `elements` are those of the raw that tell it."""

    told: str
    precision: str
    earliest: str
    latest: str
    until: str
    elements: tuple[str, ...]


_ANALYTES = {analyte.name: analyte for analyte in ANALYTES}


def code_step(fact: Fact, rows: Translations) -> CodeStep:
    """Say how a fact came to its code and name. `rows` are the translations that hold for its source."""
    told = fact.said or (fact.code,)
    row = cite = ""
    for coding in told:
        current = Coding(current_system(coding.system), coding.code)
        for found in rows.find(fact.origin.source, current):
            if found.to is not None and (found.to.system, found.to.code) == (fact.code.system, fact.code.code):
                row = f"{found.table}: {coding.system}|{coding.code} is {found.relation} {found.to}"
                cite = found.cite
    table = ""
    if fact.name in _ANALYTES and fact.kind == "measurement":
        table = f"analytes: {_ANALYTES[fact.name].title}"
    elif fact.name and name_of(fact.kind, (fact.code,)):
        table = f"concepts: {fact.kind} {fact.name}"
    return CodeStep(told, fact.text, fact.code, fact.name, fact.equivalence, table, row, cite)


def unit_step(fact: Fact) -> UnitStep | None:
    """Say how a number came to its canonical unit; `None` where the value is no number with a unit."""
    value = fact.value
    if not isinstance(value, Quantity):
        return None
    analyte = _ANALYTES.get(fact.name)
    within = f"possible from {analyte.low} to {analyte.high} {analyte.unit.code}" if analyte else ""
    if analyte and analyte.usual != (analyte.low, analyte.high):
        within += f", usual from {analyte.usual[0]} to {analyte.usual[1]}"
    if fact.original is None:
        return UnitStep(value, value, "1", "0", "as told", within)
    step = step_to(analyte, fact.original.unit, "") if analyte else ""
    if not isinstance(step, Step):
        return UnitStep(fact.original, value, "", "", "converted", within)
    rule = "converted" if step.places is None else "as told" if step.places == 0 else "decimal point"
    return UnitStep(fact.original, value, _number(step.slope), _number(step.offset), rule, within)


def _number(exact: Any) -> str:
    """Write a fraction: whole, or with as many digits as tell it."""
    return f"{exact.numerator}" if exact.denominator == 1 else f"{float(exact):.10g}"


def time_step(fact: Fact, raw: Json) -> TimeStep | None:
    """Say how a time was read; `None` where the fact has none. `raw` holds the elements concerned."""
    when = fact.when
    if when is None:
        return None
    return TimeStep(
        when.text,
        when.precision,
        when.earliest.isoformat(),
        when.latest.isoformat(),
        fact.until.text if fact.until else "",
        tuple(dict.fromkeys(_elements(raw, when.text, ""))),
    )


def _elements(value: Any, told: str, path: str) -> Iterator[str]:
    """Find where a text stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _elements(inner, told, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _elements(inner, told, f"{path}[{number}]")
    elif value == told:
        yield path
