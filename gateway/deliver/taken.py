"""What an EHR takes of what we write, for people: by its statement, by our token, and by what writing to it taught.

Nothing is tried. What stands here is what the next delivery will begin with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from gateway.credentials import CHANGED, WRITTEN
from gateway.deliver.learned import Learned
from gateway.pull.known import Known
from gateway.pull.metadata import Capability
from gateway.pull.profile import Truth
from mappers.outbound import choose_form
from mappers.outbound.ladder import RISKS, VALUES

__all__ = ["takes", "what_it_takes"]

_ALL: Final = tuple(dict.fromkeys((*WRITTEN, *CHANGED)))
_WAYS: Final = {
    "transaction": "A result goes whole or not at all.",
    "batch": "Each part goes for itself, in one request; what failed is gone on with.",
    "single requests": "Each part goes for itself; what failed is gone on with.",
}
_TRUTHS: Final[dict[str, dict[Truth, str]]] = {
    "conditional_create": {
        "yes": "The server keeps a second copy away, too.",
        "no": "It made a second copy all the same: it is asked before each create.",
        "unknown": "Tried with each create; it is asked after any answer that was lost.",
    },
    "update": {
        "yes": "What no longer stands is changed there.",
        "no": "What no longer stands cannot be changed there: it is told to a person.",
        "unknown": "Tried when something no longer stands.",
    },
    "if_match": {
        "yes": "What somebody changed there meanwhile is not written over.",
        "no": "It does not heed If-Match: what it has is read right before it is changed.",
        "unknown": "Sent with each change.",
    },
}


def takes(capability: Capability, known: Learned, lacking: Collection[str] = ()) -> frozenset[str]:
    """List the types that it creates, by its statement, by what it refused so far, and by what our token lacks.

    `lacking` are the parts of our scopes that were not granted ("Observation.c").
    """
    told = (type_ for type_ in _ALL if capability.can_create(type_) or not capability.is_told)
    return frozenset(type_ for type_ in told if type_ not in known.refused and f"{type_}.c" not in lacking)


def what_it_takes(capability: Capability, known: Learned, lacking: Collection[str] = ()) -> Iterator[Known]:
    """Yield how results would go to a server, each with from where that is known."""
    if known.edition != capability.edition:
        known = Learned(edition=capability.edition)
    taken = takes(capability, known, lacking)
    way, because = _way(capability, known)
    yield Known("way", way, because, _WAYS[way])
    yield from _abilities(capability, known, taken)
    yield from _rungs(capability, known, taken, lacking)
    if missing := [each for each in lacking if each.partition(".")[0] in _ALL and each[-2:] in (".c", ".u")]:
        yield Known("scopes", f"without {', '.join(missing)}", "token", "Its operator may grant them to our client_id.")
    for type_, why in known.refused.items():
        yield Known(f"refused.{type_}", why, known.because.get("refused", "answer"), "It is not tried any more.")
    for type_, paths in known.losses.items():
        means = "It does not keep them as they were sent."
        yield Known(f"losses.{type_}", ", ".join(paths), known.because.get("losses", "read-back"), means)
    if known.search_lag_s:
        means = "What was written is found by a search only then: settle_s of the source has to be longer."
        yield Known("search_lag_s", f"{known.search_lag_s:g}", known.because.get("search_lag_s", "answer"), means)


def _way(capability: Capability, known: Learned) -> tuple[str, str]:
    """Name the way in which a result goes first, as `gateway.deliver.ways` chooses it."""
    for way, learned in (("transaction", known.transaction), ("batch", known.batch)):
        if learned == "yes" or (learned == "unknown" and (way in capability.interactions or not capability.is_told)):
            return way, known.because.get(way, "statement") if capability.is_told else "nothing is told: it is tried"
    return "single requests", known.because.get("batch", known.because.get("transaction", "statement"))


def _abilities(capability: Capability, known: Learned, taken: Collection[str]) -> Iterator[Known]:
    told = [type_ for type_ in sorted(taken) if type_ in capability.types]
    says: dict[str, Sequence[str]] = {
        "conditional_create": [t for t in told if capability.types[t].conditional_create],
        "update": [t for t in told if t in CHANGED and "update" in capability.types[t].interactions],
    }
    for name, means in _TRUTHS.items():
        truth: Truth = getattr(known, name)
        stated = says.get(name, ())
        value = truth if truth != "unknown" else f"said of {', '.join(stated)}" if stated else "not said"
        yield Known(
            name, value, known.because.get(name, "statement") if truth != "unknown" or stated else "", means[truth]
        )


def _rungs(capability: Capability, known: Learned, taken: frozenset[str], lacking: Collection[str]) -> Iterator[Known]:
    why = "statement" if capability.is_told else "nothing is told: it is tried"
    for what, rungs in (("risks", RISKS), ("values", VALUES)):
        rung = next((each for each in rungs if each in taken), "")
        down = (
            [f"{each}: {_why_not(capability, known, each, lacking)}" for each in rungs[: rungs.index(rung)]]
            if rung
            else []
        )
        means = (
            f"Not as {'; '.join(down)}."
            if down
            else ""
            if rung
            else f"It takes none of {', '.join(rungs)}: none arrive."
        )
        yield Known(what, rung or "nothing", why, means)
    form = choose_form(taken)
    means = "" if form else "It takes none of DetectedIssue, Flag, Communication: warnings do not arrive there."
    yield Known("warnings", form or "nothing", why, means)
    has_device, has_provenance = "Device" in taken, "Provenance" in taken
    yield Known("model", "Device" if has_device else "within each resource", why)
    yield Known("provenance", "Provenance" if has_provenance else "in the words of each resource", why)


def _why_not(capability: Capability, known: Learned, type_: str, lacking: Collection[str]) -> str:
    if type_ in known.refused:
        return f"refused ({known.refused[type_]})"
    if f"{type_}.c" in lacking:
        return "no scope"
    return "the server does not say that it creates it"
