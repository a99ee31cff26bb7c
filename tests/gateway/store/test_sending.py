"""Who has which delivery, in which order they leave, and how their attempts are noted."""

from __future__ import annotations

import pytest

from gateway.store import ARROWS, Attempt, Decision, Landed


@pytest.fixture
def claim(store, at):
    """Lease what may leave, from one minute until the next; returns the ids."""

    def run(holder="w", minute=1, until=None, **told):
        found = store.claim(holder, at(minute), at(until or minute + 1), limit=told.pop("limit", 10), **told)
        return [each.id for each in found]

    return run


@pytest.fixture
def settle(store, at):
    """Note how one attempt ended; says whether it was still ours."""

    def run(name, state, holder="w", minute=1, **told):
        return store.settle(holder, {name: Attempt(state, **told)}, at(minute)) == [name]

    return run


def test_a_delivery_goes_from_agreement_to_reply(store, twin, at, agree, event):
    agree()
    [due] = store.claim("w", at(2), at(3), limit=5, events=lambda delivery: [event(patient=delivery.twin)])
    assert (due.state, due.attempts, due.holder) == ("approved", 0, "")  # as it was
    assert store.note_leaving("w", "d1", at(2), [event()])
    [sending] = store.outbox()
    assert (sending.state, sending.holder, sending.lease_until) == ("sending", "w", at(3))
    assert (sending.left, sending.unsure, sending.attempts) == (at(2), True, 1)
    landed = (Landed("urn:uuid:1", "Observation/1", "1"),)
    ended = Attempt("sent", status=200, reply=b'{"entry":[{}]}', landed=landed)
    assert store.settle("w", {"d1": ended}, at(3), [event()]) == ["d1"]
    [sent] = store.outbox(twin=twin)
    assert (sent.state, sent.attempts, sent.last_status, sent.reply) == ("sent", 1, 200, b'{"entry":[{}]}')
    assert (sent.created, sent.updated, sent.landed, sent.unsure) == (at(0), at(3), landed, False)
    assert (sent.holder, sent.lease_until, store.due(), store.next_due()) == ("", None, [], None)
    assert store.verify_audit().size == 3


def test_of_one_patient_of_one_source_one_leaves_at_a_time_in_order(store, agree, claim, settle, at):
    other = store.new_twin(at(0))
    for name in ("d1", "d2", "d3"):
        agree(name)
    agree("e1", of=other)
    agree("s1", source="south")
    assert claim() == ["d1", "e1", "s1"]
    assert claim() == []
    assert settle("d1", "sent")
    assert claim() == ["d2"]
    assert claim() == []


def test_what_failed_keeps_the_following_ones_waiting_until_its_time_has_come(agree, claim, settle, at):
    for name in ("d1", "d2"):
        agree(name)
    claim()
    assert settle("d1", "failed", reason="unavailable", status=503, not_before=at(5))
    assert claim(minute=4) == []
    assert claim(minute=5) == ["d1"]


@pytest.mark.parametrize("state", ["held", "dead", "dropped", "overtaken"])
def test_what_is_held_or_ended_keeps_nobody_waiting(agree, claim, settle, at, state):
    for name in ("d1", "d2"):
        agree(name)
    claim()
    assert settle("d1", state, reason="consent", not_before=at(9))
    assert claim() == ["d2"]


def test_what_was_held_has_its_turn_again_and_never_beside_another_one_of_its_patient(agree, claim, settle, at):
    for name in ("d1", "d2", "d3"):
        agree(name)
    claim()
    settle("d1", "held", not_before=at(3))
    assert claim(until=9) == ["d2"]
    assert claim(minute=3) == []  # d1 is due, and d2 is under way
    settle("d2", "sent", minute=3)
    assert claim(minute=3) == ["d1"]  # and not d3 beside it
    settle("d1", "held", not_before=at(5), minute=3)
    assert claim(minute=4, until=6) == ["d3"]
    assert claim(minute=6) == ["d3"]  # cut off: it goes before what is due again


