"""Which regimens deserve the whole ensemble: all are looked at shortly by a few members, the best of them wholly.

What is found is the best of what was looked at, not of all that could be: how often it is the best of all was measured
(`benchmarks/circulation_medication.py`). No chance is involved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin_engine.circulation.drugs import drugs
from twin_engine.circulation.formulary import Entry
from twin_engine.circulation.front import non_dominated
from twin_engine.circulation.objective import DOSES, Objective
from twin_engine.circulation.regimen import Regimen, Run, Tried, answers, neighbours, regimens
from twin_engine.circulation.resting import Resting

__all__ = ["front_of", "order", "shortlist"]

_SETS: Final = 6  # of drugs, from whose best doses is searched
_OPEN: Final = 4  # more regimens, which nothing beats in every respect
_STEPS: Final = 6  # at most, from a coarse dose to a better one
_ROUNDS: Final = 3  # about the best, with the whole ensemble
_NEAR: Final = 4  # regimens in a round
_SLACK: Final = 0.1  # of the share that keeps the bounds, for a few members only


def shortlist(
    resting: Resting,
    entries: Sequence[Entry],
    objective: Objective,
    largest: int,
    progress: Callable[[str], None] | None = None,
) -> list[Tried]:
    """Return what the whole ensemble answers to nothing new, first, and to the regimens that look best."""
    looked = _Looked(resting, objective, Run.some(resting), progress, "looked at", _SLACK)
    looked.at(regimens(entries, largest, coarse=True))

    def around(regimen: Regimen) -> list[Tried]:
        return looked.at(neighbours(regimen, entries, largest)) if regimen else []

    for start in looked.best_of_each_set()[:_SETS]:
        at = start
        for _ in range(_STEPS):
            nearer = min([at, *around(at.regimen)], key=looked.key)
            if nearer is at:
                break
            at = nearer
    chosen = [tried.regimen for tried in looked.best_of_each_set()[:_SETS]]
    found = [tried for tried in looked.found.values() if tried.feasible(objective.share - _SLACK)]
    unbeaten = [tried for tried, open_ in zip(found, front_of(found, objective), strict=True) if open_]
    chosen += [each.regimen for each in sorted(unbeaten, key=looked.key) if each.regimen not in chosen][:_OPEN]
    whole = _Looked(resting, objective, Run.all(resting), progress, "compared", 0.0)
    whole.at([(), *chosen])
    for _ in range(_ROUNDS):
        best = min(whole.found.values(), key=whole.key)
        near = sorted(around(best.regimen), key=looked.key)
        whole.at([each.regimen for each in near if each.regimen not in whole.found][:_NEAR])
    return list(whole.found.values())


def order(tried: Tried, objective: Objective, slack: float = 0.0) -> tuple[float, float, int, Regimen]:
    """Return what regimens are sorted by: how far too few members keep the bounds, then the expected cost."""
    return (max(0.0, objective.share - slack - tried.share), tried.expected, len(tried.regimen), tried.regimen)


def front_of(found: Sequence[Tried], objective: Objective) -> NDArray[np.bool_]:
    """Say which regimens no other beats in all that the objective's front weighs, by medians over the members."""
    if not found:
        return np.zeros(0, dtype=bool)
    return non_dominated(np.array([_weighed(tried, objective) for tried in found]))


def _weighed(tried: Tried, objective: Objective) -> list[float]:
    doses = sum(dose / drugs()[name].usual for name, dose in tried.regimen)
    return [
        criterion.badness(doses if criterion.quantity == DOSES else float(np.median(tried.values[criterion.quantity])))
        for criterion in objective.front
    ]


class _Looked:
    """Regimens that were run in one way, each once."""

    def __init__(
        self,
        resting: Resting,
        objective: Objective,
        how: Run,
        progress: Callable[[str], None] | None,
        word: str,
        slack: float,
    ) -> None:
        self.found: dict[Regimen, Tried] = {}
        self._resting, self._objective, self._how = resting, objective, how
        self._progress, self._word, self._slack = progress, word, slack
        self._run = 0

    def key(self, tried: Tried) -> tuple[float, float, int, Regimen]:
        return order(tried, self._objective, self._slack)

    def at(self, wanted: Iterable[Regimen]) -> list[Tried]:
        every = list(dict.fromkeys(wanted))
        new = [regimen for regimen in every if regimen not in self.found]
        for tried in answers(self._resting, new, self._how, self._objective, self._seen):
            self.found[tried.regimen] = tried
        return [self.found[regimen] for regimen in every]

    def best_of_each_set(self) -> list[Tried]:
        best: dict[tuple[str, ...], Tried] = {}
        for tried in sorted(self.found.values(), key=self.key):
            if tried.regimen:
                best.setdefault(tuple(name for name, _ in tried.regimen), tried)
        return list(best.values())

    def _seen(self, count: int) -> None:
        self._run += count
        if self._progress is not None:
            self._progress(f"{self._run} combinations {self._word}")
