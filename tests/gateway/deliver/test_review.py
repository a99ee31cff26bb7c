"""What follows of results that do not stand: by policy, never late, and for nobody but those whom it concerns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.deliver import send
from gateway.deliver.change import read_change
from gateway.deliver.review import is_to_review, retract, review, review_all
from gateway.deliver.standing import older_results, still_valid
from gateway.erasure import restrict
from gateway.home import now
from gateway.ingest import ingest
from gateway.simulation import open_twin
from gateway.sources import open_source
from gateway.store import Attempt, Delivery, Landed
from security.errors import Denied, Misuse
from tests.gateway.deliver.superseding import FIRST, SECOND, SOURCE, Ward, result, ward
from tests.gateway.stream.arriving import Told, delivery, open_inbox

LEAVE = '[approval]\novertaken = "leave"\ncorrected = "leave"\nretracted = "leave"\n'
BY_A_PERSON = '[approval]\n[[approval.rules]]\nby = "role"\nroles = ["clinician"]\nkinds = ["change"]\n'


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Ward]:
    with ward(tmp_path) as found:
        yield found


def put_beside(there: Ward, kind: str) -> Delivery:
    """Let the outbox have another kind of result, on the run of the newest answer."""
    store, answer = there.home.store, there.results()[0]
    content = {"now": now(), "model": answer.model, "kind": kind}
    store.propose(f"{kind}-1", there.twin, SOURCE, answer.run, answer.bundle, **content)
    return store.delivery(f"{kind}-1")


async def test_what_nobody_agreed_to_yet_is_overtaken_by_newer_records_and_never_leaves(there):
    await there.pull()
    there.propose()
    there.measure("c2", 2.1, SECOND)
    await there.pull()
    [waiting] = there.results()
    assert (waiting.state, waiting.reason) == ("overtaken", "overtaken")
    there.ehr.seen.clear()
    await there.deliver()
    assert there.writes() == []


async def test_what_waits_on_a_record_that_was_taken_back_is_dropped(there):
    await there.pull()
    there.propose()
    there.ehr.store.remove("Observation", "c1")
    await there.pull()
    assert [(each.state, each.reason) for each in there.results()] == [("dropped", "retracted")]


async def test_what_waits_on_a_record_that_was_corrected_does_not_leave_either(there):
    await there.pull()
    there.propose()
    there.measure("c1", 2.4, FIRST)
    await there.pull()
    assert [(each.state, each.reason) for each in there.results()] == [("overtaken", "corrected")]


async def test_what_has_nothing_to_do_with_a_result_keeps_nothing_from_leaving(there):
    await there.pull()
    there.propose()
    there.ehr.load({"resourceType": "Observation", "id": "w1", "status": "final"} | weight())
    await there.pull()
    assert [each.state for each in there.results()] == ["proposed"]
    await there.deliver()
    assert [each.state for each in there.results()] == ["sent"]


def weight() -> dict[str, Any]:
    return {
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": SECOND,
        "valueQuantity": {"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


async def test_what_may_have_left_is_asked_for_first_and_not_simply_dropped(there):
    await there.pull()
    there.propose()
    store, [waiting], moment = there.home.store, there.results(), now()
    store.decide_delivery(waiting, "approved", moment)
    store.claim("killed", moment, moment, limit=1)
    store.note_leaving("killed", waiting.id, moment)
    there.measure("c2", 2.1, SECOND)
    await there.pull()
    assert [each.state for each in there.results()] == ["sending"]
    assert still_valid(there.home, there.results()[0]) == "overtaken"  # so that it is not sent once more


async def test_before_there_is_a_newer_result_the_older_one_stays_the_one_that_stands(there):
    await there.hear()
    there.measure("c2", 2.1, SECOND)
    await there.pull()
    there.propose()
    assert review(there.home, there.twin).changes == ()
    assert there.changes() == []


async def test_where_policy_leaves_them_results_are_left(tmp_path):
    with ward(tmp_path, toml=LEAVE) as there:
        await there.hear()
        there.measure("c1", 2.4, FIRST)
        await there.pull()
        there.measure("c2", 2.1, SECOND)
        await there.hear()
        assert [each.state for each in there.results()] == ["sent", "sent"]
        assert there.changes() == []
        assert review(there.home, there.twin).found == {"corrected": 1, "stands": 1}


async def test_where_policy_wants_a_person_the_change_waits_for_them(tmp_path):
    with ward(tmp_path, toml=BY_A_PERSON) as there:
        await there.hear()
        there.measure("c1", 2.4, FIRST)
        await there.pull()
        await there.deliver()
        assert [each.state for each in there.changes()] == ["proposed"]
        [result] = there.results()
        assert there.there(result)["status"] == "preliminary"


async def test_a_plan_and_a_warning_are_not_overtaken_and_fall_with_what_they_stand_on(there):
    await there.pull()
    there.propose()
    put_beside(there, "plan")
    put_beside(there, "warning")
    there.measure("c2", 2.1, SECOND)
    await there.pull()
    assert {each.kind: each.state for each in there.results()} | {"observation": ""} == {
        "risk": "overtaken",
        "plan": "proposed",
        "warning": "proposed",
        "observation": "",
    }
    record = open_twin(there.home, there.twin)
    assert older_results(there.home, record, "kidney", "plan", SOURCE, "") == ()
    there.ehr.store.remove("Observation", "c1")
    await there.pull()
    assert {each.state for each in there.results() if each.kind in ("plan", "warning")} == {"dropped"}


async def test_a_second_look_at_the_same_version_opens_nothing(there):
    await there.hear()
    there.ehr.load({"resourceType": "Observation", "id": "w1", "status": "final"} | weight())
    await there.pull()
    review(there.home, there.twin)
    before = len(list(there.home.store.audit_events(10_000)))
    assert review(there.home, there.twin).found == {"stands": 1}
    assert len(list(there.home.store.audit_events(10_000))) == before


async def test_a_person_enters_a_result_in_error_with_their_reason(there):
    await there.hear()
    [result] = there.results()
    id_ = retract(there.home, result, "Computed with a wrong version of the model.")
    assert retract(there.home, result, "Once more.") == id_
    await there.deliver()
    [result], [change] = there.results(), there.changes()
    assert (change.id, change.state, result.state) == (id_, "sent", "retracted")
    assert "wrong version" in there.there(result)["text"]["div"]
    with pytest.raises(Misuse):
        retract(there.home, result, "Twice.")


async def test_what_has_not_arrived_is_not_entered_in_error_and_a_reason_is_wanted(there):
    await there.pull()
    there.propose()
    with pytest.raises(Misuse):
        retract(there.home, there.results()[0], "It is wrong.")
    await there.deliver()
    with pytest.raises(Misuse):
        retract(there.home, there.results()[0], " ")


async def test_who_may_not_agree_to_it_enters_nothing_in_error(tmp_path):
    with ward(tmp_path, toml=BY_A_PERSON) as there:
        await there.hear()
        with pytest.raises(Denied):
            retract(there.home, there.results()[0], "It is wrong.")
        await there.deliver()
        assert there.there(there.results()[0])["status"] == "preliminary"


async def test_what_is_to_be_said_can_be_read_before_anybody_agrees(tmp_path):
    with ward(tmp_path, toml=BY_A_PERSON) as there:
        await there.hear()
        there.measure("c1", 2.4, FIRST)
        await there.pull()
        [change] = there.changes()
        shown = msgspec.json.decode(change.bundle)["entry"]
        assert {each["resource"]["status"] for each in shown} == {"entered-in-error"}
        assert {each["request"]["method"] for each in shown} == {"PUT"}
        assert read_change(change.content).why == "corrected"


async def test_nothing_of_a_twin_that_is_restricted_is_proposed(there):
    await there.hear()
    restrict(there.home, there.twin, "case-17")
    with pytest.raises(Denied):
        retract(there.home, there.results()[0], "It is wrong.")
    assert there.changes() == []


async def test_what_stood_in_a_chart_that_was_merged_into_another_one_is_entered_in_error(there):
    await there.hear()
    [result], store = there.results(), there.home.store
    there.ehr.load({"resourceType": "Patient", "id": "p2", "gender": "female", "birthDate": "1961-03-04"})
    there.ehr.merge("p1", "p2")
    async with open_source(SOURCE, there.home.settings.source(SOURCE)) as source:
        await ingest(there.home, source, lambda text: None)
    await send(there.home, result.twin)
    assert store.delivery(result.id).state == "retracted"
    assert there.there(result)["status"] == "entered-in-error"


async def test_a_correction_that_the_ehr_sends_by_itself_is_found_when_it_comes(there):
    await there.hear()
    inbox = open_inbox(there.home, Told())
    corrected = result("c1", "2160-0", 2.4, "mg/dL", FIRST) | {"meta": {"versionId": "2"}}
    await inbox.accept(delivery("news", corrected))
    await inbox.drain()
    assert [read_change(each.content).why for each in there.changes()] == ["corrected"]


async def arrived_after_its_record_was_taken_back(there: Ward) -> Delivery:
    """Let a worker that looks at nothing afterwards bring a result, while we hear that its record is gone."""
    await there.pull()
    there.propose()
    store, moment = there.home.store, now()
    store.decide_delivery(there.results()[0], "approved", moment)
    [leased] = store.claim("other", moment, moment + timedelta(minutes=1), limit=1)
    there.ehr.store.remove("Observation", "c1")
    await there.pull()
    assert there.results()[0].state == "sending"
    store.settle("other", {leased.id: Attempt("sent", landed=(Landed("u", "Observation/x1"),))}, now())
    return leased


async def test_what_arrived_while_its_record_was_taken_back_does_not_stay(there):
    assert is_to_review(there.home, await arrived_after_its_record_was_taken_back(there))
    review_all(there.home, (there.twin,))
    assert [read_change(each.content).why for each in there.changes()] == ["retracted"]


async def test_of_a_result_that_arrives_after_its_record_was_taken_back_it_is_said_at_once(tmp_path):
    with ward(tmp_path, before=lambda there: take_back_while_it_arrives(there, "c1")) as there:
        await there.hear()
        [change] = there.changes()
        assert (read_change(change.content).why, change.state) == ("retracted", "sent")
        assert [each.state for each in there.results()] == ["retracted"]


async def test_so_it_is_where_the_worker_was_killed_before_it_looked(there):
    await arrived_after_its_record_was_taken_back(there)
    assert there.home.store.twins_to_review() == {there.twin}
    await there.deliver()
    assert [read_change(each.content).why for each in there.changes()] == ["retracted"]


async def test_only_another_result_of_the_same_model_gives_reason_to_look(there):
    await there.hear()
    store, [answer] = there.home.store, there.results()
    for name, model in (("other", "glucose"), ("same", answer.model)):
        assert not is_to_review(there.home, answer)
        assert store.twins_to_review() == set()
        store.save_run(name, there.twin, model, store.twin_version(there.twin), b"{}", now=now())
        store.propose(name, there.twin, SOURCE, name, answer.bundle, now=now(), model=model, kind=answer.kind)
        store.decide_delivery(store.delivery(name), "approved", now())
        [leased] = store.claim("one", now(), now() + timedelta(minutes=1), limit=1)
        store.settle("one", {leased.id: Attempt("sent", landed=(Landed(name, f"Observation/{name}"),))}, now())
    assert is_to_review(there.home, answer)
    assert store.twins_to_review() == {there.twin}


def take_back_while_it_arrives(there: Ward, id_: str) -> None:
    """Let the EHR lose a record, and us hear of it, while a result is on its way to it, once."""
    app = there.ehr.app

    async def taking_back(scope: Any, receive: Any, send: Any) -> None:
        is_ours = scope["type"] == "http" and scope["method"] == "POST" and not scope["path"].endswith("/Device")
        if is_ours and not taken:
            taken.append(id_)
            there.ehr.store.remove("Observation", id_)
            await there.pull()
        await app(scope, receive, send)

    taken: list[str] = []
    there.ehr.app = taking_back
