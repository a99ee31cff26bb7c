"""Data points of Open mHealth arrive like resources do, and belong to whom a person has said, or to nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.events import Hub
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.bundle import NotReadError, read_head
from gateway.pull.folder import Folder
from gateway.simulation import open_twin
from gateway.stream.body import read_body
from gateway.stream.delivery import Delivery
from gateway.stream.inbox import Inbox
from gateway.stream.resources import read_resources
from mappers.facts import Quantity
from security.errors import BadSettings
from tests.gateway.stream.arriving import PATIENT, Told, delivery, open_home, settle_home

STREAMS = (
    '[streams.ward]\nkind = "post"\ntoken_file = "ward.token"\n'
    '[streams.phone]\nkind = "post"\ntoken_file = "ward.token"\n'
    '[sources.phone]\nfolder = "phone"\nusers_file = "users.toml"\n'
)
USERS = '[users]\n"joe" = "ward/Patient/p1"\n'


def point(name: str = "1", user: str = "joe", weight: int = 70, **header: Any) -> dict[str, Any]:
    told = {
        "id": name,
        "creation_date_time": "2026-11-20T12:00:01Z",
        "schema_id": {"namespace": "omh", "name": "body-weight", "version": "1.0"},
        "user_id": user,
    }
    body = {
        "body_weight": {"value": weight, "unit": "kg"},
        "effective_time_frame": {"date_time": "2026-11-20T12:00:00Z"},
    }
    return {"header": told | header, "body": body}


def posted(*points: dict[str, Any], key: str = "1") -> Delivery:
    body = json.dumps(list(points)).encode()
    return Delivery("phone", key, "post to phone", read_body(body, is_lines=False).entries)


@pytest.fixture
def home(tmp_path: Path):
    folder = settle_home(tmp_path / "home", STREAMS)
    (folder / "users.toml").write_text(USERS, "utf-8")
    (folder / "phone").mkdir()
    with open_home(folder) as opened:
        yield opened


def weights(home: Home) -> list[tuple[str, str, Any]]:
    return [
        (fact.origin.source, fact.origin.resource, fact.value)
        for twin in home.store.twins()
        for resource in open_twin(home, twin.id).resources
        for fact in resource.facts
        if fact.name == "body-weight"
    ]


def refusals(home: Home, source: str) -> dict[str, int]:
    lane = home.store.lane(source)
    return dict(lane.ledger["refusals"]) if lane else {}


async def arrive(home: Home, *deliveries: Delivery) -> None:
    inbox = Inbox(home, Hub(), Told(), {"ward": 256, "phone": 256})
    for each in deliveries:
        await inbox.accept(each)
    await inbox.map_all()


KG70 = Quantity(70, "kg")


async def test_a_users_data_points_are_those_of_the_patient_whom_the_file_names(home: Home) -> None:
    await arrive(home, delivery("p", PATIENT), posted(point("1"), point("2", user="ann")))
    assert weights(home) == [("phone", "omh:body-weight/1", KG70)]
    assert refusals(home, "phone") == {"unknown-patient": 1}


async def test_what_comes_again_is_there_once_and_a_correction_takes_its_place(home: Home) -> None:
    await arrive(home, delivery("p", PATIENT), posted(point()), posted(point(), point("2", weight=72), key="2"))
    assert sorted(value.value for _, _, value in weights(home)) == [70, 72]
    await arrive(home, posted(point(weight=71), key="later"))
    assert sorted(value.value for _, _, value in weights(home)) == [71, 72]


async def test_who_a_user_is_may_be_told_later(home: Home) -> None:
    await arrive(home, delivery("p", PATIENT), posted(point(user="ann")))
    assert weights(home) == []
    (home.settings.home / "users.toml").write_text(USERS + '"ann" = "ward/Patient/p1"\n', "utf-8")
    await arrive(home)  # the next start
    assert weights(home) == [("phone", "omh:body-weight/1", KG70)]


async def test_a_folder_of_them_is_pulled_like_one_of_resources(home: Home) -> None:
    await arrive(home, delivery("p", PATIENT))
    folder = home.settings.home / "phone"
    (folder / "a.ndjson").write_text("\n".join(json.dumps(point(str(n), weight=60 + n)) for n in range(3)), "utf-8")
    (folder / "b.json").write_text(json.dumps([point("4"), point("5", user="ann")]), "utf-8")
    (folder / "c.json").write_text(json.dumps(point("6", weight=66)), "utf-8")
    report = await ingest(home, Folder("phone", folder), lambda text: None)
    counts = report.ledger
    assert (counts.resources, counts.understood, counts.facts) == (6, 5, 5)
    assert counts.by_type["omh:body-weight"]["resources"] == 6
    assert dict(counts.refusals) == {"unknown-patient": 1}
    assert len(weights(home)) == 5


async def test_one_id_of_two_users_is_nobodys(home: Home) -> None:
    await arrive(home, delivery("p", PATIENT))
    folder = home.settings.home / "phone"
    (folder / "a.json").write_text(json.dumps([point("1"), point("1", user="ann")]), "utf-8")
    report = await ingest(home, Folder("phone", folder), lambda text: None)
    assert report.ledger.facts == 0
    assert report.ledger.refusals == {"reused-id": 2}
    assert weights(home) == []


@pytest.mark.parametrize(
    "told", ["users", "[users]\njoe = 7\n", '[users]\njoe = "p1"\n', '[users]\njoe = "a/b/Patient/1"\n', ""]
)
async def test_a_file_of_users_that_says_something_else_is_no_guess(home: Home, told: str) -> None:
    await arrive(home, delivery("p", PATIENT))
    (home.settings.home / "users.toml").write_text(told, "utf-8")
    folder = home.settings.home / "phone"
    (folder / "a.json").write_text(json.dumps(point()), "utf-8")
    with pytest.raises(BadSettings) as refused:
        await ingest(home, Folder("phone", folder), lambda text: None)
    assert "joe" not in str(refused.value)


async def test_no_user_is_a_patient_of_another_tenant(tmp_path: Path) -> None:
    folder = settle_home(tmp_path / "home", STREAMS + 'tenant = "clinic-b"\n')
    (folder / "users.toml").write_text(USERS, "utf-8")
    (folder / "phone").mkdir()
    (folder / "phone" / "a.json").write_text(json.dumps(point()), "utf-8")
    with open_home(folder) as home:
        await arrive(home, delivery("p", PATIENT))
        with pytest.raises(BadSettings, match="tenant"):
            await ingest(home, Folder("phone", folder / "phone"), lambda text: None)
        assert weights(home) == []


async def test_many_data_points_of_one_shape_are_read_as_one_by_one(home: Home) -> None:
    """Values, units, users and times differ; a shape that was learned from some must not speak for others."""
    await arrive(home, delivery("p", PATIENT))
    folder = home.settings.home / "phone"
    points = []
    for n in range(300):
        one = point(str(n), user="joe" if n % 7 else "ann", weight=60 + n % 11)
        one["body"]["body_weight"]["unit"] = ("kg", "lb", "stone")[n % 3]
        one["body"]["effective_time_frame"]["date_time"] = f"2026-11-{1 + n % 28:02d}T{n % 24:02d}:00:00Z"
        points.append(one)
    (folder / "a.ndjson").write_text("\n".join(map(json.dumps, points)), "utf-8")
    report = await ingest(home, Folder("phone", folder), lambda text: None)
    known = [n for n in range(300) if n % 3 != 2 and n % 7]
    assert report.ledger.facts == len(known)
    assert report.ledger.refusals["unknown-unit"] == 100
    record = open_twin(home, home.store.twins()[0].id)
    held = {fact.origin.id: fact for one in record.resources for fact in one.facts if one.source == "phone"}
    assert held.keys() == {str(n) for n in known}
    for n in known:
        told = held[str(n)]
        assert told.value.value == (60 + n % 11 if n % 3 == 0 else told.value.value)
        assert (told.original is None) == (n % 3 == 0)
        assert told.when.text == f"2026-11-{1 + n % 28:02d}T{n % 24:02d}:00:00Z"


async def test_without_a_file_no_user_is_anybody(home: Home, tmp_path: Path) -> None:
    other = settle_home(tmp_path / "other", STREAMS.replace('users_file = "users.toml"\n', ""))
    (other / "phone").mkdir()
    with open_home(other) as bare:
        await arrive(bare, delivery("p", PATIENT), posted(point()))
        assert refusals(bare, "phone") == {"unknown-patient": 1}


def test_a_data_point_is_known_by_its_header_in_whatever_it_comes() -> None:
    raw = json.dumps(point("7")).encode()
    assert (read_head(raw).resourceType, read_head(raw).id, read_head(raw).version) == ("omh:body-weight", "7", "r4")
    assert [entry.version for entry in read_resources(b"[" + raw + b"," + raw + b"]", "message")] == ["r4", "r4"]
    assert [entry.version for entry in read_resources(raw + b"\n" + raw, "message")] == ["r4", "r4"]
    [entry] = read_body(raw, is_lines=True, version="r5").entries
    assert (entry.raw, entry.version) == (raw, "r4")
    for bad in (b"[1, {}]", b'{"header": {}, "body": {}}'):
        with pytest.raises(NotReadError):
            read_head(bad)
