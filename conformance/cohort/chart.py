"""The chart of one person while their story is told: it dates, rounds and numbers what happens."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Literal

import numpy as np

from conformance.cohort import event
from conformance.cohort.concept import OFFSETS, EhrName, Term, analyte, term
from conformance.cohort.person import Person

__all__ = ["Chart"]


class Chart:
    """Collects the events of one person. All chance comes from `rng`; all that happens is over before `today` begins.

    `ehr` is where things happen until told otherwise; every verb returns the key of what it wrote.
    """

    def __init__(self, person: Person, today: date, rng: np.random.Generator) -> None:
        self.person = person
        self.today = today
        self.rng = rng
        self.events: list[event.Event] = []
        self.ehr: EhrName = next(iter(person.faces.values())).ehr

    # -- time and chance ---------------------------------------------------------------------------

    def day(self, ago: int) -> date:
        """Return the date so many days before the eve of `today`."""
        return self.today - timedelta(days=ago + 1)

    def at(self, ago: int, hour: int = 9, minute: int | None = None) -> datetime:
        """Return a moment so many days before the eve, on the clock of the EHR; the minute is chance unless told."""
        if minute is None:
            minute = int(self.rng.integers(0, 60))
        zone = timezone(timedelta(hours=OFFSETS[self.ehr]))
        return datetime.combine(self.day(ago), time(hour, minute), zone)

    def noise(self, sd: float) -> float:
        """Draw a deviation, held within two and a half standard deviations so that a story stays what it is."""
        return float(np.clip(self.rng.normal(0.0, 1.0), -2.5, 2.5)) * sd

    def age_at(self, when: datetime) -> int:
        """Return the age at a moment."""
        return self.person.age(when.date())

    # -- what happens ------------------------------------------------------------------------------

    def visit(
        self,
        start: datetime,
        kind: str = "check-up",
        reason: str = "",
        setting: Literal["ambulatory", "inpatient", "emergency"] = "ambulatory",
        minutes: int | None = 30,
    ) -> str:
        """Write an encounter; `minutes` is its length, `None` where it has not ended."""
        end = start + timedelta(minutes=minutes) if minutes is not None else None
        why = term("problem", reason) if reason else None
        return self._add(event.Encounter(self._key(), self._here(), start, end, setting, term("visit", kind), why))

    def measure(
        self,
        name: str,
        value: float | Decimal | str | bool | event.Series,
        when: event.Moment,
        *,
        visit: str = "",
        comparator: str = "",
        unit: Literal["coded", "text", "missing"] = "coded",
        unit_text: str = "",
        coded: bool = True,
        void: bool = False,
        preliminary: bool = False,
        note: str = "",
        also: tuple[EhrName, ...] = (),
    ) -> str:
        """Write one result; a text is the name of an answer in the table. `also` names EHRs that hold a copy."""
        what = analyte(name)
        said: Decimal | Term | event.Series | str | bool
        if isinstance(value, bool | event.Series):
            said = value
        elif isinstance(value, str):
            said = term("answer", value)
        else:
            said = what.value(float(value))
        return self._add(
            event.Measurement(
                self._key(),
                (*self._here(), *also),
                when,
                what,
                said,
                (),
                comparator,
                visit,
                unit,
                unit_text,
                coded,
                void,
                preliminary,
                note,
            )
        )

    def parts(
        self,
        name: str,
        parts: dict[str, float],
        when: event.Moment,
        *,
        visit: str = "",
        unit: Literal["coded", "text", "missing"] = "coded",
        note: str = "",
        body_site: str = "",
    ) -> str:
        """Write one result with components."""
        held = tuple((analyte(part), analyte(part).value(number)) for part, number in parts.items())
        return self._add(
            event.Measurement(
                self._key(),
                self._here(),
                when,
                analyte(name),
                None,
                held,
                visit=visit,
                unit=unit,
                note=note,
                body_site=body_site,
            )
        )

    def report(self, name: str, results: list[str], when: datetime, *, visit: str = "", conclusion: str = "") -> str:
        """Write a panel or an examination."""
        return self._add(
            event.Report(self._key(), self._here(), when, analyte(name), tuple(results), visit, conclusion)
        )

    def problem(
        self,
        name: str,
        onset: event.Moment | None,
        *,
        clinical: Literal["active", "resolved", "remission"] = "active",
        verification: Literal["confirmed", "provisional", "refuted"] = "confirmed",
        abated: event.Moment | None = None,
        also: tuple[EhrName, ...] = (),
    ) -> str:
        """Write a diagnosis."""
        first = onset.date() if isinstance(onset, datetime) else onset if isinstance(onset, date) else self.day(400)
        return self._add(
            event.Problem(
                self._key(), (*self._here(), *also), term("problem", name), onset, first, clinical, verification, abated
            )
        )

    def medicine(
        self,
        name: str,
        start: event.Moment,
        *,
        kind: Literal["order", "statement", "administration"] = "order",
        end: event.Moment | None = None,
        status: Literal["active", "stopped", "completed"] = "active",
        dose: float | None = None,
        unit: str = "",
        daily: int = 0,
        text: str = "",
        visit: str = "",
        digits: int = 0,
    ) -> str:
        """Write a medicine ordered, taken or given."""
        amount = None if dose is None else Decimal(repr(float(dose))).quantize(Decimal(1).scaleb(-digits))
        return self._add(
            event.Medication(
                self._key(),
                self._here(),
                kind,
                term("medicine", name),
                start,
                end,
                status,
                amount,
                unit,
                daily,
                text,
                visit,
            )
        )

    def procedure(
        self,
        name: str,
        start: event.Moment,
        *,
        end: datetime | None = None,
        status: Literal["completed", "not-done"] = "completed",
        visit: str = "",
        note: str = "",
    ) -> str:
        """Write a procedure."""
        return self._add(
            event.Procedure(self._key(), self._here(), term("procedure", name), start, end, status, visit, note)
        )

    def allergy(self, name: str, recorded: date, reaction: str = "", *, high: bool = False) -> str:
        """Write an allergy, or with the name "none" that there is none."""
        category: Literal["medication", "food", ""] = (
            "" if name == "none" else "food" if name == "peanut" else "medication"
        )
        shown = term("reaction", reaction) if reaction else None
        return self._add(
            event.Allergy(self._key(), self._here(), term("allergy", name), recorded, category, high, shown)
        )

    def vaccine(self, name: str, when: date, *, given: bool = True) -> str:
        """Write a vaccination."""
        return self._add(event.Immunisation(self._key(), self._here(), term("vaccine", name), when, given))

    def paper(
        self,
        kind: Literal["plan", "goal", "coverage", "claim", "request"],
        text: str,
        when: date,
        *,
        problem: str = "",
        procedure: str = "",
        visit: str = "",
    ) -> str:
        """Write what is no clinical statement."""
        about = term("problem", problem) if problem else term("procedure", procedure) if procedure else None
        return self._add(event.Paper(self._key(), self._here(), kind, when, text, about, visit))

    def _here(self) -> tuple[EhrName, ...]:
        return (self.ehr,)

    def _key(self) -> str:
        return f"{len(self.events) + 1:04d}"

    def _add(self, happened: event.Event) -> str:
        self.events.append(happened)
        return happened.key
