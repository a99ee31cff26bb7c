"""The count of what was understood and what was not: in = facts + refusals, to the resource."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from mappers.facts import Fact, Link, Outcome, Quantity, Refusal
from mappers.open_mhealth.schemas import KINDS
from mappers.versions import TYPES

__all__ = ["FLAGS", "REASONS", "Ledger"]

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # what could not be read
        "not-json": "The bytes are no JSON, or no UTF-8. Ask the source for the resource again.",
        "truncated": "The JSON ends in the middle. Pull or copy the file again.",
        "duplicate-key": "A key stands twice in one object, so readers may differ. The source has to correct it.",
        "too-deep": "The JSON is nested deeper than 64 levels, which no FHIR resource is.",
        "too-large": "The file, page or line is larger than we read. Split it, or raise the limit.",
        "not-fhir": "It is JSON without a resourceType, so no FHIR resource. Check what was pulled.",
        # what it is
        "unknown-type": "The resourceType is that of no FHIR version. The source has to correct it.",
        "unexpected-type": "The server sent a type that was not asked for. Check the server's search.",
        "wrong-version": "It is of another FHIR version than was told. Tell the right one for this source.",
        "version-unknown": "The FHIR version was neither told nor can it be seen. Tell it for this source.",
        "unsupported-type": "We do not map this type of resource yet. Its bytes are kept, and mapped once we do.",
        "unused-link": "It says something only through a resource that uses it, and none that came does.",
        "deleted": "A stream says that it was deleted. Its facts stand until a pull has asked the source for it.",
        "simulated": "A model or an AI asserted it, nobody measured it. It never becomes a fact.",
        "unknown-modifier": "A modifier or implicit rules change its meaning in a way that we do not know.",
        "no-id": "The server sent it without an id, so that nobody knows whether it came before. Tell its operator.",
        # whom it is about
        "no-subject": "It does not say which patient it is about. The source has to say it.",
        "unknown-patient": "The patient that it is about did not come. Pull the Patient resources of this source.",
        "reused-id": "In these files one id names two people. Pull each export under a --name of its own.",
        "erased": "It is about a person whose twin was erased; none of it is kept. twin erase --forget lets them in.",
        "restricted": "What may be done with this patient's data is restricted; nothing of it is kept. twin restrict.",
        "other-focus": "It is in the patient's record, but about somebody else (a fetus, a donor, a device).",
        "identity-conflict": "Its patient resembles a known person and contradicts them. Decide: twin identities.",
        # whether it holds
        "status": "Its status says that it does not hold: entered in error, refuted, cancelled, to come, or not told.",
        "not-done": "It says that something was not done, not given or not taken. A refusal is no treatment.",
        "intent": "It is a proposal, a plan or an option, and not an order.",
        "unconfirmed": "The diagnosis is provisional, differential or unconfirmed. It counts once it is confirmed.",
        # what it is about
        "no-code": "It has no code, at most a text. The source has to code it.",
        "unknown-code": "None of its codes is in a table, or one that others understand. See: twin codes missing.",
        "unmatched-code": "A table says of its code that no standard code means it. Its bytes are kept.",
        "narrower-code": "A table has only a code that says more than was told. A measurement is not taken for more.",
        "conflicting-codes": "Its codes mean different things. The source has to correct it.",
        # what it says
        "no-value": "It has no value. The source has to send one, or a reason why there is none.",
        "absent-reason": "The source says that there is no value, and why.",
        "bad-value": "The value is none of its kind: a text for a number, an unknown comparator, an unreadable series.",
        "unsupported-value": "The value is a range, ratio, time, period or attachment, which we do not map yet.",
        "implausible": "The value cannot be, in this unit, in a living body. Check unit and typing at the source.",
        "no-unit": "The number has no unit, and none is assumed. The source has to send it.",
        "unknown-unit": "The unit is neither UCUM nor a spelling that we know. Add a row to the table of units.",
        "unit-not-convertible": "The unit cannot be one of this measurement. The code or the unit is wrong.",
        "unit-conflict": "The code and the words of the unit give different values. The source has to correct it.",
        "statistic": "It is a mean, a maximum or the like over a time, and no measurement. Ask for the measurements.",
        # when
        "no-time": "It does not say when. The time of recording does not stand in for it.",
        "bad-date": "The time is no FHIR date, or has an hour without a time zone. The source has to correct it.",
        "part-of-day": "It says a part of a day (a morning), which is no time. The source has to send one.",
        # what it needs
        "unresolved-reference": "What it refers to (the medicine of an order) did not come. Pull that type, too.",
    }
)
"""Every reason for which something is refused: what it means, what to do. Stable: stored, shown, used by scripts."""

FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "thinned": "A long series: of each stretch the least and the greatest sample are kept; the raw has all.",
        "beyond-detection": "Samples lie beyond what the device can measure: gaps, neither low nor high values.",
        "self-reported": "The patient told it; no device measured it.",
        "unusual": "The value can be, and hardly anybody has it. Look at the source; it is used as it stands.",
        "possible-duplicate": "Another resource may tell the same; that cannot be proven, so both stand.",
        "error-elsewhere": "A copy of it is marked as entered in error. Ask which of the sources is right; it is used.",
        "uncorrected-elsewhere": "It is a correction; another resource still tells the old result, which is not used.",
    }
)
"""Everything that is odd about a fact and does not refute it. Stable: stored, shown, used by scripts."""


@dataclass
class Ledger:
    """Counts without any patient data: resources by type, refusals by reason, facts, links, and conversions of units.

    `numbers` are the facts with a unit, `flags` what is odd, `translations` the facts whose code a table said in other
    words, by how near that comes, `reasons` the refusals by type; ledgers of before mapping 4 have none of these.

    A resource is understood if every clinical statement in it became a fact, or a link; else it is refused.
    """

    resources: int = 0
    understood: int = 0
    refused: int = 0
    facts: int = 0
    links: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    by_type: dict[str, Counter[str]] = field(default_factory=dict)
    conversions: Counter[str] = field(default_factory=Counter)
    numbers: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    translations: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, kind: str, outcomes: Iterable[Outcome], times: int = 1) -> bool:
        """Count one resource of a type with all that became of it, or so many; says whether it was understood."""
        holds, refused = False, False
        label = kind if kind in _TYPES else "unknown"  # what stands in what is no FHIR may be anything: not repeated
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                if outcome.reason not in REASONS:
                    raise ValueError(f"{outcome.reason} is no known reason")
                self.refusals[outcome.reason] += times
                self.reasons.setdefault(label, Counter())[outcome.reason] += times
                refused = True
            elif isinstance(outcome, Fact):
                self.facts += times
                holds = True
                if isinstance(outcome.value, Quantity):
                    self.numbers += times
                    if outcome.original is not None:
                        self.conversions[f"{outcome.original.unit} to {outcome.value.unit}"] += times
                for flag in outcome.flags:
                    self.flags[flag] += times
                if outcome.equivalence != "equal" or "+" in outcome.mapping:  # a row of some table translated it
                    self.translations[outcome.equivalence] += times
            elif isinstance(outcome, Link):
                self.links += times
                holds = True
        understood = holds and not refused
        row = self.by_type.get(label)
        if row is None:
            row = self.by_type[label] = Counter(resources=0, understood=0, refused=0)
        row["resources"] += times
        row["understood" if understood else "refused"] += times
        self.resources += times
        self.understood += times * understood
        self.refused += times * (not understood)
        return understood

    def merge(self, other: Ledger) -> None:
        """Add the counts of another ledger to this one."""
        self.resources += other.resources
        self.understood += other.understood
        self.refused += other.refused
        self.facts += other.facts
        self.links += other.links
        self.refusals.update(other.refusals)
        self.conversions.update(other.conversions)
        self.numbers += other.numbers
        self.flags.update(other.flags)
        self.translations.update(other.translations)
        for kind, row in other.reasons.items():
            self.reasons.setdefault(kind, Counter()).update(row)
        for kind, row in other.by_type.items():
            self.by_type.setdefault(kind, Counter()).update(row)

    def as_json(self) -> dict[str, Any]:
        """Write the counts as JSON; `from_counts` reads them back."""
        return {
            "resources": self.resources,
            "understood": self.understood,
            "refused": self.refused,
            "facts": self.facts,
            "links": self.links,
            "refusals": dict(sorted(self.refusals.items())),
            "by_type": {kind: dict(row) for kind, row in sorted(self.by_type.items())},
            "conversions": dict(sorted(self.conversions.items())),
            "numbers": self.numbers,
            "flags": dict(sorted(self.flags.items())),
            "translations": dict(sorted(self.translations.items())),
            "reasons": {kind: dict(sorted(row.items())) for kind, row in sorted(self.reasons.items())},
        }

    counts = as_json

    @classmethod
    def from_counts(cls, counts: Mapping[str, Any]) -> Ledger:
        """Read what `as_json` wrote; what is missing is nought."""
        made = cls(*(counts.get(name, 0) for name in ("resources", "understood", "refused", "facts", "links")))
        made.refusals.update(counts.get("refusals", {}))
        made.conversions.update(counts.get("conversions", {}))
        made.by_type.update({kind: Counter(row) for kind, row in counts.get("by_type", {}).items()})
        made.numbers = counts.get("numbers", 0)
        made.flags.update(counts.get("flags", {}))
        made.translations.update(counts.get("translations", {}))
        made.reasons.update({kind: Counter(row) for kind, row in counts.get("reasons", {}).items()})
        return made


_TYPES: Final = KINDS.union(*TYPES.values())
