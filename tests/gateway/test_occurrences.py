"""Who comes again in a pull, and which occurrence is the last, without a name for each that came."""

from __future__ import annotations

import random

import pytest

from gateway import occurrences
from gateway.occurrences import Occurrences


@pytest.mark.parametrize("names", [1, 7, 8_192])
def test_the_last_of_several_is_known_however_many_come(names, monkeypatch):
    monkeypatch.setattr(occurrences, "_AS_THEY_ARE", names)
    chance = random.Random(names)  # noqa: S311 - not for secrets
    kinds = [f"Observation/{number}" for number in range(3_000)]
    came = [*kinds, *chance.choices(kinds, k=1_000)]
    chance.shuffle(came)
    noted, last = Occurrences(), {}
    for place, name in enumerate(came):
        noted.note(name, *divmod(place, 500))
        last[name] = place
    for place, name in enumerate(came):
        assert noted.is_last(name, *divmod(place, 500)) is (last[name] == place)
    assert len(noted) == len(kinds)
    assert "Observation/7" in noted
    assert "Observation/3000" not in noted
    noted.close(["Observation/7", "Observation/3000"])
    assert (len(noted), "Observation/7" in noted, "Observation/3000" in noted) == (len(kinds), True, False)
    assert all(noted.is_last(name, *divmod(place, 500)) is (last[name] == place) for place, name in enumerate(came))


def test_what_is_not_known_does_not_come_again_and_what_is_told_holds():
    told = Occurrences({"Observation/1": (2, 3), "Observation/2": (0, 0)})
    assert told.is_last("Observation/1", 2, 3)
    assert not told.is_last("Observation/1", 1, 0)
    assert not told.is_last("Observation/2", 1, 0)
    assert told.is_last("Observation/9", 1, 0)
