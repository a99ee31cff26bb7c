"""Nothing leaves that nobody agreed to who may: automatic, by role or by person, as the first rule that fits says."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from gateway.approval_settings import ApprovalRule, ApprovalSettings, Kind
from gateway.deliver import propose, send
from gateway.deliver.approval import approve, approve_due, decline, may_agree, read_decision, still_stands
from gateway.deliver.policy import Person, Policy, policy_for, with_account
from gateway.home import now
from gateway.settings import load_settings
from gateway.simulation import open_twin
from gateway.smart.accounts import Accounts
from gateway.smart.values import Account
from security.audit.entry import read_entry
from security.errors import Denied, Misuse
from security.policy import ROLES
from tests.gateway.deliver.ward import Ward, ward_with

ROOT = Path(__file__).resolve().parents[3]
KINDS = get_args(Kind)
MODELS, SOURCES, PEOPLE = ("kidney", "glucose"), ("ward", "summit"), ("anna", "ben")


def some(words: tuple[str, ...], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), unique=True, min_size=least, max_size=2).map(tuple)


@st.composite
def rules(draw: st.DrawFn) -> ApprovalRule:
    by = draw(st.sampled_from(["automatic", "role", "person"]))
    roles = draw(some(ROLES, 1)) if by == "role" else ()
    people = draw(some(PEOPLE)) if by == "person" else ()
    about = {"models": draw(some(MODELS)), "kinds": draw(some(KINDS)), "sources": draw(some(SOURCES))}
    return ApprovalRule(by=by, roles=roles, people=people, **about)


persons = st.builds(
    Person,
    st.sampled_from(["os-user:x", "user:x"]),
    st.sampled_from([*PEOPLE, "carl"]),
    st.frozensets(st.sampled_from(ROLES), max_size=2),
)


@given(st.lists(rules(), max_size=4), st.sampled_from(KINDS), st.sampled_from(MODELS), st.sampled_from(SOURCES))
def test_the_first_rule_that_fits_holds_and_no_other(told, kind, model, source):
    about = {"kinds": kind, "models": model, "sources": source}
    fits = [rule for rule in told if all(not getattr(rule, a) or v in getattr(rule, a) for a, v in about.items())]
    found = policy_for(ApprovalSettings(rules=tuple(told)), kind, model, source)
    if fits:
        first = fits[0]
        assert told[found.rule - 1] is first
        assert (found.by, found.roles, found.people) == (first.by, first.roles, first.people)
    else:
        assert found == Policy("automatic" if kind in ("warning", "change") else "person")


@given(rules(), persons)
def test_who_may_has_the_role_or_the_name_or_works_here(rule, person):
    how = Policy(rule.by, 1, rule.roles, rule.people).lets(person)
    if how.startswith("role:"):
        assert rule.by == "role"
        assert how.removeprefix("role:") in set(rule.roles) & person.roles
    elif how:
        assert rule.by != "role"
        assert person.name in rule.people if rule.people else (person.who == "os-user:x" or "clinician" in person.roles)
    elif rule.by == "role":
        assert not set(rule.roles) & person.roles
    else:
        assert person.name not in rule.people
        assert rule.people or (person.who == "user:x" and "clinician" not in person.roles)


def only_by_clinicians(*people: str) -> str:
    return (
        f'[approval]\nroles.clinician = {list(people)}\n[[approval.rules]]\nby = "role"\nroles = ["clinician"]\n'
    ).replace("'", '"')


AUTOMATIC = '[[approval.rules]]\nby = "automatic"\nmodels = ["kidney"]\n'


async def test_a_person_agrees_and_it_leaves_with_who_and_why(tmp_path):
    async with ward_with(tmp_path) as ward:
        decision = approve(ward.home, ward.propose(), "seen with the patient")
        assert (decision.who, decision.how, decision.rule) == (ward.home.actor, "person", 0)
        assert ward.delivery.state == "approved"
        assert read_decision(ward.delivery.decision) == decision
        assert ("approval", "0", "") in ward.audited()
        await ward.deliver()
        assert ward.delivery.state == "sent"
        assert len(ward.results()) == 1


async def test_what_nobody_agreed_to_does_not_leave(tmp_path):
    async with ward_with(tmp_path) as ward:
        ward.propose()
        await ward.deliver()
        assert ward.delivery.state == "proposed"
        assert ward.writes() == []


async def test_who_has_not_the_role_may_not_agree_nor_decline_and_that_they_tried_is_recorded(tmp_path, capsys):
    async with ward_with(tmp_path, only_by_clinicians("somebody")) as ward:
        delivery = ward.propose()
        assert may_agree(ward.home, delivery) == ""
        assert ward.run("proposals", "approve", delivery.id[:10]) == 4
        assert "somebody who is clinician (rule 1 of [approval]" in capsys.readouterr().err
        assert ward.run("proposals", "decline", delivery.id[:10], "--why", "no") == 4
        assert [each for each in ward.audited() if each[1] == "8"] == [
            ("decline", "8", "policy"),
            ("approval", "8", "policy"),
        ]
        [sent] = await send(ward.home, ward.twin)
        assert (sent.state, sent.fault.code) == ("proposed", "denied")
        assert await asyncio.to_thread(ward.run, "send", ward.twin) == 5
        assert ward.writes() == []


async def test_who_has_the_role_at_the_terminal_agrees_by_it(tmp_path):
    async with ward_with(tmp_path) as ward:
        ward.settings(more=only_by_clinicians(ward.home.actor.removeprefix("os-user:")))
        ward.reopen()
        assert approve(ward.home, ward.propose()).how == "role:clinician"
        await ward.deliver()
        assert ward.delivery.state == "sent"


async def test_where_people_are_named_nobody_else_agrees(tmp_path):
    rule = '[[approval.rules]]\nby = "person"\npeople = ["dr-who"]\nsources = ["ward"]\n'
    async with ward_with(tmp_path, rule) as ward:
        [agreed] = approve_due(ward.home, ward.propose().twin)
        assert isinstance(agreed.fault, Denied)
        assert "dr-who" in str(agreed.fault)
        assert ward.delivery.state == "proposed"


async def test_what_goes_by_itself_is_agreed_to_in_the_same_transaction(tmp_path):
    async with ward_with(tmp_path, AUTOMATIC) as ward:
        record = open_twin(ward.home, ward.twin)
        ward.run("simulate", ward.twin, "--model", "kidney")
        with closing(sqlite3.connect(tmp_path / "twin.db")) as db:
            db.execute("CREATE TRIGGER no BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no'); END")
            with pytest.raises(DBAPIError):
                propose(ward.home, record)
            assert ward.home.store.outbox() == []
            db.execute("DROP TRIGGER no")
        [made] = propose(ward.home, record)
        assert (made.state, made.agrees) == ("approved", "nobody has to")
        assert read_decision(ward.delivery.decision).how == "automatic"
        kinds = [kind for kind, _, _ in ward.audited()]
        assert kinds[:2] == ["approval", "proposal"]
        await ward.deliver()
        assert ward.delivery.state == "sent"


async def test_an_agreement_that_cannot_be_recorded_is_none(tmp_path):
    async with ward_with(tmp_path) as ward:
        delivery = ward.propose()
        with closing(sqlite3.connect(tmp_path / "twin.db")) as db:
            db.execute("CREATE TRIGGER no BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no'); END")
            with pytest.raises(DBAPIError):
                approve(ward.home, delivery)
            db.execute("DROP TRIGGER no")
        assert (ward.delivery.state, ward.delivery.decision) == ("proposed", b"")


async def test_what_is_declined_never_leaves_and_is_not_proposed_again(tmp_path, capsys):
    async with ward_with(tmp_path) as ward:
        delivery = ward.propose()
        assert ward.run("proposals", "decline", delivery.id) == 2
        assert "Say why" in capsys.readouterr().err
        assert ward.run("proposals", "decline", delivery.id, "--why", "not this patient's creatinine") == 0
        [again] = propose(ward.home, open_twin(ward.home, ward.twin))
        assert (again.is_new, again.state) == (False, "declined")
        await send(ward.home, ward.twin)
        await ward.deliver()
        with pytest.raises(Misuse):
            approve(ward.home, ward.delivery)
        assert ward.delivery.state == "declined"
        assert ward.writes() == []
        assert ("decline", "0", "") in ward.audited()


async def test_a_reason_is_wanted_where_the_settings_say_so_and_kept_sealed(tmp_path):
    async with ward_with(tmp_path, "[approval]\nwhy = true\n") as ward:
        delivery = ward.propose()
        with pytest.raises(Misuse, match="Say why"):
            approve(ward.home, delivery, "   ")
        with pytest.raises(Misuse, match="500"):
            approve(ward.home, delivery, "x" * 501)
        approve(ward.home, delivery, "salamander")
        assert read_decision(ward.delivery.decision).why == "salamander"
        assert not [file for file in tmp_path.rglob("*.db*") if b"salamander" in file.read_bytes()]


def account(ward: Ward, name: str, *roles: str, tenant: str = "") -> None:
    made = Account(name=name, display=name, roles=roles, tenant=tenant, created=now() - timedelta(seconds=1))
    Accounts(ward.home).add(made, now())


async def test_the_agreement_of_an_account_that_is_disabled_holds_no_more_until_somebody_else_agrees(tmp_path):
    async with ward_with(tmp_path) as ward:
        account(ward, "ana", "clinician")
        ana = with_account(ward.home, "ana", "ward", now(), client="app")
        approve(ward.home, ward.propose(), person=ana)
        assert still_stands(ward.home, ward.delivery) == ""
        Accounts(ward.home).change("ana", lambda it: msgspec.structs.replace(it, disabled=True), now())
        assert still_stands(ward.home, ward.delivery) == "account-disabled"
        await ward.deliver()
        assert ward.writes() == []
        assert (ward.delivery.state, ward.delivery.reason) == ("held", "account-disabled")
        with pytest.raises(Denied):
            with_account(ward.home, "ana", "ward", now())
        approve(ward.home, ward.delivery)
        await ward.deliver()
        assert ward.delivery.state == "sent"


async def test_an_account_agrees_at_the_terminal_with_its_password_and_its_own_roles(tmp_path, capsys):
    async with ward_with(tmp_path, only_by_clinicians()) as ward:
        secret = tmp_path / "password"
        secret.touch(0o600)
        secret.write_text("seven quiet herons wade", "utf-8")
        made = ["user", "add", "ana", "--role", "clinician", "--password-file", str(secret)]
        assert ward.run(*made) == 0
        words = ["proposals", "approve", ward.propose().id, "--user", "Ana", "--password-file", str(secret)]
        secret.write_text("seven loud herons wade", "utf-8")
        assert ward.run(*words) == 4
        assert ward.delivery.state == "proposed"
        assert ("login", "8", "not-authenticated") in ward.audited()
        secret.write_text("seven quiet herons wade", "utf-8")
        assert ward.run(*words) == 0
        decision = read_decision(ward.delivery.decision)
        assert (decision.who, decision.how) == ("user:ana", "role:clinician")
        assert ward.run("user", "disable", "ana") == 0
        assert still_stands(ward.home, ward.delivery) == "account-disabled"
        assert ward.run(*words) == 4


async def test_who_took_over_the_name_or_lost_the_role_or_is_of_another_tenant_has_not_agreed(tmp_path):
    async with ward_with(tmp_path, only_by_clinicians()) as ward:
        account(ward, "ana", "clinician", "student")
        approve(ward.home, ward.propose(), person=with_account(ward.home, "ana", "ward", now()))
        delivery = ward.delivery
        assert read_decision(delivery.decision).how == "role:clinician"
        Accounts(ward.home).change("ana", lambda it: msgspec.structs.replace(it, roles=("student",)), now())
        assert still_stands(ward.home, delivery) == "role-lost"
        Accounts(ward.home).remove("ana", now())
        assert still_stands(ward.home, delivery) == "account-disabled"
        Accounts(ward.home).add(Account(name="ana", display="Ana", roles=("clinician",), created=now()), now())
        assert still_stands(ward.home, delivery) == "account-disabled"  # another Ana
        account(ward, "ola", "clinician", tenant="elsewhere")
        with pytest.raises(Denied, match="tenant"):
            with_account(ward.home, "ola", "ward", now())


async def test_without_a_named_person_an_account_needs_a_role_that_may_write_to_records(tmp_path):
    async with ward_with(tmp_path) as ward:
        for role in ("planner", "clinician"):
            account(ward, role, role)
        delivery = ward.propose()
        assert may_agree(ward.home, delivery, with_account(ward.home, "planner", "ward", now())) == ""
        assert may_agree(ward.home, delivery, with_account(ward.home, "clinician", "ward", now())) == "person"


async def test_what_cannot_be_read_or_is_not_allowed_any_more_is_no_agreement(tmp_path):
    async with ward_with(tmp_path, AUTOMATIC) as ward:
        ward.run("simulate", ward.twin, "--model", "kidney")
        propose(ward.home, open_twin(ward.home, ward.twin))
        delivery = ward.delivery
        assert still_stands(ward.home, delivery) == ""
        for broken in (b"", b"{", b"[]", b'{"agreed": true}', delivery.decision.replace(b"true", b"false")):
            assert still_stands(ward.home, replace(delivery, decision=broken)) == "not-agreed"
        ward.settings(more="")
        ward.reopen()
        assert still_stands(ward.home, ward.delivery) == "policy-changed"
        await ward.deliver()
        assert (ward.delivery.state, ward.delivery.reason) == ("held", "policy-changed")
        assert ward.writes() == []


async def test_nobody_agrees_to_what_consents_let_nobody_send_or_to_a_source_that_is_not_written_to(tmp_path):
    async with ward_with(tmp_path) as ward:
        delivery = ward.propose()
        ward.settings(f'url = "{ward.base}"\nwrite = false\n')
        ward.reopen()
        with pytest.raises(Misuse, match="Nothing is written"):
            approve(ward.home, delivery)
        ward.settings()
        ward.reopen()
        await ward.consent("OPTOUT")
        with pytest.raises(Denied, match="consents"):
            approve(ward.home, delivery)
        assert ward.delivery.state == "proposed"
        assert ("approval", "8", "consent") in ward.audited()


async def test_of_two_who_decide_at_the_same_time_one_does(tmp_path):
    async with ward_with(tmp_path) as ward:
        delivery = ward.propose()
        decline(ward.home, delivery, "no")
        with pytest.raises(Misuse, match="at the same time"):
            approve(ward.home, delivery)
        assert ward.delivery.state == "declined"


async def test_the_event_of_a_decision_names_who_and_how_and_no_reason(tmp_path):
    async with ward_with(tmp_path) as ward:
        delivery = ward.propose()
        approve(ward.home, delivery, "salamander")
        [entry] = [
            e for e in ward.home.store.search_audit(limit=5).entries if read_entry(1, e.event).kind == "approval"
        ]
        text = msgspec.json.encode(entry.event).decode()
        assert delivery.id in text
        assert ward.home.actor in text
        assert "salamander" not in text


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ('[approval]\novertaking = "amend"\n', "Did you mean overtaken?"),
        ('[[approval.rules]]\nby = "role"\nrole = ["clinician"]\n', "Did you mean roles?"),
        ('[[approval.rules]]\nby = "role"\n', 'by = "role" needs roles'),
        ('[[approval.rules]]\nby = "person"\nroles = ["clinician"]\n', "roles need by"),
        ('[[approval.rules]]\nby = "automatic"\nkinds = ["risks"]\n', "approval.rules.0.kinds"),
    ],
)
def test_a_wrong_setting_is_a_sentence(tmp_path: Path, told, says, capsys):
    from gateway.cli import main

    (tmp_path / "twin.toml").write_text(told, "utf-8")
    assert main(["proposals", "list", "--home", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


def test_the_example_of_the_document_holds_as_it_is_told(tmp_path):
    [text] = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "proposals.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "twin.toml").write_text(text, "utf-8")
    told = load_settings(tmp_path).approval
    assert policy_for(told, "observation", "kidney", "ward") == Policy("automatic", 1)
    assert policy_for(told, "plan", "heart", "ward") == Policy("role", 2, ("clinician",))
    assert policy_for(told, "observation", "kidney", "summit") == Policy("person", 3, (), ("dr.weber",))
    assert policy_for(told, "warning", "glucose", "ward") == Policy("person", 3, (), ("dr.weber",))
