"""Erasure for good (security requirements J4, J5, J8): keys destroyed, nothing readable left, counts and audit kept."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary
from sqlmodel import SQLModel

from gateway import cli
from gateway.backup import copy_keys, make_backup
from gateway.erasure import allow_again, check_receipt, erase, hold, read_receipt, restrict
from gateway.home import Home, now
from gateway.identities import join
from gateway.pull.page import Certificate, Entry, Page
from gateway.simulation import open_twin, run_model
from gateway.stream.delivery import Delivery
from security.errors import Denied, Erased, Misuse, Sealed, Tampered
from security.framing import frame
from security.reidentification import Reidentify
from security.vault import Place, SealingKey, Vault
from tests.gateway.erasing import ADA, CANARIES, GRACE, lay, observation, opened, patient, pull, twin_named

POINTS = 20  # at which erasures are killed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay(tmp_path / "in", *ADA, *GRACE)


@pytest.fixture
def home(tmp_path: Path, folder: Path) -> Iterator[Home]:
    with opened(tmp_path / "home") as opened_home:
        pull(opened_home, folder)
        yield opened_home


def raws(home: Home) -> bytes:
    """Open all that can be opened."""
    store = home.store
    leave = Reidentify("see in a test whether anything is left")
    found = [r.raw for twin in store.twins() for v in store.twin_versions(twin.id, leave=leave) for r in v.resources]
    found += [r.raw for source in store.sources() for r in store.unlinked(source)]
    found += [e.raw for p in store.pulls() for page in store.landed_pages(p) for e in page.entries]
    return b"\n".join(found)


def test_an_erased_twin_is_gone_and_its_keys_are_destroyed(home):
    """J4."""
    ada, grace = twin_named(home, "Patient/ada"), twin_named(home, "Patient/grace")
    run_model(home, open_twin(home, ada), "kidney")
    before = len(home.store.audit_rows())
    receipt = read_receipt(erase(home, ada, "request"), home.store.audit_public_key)

    assert [twin.id for twin in home.store.twins()] == [grace]
    assert home.store.keys.get_many([f"twin:{ada}", "source:north"]) == {}
    with pytest.raises(Erased):
        home.store.keys.get(f"twin:{ada}")
    assert {stone.receipt for stone in home.store.keys.tombstones()} == {receipt.get("receipt")}
    with closing(sqlite3.connect(home.settings.home / "twin.db")) as connection:
        for table in SQLModel.metadata.sorted_tables:
            for column in {"twin", "one", "other", "before"} & set(table.columns.keys()):
                if table.name in ("erasure", "erased_name"):
                    continue
                rows = connection.execute(f"SELECT count(*) FROM {table.name} WHERE {column} = ?", (ada,))  # noqa: S608 - our names
                assert rows.fetchone() == (0,), table.name
    assert {name: receipt.get(name) for name in ("resources", "facts", "unlinked", "patients")} == {
        "resources": "2",
        "facts": "3",
        "unlinked": "1",
        "patients": "1",
    }
    # counts and audit stay whole
    [pulled] = home.store.pulls()
    assert pulled.ledger["resources"] == 7
    assert home.store.verify_audit().ok
    assert len(home.store.audit_rows()) == before + 2
    kinds = [entry.event["subtype"][0]["code"] for entry in home.store.audit_events(2)]
    assert kinds == ["key-destroy", "erasure"]


def test_what_names_the_person_and_stands_in_no_twin_goes_too_and_all_else_stays(home):
    kept = raws(home)
    assert all(canary.encode() in kept for canary in CANARIES)
    erase(home, twin_named(home, "Patient/ada"), "request")
    left = raws(home)
    assert not [canary for canary in CANARIES if canary.encode() in left]
    grace = home.store.twin_record(twin_named(home, "Patient/grace"))
    assert {r.key for r in grace.resources} == {"Patient/grace", "Observation/g1"}
    assert {r.key for r in home.store.unlinked("north")} == {"Organization/ward", "Observation/nobodys"}


def test_the_person_does_not_come_back_silently(home, folder):
    """Counted as refused, and nothing of it on disk; another patient's resource that names one of theirs stays."""
    erase(home, twin_named(home, "Patient/ada"), "request")
    fresh = [
        observation("a2", "Patient/ada", 1.2345),
        {**ADA[2], "id": "of-a2", "target": [{"reference": "Observation/a2"}]},
    ]
    report = pull(home, lay(folder, *fresh[:1], *ADA, *GRACE, *fresh[1:]))
    assert dict(report.ledger.refusals) == {"erased": 5, "unknown-patient": 1, "unused-link": 1}
    assert report.ledger.resources == report.ledger.understood + report.ledger.refused == 9
    assert len(home.store.twins()) == 1
    assert not [canary for canary in CANARIES if canary.encode() in raws(home)]
    assert twin_named(home, "Patient/grace")


