"""How good what came is: counted for a pull, a source or a twin, without a word of any patient in the counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from gateway.home import Home
from gateway.simulation import open_twin
from gateway.store import Pull, StoredResource, TwinRecord
from gateway.timeliness import Arrivals, Delay, delays_of, summed
from mappers.bundles import by_resource
from mappers.facts import Fact, Origin, Refusal
from mappers.ledger import REASONS, Ledger
from security.audit import read_event

__all__ = [
    "Quality",
    "Refused",
    "Share",
    "Verdict",
    "quality_of_pull",
    "quality_of_source",
    "quality_of_twin",
    "record_reading",
]

_BY_CODE: Final = frozenset({"no-code", "unknown-code", "unmatched-code", "narrower-code", "conflicting-codes"})
_BY_UNIT: Final = frozenset({"no-unit", "unknown-unit", "unit-not-convertible", "unit-conflict"})
_WITH_UNIT: Final = frozenset({"implausible"})  # the unit was fine
_MOST: Final = 10
_LIKE_A_CODE: Final = re.compile(r"[\w.:/#-]{1,80}\|[\w.-]{1,24}", re.ASCII)
_LIKE_A_UNIT: Final = re.compile(r"[^\s\d][^\s]{0,19}")

What = Literal["pull", "source", "twin"]


class Refused(msgspec.Struct, frozen=True):
    """How often something was refused for a reason, what the reason means and what to do, and in which types."""

    reason: str
    count: int
    meaning: str
    types: Mapping[str, int]


class Share(msgspec.Struct, frozen=True):
    """How many of how many; `missing` counts what is missing most, by code or unit, only where it looks like one."""

    count: int
    of: int
    missing: Mapping[str, int] = {}

    @property
    def share(self) -> float | None:
        """The share, `None` of nothing."""
        return self.count / self.of if self.of else None


class Verdict(msgspec.Struct, frozen=True):
    """What the last certificate of a source says of its completeness."""

    source: str
    verdict: str
    ended: datetime | None
    pull: str


class Quality(msgspec.Struct, frozen=True):
    """The report on one pull, source or twin.

    `statements` are what the resources tell, `facts` what is left of them with each told once; a pull counts as it
    came, so both are the same there. `conversions` and `translations` count by what was made of what, `versions` the
    resources by FHIR version, `mappings` the facts by the version of the rules.
    """

    what: What
    name: str
    begun: datetime | None
    ended: datetime | None
    resources: int
    understood: int
    refused: int
    statements: int
    facts: int
    links: int
    refusals: tuple[Refused, ...]
    types: Mapping[str, Mapping[str, int]]
    conversions: Mapping[str, int]
    translations: Mapping[str, int]
    versions: Mapping[str, int]
    mappings: Mapping[str, int]
    codes: Share
    units: Share
    flags: Mapping[str, int]
    copies: int
    possible: int
    not_used: Mapping[str, int]
    delays: tuple[Delay, ...]
    verdicts: tuple[Verdict, ...]


def quality_of_pull(home: Home, pull: Pull) -> Quality:
    """Report on one pull, from its ledger. Nothing of a patient is opened."""
    ledger = Ledger.from_counts(pull.ledger)
    verdict = pull.certificate.verdict if pull.certificate else pull.state
    return _report(
        "pull",
        pull.id,
        ledger,
        facts=ledger.facts,
        is_old="numbers" not in pull.ledger,  # one of before mapping 4 did not count them
        begun=pull.started,
        ended=pull.finished,
        versions={pull.fhir_version: ledger.resources} if pull.fhir_version else {},
        verdicts=(Verdict(pull.source, verdict, pull.finished, pull.id),),
    )


def record_reading(home: Home) -> None:
    """Record that counts of pulls were read, of which none is about one patient."""
    home.store.append_audit([read_event(home.access(what=("Basic/quality",)))])


def quality_of_twin(home: Home, twin: str) -> Quality:
    """Report on what is current of one twin. Reading it is recorded."""
    record = open_twin(home, twin)
    sources = sorted({resource.source for resource in record.resources})
    tally = _Tally()
    tally.add(record, record.resources, None, Arrivals.of(home, record.id))
    return tally.report("twin", record.id, home, sources)


def quality_of_source(home: Home, source: str, tell: Callable[[str], None] = lambda text: None) -> Quality:
    """Report on what is current of one source, in all twins and in none. That it was read is recorded.

    One twin is open at a time; `tell` hears how far it is.
    """
    record_reading(home)
    tally = _Tally()
    theirs = [summary for summary in home.store.twins() if source in summary.sources]
    for number, summary in enumerate(theirs, 1):
        tell(f"{source}: twin {number} of {len(theirs)}")
        record = home.store.twin_record(summary.id)
        mine = [resource for resource in record.resources if resource.source == source]
        tally.add(record, mine, source, Arrivals.of(home, summary.id))
    tally.add(None, home.store.unlinked(source), source, None)
    return tally.report("source", source, home, [source])


class _Tally:
    """Counts what is current, twin by twin: one is open at a time."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._facts = self._copies = self._possible = 0
        self._flags: Counter[str] = Counter()
        self._not_used: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._mappings: Counter[str] = Counter()
        self._missing: Counter[tuple[str, str]] = Counter()
        self._delays: dict[str, list[float]] = {}

    def add(
        self,
        record: TwinRecord | None,
        resources: Sequence[StoredResource],
        source: str | None,
        arrivals: Arrivals | None,
    ) -> None:
        """Count some resources, and of a twin what it tells of them; of one source only what that tells, too."""
        for resource in resources:
            for kind, some in by_resource(resource.outcomes[0].origin, resource.outcomes):
                self._ledger.add(kind, some)
            self._versions[resource.fhir_version or "unknown"] += 1
            for fact in resource.facts:
                self._mappings[fact.mapping.partition("+")[0]] += 1
            for refusal in resource.refusals:
                self._missing.update(_missing_in(refusal))
            if arrivals:
                for what, hours in delays_of(resource, arrivals):
                    self._delays.setdefault(what, []).append(hours)
        if record is None:
            return
        settled = record.settled
        for fact in settled.facts:
            if _is_told_by(fact, source):
                self._facts += 1
                self._copies += sum(source in (None, origin.source) for origin in fact.also)
                self._flags.update(fact.flags)
        self._possible += sum(_concerns(group, source, settled.facts) for group in settled.possible)
        self._not_used.update(each.reason for each in settled.overruled if _is_told_by(each.fact, source))

    def report(self, what: What, name: str, home: Home, sources: Sequence[str]) -> Quality:
        """Close the count."""
        return _report(
            what,
            name,
            self._ledger,
            facts=self._facts,
            versions=dict(self._versions),
            mappings=dict(self._mappings),
            missing=self._missing,
            flags=self._flags,
            copies=self._copies,
            possible=self._possible,
            not_used=dict(self._not_used),
            delays=summed(self._delays),
            verdicts=tuple(_verdicts(home, sources)),
        )


