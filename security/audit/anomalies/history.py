"""What the rules need of a log: days of accounts, who used whose record, and the few events that need a look each.

Made by going through the log once, in any order; of each event only counts stay.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

from security.audit.entry import Entry

__all__ = ["USES", "Day", "History", "Use"]

USES = frozenset({"read", "vread", "answer", "export", "run", "disclosure", "created", "updated", "patched", "deleted"})
"""Kinds of event by which a person uses a record; what a pull or a stream does by itself is none."""

WORK = frozenset(
    {"fetch", "import", "certificate", "query", "delivery", "proposal", "approval", "receipt", "consent", "break-glass"}
)
"""Kinds that show that a patient is being cared for: data come, or results go."""


@dataclass(slots=True)
class Day:
    """One day (UTC) of one account: its uses, refusals, patients and hours, with the numbers of the events."""

    uses: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    patients: dict[str, int] = field(default_factory=dict)
    hours: dict[int, int] = field(default_factory=dict)
    first: datetime | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One use of one patient's record."""

    number: int
    when: datetime
    actor: str
    patient: str
    kind: str
    purpose: str


class History:
    """The log, counted. `uses_of` are the uses of each twin from `since` on, `single` the events of rare kinds."""

    def __init__(self, entries: Iterable[Entry], since: date) -> None:
        self.days: defaultdict[str, dict[date, Day]] = defaultdict(dict)
        self.work: defaultdict[str, set[date]] = defaultdict(set)
        self.users: defaultdict[str, dict[str, date]] = defaultdict(dict)
        self.single: defaultdict[str, list[Entry]] = defaultdict(list)
        self.under_glass: list[Use] = []
        self.uses_of: defaultdict[str, list[Use]] = defaultdict(list)
        self.kinds: Counter[str] = Counter()
        self._since = since
        for entry in entries:
            self._count(entry)

    def of(self, actor: str) -> list[tuple[date, Day]]:
        """Return the days of an account, oldest first."""
        return sorted(self.days[actor].items())

    def all_days(self) -> Iterator[tuple[str, date, Day]]:
        """Yield all days of all accounts, oldest first."""
        every = [(day, actor) for actor, days in self.days.items() for day in days]
        for day, actor in sorted(every):
            yield actor, day, self.days[actor][day]

    def _count(self, entry: Entry) -> None:
        self.kinds[entry.kind] += 1
        day = entry.when.date()
        if entry.kind in ("break-glass", "review", "erasure"):
            self.single[entry.kind].append(entry)
        if entry.kind in WORK and not entry.failed:
            for patient in entry.patients:
                self.work[patient].add(day)
        if entry.kind not in USES:
            return
        of_day = self.days[entry.actor].setdefault(day, Day())
        of_day.first = min(of_day.first or entry.when, entry.when)
        if entry.outcome == "8":
            of_day.refused.append(entry.number)
        of_day.uses.append(entry.number)
        of_day.hours.setdefault(entry.when.hour, entry.number)
        for patient in entry.patients:
            of_day.patients.setdefault(patient, entry.number)
            users = self.users[patient]
            users[entry.actor] = min(users.get(entry.actor, day), day)
            if entry.kind == "run" and not entry.failed:
                self.work[patient].add(day)
            if day >= self._since:
                use = Use(entry.number, entry.when, entry.actor, patient, entry.kind, entry.purpose)
                self.uses_of[patient].append(use)
                if entry.purpose == "BTG":
                    self.under_glass.append(use)
