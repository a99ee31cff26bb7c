from __future__ import annotations

import pytest

from security.errors import Misuse, UnknownName


@pytest.fixture
def twin(store, at):
    return store.new_twin(at(0))


def test_saving_a_run_twice_is_saving_it_once(store, twin, at, event):
    assert store.save_run("a1b2", twin, "kidney", 3, b'{"egfr": 52.10}', now=at(1), events=[event()])
    assert not store.save_run("a1b2", twin, "kidney", 3, b'{"egfr": 52.10}', now=at(2), events=[event()])
    [run] = store.runs(twin)
    assert (run.created, run.model, run.twin_version, run.content) == (at(1), "kidney", 3, b'{"egfr": 52.10}')
    assert store.run_counts() == {"kidney": 1}
    assert len(store.audit_rows()) == 2  # it was run twice


def test_runs_are_listed_newest_first_and_found_by_the_start_of_their_id(store, twin, at):
    store.save_run("aa11", twin, "kidney", 1, b"1", now=at(1))
    store.save_run("ab22", twin, "prevent", 1, b"2", now=at(2))
    assert [run.id for run in store.runs(twin)] == ["ab22", "aa11"]
    assert store.run("ab").content == b"2"
    with pytest.raises(Misuse):
        store.run("a")
    with pytest.raises(UnknownName):
        store.run("c")


def test_a_run_belongs_to_a_twin_that_is_there(store, at):
    with pytest.raises(KeyError):
        store.save_run("aa11", "nobody", "kidney", 1, b"", now=at(1))


@pytest.fixture
def propose(store, twin, at):
    store.save_run("aa11", twin, "kidney", 1, b"{}", now=at(0))
    return lambda name="d1", source="north": store.propose(name, twin, source, "aa11", b'{"entry":[]}', now=at(1))


def test_a_delivery_goes_from_proposal_to_reply(store, twin, at, propose):
    assert propose()
    [due] = store.due("north")
    assert (due.state, due.attempts, due.bundle, due.reply) == ("proposed", 0, b'{"entry":[]}', None)
    assert store.mark_sending(due, at(2))
    store.mark_sent("d1", 200, b'{"entry":[{}]}', at(3))
    assert store.due() == []
    [sent] = store.outbox(twin=twin)
    assert (sent.state, sent.attempts, sent.last_status, sent.reply) == ("sent", 1, 200, b'{"entry":[{}]}')
    assert (sent.created, sent.updated) == (at(1), at(3))


def test_proposing_again_changes_nothing_even_after_it_was_sent(store, at, propose):
    propose()
    store.mark_sending(store.due()[0], at(2))
    store.mark_sent("d1", 201, b"{}", at(2))
    assert not propose()
    assert [d.state for d in store.outbox()] == ["sent"]


def test_what_failed_or_was_cut_off_stays_due(store, at, propose):
    propose("d1")
    propose("d2")
    one, two = store.due()
    store.mark_sending(one, at(2))
    store.mark_failed("d1", 503, b"busy", at(2))
    store.mark_sending(two, at(2))  # and then the process is killed
    assert [(d.id, d.state, d.last_status) for d in store.due()] == [("d1", "failed", 503), ("d2", "sending", None)]
    again = store.due()[0]
    assert store.mark_sending(again, at(3))
    assert store.due()[0].attempts == 2


def test_of_two_who_would_send_only_one_may(store, at, propose, event):
    propose()
    [mine], [yours] = store.due(), store.due()
    assert store.mark_sending(mine, at(2), [event()])
    assert not store.mark_sending(yours, at(2), [event()])
    assert len(store.audit_rows()) == 1
    store.mark_sent("d1", 200, b"", at(3))
    assert not store.mark_sending(yours, at(4))


def test_who_read_before_another_attempt_failed_reads_again(store, at, propose):
    propose()
    store.mark_sending(store.due()[0], at(2))
    store.mark_failed("d1", 503, b"", at(2))
    [early] = store.due()
    store.mark_sending(early, at(3))
    store.mark_failed("d1", 503, b"", at(3))
    assert not store.mark_sending(early, at(4))
    assert store.mark_sending(store.due()[0], at(4))


def test_an_answer_needs_a_question(store, at, propose):
    propose()
    with pytest.raises(ValueError, match="being sent"):
        store.mark_sent("d1", 200, b"", at(2))


def test_deliveries_go_by_source(store, propose):
    propose("d1", "north")
    propose("d2", "lakeside")
    assert [d.id for d in store.due("lakeside")] == ["d2"]
    assert [d.id for d in store.outbox("north")] == ["d1"]
