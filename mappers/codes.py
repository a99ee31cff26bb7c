"""CodeableConcepts: their codes with the current URIs of their systems, and what tables say them to be in other words.

What an EHR wrote stays beside (`Concept.written`), and how a standard code relates to it is never lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from mappers.elements import objects, text
from mappers.facts import Coding, Fact
from mappers.systems import SYSTEM, current_system, expand, is_standard
from mappers.translations import BUILT_IN_ROWS, Row, Translations

__all__ = [
    "BUILT_IN",
    "SYSTEM",
    "Codes",
    "Concept",
    "codings",
    "current_system",
    "expand",
    "first_standard",
    "is_standard",
    "read_concept",
]

_write = msgspec.json.Encoder(decimal_format="number")
_MOST: Final = 8192  # concepts that are remembered
_NO_ROWS: Final[Mapping[Coding, Row]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """What a CodeableConcept says. An EHR has few of them and writes them often: the same one is the same object.

    `codings` are those with a code, their systems current, then what tables translate them to where that is as general
    or more; `written` are all, as they were sent; `text` is its text. `rows` tells of a translated coding by which row.
    `narrower` are codings that say more than was told, and `unmatched` is true where a table says that nothing matches.
    """

    codings: tuple[Coding, ...] = ()
    written: tuple[Coding, ...] = ()
    text: str = ""
    rows: Mapping[Coding, Row] = field(default_factory=lambda: _NO_ROWS)
    narrower: tuple[Coding, ...] = ()
    unmatched: bool = False

    def said(self, chosen: Coding) -> tuple[Coding, ...]:
        """List the codings as the source sent them, where they tell more than the one that was chosen."""
        return () if self.written == (chosen,) else self.written

    def words(self, chosen: Coding) -> str:
        """Return the text, where it tells more than the coding that was chosen."""
        return "" if self.text == chosen.display else self.text

    def stamped(self, fact: Fact) -> Fact:
        """Say in a fact how its code relates to what was told, and by which row of a user's it was made, if any."""
        row = self.rows.get(fact.code)
        if row is None or row.relation == "unmatched" or (row.ours and row.relation == "equal"):
            return fact
        mapping = fact.mapping if row.ours else f"{fact.mapping}+{row.id}"
        return msgspec.structs.replace(fact, equivalence=row.relation, mapping=mapping)

    @property
    def equal(self) -> tuple[Coding, ...]:
        """The codings, without those that are more general than what was told."""
        if not self.rows:
            return self.codings
        return tuple(c for c in self.codings if (row := self.rows.get(c)) is None or row.relation == "equal")

    def answering(self, fact: Fact) -> Fact:
        """Say in a fact whose value this is what was answered in the source's own words, and by which row it was read.

        `said` then has the codes of the question and behind them those of the answer.
        """
        row = self.rows.get(fact.value) if isinstance(fact.value, Coding) else None
        if row is None:
            return fact
        asked = fact.said or (fact.code,)
        mapping = fact.mapping if row.ours or "+" in fact.mapping else f"{fact.mapping}+{row.id}"
        return msgspec.structs.replace(fact, said=(*asked, *self.written), mapping=mapping)


_NONE: Final = Concept()


class Codes:
    """Reads concepts by tables of translations, and remembers them. A value: the same tables read the same bytes alike.

    `source` is the one whose own rows are true; "" where only those hold that are true of all.
    """

    __slots__ = ("_read", "_views", "source", "translations")

    def __init__(self, translations: Translations, source: str = "") -> None:
        self.translations, self.source = translations, source
        self._read: dict[bytes, Concept] = {}
        self._views: dict[str, Codes] = {}

    def __reduce__(self) -> tuple[type[Codes], tuple[Translations, str]]:
        return Codes, (self.translations, self.source)

    def of(self, source: str) -> Codes:
        """Return the codes as they are to be read in what a source sends."""
        if source == self.source or source not in self.translations.sources:
            return self
        view = self._views.get(source)
        if view is None:
            view = self._views[source] = Codes(self.translations, source)
        return view

    def read(self, concept: Any) -> Concept:
        """Read a CodeableConcept. A coding without a code is none."""
        if concept is None:
            return _NONE
        try:
            key = _write.encode(concept)
        except (ValueError, RecursionError):  # half a surrogate pair, or too deep: nothing that was read
            return self._concept(concept)
        found = self._read.get(key)
        if found is None:
            if len(self._read) >= _MOST:
                self._read.clear()
            found = self._read[key] = self._concept(concept)
        return found

    def holds(self, fact: Fact, mapping: str) -> bool:
        """Say whether a fact is what the rules make of it now, `mapping` being the version of our own.

        A fact that a user's row made holds as long as that row says the same; any other until a row says more of what
        was told.
        """
        ours, _, row_id = fact.mapping.partition("+")
        if ours != mapping:
            return False
        if row_id:
            return self.translations.has(row_id)
        told = fact.said or (fact.code,)
        if isinstance(fact.value, Coding):
            told = (*told, fact.value)
        return not any(not row.ours for coding in told for row in self._rows(_current(coding)))

    def _rows(self, coding: Coding) -> tuple[Row, ...]:
        return self.translations.find(self.source, coding)

    def _concept(self, concept: Any) -> Concept:
        told = objects(concept)[:1]
        written = tuple(
            Coding(text(coding.get("system")), text(coding.get("code")), text(coding.get("display")))
            for each in told
            for coding in objects(each.get("coding"))
        )
        said = text(told[0].get("text")) if told else ""
        known = tuple(_current(each) for each in written if each.code)
        found = [(coding, rows) for coding in known if (rows := self._rows(coding))]
        return _translated(known, found, written, said) if found else Concept(known, written, said)


def _current(coding: Coding) -> Coding:
    return Coding(current_system(coding.system), coding.code, coding.display)


def _translated(
    known: tuple[Coding, ...], found: list[tuple[Coding, tuple[Row, ...]]], written: tuple[Coding, ...], said: str
) -> Concept:
    """Put what tables say of some codings behind those that were told; a retired one steps behind what replaced it."""
    told = {(coding.system, coding.code) for coding in known}
    rows = {
        row.to: row
        for relation in ("narrower", "wider", "equal")  # of two that lead to one code, the closest tells
        for _, theirs in found
        for row in theirs
        if row.to is not None and row.relation == relation and (row.to.system, row.to.code) not in told
    }
    replaced = [c for c, theirs in found if any(row.relation == "equal" and row.to in rows for row in theirs)]
    targets = [[to for to, row in rows.items() if row.relation == relation] for relation in ("equal", "wider")]
    kept = tuple(coding for coding in known if coding not in replaced)
    return Concept(
        (*kept, *targets[0], *targets[1], *replaced),
        written,
        said,
        rows,
        tuple(to for to, row in rows.items() if row.relation == "narrower"),
        any(row.relation == "unmatched" for _, theirs in found for row in theirs),
    )


def first_standard(found: Iterable[Coding]) -> Coding | None:
    """Choose the first coding that means something outside the EHR that sent it."""
    return next((coding for coding in found if is_standard(coding)), None)


BUILT_IN: Final = Codes(Translations(BUILT_IN_ROWS))
"""The codes as they are read without tables of a user's own."""

read_concept = BUILT_IN.read


def codings(concept: Any) -> tuple[Coding, ...]:
    """List the codings of a CodeableConcept, their systems current. A coding without a code is none."""
    return read_concept(concept).codings
