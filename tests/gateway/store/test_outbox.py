"""What waits in the outbox, what people decide about it, and how it is found again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.store import ARROWS, Attempt, Landed
from security.errors import Denied, Misuse, UnknownName

UUID = "urn:uuid:0f1e"


def arrive(store, name, at, *landed):
    """Let somebody send what is due, and note that all of it arrived."""
    found = store.claim("w", at(2), at(3), limit=10)
    assert name in [each.id for each in found]
    store.settle("w", {each.id: Attempt("sent", status=200, landed=landed) for each in found}, at(2))


def test_a_proposal_waits_until_somebody_agrees_and_says_all_that_it_was_told(store, twin, at, propose, event):
    propose("d1", model="kidney@2", kind="risk", content=b"draft", replaces="d0", events=[event()])
    [kept] = store.outbox(twin=twin)
    assert (kept.state, kept.attempts, kept.bundle, kept.reply) == ("proposed", 0, b'{"entry":[]}', None)
    assert (kept.model, kept.kind, kept.content, kept.replaces) == ("kidney@2", "risk", b"draft", "d0")
    assert store.due() == []
    assert store.claim("w", at(1), at(2), limit=9) == []
    assert store.decide_delivery(kept, "approved", at(1), decision=b"ada: yes", events=[event()])
    [due] = store.due("north")
    assert (due.state, due.decision, due.updated) == ("approved", b"ada: yes", at(1))
    assert len(store.audit_rows()) == 2


def test_proposing_again_changes_nothing_even_after_it_was_sent(store, twin, at, agree, event):
    agree()
    arrive(store, "d1", at)
    assert not store.propose("d1", twin, "north", f"run{twin}", b"other", now=at(4), decision=b"x", events=[event()])
    assert [(d.state, d.bundle) for d in store.outbox()] == [("sent", b'{"entry":[]}')]
    assert store.audit_rows() == []


def test_who_read_before_somebody_else_decided_reads_again(store, at, propose, event):
    propose()
    [read] = store.outbox()
    assert store.decide_delivery(read, "declined", at(1))
    assert not store.decide_delivery(read, "approved", at(1), events=[event()])
    assert store.outbox()[0].state == "declined"
    assert store.audit_rows() == []


@pytest.mark.parametrize("state", ARROWS)
def test_a_delivery_goes_only_where_an_arrow_leads(store, at, propose, state):
    propose()
    read = replace(store.outbox()[0], state=state)
    for to in {*ARROWS} - ARROWS[state] | {"sending", "sent", "dead", "proposed", "superseded", "retracted"}:
        with pytest.raises(ValueError, match="does not become"):
            store.decide_delivery(read, to, at(1))
    assert store.outbox()[0].state == "proposed"


def test_the_arrows_name_every_state_and_lead_to_an_end():
    assert {one for ways in ARROWS.values() for one in ways} | {"proposed"} == set(ARROWS)
    assert [state for state, ways in ARROWS.items() if not ways] == ["retracted", "declined", "dropped", "overtaken"]


def test_what_is_agreed_to_later_stands_behind_and_what_is_tried_again_keeps_its_place(store, at, propose):
    for name in ("d1", "d2"):
        propose(name)
    one, two = store.outbox()
    for each in (two, one):
        store.decide_delivery(each, "approved", at(1))
    assert [each.id for each in store.claim("w", at(1), at(2), limit=9)] == ["d2"]
    store.settle("w", {"d2": Attempt("failed", not_before=at(60))}, at(1))
    assert store.claim("w", at(2), at(3), limit=9) == []
    assert store.decide_delivery(store.delivery("d2"), "failed", at(2), reason="asked")
    assert [(each.id, each.reason) for each in store.claim("w", at(2), at(3), limit=9)] == [("d2", "asked")]
    store.settle("w", {"d2": Attempt("dead", "unprocessable")}, at(2))
    assert store.decide_delivery(store.delivery("d2"), "approved", at(2))
    assert store.delivery("d2").attempts == 0
    assert [each.id for each in store.claim("w", at(2), at(3), limit=9)] == ["d1"]


def test_what_is_being_sent_is_decided_about_once_its_lease_has_ended(store, at, agree):
    agree()
    store.claim("w", at(1), at(2), limit=1)
    [sending] = store.outbox()
    assert not store.decide_delivery(sending, "dropped", at(1))
    assert store.decide_delivery(sending, "dropped", at(2))
    assert store.settle("w", {"d1": Attempt("sent")}, at(2)) == []
    assert store.outbox()[0].state == "dropped"


def test_a_restricted_twin_gets_no_agreement_and_can_be_given_up(store, twin, at, propose):
    propose()
    store.guard(twin, "restriction", "ticket-1", at(1))
    [read] = store.outbox()
    with pytest.raises(Denied):
        store.decide_delivery(read, "approved", at(1))
    with pytest.raises(Denied):
        propose("d2")
    assert store.decide_delivery(read, "dropped", at(1))


def test_deliveries_go_by_source_by_state_and_by_run_and_are_counted(store, twin, at, propose, agree):
    agree("d1")
    propose("d2", source="lakeside")
    assert [d.id for d in store.outbox("lakeside")] == ["d2"]
    assert [d.id for d in store.outbox(states=("approved",))] == [d.id for d in store.due("north")] == ["d1"]
    assert [d.id for d in store.outbox(run=f"run{twin}")] == ["d1", "d2"]
    assert store.outbox(run="another") == []
    assert store.outbox_counts() == {("lakeside", "proposed"): 1, ("north", "approved"): 1}
    assert store.outbox_counts("nobody") == {}
    assert store.outbox_twins(("proposed",)) == [twin]


def test_a_list_opens_nothing_and_has_the_newest_first(store, at, agree):
    for number in range(3):
        agree(f"d{number}", now=at(number))
    listed = store.outbox_listed(["north"], limit=2)
    assert [each.id for each in listed] == ["d2", "d1"]
    assert [(each.bundle, each.content, each.decision, each.reply) for each in listed] == [(b"", b"", b"", None)] * 2
    assert store.outbox_listed(["south"]) == store.outbox_listed(states=("sent",)) == []


def test_a_delivery_is_found_by_the_start_of_its_id(store, agree):
    for name in ("ab12", "ab34"):
        agree(name)
    assert store.delivery("AB1").id == "ab12"
    with pytest.raises(Misuse):
        store.delivery("ab")
    for odd in ("c", "", "%", "\0"):
        with pytest.raises(UnknownName):
            store.delivery(odd)


def test_what_arrived_is_found_by_its_address_at_the_ehr_and_by_our_name(store, at, agree):
    agree()
    landed = Landed(UUID, "Observation/12", "1")
    arrive(store, "d1", at, landed)
    for name in ("Observation/12", UUID):
        found = store.delivered_as("north", name)
        assert found is not None
        assert (found.id, found.landed) == ("d1", (landed,))
    assert store.delivered_as("south", "Observation/12") is store.delivered_as("north", "Observation/1") is None


def test_a_resource_is_known_by_the_last_result_that_it_told_and_not_by_what_changed_it(store, at, agree):
    landed = Landed(UUID, "Observation/12")
    agree("d1")
    arrive(store, "d1", at, landed)
    agree("d2", kind="change", replaces="d1")
    arrive(store, "d2", at, Landed(UUID, "Observation/12", "2", "updated"))
    assert store.delivered_as("north", UUID).id == "d1"
    assert store.delivery("d2").landed[0].version == "2"
    agree("d3", kind="observation", replaces="d1")
    arrive(store, "d3", at, Landed("urn:uuid:other", "Observation/12", "3", "updated"))
    assert store.delivered_as("north", "Observation/12").id == "d3"


def test_what_has_arrived_is_superseded_or_retracted_once_and_nothing_else_is(store, at, agree, event):
    agree()
    assert not store.note_replaced("d1", "superseded", at(1), [event()])
    arrive(store, "d1", at)
    assert store.note_replaced("d1", "superseded", at(3))
    assert not store.note_replaced("d1", "superseded", at(3))
    assert store.note_replaced("d1", "retracted", at(4))
    assert not store.note_replaced("d1", "superseded", at(5), [event()])
    assert (store.delivery("d1").state, store.delivery("d1").updated) == ("retracted", at(4))
    assert store.audit_rows() == []
    with pytest.raises(ValueError, match="does not become"):
        store.note_replaced("d1", "dropped", at(5))