def test_who_was_erased_may_come_again_as_a_new_twin_once_somebody_says_so(home, folder):
    ada = twin_named(home, "Patient/ada")
    erase(home, ada, "request")
    assert allow_again(home, ada) > 0
    pull(home, folder)
    again = twin_named(home, "Patient/ada")
    assert again != ada
    assert len(home.store.twin_record(again).resources) == 2
    with pytest.raises(Misuse):
        allow_again(home, again)


def test_what_has_landed_and_is_not_mapped_yet_goes_too(home):
    """Pages of a pull that is not finished, and deliveries that wait, lose what is about the person and keep count."""
    ada = twin_named(home, "Patient/ada")
    raw = b'{"resourceType":"Observation","id":"a9","subject":{"reference":"Patient/ada"},"note":"Zzcanary"}'
    other = b'{"resourceType":"Observation","id":"g9","subject":{"reference":"Patient/grace"}}'
    begun = home.store.begin_pull("north", now())
    home.store.land(begun, Page(1, "page", (Entry(raw, place="Zzcanary.json"), Entry(other)), "", query="?patient=ada"))
    home.store.accept(Delivery("north", "k1", "post", (Entry(raw),)), now())
    receipt = read_receipt(erase(home, ada, "request"), home.store.audit_public_key)
    assert receipt.get("waiting") == "2"
    [page] = home.store.landed_pages(home.store.begin_pull("north", now()))
    assert [(e.raw, e.problem, e.place) for e in page.entries] == [(b"", "erased", ""), (other, "", "")]
    [delivery] = home.store.waiting_pages("north", deliveries=5)
    assert [(e.raw, e.problem) for e in delivery.entries] == [(b"", "erased")]
    home.store.finish_fetch(begun, Certificate("north", "r4", ()))


def test_no_remaining_key_opens_any_old_byte(home, tmp_path):
    """J4: every cell of older copies (backup, raw files with their log) is tried with every key that is left."""
    ada = twin_named(home, "Patient/ada")
    run_model(home, open_twin(home, ada), "kidney")
    begun = home.store.begin_pull("north", now())
    raw = b'{"resourceType":"Observation","id":"a9","subject":{"reference":"Patient/ada"},"note":"Zzcanary"}'
    home.store.land(begun, Page(1, "page", (Entry(raw),), "cursor"))
    make_backup(home, tmp_path / "backup", lambda text: None)
    shutil.copytree(home.settings.home, tmp_path / "raw")
    copies = (tmp_path / "backup" / "twin.db", tmp_path / "raw" / "twin.db")

    theirs = {"page", "pull", "person", "run", "block"}
    for copy in copies:
        assert {table for table, _ in openable(home, copy, ada)} >= theirs  # the scan can find something
    wrapped = home.store.keys.get_many([f"twin:{ada}", "source:north"])
    erase(home, ada, "request")
    for copy in copies:
        assert openable(home, copy, ada) == []
    kept = b"".join(file.read_bytes() for file in home.settings.home.glob("keys.db*"))
    assert len(wrapped) == 2
    assert not [owner for owner, key in wrapped.items() if key[-32:] in kept or key[12:44] in kept]
    files = b"".join(file.read_bytes() for file in home.settings.home.iterdir() if file.is_file())
    assert not [canary for canary in CANARIES if canary.encode() in files]


