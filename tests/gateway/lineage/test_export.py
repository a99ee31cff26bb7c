"""An export alone holds the chain: the same as in the store, without a key, and what was changed in it is found."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.export import gather, write_export
from gateway.home import Home
from gateway.lineage import Lineage, lineage
from gateway.lineage.archive import lineage_in
from gateway.store import Landed
from security.errors import Misuse, Tampered, UnknownName
from tests.gateway.consenting import ALCOHOL, CREATININE, DIABETES, home_of
from tests.gateway.lineage.following import arrived
from tests.gateway.lineage.test_bounds import run_of

RISK = Landed("2d6bf045-0f47-5032-8eae-52d1001c5ead", "RiskAssessment/r-12", "1")
Change = Callable[[dict[str, bytes]], None]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Path, str]]:
    """A home, the export of its one twin, and the run whose result is at the EHR."""
    folder = tmp_path_factory.mktemp("exported")
    with home_of(folder, DIABETES, ALCOHOL, CREATININE) as (home, twin):
        run = run_of(home, twin)
        arrived(home, run, "ward", RISK)
        write_export(home, gather(home, twin), folder / "e.zip")
        yield home, folder / "e.zip", run


def same(one: Lineage, other: Lineage) -> bool:
    return (
        {node.id: node for node in one.nodes} == {node.id: node for node in other.nodes}
        and set(one.edges) == set(other.edges)
        and (one.start, one.direction, one.counts, one.missing)
        == (other.start, other.direction, other.counts, other.missing)
    )


def test_the_chain_in_an_export_is_the_one_in_the_store(exported):
    home, place, run = exported
    [delivery] = home.store.outbox()
    [fact] = [n for n in lineage(home, run).of_kind("fact") if "Observation" in n.id]
    for asked in (
        *(RISK.reference, RISK.uuid, f"urn:uuid:{RISK.uuid}", delivery.id, delivery.id[:10], run),
        *("Observation/creatinine", "Condition/alcohol", "Patient/p1", fact.told["explain"]),
    ):
        offline, checks = lineage_in(place, asked, public_key=home.store.audit_public_key)
        assert same(lineage(home, asked), offline), asked
        assert [check.is_so for check in checks] == [True] * 4
    with pytest.raises(UnknownName):
        lineage_in(place, "RiskAssessment/none")


def test_without_a_home_and_without_a_key_the_command_follows_it_and_says_what_it_could_not_check(
    exported, capsys, tmp_path
):
    _, place, _ = exported
    nowhere = ["--home", str(tmp_path / "no home")]
    assert main(["lineage", RISK.reference, "--in", str(place), *nowhere]) == 0
    told = capsys.readouterr().out
    assert "Observation/creatinine of ward" in told
    assert told.count("not checked: ") == 2  # both signatures
    assert "yes: The bytes of all" in told
    assert not (tmp_path / "no home").exists()


def rewritten(place: Path, to: Path, change: Change) -> Path:
    """Write the archive again, after somebody changed its parts."""
    with zipfile.ZipFile(place) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return to


def _flip(parts: dict[str, bytes], name: str, old: bytes, new: bytes) -> None:
    assert old in parts[name]
    parts[name] = parts[name].replace(old, new, 1)


def _forged(parts: dict[str, bytes]) -> None:
    """Change the bytes, the history and the manifest so that all of it agrees."""
    before = {hashlib.sha256(line).hexdigest() for line in parts["raw/ward-r4.ndjson"].splitlines()}
    _flip(parts, "raw/ward-r4.ndjson", b'"value": 1.1', b'"value": 9.1')
    after = {hashlib.sha256(line).hexdigest() for line in parts["raw/ward-r4.ndjson"].splitlines()}
    [old], [new] = before - after, after - before
    _flip(parts, "history.ndjson", old.encode(), new.encode())
    parts["manifest.txt"] = "\n".join(
        _told_anew(parts, line) for line in parts["manifest.txt"].decode().split("\n")
    ).encode()


def _told_anew(parts: dict[str, bytes], line: str) -> str:
    if not line.startswith("file: "):
        return line
    _, _, count, name = line.removeprefix("file: ").split(" ", 3)
    return f"file: {hashlib.sha256(parts[name]).hexdigest()} {len(parts[name])} {count} {name}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda parts: _flip(parts, "raw/ward-r4.ndjson", b'"value": 1.1', b'"value": 9.1'), "raw/ward-r4.ndjson"),
        (lambda parts: _flip(parts, "runs.ndjson", b'"seed":0', b'"seed":1'), "runs.ndjson"),
        (lambda parts: parts.update({"raw/more.ndjson": b"{}\n"}), "raw/more.ndjson"),
        (lambda parts: parts.pop("bundle.json") and None, "bundle.json"),
        (_forged, "signed with this key"),
    ],
    ids=["a byte of the raw", "a run", "a part too many", "a part missing", "all that agrees"],
)
def test_what_somebody_changed_in_it_is_found(exported, tmp_path, capsys, change, said):
    home, place, _ = exported
    other = rewritten(place, tmp_path / "other.zip", change)
    key = ["--public-key", str(home.settings.home / "audit.pub")]
    assert main(["lineage", RISK.reference, "--in", str(other), *key]) == 1
    bad = [line for line in capsys.readouterr().out.splitlines() if line.startswith("NO: ")]
    assert any(said in line for line in bad)


def test_a_changed_byte_of_the_raw_is_named_though_nobody_has_the_key(exported, tmp_path, capsys):
    _, place, _ = exported
    change = lambda parts: _flip(parts, "raw/ward-r4.ndjson", b'"value": 1.1', b'"value": 9.1')  # noqa: E731
    other = rewritten(place, tmp_path / "other.zip", change)
    assert main(["lineage", RISK.reference, "--in", str(other)]) == 1
    assert "NO: The bytes of all 4 versions" in (told := capsys.readouterr().out)
    assert "Observation/creatinine of ward" in told.rpartition("NO: The bytes")[2]


def test_any_byte_that_is_another_one_is_noticed(exported, tmp_path, capsys):
    """In the file as it is, every 997th byte is turned, one at a time."""
    home, place, _ = exported
    content, key = place.read_bytes(), home.store.audit_public_key
    for at in range(40, len(content) - 400, 997):
        (tmp_path / "bad.zip").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            chain, checks = lineage_in(tmp_path / "bad.zip", RISK.reference, public_key=key)
        except (Tampered, Misuse):
            continue
        if all(check.is_so for check in checks):  # a byte of the archive's own, not of what is in it
            assert same(chain, lineage(home, RISK.reference)), at


def test_what_is_no_export_is_said_to_be_none(tmp_path, exported):
    (tmp_path / "text").write_text("nothing", "utf-8")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "b")
    for place in (tmp_path / "text", tmp_path / "other.zip", tmp_path / "missing"):
        with pytest.raises(Misuse):
            lineage_in(place, RISK.reference)


def test_proofs_are_of_the_events_that_the_chain_names(exported):
    home, place, _ = exported
    with zipfile.ZipFile(place) as archive:
        proven = {json.loads(line)["number"] for line in archive.read("proofs.ndjson").splitlines()}
    named: set[Any] = {node.told["number"] for node in lineage(home, RISK.reference).of_kind("event")}
    assert named
    assert named <= proven
