"""Which lists of a source are proven whole: by one pull, or by a whole one and an unbroken chain of later changes.

Absence is "no" only where the list is known to its end. A pull that asks for changes alone proves its own question; it
keeps the list whole where the pull that it goes on from had left it whole, and is broken where any link between says
less. A later pull that does not ask for a type proves nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gateway.pull.page import Asked
from gateway.store import Pull, Store

__all__ = ["proven_by", "proven_types"]


def proven_types(store: Store, source: str, as_of: datetime | None = None) -> tuple[frozenset[str], frozenset[str]]:
    """Say which types the last finished pull of a source (by a time) asked for, and which of their lists are whole."""
    newest = store.last_pull(source, as_of)
    if newest is None or newest.certificate is None:
        return frozenset(), frozenset()
    pulls = store.pulls(source) if newest.certificate.after else [newest]
    return proven_by(newest, {pull.id: pull for pull in pulls})


def proven_by(newest: Pull, pulls: Mapping[str, Pull]) -> tuple[frozenset[str], frozenset[str]]:
    """Say the same of a pull and those before it, by id."""
    asked = _lists(newest)
    return frozenset(asked), frozenset(type_ for type_ in asked if _is_whole(type_, newest, pulls))


def _is_whole(type_: str, pull: Pull, pulls: Mapping[str, Pull]) -> bool:
    """Follow the pulls that this one goes on from, back to the one that asked for all of a type."""
    seen: set[str] = set()
    while pull.id not in seen:
        seen.add(pull.id)
        questions = _lists(pull).get(type_, [])
        if not questions or any(asked.verdict != "complete" or not asked.of_all for asked in questions):
            return False
        if all(asked.listed for asked in questions):
            return True
        before = pulls.get(pull.certificate.after) if pull.certificate else None
        if before is None or before.state != "done":
            return False
        pull = before
    return False


def _lists(pull: Pull) -> dict[str, list[Asked]]:
    """Return the questions of a pull about a type, by type; asked for in parts, no list is whole."""
    found: dict[str, list[Asked]] = {}
    for asked in pull.certificate.asked if pull.certificate else ():
        type_ = asked.type or asked.of_all
        if type_:
            found.setdefault(type_, []).append(asked)
    return found