def openable(home: Home, copy: Path, twin: str) -> list[tuple[str, str]]:
    """Try every key in the key store, as if it were the owner's, on every sealed cell of a twin and of its source."""
    ring = home.ring.open(fresh=False)
    secrets = []
    for owner, wrapped in home.store.keys.walk():
        version = wrapped[:2]
        secrets.append((ring.unwrap(wrapped[2:], frame("owner key", owner, version)), int.from_bytes(version, "big")))
    found = []
    with closing(sqlite3.connect(copy)) as connection:
        connection.row_factory = sqlite3.Row
        for table in SQLModel.metadata.sorted_tables:
            if table.name.startswith("audit") or table.name in ("key_copy", "likeness", "arrived", "erased_name"):
                continue
            sealed = [c.name for c in table.columns if isinstance(c.type, LargeBinary)]
            for row in connection.execute(f"SELECT * FROM {table.name}") if sealed else ():  # noqa: S608 - our names
                owner = f"twin:{row['twin']}" if "twin" in row.keys() and row["twin"] else "source:north"  # noqa: SIM118
                if owner not in (f"twin:{twin}", "source:north"):
                    continue
                for column, (secret, version) in itertools.product(sealed, secrets):
                    if row[column] is not None and opens(secret, version, owner, row, table.name, column):
                        found.append((table.name, column))
    return found


def opens(secret: bytes, version: int, owner: str, row: sqlite3.Row, table: str, column: str) -> bool:
    key = SealingKey(secret, owner, version)
    utc = row["created"].replace("Z", "+00:00") if table == "block" else ""
    utc = utc.replace(".000000", "")
    name = {
        "page": lambda: f"{row['pull']}:{row['number']}",
        "pull": lambda: row["id"],
        "person": lambda: f"{row['source']}:{row['patient']}",
        "run": lambda: row["id"],
        "block": lambda: f"{row['id']}:{row['version']}:{utc}",
    }.get(table)
    if name is None:
        return False
    try:
        key.open(row[column], Place(table, name(), column))
    except Sealed:
        return False
    return True


def test_a_legal_hold_keeps_a_twin_and_both_are_recorded(home):
    """J5."""
    ada = twin_named(home, "Patient/ada")
    assert hold(home, ada, "case-1")
    assert not hold(home, ada, "case-1")
    with pytest.raises(Denied):
        erase(home, ada, "request")
    [refused] = home.store.audit_events(1)
    assert (refused.event["outcome"], refused.event["outcomeDesc"]) == ("8", "legal-hold")
    assert home.store.twin_record(ada).resources
    with pytest.raises(Misuse):
        hold(home, ada, "Mrs Canary is suing us")
    hold(home, ada, "case-1", release=True)
    assert read_receipt(erase(home, ada, "request"), home.store.audit_public_key).get("twin") == ada


def test_the_receipt_is_checked_with_the_public_key_alone_and_against_the_store(home):
    ada, key = twin_named(home, "Patient/ada"), home.store.audit_public_key
    text = erase(home, ada, "consent-withdrawn")
    receipt = read_receipt(text, key)
    assert (receipt.get("by"), receipt.get("why")) == (home.actor, "consent-withdrawn")
    assert erase(home, ada, "consent-withdrawn") == text  # asked again, it is the same
    assert all(check.is_so for check in check_receipt(home, receipt))
    for place in range(0, len(text), 7):
        other = "1" if text[place] != "1" else "2"
        with pytest.raises((Tampered, Misuse)):
            read_receipt(text[:place] + other + text[place + 1 :], key)
    with closing(sqlite3.connect(home.settings.home / "keys.db")) as connection, connection:
        connection.execute("DELETE FROM erased")  # what a copy of before would bring back
    assert not all(check.is_so for check in check_receipt(home, receipt))


