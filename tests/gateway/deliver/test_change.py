"""Life after delivery: what no longer stands is not left standing, and nobody's work at the EHR is written over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.hostile import FhirVersion, Misbehaviour
from gateway.deliver.learned import learned
from gateway.home import now
from gateway.store import Attempt
from tests.gateway.deliver.superseding import FIRST, SECOND, SOURCE, VERSIONS, Ward, ward


@pytest.fixture(params=VERSIONS)
def ehr(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ward]:
    with ward(tmp_path, request.param) as found:
        yield found


@pytest.fixture
def r4(tmp_path: Path) -> Iterator[Ward]:
    with ward(tmp_path) as found:
        yield found


def words_in(resource: dict[str, Any]) -> str:
    return str(resource["text"]["div"])


async def test_a_newer_result_takes_the_place_of_the_older_one_and_is_named_there(ehr):
    await ehr.hear()
    ehr.measure("c2", 2.1, SECOND)
    await ehr.hear()
    older, newer = ehr.results()
    [change] = ehr.changes()
    assert (older.state, newer.state, change.state) == ("superseded", "sent", "sent")
    for type_ in ("Observation", "RiskAssessment"):
        before, after = ehr.there(older, type_), ehr.there(newer, type_)
        assert f"{type_}/{after['id']}" in words_in(before)
        assert words_in(before).index("Overtaken") < words_in(before).index("Simulated by")
    assert ehr.there(older)["status"] == "amended"
    assert ehr.there(newer)["status"] == "preliminary"
    assert newer.replaces == older.id


async def test_the_newer_one_is_there_before_the_older_one_is_said_to_be_overtaken(r4):
    await r4.hear()
    r4.measure("c2", 2.1, SECOND)
    r4.ehr.seen.clear()
    await r4.hear()
    methods = [method for method, path in r4.writes() if "auth" not in path]
    assert methods[0] == "POST"
    assert methods[-2:] == ["PUT", "PUT"]
    assert "POST" not in methods[methods.index("PUT") :]


async def test_a_corrected_record_enters_what_stood_on_it_in_error(ehr):
    await ehr.hear()
    ehr.measure("c1", 2.4, FIRST)  # the next version of the same Observation
    await ehr.pull()
    await ehr.deliver()
    [result] = ehr.results()
    [change] = ehr.changes()
    assert (result.state, change.state) == ("retracted", "sent")
    assert ehr.there(result)["status"] == "entered-in-error"
    assert "corrected" in words_in(ehr.there(result))
    assert "corrected" in words_in(ehr.there(result, "RiskAssessment"))


@pytest.mark.parametrize("version", ["dstu2", "r4"])
async def test_a_record_that_its_source_deleted_enters_what_stood_on_it_in_error(version: FhirVersion, tmp_path):
    with ward(tmp_path, version) as there:
        await there.hear()
        there.ehr.store.remove("Observation", "c1")
        await there.pull()
        await there.deliver()
        [result] = there.results()
        assert result.state == "retracted"
        assert "taken back" in words_in(there.there(result))


async def test_a_record_that_was_entered_in_error_does_the_same(r4):
    await r4.hear()
    r4.measure("c1", 1.4, FIRST, status="entered-in-error")
    await r4.pull()
    await r4.deliver()
    assert [each.state for each in r4.results()] == ["retracted"]


async def test_a_newer_version_that_says_the_same_changes_nothing(r4):
    await r4.hear()
    r4.measure("c1", 1.40, FIRST, issued="2026-11-02T09:00:00Z")
    await r4.pull()
    await r4.deliver()
    assert [each.state for each in r4.results()] == ["sent"]
    assert r4.changes() == []


async def test_what_a_result_was_replaced_by_falls_too_where_both_stood_on_one_record(r4):
    await r4.hear()
    r4.measure("c2", 2.1, SECOND)
    await r4.hear()
    r4.ehr.load(r4.ehr.store.read("Observation", "u1").resource() | {"valueQuantity": {"value": 900.0, "unit": "mg/g"}})
    await r4.pull()
    await r4.deliver()
    assert [each.state for each in r4.results()] == ["retracted", "retracted"]
    assert all(r4.there(each)["status"] == "entered-in-error" for each in r4.results())


async def test_what_a_person_made_final_is_left_as_it_is_and_told(r4):
    await r4.hear()
    [result] = r4.results()
    r4.edit(result, status="final")
    r4.measure("c1", 2.4, FIRST)
    await r4.pull()
    await r4.deliver()
    [result], [change] = r4.results(), r4.changes()
    assert (change.state, change.reason, result.state) == ("dead", "changed-at-ehr", "sent")
    assert r4.there(result)["status"] == "final"
    assert "Entered in error" not in words_in(r4.there(result))
    assert r4.there(result, "RiskAssessment")["status"] == "entered-in-error"  # nobody has touched this one


async def test_what_a_person_added_is_theirs_even_where_the_server_tells_no_versions(tmp_path):
    with ward(tmp_path, tells_versions=False) as there:
        await there.hear()
        [result] = there.results()
        there.edit(result, performer=[{"display": "Dr. Novak"}])
        there.measure("c1", 2.4, FIRST)
        await there.pull()
        await there.deliver()
        [change] = there.changes()
        assert (change.state, change.reason) == ("dead", "changed-at-ehr")
        assert there.there(result)["status"] == "preliminary"


async def test_without_versions_and_without_anybody_s_change_it_is_said_all_the_same(tmp_path):
    with ward(tmp_path, tells_versions=False) as there:
        await there.hear()
        there.measure("c1", 2.4, FIRST)
        await there.pull()
        await there.deliver()
        [result] = there.results()
        assert there.there(result)["status"] == "entered-in-error"


async def test_what_a_person_entered_in_error_needs_nothing_more(r4):
    await r4.hear()
    [result] = r4.results()
    r4.edit(result, status="entered-in-error")
    r4.measure("c1", 2.4, FIRST)
    await r4.pull()
    r4.ehr.seen.clear()
    await r4.deliver()
    [result], [change] = r4.results(), r4.changes()
    assert (result.state, change.state) == ("retracted", "sent")
    assert [path for method, path in r4.writes() if method == "PUT" and "/Observation/" in path] == []


async def test_what_is_gone_at_the_ehr_needs_nothing(r4):
    await r4.hear()
    [result] = r4.results()
    for place in result.landed:
        r4.ehr.store.remove(*place.reference.split("/"))
    r4.measure("c1", 2.4, FIRST)
    await r4.pull()
    await r4.deliver()
    [result], [change] = r4.results(), r4.changes()
    assert (result.state, change.state, change.reason) == ("retracted", "sent", "gone-at-ehr")


def meddle(there: Ward, status: str) -> None:
    """Let a person change what is being changed, between our look and our write, once."""
    app = there.ehr.app

    async def meddling(scope: Any, receive: Any, send: Any) -> None:
        is_ours = scope["type"] == "http" and scope["method"] == "PUT" and "/Observation/" in scope["path"]
        if is_ours and not meddled:
            meddled.append(scope["path"])
            there.edit(there.results()[0], status=status)
        await app(scope, receive, send)

    meddled: list[str] = []
    there.ehr.app = meddling


async def test_who_is_quicker_is_not_written_over(tmp_path):
    with ward(tmp_path, before=lambda there: meddle(there, "final")) as there:
        await there.hear()
        there.measure("c1", 2.4, FIRST)
        await there.pull()
        await there.deliver()
        [result], [change] = there.results(), there.changes()
        assert (change.state, change.reason) == ("dead", "changed-at-ehr")
        assert there.there(result)["status"] == "final"


async def test_a_server_that_ignores_if_match_is_found_out_and_told(tmp_path):
    with ward(tmp_path, before=lambda there: meddle(there, "final")) as there:
        there.ehr.misbehaviours.add(Misbehaviour("if-match-ignored"))
        await there.hear()
        there.measure("c1", 2.4, FIRST)
        await there.pull()
        await there.deliver()
        [change] = there.changes()
        assert (change.state, change.reason) == ("dead", "overwrote")
        assert learned(there.home.settings.home, SOURCE).if_match == "no"
        there.home.store.decide_delivery(change, "approved", now())  # twin outbox retry, when somebody has looked
        await there.deliver()
        assert [each.state for each in there.changes()] == ["sent"]


@pytest.mark.parametrize(
    "fault",
    [
        Misbehaviour("lost-answer", type="Observation", times=1),
        Misbehaviour("write-status", type="Observation", times=1, value="503"),
        Misbehaviour("outcome-after-write", type="Observation", times=1),
        Misbehaviour("status-after-write", type="Observation", times=1, value="500"),
    ],
    ids=lambda fault: f"{fault.name}-{fault.value}",
)
async def test_after_a_doubt_the_ehr_is_asked_and_it_is_said_once(r4, fault):
    await r4.hear()
    r4.measure("c1", 2.4, FIRST)
    await r4.pull()
    r4.ehr.misbehaviours.add(fault)
    await r4.deliver()
    [result], [change] = r4.results(), r4.changes()
    assert (result.state, change.state) == ("retracted", "sent")
    [place] = [each for each in result.landed if each.reference.startswith("Observation/")]
    assert len(r4.ehr.store.history(*place.reference.split("/"))) == 2


async def test_a_server_that_updates_nothing_leaves_a_letter_with_what_to_do(tmp_path):
    with ward(tmp_path, updates=False) as there:
        await there.hear()
        there.measure("c1", 2.4, FIRST)
        await there.pull()
        await there.deliver()
        [result], [change] = there.results(), there.changes()
        assert (result.state, change.state, change.reason) == ("sent", "dead", "no-updates")


async def test_killed_between_the_newer_result_and_the_change_it_is_found_again(r4):
    await r4.hear()
    r4.measure("c2", 2.1, SECOND)
    await r4.pull()
    r4.propose()
    settle_as_if_killed_after(r4)
    assert r4.changes() == []
    await r4.deliver()
    older, newer = r4.results()
    assert (older.state, newer.state) == ("superseded", "sent")


def settle_as_if_killed_after(there: Ward) -> None:
    """Take the newer result to its place by hand: it has arrived, and nobody has looked since."""
    store, moment = there.home.store, now()
    [newer] = [each for each in there.results() if each.state in ("proposed", "approved")]
    store.decide_delivery(newer, "approved", moment)
    [leased] = store.claim("killed", moment, moment, limit=1)
    landed = there.results()[0].landed
    store.settle("killed", {leased.id: Attempt("sent", landed=landed)}, moment)
