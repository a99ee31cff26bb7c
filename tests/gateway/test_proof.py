"""A list is whole by one pull, or by a whole one and every change since; anything less proves nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gateway.cli import main
from gateway.home import Home
from gateway.proof import proven_by, proven_types
from gateway.pull.page import Asked, Certificate, Page
from gateway.settings import load_settings
from gateway.simulation import proven_kinds
from gateway.store import Pull

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SINCE = "2026-11-23T12:00:00Z"


def listed(**changes) -> Asked:
    return Asked(**{"what": "Condition", "said": 2, "came": 2, "pages": 1, "type": "Condition", **changes})


def later(**changes) -> Asked:
    return listed(what=f"Condition _lastUpdated=ge{SINCE}", since=SINCE, **changes)


def pull(id_: str, *asked: Asked, after: str = "", state: str = "done") -> Pull:
    certificate = Certificate("north", "r4", asked, after=after)
    return Pull(id_, "north", NOON, NOON, state, 1, 1, "r4", None, certificate)


def whole(*pulls: Pull) -> bool:
    """Say whether the list of conditions is whole after some pulls, the newest last."""
    return "Condition" in proven_by(pulls[-1], {each.id: each for each in pulls})[1]


def test_a_whole_list_proves_itself():
    assert whole(pull("a", listed()))
    assert whole(pull("a", Asked("Condition", 2, 2, 1)))  # as an older release certified it


@pytest.mark.parametrize(
    "short",
    [
        {"said": 3},
        {"said": None},
        {"stopped": "loop"},
        {"signs": ("capped",)},
        {"signs": ("narrowed-scope",)},
        {"signs": ("known-to-be-missing",)},
    ],
)
def test_a_list_with_anything_against_it_proves_nothing(short):
    assert not whole(pull("a", listed(**short)))
    assert not whole(pull("a", listed(**short)), pull("b", later(), after="a"))
    assert not whole(pull("a", listed()), pull("b", later(**short), after="a"))
    assert not whole(pull("a", listed()), pull("b", later(**short), after="a"), pull("c", later(), after="b"))


def test_changes_keep_a_whole_list_whole():
    assert whole(pull("a", listed()), pull("b", later(said=0, came=0), after="a"), pull("c", later(), after="b"))


def test_changes_alone_prove_no_list():
    assert not whole(pull("b", later(), after=""))
    assert not whole(pull("b", later(), after="lost"))
    assert not whole(pull("a", later(), after="b"), pull("b", later(), after="a"))
    assert not whole(pull("a", listed(), state="failed"), pull("b", later(), after="a"))


def test_a_new_whole_list_mends_a_broken_chain():
    broken = pull("b", later(stopped="loop"), after="a")
    assert whole(pull("a", listed()), broken, pull("c", listed(), after="b"), pull("d", later(), after="c"))


def test_a_type_that_was_not_asked_for_is_not_proven():
    assert not whole(pull("a", listed()), pull("b", listed(type="Observation", what="Observation"), after="a"))
    parts = (listed(), listed(what="Condition of some", stopped="refused"))
    assert not whole(pull("a", *parts))


@pytest.fixture
def home(tmp_path):
    with Home.open(load_settings(tmp_path)) as opened:
        for minute, asked in enumerate([(listed(),), (later(came=0, said=0),), (later(stopped="loop"),)]):
            when = NOON.replace(minute=minute)
            last = opened.store.last_pull("north")
            begun = opened.store.begin_pull("north", when)
            opened.store.land(begun, Page(1, "all", (), "end"))
            certificate = Certificate("north", "r4", asked, after=last.id if last else "")
            opened.store.finish_fetch(begun, certificate)
            opened.store.append(begun, 1, {}, [], {"refused": 1}, now=when)
            opened.store.finish_pull(begun, when, seen=3)
        yield opened


def test_what_is_proven_is_asked_of_the_store_as_of_a_time(home):
    for minute, kinds in enumerate([{"condition"}, {"condition"}, set()]):
        assert proven_kinds(home, ["north"], NOON.replace(minute=minute)) == kinds
    assert proven_kinds(home, ["north"]) == set()
    assert proven_kinds(home, ["north", "south"], NOON) == set()
    assert proven_types(home.store, "south") == (frozenset(), frozenset())


def test_certificates_are_listed_and_shown(home, tmp_path, capsys):
    def ask(*command: str) -> dict:
        capsys.readouterr()
        assert main(["certificates", *command, "--home", str(tmp_path), "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    told = ask("list")["certificates"]
    assert [each["verdict"] for each in told] == ["incomplete", "complete", "complete"]
    assert {(each["seen"], each["refused"], each["retracted"]) for each in told} == {(3, 1, 0)}
    assert len(ask("list", "north", "--limit", "1")["certificates"]) == 1
    shown = ask("show", told[0]["pull"][:13])
    [asked] = shown["asked"]
    assert (asked["since"], asked["stopped"], asked["verdict"]) == (SINCE, "loop", "incomplete")
    assert shown["after"] == told[1]["pull"]
    assert main(["certificates", "show", told[0]["pull"], "--home", str(tmp_path)]) == 0
    assert "loop" in capsys.readouterr().out
    assert main(["certificates", "list", "--home", str(tmp_path)]) == 0
    assert main(["certificates", "show", "zz", "--home", str(tmp_path)]) == 2
    assert main(["certificates", "list", "nowhere", "--home", str(tmp_path)]) == 2
