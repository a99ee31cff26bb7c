"""A bundle of the audit log, in which each byte is changed, one at a time: no change goes unnoticed (K4, K5)."""

from __future__ import annotations

import random
from types import ModuleType

import pytest

from security.audit.bundle_check import check_bundle
from tests.gateway.audit.conftest import BATCHES, Kept, Log, bend, make_log, second_verifier

ENTRIES, LEAVES = "tile/entries/000.p/60", "tile/0/000.p/60"


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Log:
    """60 events under 15 checkpoints, without a witness."""
    return make_log(tmp_path_factory.mktemp("alone"), BATCHES, ())


def judge(log: Log, bundle: Kept):
    return check_bundle(bundle, log.public_key, witnesses=[log.witness] if "witnesses" in log.bundle.files else [])


def event_at(content: bytes, place: int) -> int:
    """Number the event that a byte of a file of entries belongs to."""
    at = number = 0
    while at <= place:
        at += 2 + int.from_bytes(content[at : at + 2], "big")
        number += 1
    return number


def test_an_untouched_bundle_is_confirmed(log):
    verdict = judge(log, log.bundle)
    assert (verdict.ok, verdict.size, verdict.first_bad, verdict.witnessed) == (True, 60, None, 49)


@pytest.mark.parametrize("path", [ENTRIES, LEAVES])
def test_each_changed_byte_of_an_event_or_a_leaf_names_that_event(alone, path):
    content = alone.bundle.files[path]
    for place in range(len(content)):
        bent = alone.bundle.changed(path, bend(content, place, 1 << place % 8))
        verdict = judge(alone, bent)
        expected = event_at(content, place) if path == ENTRIES else place // 32 + 1
        assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, expected, "changed"), (path, place)


@pytest.mark.parametrize("path", ["format", "key", "checkpoint", "checkpoints"])
def test_each_changed_byte_of_a_checkpoint_a_key_or_the_format_is_noticed(alone, path):
    content = alone.bundle.files[path]
    for place in range(len(content)):
        verdict = judge(alone, alone.bundle.changed(path, bend(content, place, 1 << place % 8)))
        assert (verdict.ok, verdict.problem) == (False, "checkpoint"), (path, place)


@pytest.mark.parametrize("path", ["cosigned", "witnesses"])
@pytest.mark.parametrize("known", [True, False])
def test_each_changed_byte_of_what_a_witness_signed_is_noticed(log, path, known):
    content = log.bundle.files[path]
    for place in range(0, len(content), 1 if known else 3):
        bent = log.bundle.changed(path, bend(content, place, 1 << place % 8))
        verdict = check_bundle(bent, log.public_key, witnesses=[log.witness] if known else [])
        assert (verdict.ok, verdict.problem) == (False, "checkpoint"), (path, place)


def mutants(content: bytes, chance: random.Random):
    """Change one thing: a byte less, a byte more, a byte or two lines in the place of another, a line twice, a cut."""
    place = chance.randrange(len(content))
    yield content[:place] + content[place + 1 :]
    yield content[:place] + bytes([chance.randrange(256)]) + content[place:]
    yield bend(content, place, chance.randrange(1, 256))
    yield content[:place]
    yield content[:place] + content[place + 1 : place + 2] + content[place : place + 1] + content[place + 2 :]
    lines = content.splitlines(keepends=True)
    line = chance.randrange(len(lines))
    yield b"".join([*lines[: line + 1], *lines[line:]])
    yield b"".join([*lines[:line], *lines[line + 1 :]])
    yield b"".join([*lines[:line], *reversed(lines[line : line + 2]), *lines[line + 2 :]])


@pytest.fixture
def second() -> ModuleType:
    return second_verifier()


def test_two_verifiers_agree_on_a_thousand_changes(log, second, tmp_path, capsys):
    chance, tried = random.Random(8), 0  # noqa: S311 - changes, no secrets
    folder = log.bundle.write(tmp_path / "bundle")
    assert second.main([str(folder), log.public_key, log.witness]) == 0
    capsys.readouterr()
    while tried < 1000:
        path = chance.choice(sorted(log.bundle.files))
        content = log.bundle.files[path]
        for mutant in mutants(content, chance):
            if mutant == content:
                continue
            verdict = judge(log, log.bundle.changed(path, mutant))
            (folder / path).write_bytes(mutant)
            status = second.main([str(folder), log.public_key, log.witness])
            said = capsys.readouterr().out
            assert not verdict.ok, (path, mutant)
            assert status == (5 if verdict.problem == "incomplete" else 1), (path, mutant, verdict, said)
            if status == 1:
                named = f"First bad event: {verdict.first_bad}. " if verdict.first_bad else ""
                assert said.startswith(f"TAMPERED. {named}"), (path, mutant, verdict, said)
                assert bool(named) == ("First bad" in said), (path, mutant, verdict, said)
            tried += 1
        (folder / path).write_bytes(content)


def test_two_verifiers_agree_on_a_missing_file(log, second, tmp_path, capsys):
    for path in log.bundle.files:
        folder = log.bundle.without(path).write(tmp_path / path.replace("/", "-"))
        verdict = judge(log, log.bundle.without(path))
        status = second.main([str(folder), log.public_key, log.witness])
        assert not verdict.ok
        assert status == (5 if verdict.problem == "incomplete" else 1), (path, verdict, capsys.readouterr().out)
