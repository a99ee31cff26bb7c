"""Rows that put a value into another place, into several, or several into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mappers.versions.coded import coding_of
from mappers.versions.conversion import Place
from mappers.versions.parts import put, take
from mappers.versions.row import Row
from mappers.versions.steps import VersionStep, leaves
from mappers.versions.values import Held, write

__all__ = ["move", "put_by_kind", "put_contacts", "put_either", "put_joined", "put_sorted", "put_typed"]


def move(row: Row, place: Place) -> None:
    """Put it into another place, in other words where the row has some.

    `keep` has a word of which the other version has no equal kept by an extension as well, so that it can come back.
    """
    for held in take(place, row.came):
        said, steps = row.word(held.value), place.conversion.steps
        kept = place.conversion.extensions.word(place, row.goes)
        if kept is not None and row.turned_round().word(kept[0]) == held.value:  # no less than what is said
            said = kept[0]
            place.conversion.extensions.took(place, kept[1], f"{place.to}.{row.goes}")
        if said is None or said == held.value:
            put(place, row.goes, held, each=row.each)
            continue
        before = len(steps.found)
        put(place, row.goes, held._replace(value=said), each=row.each)
        for position in range(before, len(steps.found)):
            step = steps.found[position]
            if step.path == held.path and step.what in ("kept", "moved"):
                steps.found[position] = VersionStep(step.path, "translated", step.to, "words", held.value, said)
        if row.keep and not _is_equal(row, held.value, said):
            before = len(steps.found)
            place.conversion.extensions.keep(place, held, "no-code", modifies=False)
            del steps.found[before:]


def _is_equal(row: Row, word: str, said: str) -> bool:
    """Say whether the word that was found says no less: that it would come back as the word that was."""
    return row.turned_round().word(said) == word


def put_either(row: Row, place: Place) -> None:
    """A CodeableReference there is a concept or a reference in R4: `targets` names both elements."""
    concept, reference = row.targets["concept"], row.targets["reference"]
    conversion = place.conversion
    if not row.up:
        for name in dict.fromkeys((concept, reference)):
            for held in take(place, name):
                put(place, row.there, held, each=row.each)
        return
    for held in take(place, row.there):
        if held.kind != "CodeableReference":  # a choice of the two
            put(place, concept if held.kind == "CodeableConcept" else reference, held, each=row.each)
            continue
        inner = conversion.read(held.value, held.kind, held.path)
        concepts = inner.pop("concept", [])
        for each in concepts:
            put(place, concept, each._replace(came=held.came), each=row.each)
        for each in inner.pop("reference", []):
            put(place, reference, each._replace(came=held.came), each=row.each and not concepts)
        for each in _all(inner):
            conversion.steps.lose(each.path, each.value, "no-element")


def put_by_kind(row: Row, place: Place) -> None:
    """One element of several types in one version is several in the other: `targets` says which has which type.

    The one is R4's, or with `turned` the other version's.
    """
    if row.up == row.turned:
        one = row.there if row.turned else row.r4
        for held in place.take(one):
            name = row.targets.get(held.kind)
            if name is None:
                place.leave(held, "no-type")
            else:
                place.put(name, [held])
        return
    for name in row.targets.values():
        for held in place.take(name):
            place.put(row.there if row.turned else row.r4, [held])


def put_sorted(row: Row, place: Place) -> None:
    """One list there, of parts that say `by` what they are, is several elements in R4; `inner` is what goes.

    `targets` says which word goes where. It is a code, or with a `system` a CodeableConcept (`labels`: its display).
    """
    conversion = place.conversion
    if not row.up:
        for said, name in row.targets.items():
            for held in place.take(name):
                inside = place.within(row.there, new=True)
                inside.put(row.inner, [held])
                coding = {"system": row.system, "code": said}
                if label := row.labels.get(said):
                    coding["display"] = label
                inside.made[row.by] = {"coding": [coding]} if row.system else said
        return
    for held in place.take(row.there):
        said, where = _word_of(row, held)
        goes = row.targets.get(said)
        if goes is None or not conversion.look(held).get(row.inner):
            place.leave(held, "no-element")
            continue
        inner = conversion.read(held.value, held.kind, held.path)
        place.put(goes, inner.pop(row.inner))
        for each in _all(inner):
            for path in leaves(each.value, each.path):
                if path == where:
                    conversion.steps.translate(path, f"{place.to}.{goes}", said, goes)
                elif path.startswith(f"{held.path}.{row.by}"):
                    conversion.steps.found.append(VersionStep(path, "moved", "", "implied"))
                else:
                    conversion.steps.lose(path, None, "no-element")


def _word_of(row: Row, held: Held) -> tuple[str, str]:
    """Return the word by which a part says what it is, and where it stands."""
    told = held.value.get(row.by)
    if not row.system:
        return (told, f"{held.path}.{row.by}") if isinstance(told, str) else ("", "")
    at = coding_of(Held("CodeableConcept", told, f"{held.path}.{row.by}"), row.system)
    return (at[1]["code"], f"{held.path}.{row.by}{at[0]}.code") if at else ("", "")


def put_contacts(row: Row, place: Place) -> None:
    """R5 has one list of contacts, R4 those of the organisation itself beside those of its people."""
    conversion = place.conversion
    if not row.up:
        for name in ("telecom", "address"):
            for held in place.take(name):
                put(
                    place,
                    f"contact.{name}",
                    held,
                    each=name == "address" and bool(place.made.get("contact", [{}])[-1].get(name)),
                )
        return
    kept = []
    for holder in place.take("contact"):
        if set(holder.value) <= {"telecom", "address"}:
            for name, values in conversion.read(holder.value, holder.kind, holder.path).items():
                place.put(name, values)
        else:
            kept.append(holder)
    if kept:
        place.held["contact"] = kept


def put_joined(row: Row, place: Place) -> None:
    """Several texts there are one in R4, joined by spaces."""
    values = place.take(row.came)
    told = [each for each in values if each.value is not None]
    if not row.up or len(told) < 2:
        place.put(row.goes, values)
        return
    joined = " ".join(each.value for each in told)
    place.made[row.goes] = joined
    for each in told:
        place.conversion.steps.translate(each.path, f"{place.to}.{row.goes}", each.value, joined)
    for each in values:
        if each.beside is not None:
            place.conversion.steps.lose_beside(each.path, each.beside, "one-only")


def put_typed(row: Row, place: Place) -> None:
    """A text there is, in R4, the `inner` text of a part with fixed elements (`value`), and back by these."""
    steps = place.conversion.steps
    name = row.goes
    if row.up:
        for held in take(place, row.there):
            element = place.conversion.target.parts[place.target][name]
            if held.value is None or (place.has(name) and not element.many):
                place.leave(held, "one-only")
                continue
            to = f"{place.to}.{name}" + (f"[{len(place.made.get(name, ()))}]" if element.many else "")
            steps.note(held.path, f"{to}.{row.inner}", "shape")
            if held.beside is not None:
                steps.lose_beside(held.path, held.beside, "no-type")
            write(place.made, name, {**row.value, row.inner: held.value}, None, many=element.many)
        return
    kept = []
    for held in place.take(row.r4):
        fixed = isinstance(held.value, dict) and all(held.value.get(key) == value for key, value in row.value.items())
        text = held.value.get(row.inner) if fixed else None
        if not isinstance(text, str) or set(held.value) != {*row.value, row.inner} or place.has(row.there):
            kept.append(held)
            continue
        put(place, row.there, Held("string", text, f"{held.path}.{row.inner}", None, held.came))
        for key, value in row.value.items():
            steps.found.extend(
                VersionStep(path, "moved", "", "implied") for path in leaves(value, f"{held.path}.{key}")
            )
    if kept:
        place.held[row.r4] = kept


def _all(inner: Mapping[str, list[Held]]) -> Iterator[Held]:
    for values in inner.values():
        yield from values
