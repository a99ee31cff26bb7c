"""What a stolen file tells: nothing that a patient would recognise."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import LargeBinary
from sqlmodel import SQLModel

from gateway.pull.page import Asked, Certificate, Entry, Page
from gateway.store import Attempt, Landed, Store, StoredResource
from gateway.stream.delivery import Delivery as LiveDelivery
from mappers.facts import Coding, Fact, Origin, Refusal
from mappers.identity import read_person
from mappers.when import read_when
from security.errors import Sealed
from security.keys import SecretKeyRing
from security.reidentification import Reidentify

LEAVE = Reidentify("see in a test who was told")

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CANARIES = [
    "Kanarienvogel",  # a name
    "1961-02-03",
    "MRN-4711-0815",
    "pat-9f3c",  # ids of the EHR
    "obs-77aa",
    "Hemoglobin A1c canary display",
    "4548-4",
    "58.250",  # a value
    "2024-02-17",
    "ehr.example/Patient?page=2&who=pat-9f3c",  # cursor and query
    "Kanarienvogel_Ada.json entry 12",  # a file name
    "what stood there in words",
    "os-user:dr-canary",
    "canary-resource-type",
    "canary of who agreed, and why",
    "canary of a draft",
    "Observation/landed-canary",
]

PLAIN_COLUMNS = {
    "meta": {"name", "value"},
    "source_key": {"source", "created", "version", "generation"},
    "audit_cosignature": {"size", "line", "witness"},
    "audit_hour": {"hour", "first"},
    "audit_node": {"level", "number"},
    "audit_posting": {"last"},
    "guard": {"twin", "kind", "since", "why"},
    "erasure": {"twin", "id", "begun", "state", "owners", "told", "number", "receipt"},
    "erased_name": {"twin"},
    "key_copy": {"id", "made"},
    "register": {"kind", "name", "revision", "since", "until"},
    "pull": {"id", "source", "started", "finished", "state", "pages", "mapped", "fhir_version"},
    "page": {"pull", "number", "mapped"},
    "twin": {"id", "created", "updated", "version"},
    "twin_source": {"twin", "source", "resources", "facts", "refusals"},
    "person_token": {"token", "twin"},
    "likeness": {"twin"},
    "identity": {"number", "one", "other", "state", "since", "decided"},
    "person": {"twin", "source", "patient"},
    "patient_link": {"patient", "twin", "source", "ended", "before"},
    "block": {"id", "twin", "source", "version", "created", "count", "first", "begun"},
    "run": {"id", "twin", "created", "model", "twin_version"},
    "state": {"twin", "model", "kind", "revision", "updated", "twin_version"},
    "arrived": {"source"},
    "stream_memo": {"source", "name"},
    "attention": {"twin", "version"},
    # When which model was run for a random id, what kind of result went where, and what became of it, with a code of
    # ours; who agreed, and what the EHR made of it and answered, is sealed. `holder` is random, too.
    "outbox": {"id", "twin", "source", "run", "created", "updated", "state", "attempts", "last_status"}
    | {"model", "kind", "position", "replaces", "reason", "not_before", "holder", "lease_until", "left_at", "unsure"},
    "landed": {"source", "name", "twin", "delivery"},  # `name` is a keyed hash
    "audit_event": {"sequence"},
    "audit_checkpoint": {"size", "text"},
    "audit_state": {"id"},
}


def live_through_everything(store, at, event):
    """Write canaries through each door of the store; the pull is left open, so that its page stays."""
    name, born, mrn, patient, obs, display, code, value, day, cursor, place, said, actor, odd, *ours = CANARIES
    why, draft, landed = ours
    raw = (
        f'{{"id":"{obs}","subject":"{patient}","value":{value},"mrn":"{mrn}","name":"{name}","born":"{born}"}}'.encode()
    )
    pull = store.begin_pull("north", at(0), [event(actor, patient)])
    store.land(pull, Page(1, display, (Entry(raw, cursor, place),), cursor, odd, cursor), [event(actor)])
    store.land(pull, Page(2, display, (Entry(raw, cursor, place),), cursor, odd, cursor))
    twin = store.new_twin(at(0))
    who = {"resourceType": "Patient", "id": patient, "birthDate": born}
    person = read_person(
        {**who, "name": [{"family": name}], "identifier": [{"system": "urn:x", "value": mrn}]}, "north"
    )
    store.link_person(twin, person, "north", f"Patient/{patient}", [mrn, f"{name} {born}"])
    origin = Origin("north", "Observation", obs, place=place)
    fact = Fact(
        "measurement", "hba1c", Coding("http://loinc.org", code, display), value, read_when(day), "final", origin, "1"
    )
    resource = StoredResource(
        "north", f"Observation/{obs}", "r4", raw, (fact, Refusal("no-unit", origin, said)), cursor, place
    )
    store.append(
        pull, 1, {twin: [resource]}, [resource], {"by_type": {odd: 1}}, now=at(1), events=[event(actor, patient)]
    )
    store.finish_fetch(pull, Certificate("north", "r4", (Asked(cursor, 1, 1, 1),), name))
    store.save_run("aa11", twin, "kidney", 1, raw, now=at(1))
    store.save_state(twin, "glucose", "track", raw, after=0, twin_version=1, now=at(1), events=[event(actor, patient)])
    live = LiveDelivery("north", place, "post", (Entry(raw, cursor, place),), (place, raw))
    store.accept(live, at(1), [event(actor)])
    store.propose("d1", twin, "north", "aa11", raw, now=at(1), content=draft.encode(), decision=why.encode())
    store.claim("w", at(1), at(2), limit=1, events=lambda _: [event(actor, patient)])
    store.note_leaving("w", "d1", at(1), [event(actor, patient)])
    ended = Attempt("failed", "unprocessable", 422, raw, landed=(Landed(display, landed),), bundle=raw)
    store.settle("w", {"d1": ended}, at(1), [event(actor, patient)])
    store.propose("d2", twin, "north", "aa11", raw, now=at(1))
    store.decide_delivery(store.delivery("d2"), "declined", at(1), decision=why.encode(), events=[event(actor)])
    assert store.delivered_as("north", landed)
    return twin


def test_no_file_of_the_store_holds_anything_clinical(store, path, at, event):
    live_through_everything(store, at, event)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == [
        f"{name}.db{end}" for name in ("keys", "twin") for end in ("", "-shm", "-wal")
    ]
    written = b"".join(file.read_bytes() for file in files)
    assert b"north" in written  # the search would find what is there
    for canary in CANARIES:
        assert canary.encode() not in written, canary
        assert canary.encode("utf-16-le") not in written, canary
    store.close()
    after = path.read_bytes()
    assert not [canary for canary in CANARIES if canary.encode() in after]


def test_every_plain_column_is_known_and_every_other_one_is_sealed():
    """A new column is plain only if somebody writes its name down here, and thinks."""
    for table in SQLModel.metadata.sorted_tables:
        plain = {column.name for column in table.columns if not isinstance(column.type, LargeBinary)}
        assert plain == PLAIN_COLUMNS[table.name], table.name


def test_all_that_went_in_comes_out_again_with_the_key(path, ring, at, event):
    with Store.create_or_open(path, ring, at(0)) as store:
        twin = live_through_everything(store, at, event)
    with Store.create_or_open(path, ring, at(2)) as store:
        told = repr((store.twin_record(twin), store.pulls(), store.outbox(), store.audit_events()))
        assert store.persons(twin, LEAVE)
    for canary in CANARIES:
        assert canary in told, canary


def test_another_key_opens_nothing(path, ring, at, event):
    with Store.create_or_open(path, ring, at(0)) as store:
        live_through_everything(store, at, event)
    with pytest.raises(Sealed, match="key file"):
        Store.create_or_open(path, SecretKeyRing.new(), at(1))


def test_only_its_owner_may_read_the_file(store, path, at, event):
    live_through_everything(store, at, event)
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}


@pytest.mark.parametrize(
    "swap",
    [
        "UPDATE block SET sealed = (SELECT b.sealed FROM block b WHERE b.id <> block.id AND b.twin = block.twin)",
        "UPDATE block SET created = '2020-01-01T00:00:00.000000Z'",
        "UPDATE block SET version = 7",
        "UPDATE block SET sealed = contents",
        "UPDATE owner_key SET wrapped = (SELECT k.wrapped FROM owner_key k WHERE k.owner <> owner_key.owner)",
        "UPDATE block SET twin = (SELECT t.id FROM twin t WHERE t.id <> block.twin)",
    ],
)
def test_bytes_that_are_moved_to_another_place_do_not_open(store, shell, tmp_path, take, measured, swap):
    one, two = store.new_twin(NOON), store.new_twin(NOON)
    take({one: [measured(1)], two: [measured(2)]})
    take({one: [measured(1, "8")], two: [measured(2, "8")]}, now=NOON + timedelta(minutes=1))
    if "owner_key" in swap:  # keys are in a file of their own, wherever the data is
        with closing(sqlite3.connect(tmp_path / "keys.db")) as connection, connection:
            connection.execute(swap)
    else:
        shell(swap)

    def open_both():
        return store.twin_record(one), store.twin_record(two)

    with pytest.raises(Sealed):
        open_both()
