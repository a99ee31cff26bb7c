from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.pull.page import Page
from gateway.store import Store, StoredResource, contents
from security.errors import Misuse

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_resources_come_back_as_they_were_understood(store, at, take, measured):
    twin = store.new_twin(at(0))
    sent = [measured(1), measured(2, reason="no-unit")]
    changes = take({twin: sent})
    assert (changes.twins, changes.stored, changes.unchanged) == ({twin: 1}, 2, 0)
    record = store.twin_record(twin)
    assert list(record.resources) == sent
    assert (record.version, record.history) == (1, 2)
    assert [f.name for f in record.facts] == ["hba1c"]
    assert [r.reason for r in record.refusals] == ["no-unit"]


def test_what_did_not_change_is_not_stored_again(store, at, take, measured):
    twin = store.new_twin(at(0))
    take({twin: [measured(1), measured(2)]})
    again = take({twin: [measured(1), measured(2)]}, now=at(1))
    assert (again.twins, again.stored, again.unchanged) == ({}, 0, 2)
    assert store.twin_record(twin).version == 1


def test_nothing_is_stored_again_after_a_restart_either(reopen, store, take, measured, page):
    twin = store.new_twin(NOON)
    take({twin: [measured(1)]}, [measured("m1")])
    with reopen() as other:
        pull = other.begin_pull("north", NOON)
        other.land(pull, page(1))
        assert other.append(pull, 1, {twin: [measured(1)]}, [measured("m1")], {}, now=NOON).unchanged == 2


def test_a_changed_resource_makes_a_version_and_the_past_stays(store, at, take, measured):
    twin = store.new_twin(at(0))
    take({twin: [measured(1, "7.10"), measured(2)]}, now=at(1))
    take({twin: [measured(1, "7.1")]}, now=at(3))
    now, then, before = store.twin_record(twin), store.twin_record(twin, at(2)), store.twin_record(twin, at(0))
    assert (now.version, now.history) == (2, 3)
    assert list(now.resources) == [measured(1, "7.1"), measured(2)]
    assert (then.version, list(then.resources)) == (1, [measured(1, "7.10"), measured(2)])
    assert (before.version, before.resources, before.history) == (0, (), 0)


def test_an_instant_means_the_same_in_every_zone(store, at, take, measured):
    twin = store.new_twin(at(0))
    take({twin: [measured(1)]}, now=at(1))
    elsewhere = at(2).astimezone(datetime.fromisoformat("2026-01-01T00:00:00+14:00").tzinfo)
    assert store.twin_record(twin, elsewhere).version == 1


def test_the_same_bytes_understood_in_another_way_are_a_new_version(store, at, take, measured):
    twin = store.new_twin(at(0))
    take({twin: [measured(1, mapping="1")]})
    assert take({twin: [measured(1, mapping="2")]}, now=at(1)).twins == {twin: 2}
    assert [f.mapping for f in store.twin_record(twin).facts] == ["2"]


def test_the_same_id_in_two_sources_is_two_resources(store, at, take, measured):
    twin = store.new_twin(at(0))
    take({twin: [measured(1)]})
    take({twin: [measured(1, source="lakeside")]}, source="lakeside", now=at(1))
    assert len(store.twin_record(twin).resources) == 2
    [summary] = store.twins()
    assert (summary.sources, summary.facts, summary.version) == (("lakeside", "north"), 2, 2)
    assert (summary.created, summary.updated) == (at(0), at(1))


def test_a_resource_of_another_source_is_not_smuggled_in(store, at, take, measured):
    twin = store.new_twin(at(0))
    with pytest.raises(ValueError, match="its own source"):
        take({twin: [measured(1, source="lakeside")]})


def test_a_write_without_its_record_does_not_happen(store, at, page, measured, event):
    twin = store.new_twin(at(0))
    pull = store.begin_pull("north", at(0))
    store.land(pull, page(1))
    with pytest.raises(ValueError, match="audit event"):
        store.append(pull, 1, {twin: [measured(1)]}, [], {}, now=at(1), events=[event(), {"not": object()}])
    assert store.twin_record(twin).resources == ()
    assert store.audit_rows() == []
    assert store.append(pull, 1, {twin: [measured(1)]}, [], {}, now=at(1), events=[event()]).stored == 1
    assert store.verify_audit().ok


def test_several_writes_are_done_together_or_not_at_all(store, at, take, measured):
    twin = store.new_twin(at(0))

    def stopped_in_between():
        with store.transaction():
            take({twin: [measured(1)]})
            store.new_twin(at(0))
            raise KeyError

    with pytest.raises(KeyError):
        stopped_in_between()
    assert store.pulls() == []
    assert len(store.twins()) == 1
    assert take({twin: [measured(1)]}).stored == 1  # nothing of the undone write is remembered