def test_whose_lease_has_ended_is_taken_over_and_the_first_one_can_no_longer_write(store, agree, claim, settle, at):
    agree()
    assert claim("one") == ["d1"]
    assert store.note_leaving("one", "d1", at(1))
    assert claim("two") == []
    [again] = store.claim("two", at(2), at(3), limit=1)
    assert (again.state, again.unsure, again.left, again.attempts) == ("sending", True, at(1), 1)
    assert not settle("d1", "sent", "one", 2)
    assert not store.note_leaving("one", "d1", at(2))
    assert store.extend("one", ["d1"], at(9)) == 0
    assert settle("d1", "failed", "two", 2)
    assert (store.delivery("d1").state, store.delivery("d1").attempts) == ("failed", 2)


def test_nothing_leaves_after_our_lease_has_ended_though_nobody_took_it_over(store, agree, claim, settle, at, event):
    agree()
    claim()
    assert not store.note_leaving("w", "d1", at(2), [event()])
    assert (store.delivery("d1").left, store.audit_rows()) == (None, [])
    assert settle("d1", "failed", minute=3)  # what came back is still told


def test_a_lease_can_be_kept(store, agree, claim, at):
    agree()
    claim()
    assert store.extend("w", ["d1", "unknown"], at(9)) == 1
    assert claim("other", 8) == []
    assert store.note_leaving("w", "d1", at(8))
    assert claim("other", 9) == ["d1"]


def test_several_are_noted_and_settled_at_once_each_with_its_own_events(store, agree, claim, at, event):
    names = [agree(f"d{number}", of=store.new_twin(at(0))) for number in range(3)]
    assert claim() == names
    leaving = {name: [event(), event()] for name in (*names, "unknown")}
    assert store.note_leaving_all("w", leaving, at(1)) == names
    assert len(store.audit_rows()) == 6
    ends = {"d0": Attempt("sent", reply=b"0"), "d1": Attempt("failed", status=503), "unknown": Attempt("sent")}
    assert store.settle("w", ends, at(1)) == ["d0", "d1"]
    assert [(d.state, d.reply, d.last_status, d.unsure) for d in store.outbox()] == [
        ("sent", b"0", None, False),
        ("failed", None, 503, False),
        ("sending", None, None, True),
    ]


def test_what_was_given_back_counts_as_no_attempt_and_what_was_said_before_stays(store, agree, claim, settle):
    agree()
    claim()
    settle("d1", "failed", status=500, reply=b"oops", bundle=b"as an Observation")
    claim()
    assert settle("d1", "approved", "w", counts=False)
    kept = store.delivery("d1")
    assert (kept.state, kept.attempts, kept.reply, kept.bundle) == ("approved", 1, b"oops", b"as an Observation")


def test_what_it_became_is_gathered_over_attempts(store, agree, claim, settle):
    agree()
    claim()
    settle("d1", "failed", landed=(Landed("u1", "Device/1"), Landed("u2", "Observation/1", "1")))
    claim()
    settle("d1", "sent", landed=(Landed("u2", "Observation/1", "2", "updated"), Landed("u3", "RiskAssessment/1")))
    assert [(each.uuid, each.version) for each in store.delivery("d1").landed] == [("u1", ""), ("u2", "2"), ("u3", "")]


@pytest.mark.parametrize("state", [*sorted({*ARROWS} - ARROWS["sending"]), "sending"])
def test_an_attempt_ends_only_where_an_arrow_leads(store, agree, claim, settle, state):
    agree()
    claim()
    with pytest.raises(ValueError, match="does not become"):
        settle("d1", state)
    assert store.delivery("d1").state == "sending"


def test_only_what_is_being_sent_is_settled(store, agree, claim, settle):
    agree()
    assert not settle("d1", "sent")
    claim()
    assert settle("d1", "sent")
    assert not settle("d1", "failed")
    assert store.delivery("d1").state == "sent"


def test_a_restricted_twin_is_passed_over_and_what_was_under_way_is_settled(store, twin, agree, claim, settle, at):
    other = store.new_twin(at(0))
    for name in ("d1", "d2"):
        agree(name)
    agree("e1", of=other)
    assert claim(limit=1) == ["d1"]
    store.guard(twin, "restriction", "ticket-1", at(1))
    assert settle("d1", "sent")
    assert claim() == ["e1"]
    assert settle("e1", "sent")
    assert store.next_due() is None
    store.lift(twin, "restriction")
    assert claim() == ["d2"]


