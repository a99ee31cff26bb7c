"""Patient: sex, birth date and death as facts. Names, identifiers and addresses are for `mappers.identity` only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappers.codes import SYSTEM
from mappers.elements import text
from mappers.facts import Coding, Fact, Outcome, Value
from mappers.resources.sheet import MAPPING, Sheet
from mappers.when import When, read_when

__all__ = ["map_patient"]

GENDERS: Final = frozenset({"male", "female", "other", "unknown"})  # FHIR R4 administrative-gender


def map_patient(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the demographic facts of a Patient; one that has none is refused."""
    outcomes = [*_sex(sheet), *_birth(sheet), *_death(sheet)]
    yield from outcomes or [sheet.refuse("no-value")]


def _fact(sheet: Sheet, name: str, element: str, value: Value, when: When | None = None) -> Fact:
    code = Coding("http://hl7.org/fhir/StructureDefinition/Patient", element)
    return Fact("demographic", name, code, value, when, "", sheet.at(element), MAPPING)


def _sex(sheet: Sheet) -> Iterator[Outcome]:
    told = sheet.body.get("gender")
    if told is None:
        return
    if not isinstance(told, str) or told not in GENDERS:
        yield sheet.refuse("bad-value", told, "gender")
    else:
        yield _fact(sheet, "sex", "gender", Coding(SYSTEM["gender"], told))


def _birth(sheet: Sheet) -> Iterator[Outcome]:
    told = sheet.body.get("birthDate")
    if told is None:
        return
    when = read_when(told)
    if when is None:
        yield sheet.refuse("bad-date", told, "birthDate")
    else:
        yield _fact(sheet, "birth-date", "birthDate", text(told), when)


def _death(sheet: Sheet) -> Iterator[Outcome]:
    if (told := sheet.body.get("deceasedDateTime")) is not None:
        when = read_when(told)
        if when is None:
            yield sheet.refuse("bad-date", told, "deceasedDateTime")
        else:
            yield _fact(sheet, "deceased", "deceasedDateTime", True, when)
    elif (answer := sheet.body.get("deceasedBoolean")) is not None:
        if isinstance(answer, bool):
            yield _fact(sheet, "deceased", "deceasedBoolean", answer)
        else:
            yield sheet.refuse("bad-value", answer, "deceasedBoolean")