def test_what_another_process_wrote_is_seen(reopen, store, take, measured, page):
    twin = store.new_twin(NOON)
    take({twin: [measured(1, "7")]})
    with reopen() as other:
        pull = other.begin_pull("north", NOON)
        other.land(pull, page(1))
        assert other.append(pull, 1, {twin: [measured(1, "8")]}, [measured(2)], {}, now=NOON).twins == {twin: 2}
        other.land(pull, page(2))
        assert store.append(pull, 2, {twin: [measured(1, "7")]}, [measured(2)], {}, now=NOON).twins == {twin: 3}
    assert list(store.twin_record(twin).resources) == [measured(1, "7")]
    assert store.twin_record(twin).history == 3
    assert len(store.unlinked("north")) == 1


def test_what_was_undone_is_not_remembered(reopen, store, take, measured, page):
    twin = store.new_twin(NOON)

    def undone():
        with store.transaction():
            take({twin: [measured(1)]})
            raise KeyError

    with pytest.raises(KeyError):
        undone()
    with reopen() as other:  # the version that was undone becomes another one's
        pull = other.begin_pull("north", NOON)
        other.land(pull, page(1))
        other.append(pull, 1, {twin: [measured(2)]}, [], {}, now=NOON)
        other.land(pull, page(2))
        assert store.append(pull, 2, {twin: [measured(1)]}, [], {}, now=NOON).stored == 1
    assert {r.key for r in store.twin_record(twin).resources} == {"Observation/1", "Observation/2"}


def test_a_transaction_reads_what_it_wrote(store, at, take, measured):
    with store.transaction():
        twin = store.new_twin(at(0))
        assert store.twins()[0].version == 0
        take({twin: [measured(1)]}, now=at(1))
        assert (store.twins()[0].version, store.twins()[0].updated) == (1, at(1))
        assert store.twin_record(twin).version == 1


def test_half_a_write_is_not_kept_by_catching_its_error(store, at):
    def careless():
        with store.transaction():
            try:
                with store.transaction():
                    store.new_twin(at(0))
                    raise KeyError
            except KeyError:
                pass

    with pytest.raises(RuntimeError, match="nothing of it is kept"):
        careless()
    assert store.twins() == []


def test_a_page_that_never_landed_cannot_be_mapped(store, at):
    pull = store.begin_pull("north", at(0))
    with pytest.raises(ValueError, match="landed"):
        store.append(pull, 1, {}, [], {}, now=at(0))


def test_what_belongs_to_no_twin_is_kept_and_its_refusals_are_listed(store, at, take, measured):
    take({}, [measured("m1"), measured("x", reason="unknown-patient")])
    assert [r.key for r in store.unlinked("north")] == ["Observation/m1", "Observation/x"]
    assert store.unlinked("lakeside") == ()
    [listed] = store.refusals()
    assert (listed.twin, listed.refusal.reason) == (None, "unknown-patient")


def test_a_resource_whose_patient_became_known_is_refused_no_more(store, at, take, measured):
    take({}, [measured(1, reason="unknown-patient"), measured(2, reason="unknown-patient")])
    twin = store.new_twin(at(1))
    changes = take({twin: [measured(1)]}, now=at(1))
    assert (changes.stored, changes.unchanged) == (1, 0)
    assert [r.key for r in store.unlinked("north")] == ["Observation/2"]
    assert [r.refusal.origin.id for r in store.refusals()] == ["2"]


def test_refusals_are_found_by_source_and_reason(store, at, take, measured):
    twin, other = store.new_twin(at(0)), store.new_twin(at(0))
    take({twin: [measured(1, reason="no-unit"), measured(2)], other: [measured(3, reason="status")]})
    lakeside = [measured(4, reason="no-unit", source="lakeside")]
    take({twin: lakeside}, [measured(5, reason="no-unit", source="lakeside")], source="lakeside")

    def ids(**which):
        return sorted(listed.refusal.origin.id for listed in store.refusals(**which))

    assert ids() == ["1", "3", "4", "5"]
    assert ids(reason="no-unit") == ["1", "4", "5"]
    assert ids(source="lakeside") == ["4", "5"]
    assert ids(source="north", reason="status") == ["3"]
    assert {listed.twin for listed in store.refusals(source="lakeside")} == {twin, None}