def test_copies_of_the_key_store_that_we_reach_lose_the_keys_and_the_others_are_named(home, tmp_path):
    ada = twin_named(home, "Patient/ada")
    reached = copy_keys(home, tmp_path / "stick" / "keys.db") if (tmp_path / "stick").mkdir() is None else ""
    away = copy_keys(home, tmp_path / "away.db")
    (tmp_path / "away.db").unlink()
    receipt = read_receipt(erase(home, ada, "request"), home.store.audit_public_key)
    assert [line.split()[0] for line in receipt.all("copy-purged")] == [reached]
    assert [line.split()[0] for line in receipt.all("copy-not-reached")] == [away]
    with closing(sqlite3.connect(tmp_path / "stick" / "keys.db")) as connection:
        owners = {owner for (owner,) in connection.execute("SELECT owner FROM owner_key")}
    assert not owners & {f"twin:{ada}", "source:north"}


def test_whom_the_person_was_before_goes_along(tmp_path):
    """Two twins that somebody joined: the emptied one still holds the history of the person."""
    north = lay(tmp_path / "north", *ADA)
    south = lay(
        tmp_path / "south", patient("x", "Zzcanary-Jones", "1952-07-19", "S-9"), observation("s1", "Patient/x", 1)
    )
    with opened(tmp_path / "home") as home:
        pull(home, north)
        pull(home, south, "south")
        one, other = twin_named(home, "Patient/ada"), twin_named(home, "Patient/x", "south")
        join(home, one, other)
        with pytest.raises(Misuse, match="Nobody is this twin"):
            erase(home, other, "request")
        receipt = read_receipt(erase(home, one, "request"), home.store.audit_public_key)
        assert receipt.all("along") == (other,)
        assert set(receipt.all("key")) == {f"twin:{one}", f"twin:{other}", "source:north", "source:south"}
        assert home.store.twins() == []


def test_whoever_was_about_to_write_to_the_twin_is_told_and_writes_nothing(home):
    """Another process had found it before it was erased."""
    ada, store = twin_named(home, "Patient/ada"), home.store
    [held] = [r for r in store.twin_record(ada).resources if r.key == "Observation/a1"]
    begun = store.begin_pull("north", now())
    store.land(begun, Page(1, "page", (), ""))
    erase(home, ada, "request")
    with pytest.raises(Erased):
        store.append(begun, 1, {ada: [held]}, [], {}, now=now())
    assert not [canary for canary in CANARIES if canary.encode() in raws(home)]


def test_a_key_that_a_killed_transaction_left_is_taken_and_not_drawn_anew(home):
    """Killed between the commit of the key store and that of the data: what is sealed next has to open later."""
    left = Vault(home.ring.open(fresh=False)).new_key("source:south")
    home.store.keys.put_many({"source:south": left}, now())
    home.store.accept(Delivery("south", "k", "post", (Entry(b'{"id":"x"}'),)), now())
    home.store.close()
    with opened(home.settings.home) as again:
        [page] = again.store.waiting_pages("south", deliveries=1)
        assert page.entries[0].raw == b'{"id":"x"}'


def test_a_restricted_twin_is_kept_and_nothing_new_is_made_of_it(home, folder):
    """J8."""
    ada = twin_named(home, "Patient/ada")
    restrict(home, ada, "dispute-1")
    record = open_twin(home, ada)
    with pytest.raises(Denied):
        run_model(home, record, "kidney")
    report = pull(home, lay(folder, *ADA, observation("a2", "Patient/ada", 1), *GRACE))
    assert report.ledger.refusals["restricted"] == 2 + 1
    assert len(home.store.twin_record(ada).resources) == 2
    restrict(home, ada, "dispute-1", lift=True)
    pull(home, folder)
    assert len(home.store.twin_record(ada).resources) == 3
    assert run_model(home, open_twin(home, ada), "kidney")


