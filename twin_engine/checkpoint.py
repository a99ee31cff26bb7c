"""What a track is made of: the ensemble at a time, what it has used, and where it can go back to.

Facts are remembered by the sum of their keyed digests: equal sums mean the same facts, in whatever order they came, and
a sum can be taken on from a checkpoint. All of this is patient data and is stored sealed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from twin_engine.model import Array
from twin_engine.series import Dose, Reading, Series

__all__ = [
    "MODULUS",
    "Checkpoint",
    "Refit",
    "Track",
    "digest_of",
    "facts_of",
    "floor",
    "hour_of",
    "moment_of",
    "thinned",
]

MODULUS = 1 << 128

_MINUTE, _HALF_A_MINUTE = timedelta(minutes=1), timedelta(seconds=30)


class Checkpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ensemble as it was at a time, and all that is needed to go on from there.

    Parameters
    ----------
    state
        (members, width), bytes of float32: the ensemble itself goes on rounded, so that a replay is the same.
    digest
        Sum of the digests of the facts that were used until then.
    running
        Doses given before that still act, or will: rates in force, doses over time.
    surprise
        Mean squared distance of the last readings from what was expected, in standard deviations; 1 is as it should be.
    """

    at: datetime
    state: bytes
    digest: bytes = bytes(16)
    running: tuple[Dose, ...] = ()
    readings: int = 0
    surprise: float = 1.0


class Refit(msgspec.Struct, frozen=True):
    """When a track was made or looked at anew, why ("begin", or what `is_refit_due` said), and what came of it.

    `method` is "priors", or how the posterior was drawn ("importance", "sampler"), or "kept" where the ensemble that
    went on forecast better than a new one. `gain` is by how much the calibrated one was better (mean logarithmic score
    of its forecasts on the last day); 0 where only one could be made.
    """

    at: datetime
    why: str
    method: str
    gain: float = 0.0


class Track(msgspec.Struct, frozen=True, omit_defaults=True):
    """The posterior ensemble of a model at `at`, and where to go back to when an older fact comes or goes.

    Parameters
    ----------
    state
        (members, width), bytes of float64.
    begun
        The time up to which facts were known when the track was made or looked at anew.
    history
        Digest of the facts of the days before its first checkpoint.
    resting
        The answers to the model's needs, and the rates that the patient is at rest under.
    changed
        A fact from before the first checkpoint came, or went: only a new beginning can take that in.
    collapsed
        The members have become the same: they learn no more.
    """

    model: str
    version: str
    settings: dict[str, str]
    members: int
    seed: int
    at: datetime
    state: bytes
    width: int
    begun: datetime
    checkpoints: tuple[Checkpoint, ...]
    digest: bytes = bytes(16)
    running: tuple[Dose, ...] = ()
    readings: int = 0
    surprise: float = 1.0
    history: bytes = bytes(16)
    resting: dict[str, float] = {}
    changed: bool = False
    collapsed: bool = False
    refits: tuple[Refit, ...] = ()

    @property
    def ensemble(self) -> Array:
        """The ensemble, (members, width)."""
        return np.frombuffer(self.state, dtype=np.float64).reshape(self.members, self.width)

    @property
    def origin(self) -> datetime:
        """The first checkpoint: a track cannot go back behind it."""
        return self.checkpoints[0].at

    @property
    def now(self) -> Checkpoint:
        """The track as it is, as a checkpoint without its ensemble."""
        return Checkpoint(self.at, b"", self.digest, self.running, self.readings, self.surprise)


def facts_of(series: Series) -> list[Reading | Dose]:
    """Return the facts in the order in which they take effect."""
    return sorted([*series.doses, *series.readings], key=moment_of)


def moment_of(fact: Reading | Dose) -> datetime:
    """Return the first minute at which an ensemble can have felt a fact.

    A reading is of the nearest minute; a dose counts in the minute in which it is given, and is felt at its end.
    """
    if isinstance(fact, Reading):
        return floor(fact.when + _HALF_A_MINUTE)
    return floor(fact.when) + _MINUTE


def digest_of(seed: int, facts: Iterable[Reading | Dose]) -> int:
    """Add the keyed digests of facts: the sum tells whether they are the same, and not what they were."""
    key = (seed % (1 << 64)).to_bytes(8)
    total = sum(
        int.from_bytes(hashlib.blake2b(msgspec.msgpack.encode(fact), digest_size=16, key=key).digest())
        for fact in facts
    )
    return total % MODULUS


def thinned(checkpoints: Iterable[Checkpoint], at: datetime) -> tuple[Checkpoint, ...]:
    """Keep the first checkpoint, and of the others the fewer the older they are.

    Every hour of the last four, every second one of the four before, and so on, each span twice as long as the one
    before. What is kept depends on the times alone, and what is dropped stays dropped as time goes on.
    """
    first, *others = checkpoints
    now = int(at.timestamp()) // 3600
    kept = [first]
    for each in others:
        hour = int(each.at.timestamp()) // 3600
        octave = max(int(math.log2(max(now - hour, 1))) - 1, 0)
        if hour % (1 << octave) == 0:
            kept.append(each)
    return tuple(kept)


def floor(when: datetime) -> datetime:
    """Return the whole minute, UTC."""
    if when.tzinfo is not UTC:
        when = when.astimezone(UTC)
    return when.replace(second=0, microsecond=0) if when.second or when.microsecond else when


def hour_of(when: datetime) -> datetime:
    """Return the full hour, UTC."""
    return floor(when).replace(minute=0)
