"""Which drugs may be compared for a person, and why the others may not; what is not known is never taken for normal.

A drug is left out that was not held against published ranges, or not in people like this one; that is already taken, or
not combined with what is; and whose limits (`formulary`) are not known to be kept. Every reason is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from security.errors import Misuse, UnknownName
from twin_engine.circulation.drugs import Drug
from twin_engine.circulation.formulary import ON_RECORD, Entry, Limit, Scale, formulary
from twin_engine.circulation.objective import tells
from twin_engine.circulation.resting import Resting
from twin_engine.circulation.studies import studies
from twin_engine.model import Array
from twin_engine.physiology.renal import ckd_epi_2021

__all__ = ["Known", "LeftOut", "Reason", "Sorted", "kind_of", "sort_drugs"]

Code = Literal[
    "not-asked",
    "not-modelled",
    "not-validated",
    "not-tested",
    "other-scale",
    "already-taken",
    "apart",
    "not-known",
    "outside",
    "present",
]
_PLAUSIBLE: Final = {
    "potassium": (1.0, 10.0),
    "egfr": (0.0, 250.0),
    "creatinine": (0.1, 30.0),
    "age": (18.0, 120.0),
}
_KINDS: Final = ("septic-shock", "cardiogenic-shock", "heart-failure")  # the more acute first


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a person besides their circulation; what is left out is not known.

    Parameters
    ----------
    potassium
        mmol/L.
    egfr
        mL/min/1.73 m2; or `creatinine` (mg/dL), `age` and `female`, of which it follows (CKD-EPI 2021).
    taken
        The classes of drugs that are taken (`Formulary.classes`); an empty one says that none of them is.
    conditions
        Whether a condition is there (`Formulary.conditions`), by name.
    assume_absent
        A person says that conditions which are not told are not there; the answer repeats it.
    """

    potassium: float | None = None
    egfr: float | None = None
    creatinine: float | None = None
    age: float | None = None
    female: bool | None = None
    taken: tuple[str, ...] | None = None
    conditions: dict[str, bool] = {}
    assume_absent: bool = False

    @property
    def filtration(self) -> float | None:
        """Return the eGFR as told, or from creatinine; `None` where neither is known."""
        if self.egfr is not None:
            return self.egfr
        if self.creatinine is None or self.age is None or self.female is None:
            return None
        return float(ckd_epi_2021(*(np.asarray(float(each)) for each in (self.creatinine, self.age, self.female))))

    def has(self, condition: str) -> bool | None:
        """Say whether a condition is there; `None` where that is not known, nor assumed."""
        told = self.conditions.get(condition)
        return False if told is None and self.assume_absent else told

    def check(self) -> None:
        """Raise `Misuse` on what is no plausible number, and on a name that the formulary does not know."""
        for name, (low, high) in _PLAUSIBLE.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise Misuse(
                    f"What is told as {name} is not believed.", hint=f"From {low:g} to {high:g}.", detail=value
                )
        for class_ in self.taken or ():
            if class_ not in formulary().classes:
                raise UnknownName("class of drugs", class_, formulary().classes)
        for condition in self.conditions:
            if condition not in formulary().conditions:
                raise UnknownName("condition", condition, formulary().conditions)


class Reason(msgspec.Struct, frozen=True):
    """Why a drug is left out: a stable code, in words, and who says so."""

    code: Code
    said: str
    source: str = ""


class LeftOut(msgspec.Struct, frozen=True):
    """A drug that is not compared, with every reason."""

    drug: str
    title: str
    reasons: tuple[Reason, ...]


class Sorted(msgspec.Struct, frozen=True):
    """The drugs that may be compared, those that may not, and the conditions that were assumed to be absent."""

    compared: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]
    assumed: tuple[str, ...]


def kind_of(known: Known) -> str | None:
    """Return what a person has that drugs were tested in, the most acute; `None` where it is not known, or nothing."""
    for kind in _KINDS:
        there = known.has(kind)
        if there or there is None:
            return kind if there else None
    return None


