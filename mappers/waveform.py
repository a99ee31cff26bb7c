"""Long series thinned so that no extreme is lost: of each stretch its least and its greatest sample stay, as told.

Nothing is averaged, filtered or interpolated. A kept sample stands at most one stretch away from its own time; the raw
bytes keep all of them at theirs. The text is read piece by piece, so that what is held at once is bounded by what is
kept, however long the series is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import inf, isfinite
from typing import Final

__all__ = ["GAPS", "count_samples", "stretch_of", "thin"]

GAPS: Final = frozenset({"E", "L", "U"})  # FHIR R4 SampledData.data: error, below and above the limits of detection

_WAVE_MS: Final = 1000  # policy: what is sampled more often than once a second is a waveform, which is looked at
_MOST_OF_A_WAVE: Final = 10_000  # policy: 20 seconds of 500 Hz stay whole, a screen is 4,000 dots wide
_MOST: Final = 100_000  # policy: a day of one a second stays whole, for it is computed with
_WINDOW: Final = 1 << 16  # characters that are cut into samples at once
_ALLOWED: Final = re.compile(r"[-+.0-9eELU\s]*")
_SPACE: Final = re.compile(r"\s")


def count_samples(data: str) -> int | None:
    """Count the samples in the text of a series, gaps included; `None` where it holds what is no sample."""
    count = 0
    for window in _windows(data):
        if not _ALLOWED.fullmatch(window):
            return None
        count += len(window.split())
    return count


def stretch_of(count: int, period_ms: float) -> int:
    """Say of how many samples two are kept; 0 where all are."""
    most = _MOST_OF_A_WAVE if period_ms < _WAVE_MS else _MOST
    return 0 if count <= most else -(-count // (most // 2))


def thin(
    data: str, stretch: int, *, low: float = -inf, high: float = inf, fits: Callable[[str], bool]
) -> list[str] | None:
    """Keep two samples of each stretch, in the order in which they were told, the least and the greatest.

    A stretch that has but one, or none, has gaps instead ("E"). `None` where something is no number.

    Parameters
    ----------
    low, high, fits
        Samples beyond `low` and `high` are asked about with `fits`, and are gaps where it says no: what cannot be must
        not stand in for the greatest that was.
    """
    kept: list[str] = []
    for words in _stretches(data, stretch):
        samples = [word for word in words if word not in GAPS]
        try:
            values = list(map(float, samples))
        except ValueError:
            return None
        if not all(map(isfinite, values)):
            return None
        if values and (min(values) < low or max(values) > high):
            samples = [word for word in samples if fits(word)]
            values = list(map(float, samples))
        kept += _extremes(samples, values)
    return kept


def _extremes(samples: list[str], values: list[float]) -> tuple[str, str]:
    if not values:
        return "E", "E"
    least = values.index(min(values))
    greatest = len(values) - 1 - values[::-1].index(max(values))
    if least == greatest:
        return samples[least], "E"
    first, second = sorted((least, greatest))
    return samples[first], samples[second]


def _stretches(data: str, stretch: int) -> Iterator[list[str]]:
    waiting: list[str] = []
    for window in _windows(data):
        waiting += window.split()
        whole = len(waiting) - len(waiting) % stretch
        for start in range(0, whole, stretch):
            yield waiting[start : start + stretch]
        waiting = waiting[whole:]
    if waiting:
        yield waiting


def _windows(data: str) -> Iterator[str]:
    """Cut a text at white space, into pieces of about one size."""
    start = 0
    while start < len(data):
        cut = _SPACE.search(data, start + _WINDOW)
        end = cut.start() if cut else len(data)
        yield data[start:end]
        start = end