def test_an_erasure_is_asked_for_with_the_whole_id_a_reason_and_a_yes(home, capsys):
    ada, place = twin_named(home, "Patient/ada"), ["--home", str(home.settings.home)]
    home.store.close()
    assert cli.main(["erase", ada[:8], "--why", "request", "--yes", *place]) == 2
    assert cli.main(["erase", ada, "--yes", *place]) == 2
    assert cli.main(["erase", ada, "--why", "because", "--yes", *place]) == 2
    assert cli.main(["erase", ada, "--why", "request", *place]) == 2  # nobody is at the terminal
    assert cli.main(["erase", ada, "--why", "request", "--yes", *place]) == 0
    [receipt] = (home.settings.home / "receipts").iterdir()
    assert receipt.stat().st_mode & 0o777 == 0o600
    assert cli.main(["erase", "--check", str(receipt), *place]) == 0
    assert cli.main(["erase", "--check", str(receipt), "--public-key", str(home.settings.home / "audit.pub")]) == 0
    assert "Erased for good" in capsys.readouterr().out


def killed(home: Path, twin: str, at: int | None) -> int:
    """Erase in a process of its own that dies at its n-th call (`None`: never); returns how many calls it makes."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with opened(home) as here:
                calls = itertools.count(1)

                def count(*_: object) -> None:
                    if next(calls) == at:
                        os.kill(os.getpid(), signal.SIGKILL)

                sys.setprofile(count)
                erase(here, twin, "request")
                sys.setprofile(None)
                os.write(writer, str(next(calls)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    os.waitpid(child, 0)
    return int(said or 0)


def test_killed_at_any_point_it_is_done_or_not_begun_and_goes_on(tmp_path, folder):
    """Kill -9 at many points of an erasure: nothing half; whoever opens the store next finishes it."""
    with opened(tmp_path / "template") as home:
        pull(home, folder)
        ada, grace = twin_named(home, "Patient/ada"), twin_named(home, "Patient/grace")

    def fresh(name: str) -> Path:
        return shutil.copytree(tmp_path / "template", tmp_path / name)

    with opened(fresh("first")) as home:
        erase(home, ada, "request")  # what is made once (statements, imports) is no part of what is counted
        pull(home, folder)
    calls = killed(fresh("whole"), ada, None)
    assert calls > 1000
    dice = random.Random(20261129)  # noqa: S311 - not for secrets
    died, became = 0, {"as before": 0, "done": 0}
    for number in range(POINTS):
        place = fresh(f"home-{number}")
        share = 0.75 * dice.random() if number % 2 else 0.75 + 0.22 * dice.random()  # the second step is short
        died += killed(place, ada, int(calls * share) + 1) == 0
        with opened(place) as home:
            store = home.store
            if ada in {twin.id for twin in store.twins()}:
                became["as before"] += 1
                assert len(store.twin_record(ada).resources) == 2
                assert store.erasures() == []
                assert b"Canaryagent" in raws(home)
                erase(home, ada, "request")
            else:
                became["done"] += 1
            [erasure] = store.erasures()
            receipt = read_receipt(erasure.receipt, store.audit_public_key)
            assert all(check.is_so for check in check_receipt(home, receipt))
            assert not [canary for canary in CANARIES if canary.encode() in raws(home)]
            assert len(store.twin_record(grace).resources) == 2
            told = [e.event["subtype"][0]["code"] for e in store.audit_events(1000)]
            assert (told.count("erasure"), told.count("key-destroy")) == (1, 1)
            assert dict(pull(home, folder).ledger.refusals) == {"erased": 3, "unknown-patient": 1, "unused-link": 1}
        shutil.rmtree(place)
    assert died > POINTS * 3 // 4  # one that makes fewer calls than were counted ends by itself
    assert min(became.values()) > 1, became  # both sides were met
