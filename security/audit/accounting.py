"""The accounting of disclosures that a patient may ask for (HIPAA, 45 CFR 164.528), made from the audit log.

Each disclosure in the six years before: its date, who received it with the address if known, a brief description of
what, and the purpose ((b)(2)). Several to the same recipient for one purpose are told once, with the first, the last
and how often ((b)(3)). Disclosures for the purposes that (a)(1) excepts are left out and counted by rule; a purpose
that is none of these, or that we do not know, is told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from security.audit.entry import Entry, said_resources

__all__ = ["EXCEPTED", "YEARS", "Accounting", "Disclosure", "account"]

YEARS = 6
"""45 CFR 164.528(a)(1): "in the six years prior to the date on which the accounting is requested"."""

_TPO = "treatment, payment and health care operations: 164.528(a)(1)(i)"
_OWN = "disclosure to the individual: 164.528(a)(1)(ii)"
EXCEPTED: Mapping[str, str] = {
    "TREAT": _TPO,
    "ETREAT": _TPO,
    "CAREMGT": _TPO,
    "HPAYMT": _TPO,
    "HOPERAT": _TPO,
    "PATRQT": _OWN,
    "HDIRECT": "the facility's directory: 164.528(a)(1)(v)",
    "FAMRQT": "disclosure to persons involved in the individual's care: 164.528(a)(1)(v)",
}
"""Purpose (v3-ActReason) to the rule that takes it out of the accounting."""

_TO_ANOTHER = frozenset({"disclosure", "delivery", "delivery-update"})
_ANSWERED = frozenset({"read", "vread", "answer"})
_TAKEN_OUT = "export"


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One disclosure, or several to the same recipient for one purpose. `events` are their numbers in the log."""

    first: datetime
    last: datetime
    recipient: str
    address: str
    description: str
    purpose: str
    events: tuple[int, ...]

    @property
    def frequency(self) -> str:
        """Say how often ((b)(3)(ii))."""
        count, days = len(self.events), (self.last - self.first).total_seconds() / 86_400
        if count == 1:
            return "once"
        if days < 1:
            return f"{count} times within a day"
        every = days / (count - 1)
        return (
            f"{count} times, on average every {every:.0f} days" if every >= 1 else f"{count} times in {days:.0f} days"
        )


@dataclass(frozen=True, slots=True)
class Accounting:
    """What is told, oldest first; and how many were left out, by rule."""

    disclosures: Sequence[Disclosure]
    excepted: Mapping[str, int]


def account(entries: Iterable[Entry]) -> Accounting:
    """Account for the disclosures among the events of one patient. What failed disclosed nothing, and is not told."""
    excepted: Counter[str] = Counter()
    kept: defaultdict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda e: e.number):
        recipient = _recipient(entry)
        if entry.failed or recipient is None:
            continue
        if rule := EXCEPTED.get(entry.purpose):
            excepted[rule] += 1
        else:
            kept[(*recipient, entry.purpose)].append(entry)
    told = [
        Disclosure(
            first=some[0].when,
            last=some[-1].when,
            recipient=recipient,
            address=address,
            description=_description(some),
            purpose=purpose,
            events=tuple(entry.number for entry in some),
        )
        for (recipient, address, purpose), some in kept.items()
    ]
    return Accounting(sorted(told, key=lambda d: (d.first, d.events)), dict(sorted(excepted.items())))


def _recipient(entry: Entry) -> tuple[str, str] | None:
    """Say who received something; `None` where nothing left to anybody else."""
    if entry.kind in _TO_ANOTHER or (entry.kind in _ANSWERED and entry.peer):
        return entry.peer, entry.address
    return (entry.actor, "") if entry.kind == _TAKEN_OUT else None


def _description(entries: Sequence[Entry]) -> str:
    """Describe what was disclosed, without telling it again: kinds of content, or types of resources."""
    if any(entry.kind == _TAKEN_OUT for entry in entries):
        return "the whole record"
    content = dict.fromkeys(value for entry in entries for name, value in entry.told if name == "content")
    resources = said_resources(dict.fromkeys(r for entry in entries for r in entry.resources))
    return "; ".join(part for part in (", ".join(content), resources) if part) or _BY_KIND.get(entries[0].kind, "data")


_BY_KIND = {
    "delivery": "results of simulations",
    "delivery-update": "results of simulations",
    "read": "the record",
    "vread": "an earlier state of the record",
    "answer": "parts of the record",
}
