"""What a table of codes translated, and not to an equal one: a model takes it for no more than it is.

A wider code says less than was told, and may answer; the answer says so. A narrower one says more than was told: it
never answers yes, and it leaves open what would otherwise be a no.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mappers.concepts import classes_of, name_of
from mappers.facts import Fact
from twin_engine.answer import Answer, Found, lack
from twin_engine.model import Need

__all__ = ["as_translated"]


def as_translated(need: Need, answer: Answer, facts: Sequence[Fact]) -> Answer:
    """Say of what is found that it rests on a wider code, and that a narrower one leaves a no open."""
    if not isinstance(answer, Found):
        return answer
    if answer.basis in {"none recorded", "assumed absent"} and (open_ := _narrower(need, facts)):
        say = (
            f"{need.title}: the source has a code of its own for something of which the only standard code says more "
            "than was told, so that nobody can tell whether it is present."
        )
        return lack(need, "unknown-answer", say, since=open_[0].when, nearest=open_)
    wider = [fact for fact in answer.facts if fact.equivalence == "wider"]
    if not wider:
        return answer
    told = ", ".join(dict.fromkeys(coding.display or coding.code for fact in wider for coding in fact.said))
    note = f"{need.title}: read as {wider[0].name}, which is more general than the source's own code ({told})."
    return msgspec.structs.replace(answer, assumption=f"{answer.assumption} {note}".strip())


def _narrower(need: Need, facts: Sequence[Fact]) -> list[Fact]:
    """Find what a narrower code would have answered with yes."""
    wanted = frozenset(need.names)
    found = []
    for fact in facts:
        named = name_of(fact.kind, (fact.code,)) if fact.equivalence == "narrower" else None
        if named and wanted & classes_of(named[0]):
            found.append(fact)
    return found