def _report(
    what: What,
    name: str,
    ledger: Ledger,
    *,
    facts: int,
    is_old: bool = False,
    begun: datetime | None = None,
    ended: datetime | None = None,
    versions: Mapping[str, int] | None = None,
    mappings: Mapping[str, int] | None = None,
    missing: Mapping[tuple[str, str], int] | None = None,
    flags: Mapping[str, int] | None = None,
    copies: int = 0,
    possible: int = 0,
    not_used: Mapping[str, int] | None = None,
    delays: tuple[Delay, ...] = (),
    verdicts: tuple[Verdict, ...] = (),
) -> Quality:
    by_code, by_unit = (sum(ledger.refusals[r] for r in reasons) for reasons in (_BY_CODE, _BY_UNIT))
    numbers = ledger.numbers + sum(ledger.refusals[reason] for reason in _WITH_UNIT)
    if is_old:
        numbers = by_unit = 0
    return Quality(
        what=what,
        name=name,
        begun=begun,
        ended=ended,
        resources=ledger.resources,
        understood=ledger.understood,
        refused=ledger.refused,
        statements=ledger.facts,
        facts=facts,
        links=ledger.links,
        refusals=tuple(_refused(ledger)),
        types={kind: dict(row) for kind, row in sorted(ledger.by_type.items())},
        conversions=_most(ledger.conversions),
        translations=dict(sorted(ledger.translations.items())),
        versions=versions or {},
        mappings=mappings or {},
        codes=Share(ledger.facts, ledger.facts + by_code, _named(missing, "code")),
        units=Share(numbers, numbers + by_unit, _named(missing, "unit")),
        flags=dict(sorted((ledger.flags if flags is None else flags).items())),
        copies=copies,
        possible=possible,
        not_used=not_used or {},
        delays=delays,
        verdicts=verdicts,
    )


def _refused(ledger: Ledger) -> Iterator[Refused]:
    for reason, count in sorted(ledger.refusals.items(), key=lambda item: (-item[1], item[0])):
        types = {kind: row[reason] for kind, row in sorted(ledger.reasons.items()) if row.get(reason)}
        yield Refused(reason, count, REASONS.get(reason, ""), types)


def _missing_in(refusal: Refusal) -> Iterator[tuple[str, str]]:
    """Name the codes or the unit that nobody knew, where they look like some: what people typed is not repeated."""
    if refusal.reason in _BY_CODE:
        for coding in refusal.codes:
            if _LIKE_A_CODE.fullmatch(str(coding)):
                yield "code", str(coding)
    elif refusal.reason in _BY_UNIT - {"no-unit"}:
        unit = refusal.said.split(" ", 1)[-1]
        yield "unit", unit if _LIKE_A_UNIT.fullmatch(unit) else "(words)"


def _named(missing: Mapping[tuple[str, str], int] | None, kind: str) -> dict[str, int]:
    return _most({name: count for (of, name), count in (missing or {}).items() if of == kind})


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST])


def _concerns(group: Sequence[Origin], source: str | None, facts: Sequence[Fact]) -> bool:
    """Say whether a source tells one of the facts that may be one; a group names one place of each."""
    if source is None or any(origin.source == source for origin in group):
        return True
    named = frozenset(group)
    return any(source in fact.sources for fact in facts if fact.also and not named.isdisjoint(fact.origins))


def _is_told_by(fact: Fact, source: str | None) -> bool:
    return source is None or source in fact.sources


def _verdicts(home: Home, sources: Iterable[str]) -> Iterator[Verdict]:
    for source in sources:
        pull = home.store.last_pull(source)
        if pull is None or pull.certificate is None:
            yield Verdict(source, "none", None, "")
        else:
            yield Verdict(source, pull.certificate.verdict, pull.finished, pull.id)
