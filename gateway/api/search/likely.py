"""Where a search for somebody's number begins: with the twins that the blind index leads to, before all the others.

The index holds no number, only keyed hashes, and not of every number: what many share, or what says nothing, is not in
it. So it only says which twins to look into first. Whether one of them is found is asked of the view, as of any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.api.search.question import Question
from gateway.store import Store
from mappers.identity import lookup_tokens, read_person

__all__ = ["likely_twins"]

_MOST: Final = 20
_BY_NUMBER: Final = frozenset(
    f"{head}.identifier" for head in ("patient", "patient:Patient", "subject:Patient", "beneficiary", "subject")
)


def likely_twins(store: Store, question: Question, tenant: str) -> tuple[str, ...]:
    """Name the twins of a tenant that have the number which a search asks for ("identifier=system|value"), if any."""
    numbers = [each for told, value in question.criteria if _is_number(question, told) for each in _numbers(value)]
    if not numbers:
        return ()
    told = [{"system": system, "value": value} for system, value in numbers]
    tokens = lookup_tokens(read_person({"resourceType": "Patient", "identifier": told}, ""))
    return tuple(sorted(store.led_to(tokens, (), tenant))[:_MOST]) if tokens else ()


def _is_number(question: Question, told: str) -> bool:
    return told in _BY_NUMBER or (told == "identifier" and question.type == "Patient")


def _numbers(value: str) -> Iterator[tuple[str, str]]:
    for each in value.split(",")[:_MOST]:
        system, mark, number = each.partition("|")
        if mark and system and number and "\\" not in each:
            yield system, number
