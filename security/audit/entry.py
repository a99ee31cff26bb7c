"""One event as reports and the search for anomalies read it: flat, with words for what has codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from security.audit.kinds import kind_of
from security.audit.traits import PATIENT_ROLE, patient_of, unversioned

__all__ = ["PURPOSES", "Entry", "read_entry", "said_purpose", "said_resources"]

# HL7 v3-ActReason, in words for whom it concerns.
PURPOSES: Mapping[str, str] = {
    "TREAT": "treatment",
    "ETREAT": "emergency treatment",
    "BTG": "emergency access (break the glass)",
    "CAREMGT": "care management",
    "HPAYMT": "payment",
    "HOPERAT": "health care operations",
    "HRESCH": "research",
    "PUBHLTH": "public health",
    "HMARKT": "marketing",
    "HDIRECT": "directory",
    "HSYSADMIN": "system administration",
    "HLEGAL": "legal",
    "HCOMPL": "compliance",
    "PATRQT": "the patient's own request",
    "FAMRQT": "the family's request",
    "PWATRNY": "request of a person with power of attorney",
    "SUPNWK": "support network",
}

_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, read.

    Parameters
    ----------
    kind, said
        Name of its kind, and what happened in words ("looked at your record"); the codes where the kind is not known.
    peer, address
        The other side; "" for both where there was none, or where it was this system itself.
    outcome, reason
        As in the event: "0", or another with a code that says why.
    resources
        References to what was concerned, without versions, but the patients.
    told
        Details of its main thing ("content", "found", "verdict" ...); values of the same name follow one another.
    """

    number: int
    when: datetime
    kind: str
    said: str
    actor: str
    purpose: str
    patients: tuple[str, ...]
    peer: str
    address: str
    outcome: str
    reason: str
    resources: tuple[str, ...]
    thing: str
    told: tuple[tuple[str, str], ...]

    @property
    def failed(self) -> bool:
        """Whether it was refused, or went wrong."""
        return self.outcome != "0"


def read_entry(number: int, event: Mapping[str, Any]) -> Entry:
    """Read an event of ours, of any version: what it lacks is "". Raises `ValueError` where it does not say when."""
    kind = kind_of(event)
    subtypes = [coding.get("code", "") for coding in event.get("subtype", ())]
    codes = "/".join([event.get("type", _NONE).get("code", ""), *subtypes])
    agents = event.get("agent", ())
    people = [agent for agent in agents if agent.get("requestor") is True]
    observer, site = (
        _name(event.get("source", _NONE).get("observer", _NONE)),
        event.get("source", _NONE).get("site", ""),
    )
    others = [a for a in agents if a.get("requestor") is not True and "network" in a]
    strangers = [(_name(a["who"]), a["network"].get("address", "")) for a in others]
    peer, address = next((s for s in strangers if s != (observer, site)), ("", ""))
    patients: list[str] = []
    resources: list[str] = []
    told: list[tuple[str, str]] = []
    thing = ""
    for entity in event.get("entity", ()):
        what = entity.get("what", _NONE)
        if reference := what.get("reference", ""):
            patient = patient_of(reference)
            (patients if patient else resources).append(patient or unversioned(reference))
        elif entity.get("role", _NONE).get("code") == PATIENT_ROLE:
            patients.append(_name(what))
        elif entity.get("type", _NONE).get("code") == "2":
            thing = thing or _name(what)
        told += [(each.get("type", ""), str(each.get("valueString", ""))) for each in entity.get("detail", ())]
    return Entry(
        number=number,
        when=_instant(event),
        kind=kind.name if kind else codes,
        said=kind.said if kind else f"did what has the codes {codes}",
        actor=_name(people[0].get("who", _NONE)) if people else "",
        purpose=next((c.get("code", "") for p in event.get("purposeOfEvent", ()) for c in p.get("coding", ())), ""),
        patients=tuple(dict.fromkeys(patients)),
        peer=peer,
        address=address,
        outcome=event.get("outcome", ""),
        reason=event.get("outcomeDesc", ""),
        resources=tuple(dict.fromkeys(resources)),
        thing=thing,
        told=tuple(told),
    )


def said_purpose(code: str) -> str:
    """Say a purpose in words; a code that we do not know stays a code."""
    return PURPOSES.get(code, code or "not told")


def said_resources(references: Iterable[str]) -> str:
    """Say how many resources of which types: "2 Condition, 12 Observation"."""
    types = Counter(reference.rpartition("/")[0].rpartition("/")[2] for reference in references)
    return ", ".join(f"{count} {name}" for name, count in sorted(types.items()) if name)


def _instant(event: Mapping[str, Any]) -> datetime:
    when = datetime.fromisoformat(str(event.get("recorded", "")))
    if when.tzinfo is None:
        raise ValueError("an event tells its zone")
    return when.astimezone(UTC)


def _name(who: Mapping[str, Any]) -> str:
    return str(who.get("identifier", _NONE).get("value", ""))
