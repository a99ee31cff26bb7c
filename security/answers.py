"""What was answered about the resources of a chart, while it lives. No resource is kept here, only yes and no."""

from __future__ import annotations

from contextlib import suppress
from weakref import ref

__all__ = ["Answers"]

Kept = dict[tuple[str, str, str], tuple[bool, ...]]


class Answers:
    """Keeps answers by the chart that they are about: that very object, and no other that says the same of itself."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[ref[object], Kept]] = {}

    def of(self, chart: object) -> Kept:
        """Return what is kept for a chart; what is put there goes with it."""
        found = self._kept.get(id(chart))
        if found is not None and found[0]() is chart:
            return found[1]
        number, kept = id(chart), Kept()
        with suppress(TypeError):  # where nobody can tell when it ends, nothing is kept
            self._kept[number] = ref(chart, lambda _: self._kept.pop(number, None)), kept
        return kept
