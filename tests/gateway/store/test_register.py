"""What the API remembers: each thing once, sealed, and no longer than it is meant to be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.store import Store
from security.keys import SecretKeyRing

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)


def test_an_entry_is_replaced_only_by_who_saw_it(tmp_path: Path) -> None:
    with Store.create_or_open(tmp_path / "twin.db", SecretKeyRing.new(), NOW) as store:
        assert store.register("client", "app", b"one", NOW)
        assert not store.register("client", "app", b"two", NOW)
        assert not store.register("client", "app", b"two", NOW, after=2)
        assert store.register("client", "app", b"two", SOON, after=1)
        kept = store.registered("client", "app", SOON)
        assert kept is not None
        assert (kept.content, kept.revision, kept.since, kept.name) == (b"two", 2, NOW, "app")
        assert store.registered("code", "app", SOON) is None
        assert [each.name for each in store.registered_all("client", SOON)] == ["app"]


def test_what_is_past_its_end_is_not_there(tmp_path: Path) -> None:
    with Store.create_or_open(tmp_path / "twin.db", SecretKeyRing.new(), NOW) as store:
        assert store.register("jti", "x", b"", NOW, until=SOON)
        assert not store.register("jti", "x", b"", NOW, until=LATER)
        assert store.registered("jti", "x", SOON) is None
        assert store.take("jti", "x", SOON) is None
        assert store.register("jti", "x", b"", SOON, until=LATER)
        assert store.strike_ended(SOON) == 0
        assert store.strike_ended(LATER) == 1
        assert not store.strike("jti", "x", NOW)


def test_of_many_who_take_a_code_one_gets_it(tmp_path: Path) -> None:
    with Store.create_or_open(tmp_path / "twin.db", SecretKeyRing.new(), NOW) as store:
        store.register("code", "secret-code-1234", b"grant", NOW, until=SOON)
        with ThreadPoolExecutor(16) as pool:
            got = list(pool.map(lambda _: store.take("code", "secret-code-1234", NOW), range(50)))
        assert sum(each is not None for each in got) == 1


def test_the_file_shows_neither_names_nor_contents(tmp_path: Path) -> None:
    with Store.create_or_open(tmp_path / "twin.db", SecretKeyRing.new(), NOW) as store:
        store.register("account", "zztestcanary", b"zztestcontent" * 3, NOW)
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"zztest" not in written


def test_a_number_tells_whether_anything_changed_that_tokens_depend_on(tmp_path: Path) -> None:
    ring = SecretKeyRing.new()
    with (
        Store.create_or_open(tmp_path / "twin.db", ring, NOW) as store,
        Store.create_or_open(tmp_path / "twin.db", ring, NOW) as other,  # as another process has it
    ):
        seen = [store.register_version()]
        for kind in ("client", "account", "revoked", "signing-key"):
            other.register(kind, "x", b"one", NOW)
            seen.append(store.register_version())
            other.register(kind, "x", b"two", NOW, after=1)
            seen.append(store.register_version())
            other.strike(kind, "x", NOW)
            seen.append(store.register_version())
        assert sorted(set(seen)) == seen
        assert not other.strike("client", "x", NOW)
        other.register("job", "x", b"", NOW)
        assert store.register_version() == seen[-1]
        with store.transaction():
            store.register("client", "y", b"", NOW)
            assert store.register_version() > seen[-1] == other.register_version()
        assert other.register_version() > seen[-1]
