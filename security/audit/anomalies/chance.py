"""How likely a count is, after counts of earlier days: the tail of a Poisson or a negative binomial distribution.

People's days differ by more than Poisson counts would, so the variance is taken from the earlier days, and is at least
that of days whose expected count varies by `LEAST_SPREAD` (a coefficient of variation): a few earlier days that happen
to be alike are no proof of evenness. Moments, not likelihood: m and v give size m²/(v - m) and
probability m/v (Johnson, Kemp and Kotz, Univariate Discrete Distributions, 3rd ed., chapter 5).
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import nbinom, poisson

__all__ = ["LEAST_SPREAD", "tail"]

LEAST_SPREAD = 0.4


def tail(count: int, earlier: Sequence[int]) -> float:
    """Return the chance of `count` or more on a day, after the counts of earlier days, of which there is at least one.

    The mean that was seen is itself uncertain: with n days its variance is that of a day by n, and is added.
    """
    days = len(earlier)
    mean = max(sum(earlier) / days, 1 / days)  # none in n days may still be one in n
    seen = sum((each - mean) ** 2 for each in earlier) / max(days - 1, 1)
    variance = max(seen, mean + (LEAST_SPREAD * mean) ** 2) * (1 + 1 / days)
    if variance <= mean:
        return float(poisson.sf(count - 1, mean))
    return float(nbinom.sf(count - 1, mean**2 / (variance - mean), mean / variance))
