"""What happens to people, told without any FHIR version: each renderer writes it in its own shapes.

A `key` names an event within its person. `where` lists the EHRs that hold it: one as a rule, two for a result that
was copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from conformance.cohort.concept import Analyte, EhrName, Term

__all__ = [
    "Allergy",
    "Encounter",
    "Event",
    "Immunisation",
    "Measurement",
    "Medication",
    "Moment",
    "Paper",
    "Problem",
    "Procedure",
    "Report",
    "Series",
]

Moment = datetime | date | str
"""An instant, a day, or FHIR text for what is known less precisely ("2024-02")."""


@dataclass(frozen=True, slots=True)
class Encounter:
    """A visit or a stay."""

    key: str
    where: tuple[EhrName, ...]
    start: datetime
    end: datetime | None
    setting: Literal["ambulatory", "inpatient", "emergency"]
    kind: Term
    reason: Term | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Values at an even spacing from `start`; `None` is a gap. In the `summit` scale of the analyte."""

    start: datetime
    minutes: int
    values: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One result. Numbers are in the `summit` scale of the analyte.

    Parameters
    ----------
    parts
        Components, such as systolic and diastolic; the result itself then has no value.
    unit
        "coded": UCUM, as it should be; "text": the words of a human only; "missing": none at all.
    unit_text
        Instead of the EHR's usual word for the unit ("percent").
    coded
        False: only the code of the house stands there, no LOINC.
    void
        True: entered in error.
    """

    key: str
    where: tuple[EhrName, ...]
    when: Moment
    analyte: Analyte
    value: Decimal | Term | Series | str | bool | None = None
    parts: tuple[tuple[Analyte, Decimal], ...] = ()
    comparator: str = ""
    visit: str = ""
    unit: Literal["coded", "text", "missing"] = "coded"
    unit_text: str = ""
    coded: bool = True
    void: bool = False
    preliminary: bool = False
    note: str = ""
    body_site: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A panel or an examination with its results (keys of measurements) and, where somebody wrote one, a conclusion."""

    key: str
    where: tuple[EhrName, ...]
    when: datetime
    analyte: Analyte
    results: tuple[str, ...]
    visit: str = ""
    conclusion: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnosis on the problem list."""

    key: str
    where: tuple[EhrName, ...]
    term: Term
    onset: Moment | None
    recorded: date
    clinical: Literal["active", "resolved", "remission"] = "active"
    verification: Literal["confirmed", "provisional", "refuted"] = "confirmed"
    abated: Moment | None = None
    visit: str = ""


@dataclass(frozen=True, slots=True)
class Medication:
    """A medicine ordered, said to be taken, or given.

    `dose` and `unit` are the amount of one administration (UCUM), `daily` how often a day, 0 where that does not apply.
    """

    key: str
    where: tuple[EhrName, ...]
    kind: Literal["order", "statement", "administration"]
    medicine: Term
    start: Moment
    end: Moment | None = None
    status: Literal["active", "stopped", "completed"] = "active"
    dose: Decimal | None = None
    unit: str = ""
    daily: int = 0
    text: str = ""
    visit: str = ""


@dataclass(frozen=True, slots=True)
class Procedure:
    """Something done to a person."""

    key: str
    where: tuple[EhrName, ...]
    term: Term
    start: Moment
    end: datetime | None = None
    status: Literal["completed", "not-done"] = "completed"
    visit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Allergy:
    """An allergy or intolerance, or the statement that there is none."""

    key: str
    where: tuple[EhrName, ...]
    substance: Term
    recorded: date
    category: Literal["medication", "food", ""]
    high: bool = False
    reaction: Term | None = None


@dataclass(frozen=True, slots=True)
class Immunisation:
    """A vaccination, or one that was refused."""

    key: str
    where: tuple[EhrName, ...]
    vaccine: Term
    when: date
    given: bool = True


@dataclass(frozen=True, slots=True)
class Paper:
    """What surrounds care and is nothing that a twin computes on: plans, goals, cover, claims, requests."""

    key: str
    where: tuple[EhrName, ...]
    kind: Literal["plan", "goal", "coverage", "claim", "request"]
    when: date
    text: str
    term: Term | None = None
    visit: str = ""


Event = Encounter | Measurement | Report | Problem | Medication | Procedure | Allergy | Immunisation | Paper
