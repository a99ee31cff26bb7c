"""What comes by itself: landed once, beside the pulls, and dropped once it is mapped."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from gateway.pull.page import Entry
from gateway.store import Store
from gateway.stream.delivery import Delivery


def delivery(key: str = "a", *raw: bytes, memo: tuple[str, bytes] | None = None) -> Delivery:
    return Delivery("north", key, "post", tuple(Entry(one) for one in raw or (b"{}",)), memo)


def map_all(store: Store, at, twin: str | None = None, resources=()):
    with store.transaction():
        pages = store.waiting_pages("north", deliveries=9)
        numbers = [page.number for page in pages]
        writes = {twin: list(resources)} if twin else {}
        return store.absorb("north", numbers, writes, [], {"resources": len(numbers)}, now=at(1))


def test_a_delivery_lands_once_and_a_repeat_is_counted(store, reopen, at):
    assert store.accept(delivery("a"), at(0)) is True
    assert store.accept(delivery("a"), at(1)) is False
    assert store.accept(delivery("b", b"1", b"2"), at(1)) is True
    with reopen() as later:
        assert later.accept(delivery("b", b"1", b"2"), at(2)) is False
        assert [[e.raw for e in page.entries] for page in later.waiting_pages("north", deliveries=9)] == [
            [b"{}"],
            [b"1", b"2"],
        ]
        assert later.waiting("north") == 2
        assert later.lane("north").ledger == {"repeats": 2}
    assert store.accept(Delivery("south", "a", "post", (Entry(b"{}"),)), at(1)) is True
    assert store.lanes() == ["north", "south"]


def test_a_memo_is_kept_with_its_delivery_also_of_a_repeat_and_of_nothing(store, reopen, at):
    assert store.memo("north", "m") is None
    store.accept(delivery("a", memo=("m", b"1")), at(0))
    assert store.memo("north", "m") == b"1"
    store.accept(delivery("a", memo=("m", b"2")), at(0))
    assert store.accept(Delivery("north", "c", "mqtt", (), ("n", b"3")), at(0)) is True
    with reopen() as later:
        assert (later.memo("north", "m"), later.memo("north", "n")) == (b"2", b"3")
        assert later.memo("north", "other") is None
        assert later.waiting("north") == 1


def test_memo_and_delivery_are_one_write(store, at, event):
    def stopped() -> None:
        with store.transaction():
            store.accept(delivery("a", memo=("m", b"1")), at(0), [event()])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert store.memo("north", "m") is None
    assert store.waiting("north") == 0
    assert store.accept(delivery("a", memo=("m", b"1")), at(0)) is True


def test_what_is_mapped_is_dropped_counted_and_its_twin_wants_attention(store, at, measured):
    twin = store.new_twin(at(0))
    store.accept(delivery("a"), at(0))
    store.accept(delivery("b"), at(0))
    assert map_all(store, at, twin, [measured(1)]).twins == {twin: 1}
    assert (store.waiting("north"), store.waiting_pages("north", deliveries=9)) == (0, [])
    lane = store.lane("north")
    assert (lane.pages, lane.mapped, lane.ledger, lane.certificate) == (2, 2, {"resources": 2}, None)
    assert store.wanting_attention() == [twin]
    store.accept(delivery("c"), at(2))
    map_all(store, at, twin, [measured(2)])
    store.attended(twin, 1)
    assert store.wanting_attention() == [twin]  # it changed since
    store.attended(twin, 2)
    assert store.wanting_attention() == []


def test_deliveries_that_do_not_wait_cannot_be_mapped(store, at):
    store.accept(delivery("a"), at(0))
    map_all(store, at)
    with pytest.raises(ValueError, match="wait"):
        store.absorb("north", [1], {}, [], {}, now=at(1))


def test_pulls_go_on_beside_a_lane_and_it_certifies_nothing(store, at, page, certificate):
    store.accept(delivery("a"), at(0))
    assert store.last_pull("north") is None
    pull = store.begin_pull("north", at(1))
    assert pull.state == "fetching"
    store.land(pull, page(1))
    store.accept(delivery("b"), at(2))
    store.finish_fetch(pull, certificate())
    store.append(pull, 1, {}, [], {}, now=at(2))
    assert store.finish_pull(pull, at(3)) == store.last_pull("north")
    assert store.waiting("north") == 2
    assert store.lane("north").state == "listening"


def test_so_many_are_opened_at_once_and_some_are_left_out(store, at):
    for key in "abcde":
        store.accept(delivery(key, b"1", b"2"), at(0))
    numbers = [page.number for page in store.waiting_pages("north", deliveries=9, entries=4)]
    assert numbers == [1, 2]
    assert [page.number for page in store.waiting_pages("north", leaving_out={1, 3}, deliveries=2)] == [2, 4]


def test_the_current_version_of_a_resource_is_found_with_its_owner(store, take, at, measured):
    twin, other = store.new_twin(at(0)), store.new_twin(at(0))
    take({twin: [measured(1, "7.1"), measured(2)], other: [measured(3)]}, [measured(4)])
    take({twin: [measured(1, "7.2")]}, now=at(5))
    found = store.held(twin, "north", ["Observation/1", "Observation/3", "Observation/9"])
    assert found == {"Observation/1": measured(1, "7.2")}
    assert store.held(None, "north", ["Observation/1", "Observation/4"]) == {"Observation/4": measured(4)}
    assert store.held(twin, "south", ["Observation/1"]) == {}
    take({other: [measured(4)]}, now=at(6))
    assert store.held(None, "north", ["Observation/4"]) == {}  # it belongs to a twin now


def test_neither_keys_nor_names_of_memos_are_in_plain_text(store, path, at):
    store.accept(delivery("ada.ndjson 12", memo=("ada.ndjson", b"12")), at(0))
    with closing(sqlite3.connect(path)) as file:
        told = repr([*file.execute("SELECT * FROM arrived"), *file.execute("SELECT * FROM stream_memo")])
    assert "north" in told
    assert "ada" not in told


def test_an_older_store_is_given_the_tables_of_streams(path, reopen, at):
    with reopen():
        pass
    with closing(sqlite3.connect(path)) as file:
        for table in ("arrived", "stream_memo", "attention"):
            file.execute(f"DROP TABLE {table}")
        file.execute("UPDATE meta SET value = '1' WHERE name = 'schema'")
        file.commit()
    with reopen() as store:
        assert store.accept(delivery("a"), at(0)) is True


def test_a_store_of_the_second_schema_still_knows_its_twins_and_what_arrived(path, reopen, at, take, measured, store):
    twin = store.new_twin(at(0))
    take({twin: [measured(1)]}, [measured("m")])
    store.accept(delivery("a"), at(0))
    store.close()
    with closing(sqlite3.connect(path)) as file:  # as that version made it
        file.execute("ALTER TABLE block DROP COLUMN first")
        file.execute("ALTER TABLE block DROP COLUMN begun")
        file.execute("CREATE TABLE arrival (source VARCHAR, key VARCHAR, arrived VARCHAR, PRIMARY KEY (source, key))")
        file.execute("INSERT INTO arrival SELECT source, lower(hex(key)), '2026-11-24T12:00:00.000000Z' FROM arrived")
        file.execute("DROP TABLE arrived")
        file.execute("UPDATE meta SET value = '2' WHERE name = 'schema'")
        file.commit()
    for _ in range(2):  # once opened it is brought up, and opens again
        with reopen() as later:
            assert later.accept(delivery("a"), at(1)) is False
            assert list(later.twin_record(twin).resources) == [measured(1)]
            assert [r.key for r in later.unlinked("north")] == ["Observation/m"]
    with closing(sqlite3.connect(path)) as file:
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "arrival" not in tables
