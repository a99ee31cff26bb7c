"""Each state of the circulation's table, reached once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from twin_engine.circulation.report import everything
from twin_engine.circulation.states import Reached


@pytest.fixture(scope="session")
def reached() -> Mapping[str, Reached]:
    return everything()