def sort_drugs(
    resting: Resting,
    known: Known,
    drugs: Mapping[str, Drug],
    *,
    within: Scale,
    share: float,
    only: Iterable[str] | None = None,
) -> Sorted:
    """Sort all drugs of the formulary; `share` of the members has to keep a limit on the circulation.

    Raises `Misuse` where `known` makes no sense, or `only` names a drug that nobody knows.
    """
    known.check()
    table = formulary()
    asked = None if only is None else set(only)
    for name in asked or ():
        if name not in {entry.drug for entry in table.entry}:
            raise UnknownName("drug", name, (entry.drug for entry in table.entry))
    compared, left_out, assumed = [], [], set()
    for entry in table.entry:
        drug = drugs.get(entry.drug)
        reasons = list(_of_evidence(entry, drug, known, within))
        if asked is not None and entry.drug not in asked:
            reasons.insert(0, Reason("not-asked", "was not asked for"))
        reasons += _of_what_is_taken(entry, known)
        reasons += [reason for limit in _limits(entry, known) if (reason := _of(limit, resting, known, share))]
        for condition, source in entry.absent.items():
            if (there := known.has(condition)) is not False:
                code: Code = "not-known" if there is None else "present"
                said = f"{_spelt(condition)}: {'not known whether there' if there is None else 'there'}"
                reasons.append(Reason(code, said, formulary().cited(source)))
        if reasons:
            left_out.append(LeftOut(entry.drug, drug.title if drug else entry.title, tuple(reasons)))
        else:
            compared.append(entry)
            assumed |= {each for each in (*entry.absent, *_KINDS) if each not in known.conditions}
    return Sorted(tuple(compared), tuple(left_out), tuple(sorted(assumed)))


def _of_evidence(entry: Entry, drug: Drug | None, known: Known, within: Scale) -> Iterable[Reason]:
    if drug is None:
        yield Reason("not-modelled", "its effect was never held against published ranges here: not validated")
        return
    if not drug.validated:
        yield Reason("not-validated", "lies outside its published ranges in a group it was not fitted to", drug.source)
    tested = {studies()[study].kind for study in drug.tested}
    kind = kind_of(known)
    if kind not in tested:
        people = " or ".join(sorted(formulary().kinds[each].title for each in tested))
        untold = kind is None and any(known.has(each) is None for each in _KINDS)
        code: Code = "not-known" if untold else "not-tested"
        yield Reason(code, f"was tested in {people}; this person {'may not be' if untold else 'is not'} one of those")
    if entry.scale != within and not (within == "weeks" and entry.lasting):
        yield Reason("other-scale", f"its effect was measured within {entry.scale}, and not within {within}")


def _of_what_is_taken(entry: Entry, known: Known) -> Iterable[Reason]:
    if known.taken is None:
        yield Reason("not-known", "not known which drugs are taken")
    for class_ in known.taken or ():
        if class_ == entry.class_:
            yield Reason("already-taken", "one of its class is taken, and the circulation was measured under it")
        elif apart := formulary().why_apart(class_, entry.class_):
            said = f"not combined with what is taken ({_spelt(class_)}): {apart.why}"
            yield Reason("apart", said, formulary().cited(apart.source))


def _limits(entry: Entry, known: Known) -> tuple[Limit, ...]:
    kind = kind_of(known)
    return (*entry.limits, *(formulary().kinds[kind].limits if kind else ()))


def _of(limit: Limit, resting: Resting, known: Known, share: float) -> Reason | None:
    said = f"{limit.said} ({limit.why})"
    if limit.quantity in ON_RECORD:
        value = known.potassium if limit.quantity == "potassium" else known.filtration
        if value is None:
            return Reason("not-known", f"{said}: not known", formulary().cited(limit.source))
        inside = float(_keeps(limit, np.array([value])).mean())
    else:
        inside = float(_keeps(limit, tells(resting.beats, resting.surface)[limit.quantity]).mean())
        said += f": {100.0 * inside:.0f} % of the members"
    return None if inside >= share else Reason("outside", said, formulary().cited(limit.source))


def _keeps(limit: Limit, values: Array) -> NDArray[np.bool_]:
    low = -math.inf if limit.low is None else limit.low
    high = math.inf if limit.high is None else limit.high
    return np.asarray((values >= low) & (values <= high))


def _spelt(name: str) -> str:
    return name.replace("-", " ")
