"""What was set differently is recorded: which keys, by whom, and never a value; by command or by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings

TOML = """\
purpose = "HRESCH"
[sources.north]
url = "https://ehr.example.org/fhir"
auth = "bearer"
token_file = "ZZTESTCANARY.token"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Home.open(load_settings(tmp_path)).store.close()
    return tmp_path


def changes(home: Path) -> list[set[str]]:
    """Open the store as the next command does, and list the keys of each change, oldest first."""
    with Home.open(load_settings(home)) as opened:
        events = [entry.event for entry in reversed(opened.store.audit_events(100))]
    return [keys_of(e) for e in events if e["subtype"][0]["code"] == "110131"]


def keys_of(event: dict[str, Any]) -> set[str]:
    return {detail["valueString"] for detail in event["entity"][0].get("detail", ())}


def test_a_new_home_has_nothing_to_tell(home):
    assert changes(home) == []


def test_what_was_edited_by_hand_is_recorded_once_by_who_opens_the_store_next(home):
    (home / "twin.toml").write_text(TOML, "utf-8")
    keys = {"purpose", "sources.north.url", "sources.north.auth", "sources.north.token_file"}
    assert changes(home) == [keys]
    assert changes(home) == [keys]
    (home / "twin.toml").write_text(TOML.replace("ehr.example", "evil.example"), "utf-8")
    assert changes(home)[1:] == [{"sources.north.url"}]
    (home / "twin.toml").unlink()
    assert changes(home)[2:] == [keys]


def test_no_value_stands_in_the_event_or_in_the_store(home):
    (home / "twin.toml").write_text(TOML, "utf-8")
    with Home.open(load_settings(home)) as opened:
        [event] = [entry.event for entry in opened.store.audit_events(100)]
        noted = opened.store.noted("settings")
    assert "sources.north.url" in noted
    for text in ("ehr.example.org", "ZZTESTCANARY", "bearer"):
        assert text not in json.dumps(event) + noted


def test_a_comment_or_another_order_is_no_change(home):
    (home / "twin.toml").write_text(TOML, "utf-8")
    before = changes(home)
    (home / "twin.toml").write_text(f"# whose twins these are\n{TOML}", "utf-8")
    assert changes(home) == before


def test_a_command_that_changes_settings_records_it_itself(home):
    assert main(["source", "add", "files", "--folder", str(home / "in"), "--home", str(home)]) == 0
    with Home.open(load_settings(home)) as opened:
        [newest] = opened.store.audit_events(1)
    assert keys_of(newest.event) == {"sources.files.folder"}
    assert main(["source", "remove", "files", "--yes", "--home", str(home)]) == 0
    assert changes(home)[-1] == {"sources.files.folder"}


def test_a_table_of_codes_that_was_put_in_or_edited_is_a_change(home):
    (home / "codes").mkdir()
    table = home / "codes" / "local.toml"
    table.write_text('title = "Local codes"\n', "utf-8")
    assert changes(home) == [{"codes.local"}]
    table.write_text('title = "Other codes"\n', "utf-8")
    assert changes(home)[1:] == [{"codes.local"}]


def test_a_key_of_a_source_that_is_made_is_recorded(home):
    told = ["--url", "https://ehr.example.org/fhir", "--auth", "backend-services", "--client-id", "us"]
    assert main(["source", "add", "north", *told, "--home", str(home)]) == 0
    assert main(["source", "keys", "north", "--new", "--home", str(home)]) == 0
    with Home.open(load_settings(home)) as opened:
        [newest] = opened.store.audit_events(1)
    assert newest.event["subtype"][0]["code"] == "key"
    assert newest.event["entity"][0]["what"]["identifier"]["value"] == "source:north"
