"""A run that started from a calibration says which, and says so when what it started from is no longer kept."""

from __future__ import annotations

import json

import msgspec

from gateway import resting
from gateway.home import Home, now
from gateway.lineage import lineage
from gateway.simulation import open_twin
from security.audit import run_event
from security.audit.entry import read_entry
from tests.gateway.consenting import CREATININE, home_of
from tests.gateway.lineage.test_bounds import run_of


def keep(home: Home, twin: str, *, after: int, creatinine: float) -> None:
    """Keep an ensemble as `gateway.resting` does."""
    kept = resting._Kept("1 layout", {"region": "x"}, {"creatinine": creatinine}, 0, 40, b"\0" * 8 * 40)
    event = run_event(home.access(patient=twin), run="calibration", model="hepatic@1")
    content = msgspec.msgpack.encode(kept)
    assert home.store.save_state(
        twin, "hepatic", "ensemble", content, after=after, twin_version=1, now=now(), events=[event]
    )


def ensemble_run(home: Home, twin: str, name: str) -> str:
    """Keep a run of forty members that used the creatinine of 1.0."""
    run = {**json.loads(home.store.run(run_of(home, twin)).content), "members": 40}
    version = open_twin(home, twin).version
    home.store.save_run(name, twin, "hepatic", version, json.dumps(run).encode(), now=now())
    return name


def test_a_run_names_the_calibration_that_it_started_from_until_that_is_replaced(tmp_path):
    with home_of(tmp_path, CREATININE) as (home, twin):
        none = ensemble_run(home, twin, "a" * 32)
        assert lineage(home, none).missing["not-calibrated"] == 1
        keep(home, twin, after=0, creatinine=1.0)
        run = ensemble_run(home, twin, "b" * 32)
        [node] = lineage(home, run).of_kind("calibration")
        assert not node.lacks
        assert (node.told["revision"], node.told["twin_version"]) == (1, 1)
        [number] = node.events
        event = home.store.audit_event(number)
        assert event is not None
        assert read_entry(number, event.event).thing == "calibration"
        assert not lineage(home, none).of_kind("calibration")[0].events  # it was made before there was one

        keep(home, twin, after=1, creatinine=9.0)
        [gone] = lineage(home, run).of_kind("calibration")
        assert gone.lacks == ("replaced",)
        [other] = lineage(home, ensemble_run(home, twin, "c" * 32)).of_kind("calibration")
        assert other.lacks == ("replaced",)  # of another creatinine


def test_a_run_of_one_member_starts_from_nothing_that_is_kept(tmp_path):
    with home_of(tmp_path, CREATININE) as (home, twin):
        assert not lineage(home, run_of(home, twin)).of_kind("calibration")
