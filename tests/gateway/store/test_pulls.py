from __future__ import annotations

import pytest

from gateway.store import Store
from gateway.store.tables import PullRow
from security.errors import Misuse


def test_a_pull_goes_on_where_the_last_try_stopped(path, ring, at, page):
    with Store.create_or_open(path, ring, at(0)) as store:
        pull = store.begin_pull("north", at(0))
        assert (pull.state, pull.cursor, pull.pages) == ("fetching", None, 0)
        store.land(pull, page(1, b"{}", cursor="https://ehr/next?page=2"))
    with Store.create_or_open(path, ring, at(5)) as store:
        again = store.begin_pull("north", at(5))
        assert (again.id, again.cursor, again.pages) == (pull.id, "https://ehr/next?page=2", 1)
        assert again.started == at(0)


def test_pages_come_back_as_they_landed_to_the_byte(store, at, page):
    raw = '{"resourceType": "Patient",  "name": [{"family": "Łoś"}], "x": 1.10}\r\n'.encode()
    pull = store.begin_pull("north", at(0))
    first, second = page(1, raw, b"\xff\x00 not JSON"), page(2)
    store.land(pull, second)
    store.land(pull, first)
    assert list(store.landed_pages(pull)) == [first, second]


def test_landing_a_page_twice_is_landing_it_once(store, at, page, event):
    pull = store.begin_pull("north", at(0))
    assert store.land(pull, page(1, b"{}"), [event()])
    assert not store.land(pull, page(1, b"{}"), [event()])
    assert len(list(store.landed_pages(pull))) == 1
    assert len(store.audit_rows()) == 1


def test_pages_that_land_together_leave_the_cursor_behind_the_last_one(store, at, page, event):
    pull = store.begin_pull("north", at(0))
    pages = [page(1, b"1", cursor="one"), page(2, b"2", cursor="two"), page(3, b"3", cursor="three")]
    assert store.land(pull, pages[0])
    assert store.land_all(pull, pages, [event(), event()]) == 2
    assert store.land_all(pull, pages, [event()]) == 0
    again = store.begin_pull("north", at(1))
    assert (again.cursor, again.pages) == ("three", 3)
    assert list(store.landed_pages(pull)) == pages
    assert len(store.audit_rows()) == 2


def test_of_pages_that_land_together_all_do_or_none(store, at, page):
    pull = store.begin_pull("north", at(0))
    store.land(pull, page(2, b"other", cursor="kept"))
    with pytest.raises(Misuse):
        store.land_all(pull, [page(1, b"1"), page(2, b"2")])
    assert [each.number for each in store.landed_pages(pull)] == [2]
    assert store.begin_pull("north", at(1)).cursor == "kept"


def test_a_transaction_that_begins_a_pull_and_lands_a_page_sees_both(store, at, page):
    with store.transaction() as work:
        pull = store.begin_pull("north", at(0))
        held = work.session.get(PullRow, pull.id)  # whoever still holds the row must not go on with an old one
        store.land(pull, page(1, cursor="one"))
        again = store.begin_pull("north", at(0))
        assert held is not None
        assert held.pages == 1
    assert (again.id, again.cursor, again.pages) == (pull.id, "one", 1)


def test_two_pulls_that_disagree_about_a_page_are_told_apart(store, at, page):
    pull = store.begin_pull("north", at(0))
    store.land(pull, page(1, b'{"id":"a"}'))
    with pytest.raises(Misuse):
        store.land(pull, page(1, b'{"id":"b"}'))


def test_a_pull_ends_with_its_certificate_and_its_counts(store, at, page, certificate):
    pull = store.begin_pull("north", at(0))
    store.land(pull, page(1))
    store.land(pull, page(2))
    assert store.finish_fetch(pull, certificate(came=7)).state == "mapping"
    store.append(pull, 1, {}, [], {"resources": 4, "refusals": {"no-unit": 1}}, now=at(1))
    assert [p.number for p in store.landed_pages(pull, only_unmapped=True)] == [2]
    store.append(pull, 2, {}, [], {"resources": 3, "refusals": {"no-unit": 2, "status": 1}}, now=at(1))
    done = store.finish_pull(pull, at(2))
    assert (done.state, done.finished, done.pages, done.mapped) == ("done", at(2), 2, 2)
    assert done.certificate == certificate(came=7)
    assert done.fhir_version == "r4"
    assert done.ledger == {"resources": 7, "refusals": {"no-unit": 3, "status": 1}}
    assert list(store.landed_pages(pull)) == []
    assert store.last_pull("north") == done == store.pulls()[0]
    assert store.append(pull, 2, {}, [], {"resources": 3}, now=at(3)).stored == 0
    assert store.pulls() == [done]


def test_a_page_is_not_counted_twice_when_mapping_is_tried_again(store, at, page, event):
    pull = store.begin_pull("north", at(0))
    store.land(pull, page(1))
    store.append(pull, 1, {}, [], {"resources": 4}, now=at(1), events=[event()])
    store.append(pull, 1, {}, [], {"resources": 4}, now=at(2), events=[event()])
    assert store.pulls()[0].ledger == {"resources": 4}
    assert len(store.audit_rows()) == 1


def test_a_pull_is_not_finished_before_all_of_its_pages_are_mapped(store, at, page, certificate):
    pull = store.begin_pull("north", at(0))
    store.land(pull, page(1))
    store.finish_fetch(pull, certificate())
    with pytest.raises(ValueError, match="mapped"):
        store.finish_pull(pull, at(1))
    assert store.last_pull("north") is None


def test_no_page_comes_after_the_end(store, at, page, certificate):
    pull = store.begin_pull("north", at(0))
    store.finish_fetch(pull, certificate())
    with pytest.raises(ValueError, match="after the end"):
        store.land(pull, page(1))


def test_after_giving_up_the_next_pull_starts_over(store, at, page):
    pull = store.begin_pull("north", at(0))
    store.land(pull, page(1))
    assert store.abandon_pull(pull, at(1)).state == "failed"
    again = store.begin_pull("north", at(2))
    assert again.id != pull.id
    assert again.cursor is None
    with pytest.raises(Misuse):
        store.land(pull, page(2))


def test_sources_are_pulled_apart_from_each_other(store, at, page):
    north, lakeside = store.begin_pull("north", at(0)), store.begin_pull("lakeside", at(1))
    store.land(north, page(1, b"{}"))
    assert list(store.landed_pages(lakeside)) == []
    assert [p.source for p in store.pulls()] == ["lakeside", "north"]
    assert [p.id for p in store.pulls("north")] == [north.id]


def test_a_time_without_a_zone_is_refused(store, at):
    with pytest.raises(Exception, match="zone"):
        store.begin_pull("north", at(0).replace(tzinfo=None))
