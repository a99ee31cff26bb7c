"""What is kept is mapped again, from its sealed bytes, where tables of codes or the rules of mapping say otherwise now.

Each twin is one step, whole or not at all: killed at any moment and run again, it goes on with what is left. A fact
that is replaced, or no longer is one, stays in the history of its twin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from gateway.census import Census
from gateway.home import Home, now
from gateway.pull.page import Entry, Page
from gateway.store import StoredResource
from gateway.store.values import AnyResource
from gateway.stream.awaited import recall
from gateway.stream.delivery import Delivery
from gateway.understanding import understand
from mappers import MAPPING
from mappers.codes import Codes
from mappers.facts import Fact, Link
from security.audit import remap_event
from security.reidentification import Reidentify

__all__ = ["Replayed", "replay"]

_UNUSED: Final = "unused-link"
_MAPPING_AGAIN: Final = Reidentify("map patients again as they were received")
_AT_ONCE: Final = 5_000  # resources in one step
_MEMO: Final = "mapped by"
# What could not be read, what was not asked for, and whose it is, no table changes.
_NOT_BY_RULES: Final = frozenset(
    {
        *("not-json", "truncated", "duplicate-key", "too-deep", "too-large", "not-fhir", "unknown-type"),
        *("unexpected-type", "wrong-version", "version-unknown", "deleted", "simulated", "no-id", "unknown-patient"),
        *("reused-id", "identity-conflict", "unresolved-reference", "unused-link"),
    }
)
_SAID: Final = {"unmatched-code": {"unmatched"}, "narrower-code": {"narrower"}}  # by rows, when it was refused


@dataclass
class Replayed:
    """Counts: how many resources were mapped again, how many say something else now, and what was gained and lost."""

    looked_at: int = 0
    mapped: int = 0
    changed: int = 0
    facts_new: int = 0
    facts_other: int = 0
    facts_gone: int = 0
    refusals_gone: int = 0
    refusals_new: int = 0
    twins: dict[str, int] = field(default_factory=dict)

    def add(self, before: StoredResource, after: StoredResource) -> None:
        """Count what became of one resource."""
        self.changed += 1
        was, now_is = _by_path(before), _by_path(after)
        self.facts_new += len(now_is.keys() - was.keys())
        self.facts_gone += len(was.keys() - now_is.keys())
        self.facts_other += sum(was[path] != now_is[path] for path in was.keys() & now_is.keys())
        refused = len(list(before.refusals)), len(list(after.refusals))
        self.refusals_gone += max(0, refused[0] - refused[1])
        self.refusals_new += max(0, refused[1] - refused[0])

    def counts(self) -> dict[str, int]:
        """Write the counts with the keys that scripts rely on."""
        names = ("looked_at", "mapped", "changed", "facts_new", "facts_other", "facts_gone")
        return {
            **{name: getattr(self, name) for name in (*names, "refusals_gone", "refusals_new")},
            "twins": len(self.twins),
        }


def _by_path(resource: StoredResource) -> dict[tuple[str, str, str], Fact]:
    return {
        (fact.origin.path, fact.kind, fact.name if fact.kind == "demographic" else ""): fact for fact in resource.facts
    }


def replay(
    home: Home, source: str | None, progress: Callable[[str], None], *, dry_run: bool = False, everything: bool = False
) -> Replayed:
    """Map again what is affected, of one source or of all; with `everything`, all that is kept.

    Affected are facts that other rules made than those of now, and what was refused for a code that a table now has; at
    the first replay after the rules of mapping have changed, all that was refused by them. With `dry_run` nothing is
    stored.
    """
    report = Replayed()
    wanted = [name for name in home.store.sources() if source in (None, name)]
    older = {name for name in wanted if home.store.memo(name, _MEMO) != MAPPING.encode()}
    step = _Step(home, home.codes.current(), report, frozenset(older), dry_run=dry_run, everything=everything)
    summaries = [summary for summary in home.store.twins() if set(summary.sources) & set(wanted)]
    for number, summary in enumerate(summaries, 1):
        progress(f"twin {number:,} of {len(summaries):,}: {report.mapped:,} mapped again, {report.changed:,} other")
        held = home.store.twin_record(summary.id, leave=_MAPPING_AGAIN).resources
        for name in set(summary.sources) & set(wanted):
            step.take(summary.id, name, [one for one in held if one.source == name])
    for name in wanted:
        progress(f"{name}: what belongs to no twin")
        step.take(None, name, home.store.unlinked(name))
        if name in older and not dry_run:
            home.store.accept(Delivery(name, "", "mapped by", memo=(_MEMO, MAPPING.encode())), now())
    return report


@dataclass(frozen=True)
class _Step:
    """Takes what one owner holds of one source."""

    home: Home
    codes: Codes
    report: Replayed
    older: frozenset[str]
    dry_run: bool
    everything: bool

    def take(self, twin: str | None, source: str, held: Sequence[StoredResource]) -> None:
        """Map again what is affected of it."""
        self.report.looked_at += len(held)
        keys = [one.key for one in held if one.raw and self._is_affected(one)]
        for begin in range(0, len(keys), _AT_ONCE):
            with nullcontext() if self.dry_run else self.home.store.transaction():
                self._map(twin, source, keys[begin : begin + _AT_ONCE])

    def _is_affected(self, one: StoredResource) -> bool:
        codes = self.codes.of(one.source)
        if self.everything or any(not codes.holds(fact, MAPPING) for fact in one.facts):
            return True
        for refusal in one.refusals:
            if refusal.reason in _NOT_BY_RULES:
                continue
            now_said = {row.relation for each in refusal.codes for row in codes.translations.find(one.source, each)}
            if one.source in self.older or now_said != _SAID.get(refusal.reason, set()):
                return True
        return False

    def _map(self, twin: str | None, source: str, keys: Sequence[str]) -> None:
        home, settings = self.home, self.home.settings.sources.get(source)
        before = home.store.held(twin, source, keys)
        entries = tuple(Entry(one.raw, one.full_url, one.place, version=one.fhir_version) for one in before.values())
        page = Page(1, "kept, and mapped again", entries, "")
        census = Census(source, settings.base_url if settings else "", unasked=True).read([page])
        _keep_who_is_who(census, before.values())
        used = recall(home, census)
        writes, nobodys, _ = understand(home, source, census, page)
        found = {owner: ones for owner, ones in writes.items() if twin in (None, owner)}  # it stays whose it is
        unlinked = nobodys if twin is None else []
        self.report.mapped += len(before)
        changed = {owner: list(self._changed(before, ones)) for owner, ones in found.items()}
        changed = {owner: ones for owner, ones in changed.items() if ones}
        strays = list(self._changed(before, unlinked))
        for owner, ones in changed.items():
            self.report.twins[owner] = self.report.twins.get(owner, 0) + len(ones)
        if self.dry_run or not (changed or strays):
            return
        events = [remap_event(home.access(patient=owner), mapping=self._mapping) for owner in changed]
        home.store.remap(source, changed, [*strays, *used], now=now(), events=events)

    def _changed(self, before: Mapping[str, StoredResource], after: Iterable[AnyResource]) -> Iterator[StoredResource]:
        for one in after:
            was = before.get(one.key)
            if was is None or not isinstance(one, StoredResource):
                continue
            if any(refusal.reason == _UNUSED for refusal in one.refusals):
                continue  # who uses it is not seen from here: it stays what it is
            if was.fingerprint() != one.fingerprint():
                self.report.add(was, one)
                yield one

    @property
    def _mapping(self) -> str:
        version = self.codes.translations.version
        return f"{MAPPING}+{version}" if version else MAPPING


def _keep_who_is_who(census: Census, before: Iterable[StoredResource]) -> None:
    """Let stand what was said of patients when they came: a conflict, a missing survivor, a merge."""
    for one in before:
        if not one.key.startswith("Patient/"):
            continue
        reasons = {refusal.reason for refusal in one.refusals}
        if "identity-conflict" in reasons:
            census.doubtful.add(one.key)
        if "unresolved-reference" in reasons:
            census.unmet.add(one.key)
        for outcome in one.outcomes:
            if isinstance(outcome, Link):
                census.merged[one.key] = outcome.target