def test_a_large_page_becomes_several_blocks_and_comes_back_whole(store, at, take):
    twin = store.new_twin(at(0))
    sent = [StoredResource("north", f"Media/{n}", "r4", bytes([n]) * 700_000, ()) for n in range(5)]
    take({twin: sent})
    assert list(store.twin_record(twin).resources) == sent
    assert store.twin_record(twin).version == 1


_writes = st.lists(
    st.tuples(
        st.sampled_from(["north", "lakeside"]),
        st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4), st.sampled_from("123"), st.booleans()), max_size=6),
        st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_writes)
def test_history_and_counts_are_those_of_a_plain_list(tmp_path_factory, ring, measured, pages):
    """Oracle: lists of all that was written. Now and then the store is closed and opened again."""
    path = tmp_path_factory.mktemp("store") / "twin.db"
    start = datetime(2026, 1, 1, tzinfo=UTC)
    store = Store.create_or_open(path, ring, start)
    twins = [store.new_twin(start), store.new_twin(start)]
    latest: list[dict[tuple[str, str], StoredResource]] = [{}, {}]
    known_at = [[(start, 0, {})], [(start, 0, {})]]
    for minute, (source, rows, reopen) in enumerate(pages, 1):
        now = start + timedelta(minutes=minute)
        if reopen:
            store.close()
            store = Store.create_or_open(path, ring, now)
        writes: dict[str, list[StoredResource]] = {}
        for who, number, value, refused in rows:
            sent = measured(number, value, source=source, reason="status" if refused else "")
            writes.setdefault(twins[who], []).append(sent)
        pull = store.begin_pull(source, now)
        store.land(pull, Page(minute, "", (), ""))
        store.append(pull, minute, writes, [], {}, now=now)
        for who, twin in enumerate(twins):
            version, before = known_at[who][-1][1], dict(latest[who])
            changed = False
            for sent in writes.get(twin, []):
                changed |= latest[who].get((sent.source, sent.key)) != sent
                latest[who][sent.source, sent.key] = sent
            assert changed or before == latest[who]
            known_at[who].append((now, version + changed, dict(latest[who])))
    for who, summary in enumerate(sorted(store.twins(), key=lambda s: twins.index(s.id))):
        record = store.twin_record(twins[who])
        assert summary.version == record.version == known_at[who][-1][1]
        assert summary.resources == len(record.resources)
        assert summary.facts == len(list(record.facts))
        assert summary.refusals == len(list(record.refusals))
        for when, version, expected in known_at[who]:
            then = store.twin_record(twins[who], when)
            assert (then.version, {(r.source, r.key): r for r in then.resources}) == (version, expected)
    store.close()


def test_several_pages_are_stored_as_one_version_all_or_none(store, at, measured, page, certificate):
    twin, pull = store.new_twin(at(0)), store.begin_pull("north", at(0))
    for number in (1, 2, 3):
        store.land(pull, page(number))
    store.finish_fetch(pull, certificate())
    changes = store.append(pull, [1, 2], {twin: [measured(1), measured(2)]}, [], {"resources": 2}, now=at(1))
    assert changes.twins == {twin: 1}
    assert [left.number for left in store.landed_pages(pull, only_unmapped=True)] == [3]
    assert store.begin_pull("north", at(1)).mapped == 2
    assert store.append(pull, [1, 2], {twin: [measured(4)]}, [], {}, now=at(1)).stored == 0
    with pytest.raises(Misuse):
        store.append(pull, [2, 3], {twin: [measured(5)]}, [], {}, now=at(1))
    with pytest.raises(ValueError, match="landed"):
        store.append(pull, [3, 4], {twin: [measured(5)]}, [], {}, now=at(1))
    assert len(store.twin_record(twin).resources) == 2


def test_what_is_held_is_known_where_memory_holds_no_more_than_half_hashes(store, at, take, measured, monkeypatch):
    monkeypatch.setattr(contents, "_MUCH", -1)
    twin = store.new_twin(at(0))
    take({twin: [measured(1), measured(2)]}, [measured("m1")])
    assert take({twin: [measured(3)]}, [measured("m2")], now=at(1)).stored == 2
    again = take({twin: [measured(1), measured(2, "7.2"), measured(3)]}, [measured("m1")], now=at(2))
    assert (again.stored, again.unchanged) == (1, 3)
    assert take({twin: [measured("m2")]}, now=at(3)).stored == 1  # it belonged to nobody before
    assert [unlinked.key for unlinked in store.unlinked("north")] == ["Observation/m1"]
    with store.transaction():
        assert take({twin: [measured(4)]}, now=at(4)).stored == 1
        assert take({twin: [measured(4), measured(1)]}, now=at(5)).unchanged == 2
