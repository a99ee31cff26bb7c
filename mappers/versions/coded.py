"""Rows that say in another way what a code says: as a concept, as a word of a status, as a truth, in another unit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

from mappers.codes import SYSTEM, current_system
from mappers.elements import number
from mappers.units import UNITS, find_unit, step_between
from mappers.versions.conversion import Place
from mappers.versions.definitions import is_primitive
from mappers.versions.parts import take
from mappers.versions.row import Row
from mappers.versions.steps import VersionStep, leaves
from mappers.versions.values import Held, write

__all__ = [
    "coding_of",
    "put_adherence",
    "put_concept",
    "put_default",
    "put_flag",
    "put_sampled",
    "put_statuses",
    "put_truth",
]


def put_concept(row: Row, place: Place) -> None:
    """A code in one version is a CodeableConcept or a Coding, of the row's system, in the other."""
    system = SYSTEM.get(row.system, row.system)
    if row.peek:
        for held in place.held.get(row.came, [])[:1]:
            if (word := row.word(held.value)) is not None and not place.has(row.goes):
                place.made[row.goes] = {"coding": [{"system": system, "code": word}]}
        return
    for held in take(place, row.came):
        if is_primitive(held.kind):
            _to_concept(row, place, held, system)
        else:
            _to_code(row, place, held, system)


def _to_concept(row: Row, place: Place, held: Held, system: str) -> None:
    word = row.word(held.value) if row.codes else held.value
    if word is None and place.has(row.said):
        place.conversion.steps.translate(held.path, f"{place.to}.{row.said}", held.value, None)
        return
    coding = {"system": system, "code": word}
    kind = place.conversion.target.parts[place.target][row.goes].types[0]
    inside = ".code" if kind == "Coding" else ".coding[0].code"
    if word is None or not _put_made(
        place, row.goes, held, coding if kind == "Coding" else {"coding": [coding]}, inside
    ):
        place.leave(held, "no-code")


def _to_code(row: Row, place: Place, held: Held, system: str) -> None:
    at = coding_of(held, system)
    code = at[1]["code"] if at else None
    word = row.word(code) or code
    element = place.conversion.target.parts[place.target][row.goes]
    if at is None or (element.codes and word not in element.codes):
        place.leave(held, "no-code")
        return
    used = f"{held.path}{at[0]}.code"
    inner = held._replace(value=word, path=used)
    if place.has(row.goes) and not element.many:
        place.leave(held, "one-only")
        return
    _put_made(place, row.goes, inner, word, "", before=code)
    steps = place.conversion.steps
    for path in leaves(held.value, held.path):
        if path == f"{held.path}{at[0]}.system":
            steps.found.append(VersionStep(path, "moved", "", "implied"))
        elif path != used:
            steps.found.append(VersionStep(path, "lost", "", "no-type"))


def _put_made(place: Place, name: str, held: Held, made: Any, inside: str, before: Any = None) -> bool:
    """Write what was made of a code, and note it; say whether there was room."""
    element = place.conversion.target.parts[place.target][name]
    if place.has(name) and not element.many:
        return False
    to = f"{place.to}.{name}" + (f"[{len(place.made.get(name, ()))}]" if element.many else "") + inside
    word = made if isinstance(made, str) else (made if "code" in made else made["coding"][0])["code"]
    said = held.value if before is None else before
    steps = place.conversion.steps
    if said == word:
        steps.note(held.path, to, "shape")
    else:
        steps.translate(held.path, to, said, word)
    if held.beside is not None:
        steps.lose_beside(held.path, held.beside, "no-type")
    write(place.made, name, made, None, many=element.many)
    return True


def put_flag(row: Row, place: Place) -> None:
    """A truth or a code there (`notGiven`) is a word of R4's status: `codes` has the words; the others say nothing.

    `keep` has the truth kept by an extension as well, as HL7's converter does. Going back, `value` is said where R4's
    word is none of these, since the other version demands one.
    """
    steps, name = place.conversion.steps, row.there
    if not row.up:
        for held in place.held.get(row.r4, [])[:1]:
            said = next((said for said, word in row.codes.items() if word == held.value), None)
            if said is not None:
                place.made[name] = said == "true" if said in ("true", "false") else said
            elif row.value is not None and held.value is not None:
                place.made[name] = row.value
        return
    for held in take(place, row.there):
        said = str(held.value).lower() if isinstance(held.value, bool) else held.value
        word = row.codes.get(said) if isinstance(said, str) else None
        if row.keep:
            place.conversion.extensions.keep(place, held, "no-element", modifies=False)
        elif word is None:
            steps.translate(held.path, "", held.value, None)
        if held.beside is not None and not row.keep:
            steps.lose_beside(held.path, held.beside, "no-type")
        if word is None:
            continue
        to = f"{place.to}.{row.r4}"
        for other in place.take(row.r4):
            steps.found.append(VersionStep(other.path, "translated", to, "implied", other.value, word))
        place.made[row.r4] = word
        if not row.keep:
            steps.translate(held.path, to, held.value, word)