def test_a_worker_asks_for_some_sources_or_one_twin(store, twin, agree, claim, at):
    other = store.new_twin(at(0))
    agree("d1")
    agree("s1", source="south")
    agree("e1", of=other)
    assert claim(sources=[]) == []
    assert claim(sources=["south", "west"]) == ["s1"]
    assert claim(twin=other) == ["e1"]
    assert claim(sources=["north"], twin=twin) == ["d1"]


def test_it_is_told_when_something_may_leave_next(store, agree, claim, settle, at):
    assert store.next_due() is None
    for name in ("d1", "d2"):
        agree(name)
    agree("s1", source="south", now=at(1))
    assert store.next_due() == at(0)  # now
    claim(until=4)
    assert store.next_due() == at(4)  # a lease ends; d2 waits for it
    settle("d1", "failed", not_before=at(7))
    settle("s1", "held", not_before=at(6))
    assert store.next_due() == at(6)
    assert store.next_due(["north"]) == at(7)
    assert store.next_due(["west"]) is None


def test_looking_for_what_is_due_keeps_no_writer_waiting_and_writes_nothing(store, reopen, claim):
    with reopen() as other, other.transaction():
        assert claim() == []


def test_one_that_does_not_open_is_held_and_keeps_no_other_from_leaving(store, agree, claim, at, shell):
    agree("d1")
    agree("e1", of=store.new_twin(at(0)))
    shell("UPDATE outbox SET bundle = (SELECT o.bundle FROM outbox o WHERE o.id = 'e1') WHERE id = 'd1'")
    assert claim() == ["e1"]
    [kept] = [each for each in store.outbox_listed() if each.id == "d1"]
    assert (kept.state, kept.reason, kept.not_before, kept.attempts) == ("held", "unreadable", at(61), 0)


def test_an_event_that_cannot_be_made_leaves_all_as_it_was(store, agree, at):
    agree()

    def fail(delivery):
        raise LookupError(delivery.id)

    with pytest.raises(LookupError):
        store.claim("w", at(1), at(2), limit=1, events=fail)
    assert store.delivery("d1").state == "approved"


def test_erasing_a_twin_takes_its_deliveries_from_under_whoever_sends_them(
    store, twin, agree, claim, settle, at, event
):
    agree("d1")
    agree("d2", source="south")
    agree("e1", of=store.new_twin(at(0)))
    assert claim("done", sources=["south"]) == ["d2"]
    assert settle("d2", "sent", "done", landed=(Landed("urn:uuid:1", "Observation/1"),))
    assert claim(limit=1) == ["d1"]
    told = {}
    store.drop_twin(twin, "erasure-1", (), at(1), lambda **counts: told.update(counts) or [event()])
    assert told["deliveries"] == 2
    assert not store.note_leaving("w", "d1", at(1))
    ends = {"d1": Attempt("sent", reply=b"{}", landed=(Landed("urn:uuid:2", "Observation/2"),))}
    assert store.settle("w", ends, at(1), [event()]) == []
    assert store.extend("w", ["d1"], at(2)) == 0
    assert store.delivered_as("south", "Observation/1") is store.delivered_as("north", "Observation/2") is None
    assert claim(minute=3) == ["e1"]
    assert [each.id for each in store.outbox()] == ["e1"]


def test_a_joined_twin_s_deliveries_stay_its_own_and_go_along_when_the_other_one_is_erased(
    store, twin, agree, claim, settle, at, event
):
    other = store.new_twin(at(0))
    store.link_patient(twin, "north", "Patient/1")
    store.link_patient(other, "north", "Patient/2")
    agree("d1")
    claim()
    settle("d1", "sent", landed=(Landed("urn:uuid:1", "Observation/1"),))
    pair = store.pair(twin, other, at(1))
    store.relink(store.linked(twin), other)
    store.decide(pair.number, "joined", Decision(twin, other), at(1))
    assert store.who_are_somebody([twin, other]) == {other}
    assert store.relatives(other).along == (twin,)
    assert [each.id for one in (other, twin) for each in store.outbox(twin=one)] == ["d1"]
    store.drop_twin(other, "erasure-1", (), at(2), lambda **counts: [event()])
    assert store.outbox() == []
    assert store.delivered_as("north", "Observation/1") is None
