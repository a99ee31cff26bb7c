"""One person who was two: a result goes back to what came before they were joined, and to what came since."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.export import gather, write_export
from gateway.lineage import lineage
from gateway.lineage.archive import lineage_in
from gateway.store import Landed
from tests.gateway.lineage.following import arrived
from tests.gateway.lineage.test_bounds import run_of
from tests.gateway.test_identities import Clinic, two_smiths

BEFORE = Landed("2d6bf045-0f47-5032-8eae-52d1001c5ead", "RiskAssessment/before", "1")
AFTER = Landed("3d6bf045-0f47-5032-8eae-52d1001c5ead", "RiskAssessment/after", "1")


@pytest.fixture
def joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Clinic:
    """Two twins, a result of one of them; then they are joined, and there is a result of both."""
    clinic = Clinic(tmp_path, capsys)
    _, south, number = two_smiths(clinic)
    with clinic.home() as home:
        arrived(home, run_of(home, south), "south", BEFORE)
    clinic.ask("join", str(number))
    with clinic.home() as home:
        [whole] = [twin for twin in home.store.twins() if twin.resources]
        arrived(home, run_of(home, whole.id), "south", AFTER)
    return clinic


def test_a_result_of_both_reaches_the_pulls_of_both(joined):
    with joined.home() as home:
        chain = lineage(home, "RiskAssessment/after")
        raws = chain.of_kind("raw")
        assert {node.told["source"] for node in raws} == {"north", "south"}
        assert {node.told["source"] for node in chain.of_kind("pull")} == {"north", "south"}
        assert "no-pull" not in chain.missing
        assert any("joined_from" in node.told for node in raws)


def test_a_result_from_before_is_followed_from_the_twin_that_nobody_is_any_more(joined):
    with joined.home() as home:
        chain = lineage(home, "RiskAssessment/before")
        assert {node.told["source"] for node in chain.of_kind("raw")} == {"south"}
        assert all("retracted" in node.told["since"] for node in chain.of_kind("raw"))
        forth = lineage(home, "Observation/w3")
        assert {node.told["resource"] for node in forth.of_kind("resource")} == {BEFORE.reference, AFTER.reference}


def test_the_export_of_the_person_has_both(joined, tmp_path):
    with joined.home() as home:
        [whole] = [twin.id for twin in home.store.twins() if twin.resources]
        write_export(home, gather(home, whole), tmp_path / "e.zip")
        for asked in (BEFORE.reference, AFTER.reference, "Observation/w3"):
            online = lineage(home, asked)
            offline, checks = lineage_in(tmp_path / "e.zip", asked, public_key=home.store.audit_public_key)
            assert all(each.is_so for each in checks)
            assert {node.id: node for node in online.nodes} == {node.id: node for node in offline.nodes}
            assert set(online.edges) == set(offline.edges)
            assert sorted(online.start) == sorted(offline.start)
