"""Names of accounts, sources and files, by the ways that a person has: none forges a line or moves a cursor (I9)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from security.plain import is_plain
from tests.security.audit.nasty import NASTY

# What a terminal or a log file obeys: controls but the line feed, line separators, bidirectional and zero-width.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u061c]")


def storable(text: str) -> bool:
    """Say whether the system takes it as a variable or an argument: POSIX ends it at a NUL."""
    try:
        return bool(text) and "\0" not in text and os.fsencode(text) is not None
    except UnicodeEncodeError:
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nasty")
    Home.open(load_settings(folder)).store.close()
    return folder


@pytest.mark.parametrize("nasty", [name for name, text in NASTY.items() if storable(text)])
def test_an_account_of_any_name_is_recorded_in_visible_characters_and_shown_in_one_line(
    home, nasty, monkeypatch, capsys
):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, NASTY[nasty])
    with Home.open(load_settings(home)) as opened:
        actor = opened.actor
    assert is_plain(actor)
    assert main(["list", "--home", str(home)]) == 0
    capsys.readouterr()
    assert main(["audit", "list", "--limit", "1", "--home", str(home)]) == 0
    said = capsys.readouterr().out
    assert not OBEYED.search(said)
    with Home.open(load_settings(home)) as opened:
        event = opened.store.audit_events(1)[0].event
    assert event["agent"][-1]["who"]["identifier"]["value"] == actor
    assert not OBEYED.search(json.dumps(event, ensure_ascii=False))


def test_two_accounts_stay_two(home, monkeypatch):
    """Names that only differ in what is not shown differ in the log."""
    actors = []
    for text in filter(storable, NASTY.values()):
        monkeypatch.setenv("LOGNAME", text)
        with Home.open(load_settings(home)) as opened:
            actors.append(opened.actor)
    assert len(set(actors)) == len(actors) > 40


@pytest.mark.parametrize("nasty", [name for name, text in NASTY.items() if text])
def test_a_source_of_such_a_name_is_refused_and_the_refusal_obeys_nothing(tmp_path, nasty, capsys):
    key = json.dumps(NASTY[nasty]) if nasty != "lone surrogate" else '"hub\\udce4er"'
    (tmp_path / "twin.toml").write_text(f'[sources.{key}]\nfolder = "in"\n', "utf-8")
    assert main(["list", "--home", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert not OBEYED.search(said.out + said.err)
    assert "twin: " in said.err
    assert not (tmp_path / "twin.db").exists()


@pytest.mark.parametrize("nasty", [name for name, text in NASTY.items() if storable(text)])
@pytest.mark.parametrize("command", ["show", "source show"])
def test_what_is_typed_is_not_echoed_so_that_a_terminal_obeys_it(home, nasty, command, capsys):
    status = main([*command.split(), f"x{NASTY[nasty]}", "--home", str(home)])
    said = capsys.readouterr()
    assert status != 0
    assert not OBEYED.search(said.out + said.err)
