"""What waits outside the store is a twin's still: it opens in its place, for its twin, and not once that is erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.erasure import erase
from gateway.home import Home, now
from gateway.settings import load_settings
from security.errors import Erased, Sealed
from security.vault import Place

HERE, THERE = Place("job", "a:1:0", "lines"), Place("job", "a:1:7", "lines")


@pytest.fixture
def home(tmp_path: Path):
    with Home.open(load_settings(tmp_path / "home")) as opened:
        yield opened


def test_a_parcel_opens_where_it_was_sealed_for_whom_it_was_sealed_and_nowhere_else(home: Home):
    ada, ben = (home.store.new_twin(now()) for _ in range(2))
    one, none = home.store.seal_parcels([(ada, b"lines", HERE), ("", b"of nobody", HERE)])
    assert b"lines" not in one
    assert home.store.open_parcels([(ada, one, HERE), ("", none, HERE)]) == [b"lines", b"of nobody"]
    for twin, sealed, place in ((ben, one, HERE), (ada, one, THERE), ("", one, HERE), (ada, none, HERE)):
        with pytest.raises(Sealed):
            home.store.open_parcels([(twin, sealed, place)])


def test_nothing_of_an_erased_twin_opens_or_is_sealed(home: Home):
    ada, ben = (home.store.new_twin(now()) for _ in range(2))
    sealed = home.store.seal_parcels([(ada, b"hers", HERE), (ben, b"his", HERE)])
    erase(home, ada, "request")
    assert home.store.open_parcels([(ada, sealed[0], HERE), (ben, sealed[1], HERE)]) == [None, b"his"]
    with pytest.raises(Erased):
        home.store.seal_parcels([(ada, b"more", HERE)])
    assert home.store.open_parcels([("nobody", sealed[0], HERE)]) == [None]