def put_truth(row: Row, place: Place) -> None:
    """A code there is a truth in R4."""
    for held in place.take(row.came):
        said = row.word(str(held.value).lower() if isinstance(held.value, bool) else held.value)
        if said is None:
            place.leave(held, "no-code")
            continue
        made: Any = said == "true" if said in ("true", "false") else said
        place.made[row.goes] = made
        place.conversion.steps.translate(held.path, f"{place.to}.{row.goes}", held.value, made)
        if held.beside is not None:
            place.conversion.steps.lose_beside(held.path, held.beside, "no-type")


def put_default(row: Row, place: Place) -> None:
    """R4 demands what was not told there, and it is always the same."""
    if row.up:
        if not place.has(row.r4) and row.r4 not in place.held and any(place.held.values()):
            place.made[row.r4] = row.value
        return
    if [each.value for each in place.held.get(row.r4, [])] == [row.value]:
        for path in leaves(row.value, place.take(row.r4)[0].path):
            place.conversion.steps.found.append(VersionStep(path, "moved", "", "implied"))


def put_statuses(row: Row, place: Place) -> None:
    """DSTU2's one status of an allergy says what R4 says in two: that it does not hold before how it is going."""
    steps = place.conversion.steps
    told = {}
    for name, system in (("verificationStatus", "allergy-verification"), ("clinicalStatus", "allergy-clinical")):
        for held in place.held.get(name, [])[:1]:
            if at := coding_of(held, SYSTEM[system]):
                told[name] = at[1]["code"]
    verification, clinical = told.get("verificationStatus", ""), told.get("clinicalStatus", "")
    word = verification if verification in ("refuted", "entered-in-error") else clinical
    if word == "active" and verification in ("confirmed", "unconfirmed"):
        word = verification
    if not word:
        return
    place.made["status"] = word
    for name, said in told.items():
        for held in place.take(name):
            if word in (said, {"active": "confirmed"}.get(said), {"active": "unconfirmed"}.get(said)):
                for path in leaves(held.value, held.path):
                    steps.found.append(VersionStep(path, "translated", f"{place.to}.status", "words", said, word))
            else:
                place.leave(held, "no-element")


def put_adherence(row: Row, place: Place) -> None:
    """R5 says in the adherence what R4 says in the status, where R5's own status is only "recorded"."""
    system, steps = SYSTEM[row.system], place.conversion.steps
    if not row.up:
        for held in place.held.get("status", [])[:1]:
            word = row.word(held.value)
            if word is not None and not place.has("adherence"):
                place.made["adherence"] = {"code": {"coding": [{"system": system, "code": word}]}}
        return
    for holder in place.held.get("adherence", [])[:1]:
        at = coding_of(Held("CodeableConcept", holder.value.get("code"), ""), system)
        word = row.word(at[1]["code"]) if at else None
        status = place.held.get("status", [])
        if word is not None and [each.value for each in status] == ["recorded"] and not place.has("status"):
            place.made["status"] = word
            steps.translate(place.take("status")[0].path, f"{place.to}.status", "recorded", word)


def put_sampled(row: Row, place: Place) -> None:
    """R5 tells the interval of SampledData with a unit (`intervalUnit`), R4 its period in milliseconds."""
    steps = place.conversion.steps
    if not row.up:
        for held in place.take("period"):
            place.put("interval", [held])
            place.made["intervalUnit"] = "ms"
        return
    for held in place.held.get("interval", [])[:1]:
        units = place.held.get("intervalUnit", [])
        unit = find_unit(units[0].value) if units and isinstance(units[0].value, str) else None
        step = step_between(unit, UNITS["ms"]) if unit else None
        interval = number(held.value)
        if step is None or interval is None:
            return
        with localcontext() as context:
            context.prec = 80  # exact: no interval has more than 50 digits
            period = interval * Decimal(step.slope.numerator) / Decimal(step.slope.denominator)
        place.take("interval")
        place.take("intervalUnit")
        place.made["period"] = period
        if period == interval:
            steps.note(held.path, f"{place.to}.period")
        else:
            steps.translate(held.path, f"{place.to}.period", held.value, period)
        steps.found.append(VersionStep(units[0].path, "moved", "", "implied"))


def coding_of(held: Held, system: str) -> tuple[str, Mapping[str, Any]] | None:
    """Find the coding of a system, and where it stands."""
    if not isinstance(held.value, dict):
        return None
    found = held.value.get("coding")
    told: list[tuple[str, Any]] = [("", held.value)] if held.kind == "Coding" else []
    if isinstance(found, list):
        told = [(f".coding[{position}]", each) for position, each in enumerate(found)]
    for where, coding in told:
        if isinstance(coding, dict) and isinstance(coding.get("code"), str) and _names(coding, system):
            return where, coding
    return None


def _names(coding: Mapping[str, Any], system: str) -> bool:
    told = coding.get("system")
    return isinstance(told, str) and current_system(told) == system
