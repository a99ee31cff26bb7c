"""`twin user`: who may log in, without a password in an argument, an answer or the audit."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts
from security.passwords import verify_password

GOOD = "seven quiet herons wade"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    password = tmp_path / "password"
    password.write_text(GOOD + "\n", "utf-8")
    password.chmod(0o600)

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*(word.format(password=password) for word in words), "--home", str(tmp_path / "home")])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def account(tmp_path: Path, name: str = "ana"):
    with Home.open(load_settings(tmp_path / "home"), create=False) as home:
        return Accounts(home).get(name, datetime.now(UTC))


def add(run, name="ana", *more):
    return run("user", "add", name, "--role", "clinician", "--password-file", "{password}", *more)


def test_a_user_is_added_shown_and_listed_without_what_is_secret(run, tmp_path):
    status, out, _ = add(run, "Ana", "--name", "Dr Ana Silva", "--fhir-user", "Practitioner/17", "--format", "json")
    assert status == 0
    assert json.loads(out)["user"] == "ana"
    kept = account(tmp_path)
    assert verify_password(GOOD, kept.password)
    for words in (("user", "list"), ("user", "show", "ANA"), ("user", "list", "--format", "json")):
        status, out, _ = run(*words)
        assert status == 0
        assert "Dr Ana Silva" in out
        assert "argon2" not in out
        assert GOOD not in out


def test_a_patient_needs_no_role(run, tmp_path):
    status, out, _ = run("user", "add", "joao", "--fhir-user", "Patient/4f2e", "--password-file", "{password}")
    assert (status, "their own record" in out) == (0, True)
    assert account(tmp_path, "joao").roles == ()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("user", "add", "ana", "--password-file", "{password}"), "role"),
        (("user", "add", "a b", "--role", "clinician", "--password-file", "{password}"), "no name"),
        (("user", "add", "ana", "--role", "docter", "--password-file", "{password}"), "There is no role"),
        (("user", "add", "ana", "--role", "clinician"), "type a password"),
        (
            (
                "user",
                "add",
                "ana",
                "--role",
                "clinician",
                "--fhir-user",
                "Observation/1",
                "--password-file",
                "{password}",
            ),
            "no resource that a user can be",
        ),
        (("user", "show", "nobody"), "There is no user"),
        (("user", "roles", "ana"), "Nothing is to be changed"),
    ],
)
def test_what_is_wrong_is_told(run, words, told):
    if words[1] == "show":
        add(run)
    status, _, err = run(*words)
    assert status == 2
    assert told in err


def test_a_password_is_taken_from_a_file_that_only_we_read_and_not_a_weak_one(run, tmp_path):
    password = tmp_path / "password"
    password.chmod(0o644)
    assert "read by others" in add(run)[2]
    password.chmod(stat.S_IRUSR | stat.S_IWUSR)
    password.write_text("ana ana ana ana ana", "utf-8")
    status, _, err = add(run)
    assert status == 2
    assert "made of what others know" in err
    assert "ana ana" not in err


def test_a_change_ends_what_was_given_before_and_a_name_that_comes_back_is_not_the_old_one(run, tmp_path):
    add(run)
    numbers = [account(tmp_path).session]
    for words in (
        ("user", "password", "ana", "--password-file", "{password}"),
        ("user", "roles", "ana", "--role", "auditor", "--tenant", "north"),
        ("user", "disable", "ana"),
        ("user", "enable", "ana"),
    ):
        assert run(*words)[0] == 0
        numbers.append(account(tmp_path).session)
    assert numbers == sorted(set(numbers))
    assert (account(tmp_path).roles, account(tmp_path).tenant) == (("auditor",), "north")
    assert run("user", "remove", "ana")[0] == 0
    assert account(tmp_path) is None
    add(run)
    assert account(tmp_path).session >= numbers[0]
    assert "a user of this name" in add(run)[2]


def test_each_change_is_recorded_by_its_fields_and_not_their_values(run, tmp_path):
    add(run, "ana", "--name", "Canary Name")
    run("user", "roles", "ana", "--role", "auditor")
    with Home.open(load_settings(tmp_path / "home"), create=False) as home:
        told = json.dumps([each.event for each in home.store.search_audit(limit=100).entries])
    assert "user.ana" in told
    assert '"valueString": "roles"' in told
    assert "Canary" not in told
    assert "auditor" not in told
