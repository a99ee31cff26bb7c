"""The table of roles: complete, closed, and as the documentation tells it."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from security.compartment import ALONE, COMPARTMENT, SHARED, TYPES
from security.policy import ROLES
from security.roles import EVERYTHING, LOG, NOTHING, SELF, reasons, rights_of

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "scopes.md"


def test_each_role_has_a_row_and_a_reason():
    assert set(reasons()) == set(ROLES)
    assert all(len(why) > 40 for why in reasons().values())


def test_who_has_no_role_or_an_unknown_one_may_do_nothing():
    assert rights_of(frozenset()) == NOTHING
    assert rights_of(frozenset({"root"})) == NOTHING  # type: ignore[arg-type]
    assert NOTHING.of_twins == NOTHING.of_nobody == NOTHING.naming == frozenset()


def test_only_those_who_treat_write_into_records_but_for_consents():
    for role in ROLES:
        written = {type_ for action, type_ in rights_of(frozenset({role})).of_twins if action in "cud"}
        assert written <= ({"Consent"} if role == "admin" else COMPARTMENT if role == "clinician" else set())
        assert not {action for action, _ in rights_of(frozenset({role})).of_nobody} & set("cud")


def test_nobody_deletes_by_a_role_and_nobody_writes_the_log():
    for rights in (*(rights_of(frozenset({role})) for role in ROLES), rights_of(frozenset(ROLES)), EVERYTHING):
        for some in (rights.of_twins, rights.of_nobody, rights.naming):
            assert not {(action, type_) for action, type_ in some if action in "cud" and type_ in LOG}
            assert rights is EVERYTHING or not {type_ for action, type_ in some if action == "d"}
    assert not {each for each in SELF if each[0] == "d" or each[1] in LOG}


def test_who_treats_does_not_read_the_log_and_who_reads_the_log_reads_no_record():
    for role in ROLES:
        rights = rights_of(frozenset({role}))
        types = {type_ for _, type_ in rights.of_twins}
        assert not ("AuditEvent" in types and types - {"AuditEvent", "Consent"}), role


def test_what_is_documented_runs():
    found = doctest.testfile(str(DOCUMENT), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 10
    assert found.failed == 0


@pytest.mark.parametrize(("name", "types"), [("shared", SHARED), ("alone", ALONE)])
def test_the_lists_of_types_are_documented_as_they_are(name: str, types: frozenset[str]):
    [told] = re.findall(f"<!-- {name} -->(.*?)<!-- end -->", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert set(re.findall(r"[A-Za-z]+", told)) == types


def test_the_roles_are_documented_as_they_are():
    rows = dict(re.findall(r"^\| (\w+) \| (.*?) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE))
    for role in ROLES:
        of_twins, of_nobody, *_ = rows[role].split(" | ")
        rights = rights_of(frozenset({role}))
        for told, allowed in ((of_twins, rights.of_twins), (of_nobody, rights.of_nobody)):
            read = {type_ for action, type_ in allowed if action == "r"}
            assert ("nothing" in told) is (not allowed), role
            assert ("all but" in told) is (len(read) == len(TYPES) - 1), role
            assert ("shared" in told) is (read >= SHARED and len(read) < len(TYPES) - 1), role
            named = set(re.findall(r"[A-Z]\w+", told))
            assert named <= (read if "all but" not in told else TYPES - read), role
            assert ("update" in told) is any(action == "u" for action, _ in allowed), role
