"""Time does not tell whether what may not be seen is there (B7): to open a chart for it would show."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from gateway.api.refusal import Refusal
from tests.gateway.api.visiting import Visited, visited

EACH = 700
ALIKE_S = 2e-4  # they are 15 microseconds apart; to open the small chart of this home takes half a millisecond


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(tmp_path_factory.mktemp("timing")) as made:
        yield made


def test_what_is_not_there_another_patients_or_forbidden_takes_as_long(there: Visited) -> None:
    """What this thread computes is timed, so that what else a machine does is not."""
    views = there.views()
    wide = views(there.person())
    mine, theirs = ([each.id for each in wide.resources(there.twins[who], "Observation")] for who in "ab")
    vital_signs = ("patient/Observation.rs?category=vital-signs",)
    caller = there.person(patient=there.twins["a"], scopes=vital_signs)
    seen = {each.id for each in views(caller).resources(there.twins["a"], "Observation")}
    forbidden = next(id_ for id_ in mine if id_ not in seen)
    ids = {
        "forbidden": forbidden,
        "absent here": forbidden[:-3] + "aaa",
        "another's": theirs[0],
        "absent there": theirs[0][:-3] + "aaa",
        "nobody's": theirs[0].replace(there.twins["b"], str(uuid4())),
    }
    assert len(seen) == 1
    assert len({*ids.values()}) == len(ids)
    took: dict[str, list[float]] = {which: [] for which in ids}
    order = [*ids] * EACH
    random.Random(7).shuffle(order)  # noqa: S311 - an order, not a secret
    for which in order:
        view = views(caller)  # each request has its own
        begun = time.thread_time()
        with pytest.raises(Refusal) as refused:
            view.get("Observation", ids[which])
        took[which].append(time.thread_time() - begun)
        assert refused.value.status == 404
    medians = {which: statistics.median(times) for which, times in took.items()}
    assert max(medians.values()) - min(medians.values()) < ALIKE_S, medians
