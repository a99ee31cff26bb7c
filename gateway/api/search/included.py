"""What goes along with the matches: each candidate is asked for through the view, like anything else (B6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.api.refusal import Refusal
from gateway.api.search.question import Including
from gateway.api.shown import Shown
from gateway.api.view import View
from mappers.search import references_of

__all__ = ["MOST_INCLUDED", "Included", "include"]

MOST_INCLUDED: Final = 1000
_ROUNDS: Final = 8  # how often `:iterate` goes on from what it has found

Referrers = dict[str, list[Shown]]


@dataclass(slots=True)
class Included:
    """What is included, each once, and whether there would have been more."""

    found: list[Shown] = field(default_factory=list)
    is_cut: bool = False


def include(view: View, base: str, matches: Sequence[Shown], including: Sequence[Including]) -> Included:
    """Find what the matches of a page refer to, and who refers to them."""
    return _Inclusion(view, base).find(matches, including)


class _Inclusion:
    def __init__(self, view: View, base: str) -> None:
        self._view, self._base = view, base
        self._referrers: dict[tuple[str, str, str], Referrers] = {}

    def find(self, matches: Sequence[Shown], including: Sequence[Including]) -> Included:
        known = {shown.reference for shown in matches}
        result, begin = Included(), list(matches)
        for turn in range(_ROUNDS):
            added: list[Shown] = []
            for each in including:
                if turn and not each.again:
                    continue
                for shown in self._of(begin, each):
                    if shown.reference in known:
                        continue
                    if len(known) >= len(matches) + MOST_INCLUDED:
                        result.is_cut = True
                        return result
                    known.add(shown.reference)
                    added.append(shown)
                    result.found.append(shown)
            if not added:
                break
            begin = added
        return result

    def _of(self, begin: Sequence[Shown], each: Including) -> Iterator[Shown]:
        if each.reverse:
            if not each.target or any(shown.type == each.target for shown in begin):
                yield from self._referring(begin, each)
            return
        for shown in begin:
            if shown.type == each.type:
                for parameter in each.parameters:
                    for reference in references_of(parameter, shown.body, self._base):
                        found = self._referred(reference, each.target)
                        if found is not None:
                            yield found

    def _referred(self, reference: str, target: str) -> Shown | None:
        type_, _, id_ = reference.partition("/")
        if (target and type_ != target) or not self._view.grants.may("r", type_):
            return None
        try:
            return self._view.get(type_, id_)
        except Refusal:  # not there, not any more, or not for this caller: all the same
            return None

    def _referring(self, begin: Sequence[Shown], each: Including) -> Iterator[Shown]:
        if not self._view.grants.may("s", each.type):
            return
        for shown in begin:
            if not each.target or shown.type == each.target:
                for twin in dict.fromkeys((shown.twin, "")):
                    yield from self._by(twin, each).get(shown.reference, ())

    def _by(self, twin: str, each: Including) -> Referrers:
        (parameter,) = each.parameters
        at = twin, each.type, parameter.name
        if at not in self._referrers:
            made: Referrers = {}
            for shown in self._view.resources(twin, each.type):
                for reference in references_of(parameter, shown.body, self._base):
                    made.setdefault(reference, []).append(shown)
            self._referrers[at] = made
        return self._referrers[at]
