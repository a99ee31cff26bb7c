"""twin init and twin source: twin.toml is edited as a person would, and what would be wrong leaves it as it was."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from conformance.hostile import Ehr, EhrSettings, serve
from gateway.cli import main
from gateway.published_keys import KEPT_SECONDS, jwks_route
from gateway.pull.keys import KeySet, SigningKey
from gateway.settings import load_settings
from gateway.twin_toml import TwinToml
from security.errors import BadSettings, Misuse

TOML = """\
# Whose twins these are
purpose = "TREAT"   # for care

# The clinic
[sources.clinic]
url = "https://clinic.example/fhir"   # through the VPN
types = [
  "Patient",  # first
  "Observation",
]
# of the clinic

# The files
[sources.files]
folder = "in"

[warnings]
deliver = []   # nobody
"""


@pytest.fixture
def home(tmp_path) -> Path:
    file = tmp_path / "twin.toml"
    file.write_text(TOML, "utf-8")
    file.chmod(0o640)
    return tmp_path


@pytest.fixture
def twin(home, capsys, monkeypatch):
    monkeypatch.setenv("TWIN_HOME", str(home))

    def run(*arguments, status=0):
        capsys.readouterr()
        assert main(list(arguments)) == status, capsys.readouterr()
        return capsys.readouterr()

    return run


@pytest.fixture
def told(twin):
    return lambda *arguments: json.loads(twin(*arguments, "--format", "json").out)


def text(home):
    return (home / "twin.toml").read_text("utf-8")


# ---- init ------------------------------------------------------------------------------------------------------------


def test_init_makes_a_home_and_says_what_comes_next_and_a_second_one_changes_nothing(tmp_path, capsys):
    home = tmp_path / "new"
    assert main(["init", "--home", str(home)]) == 0
    assert "twin source add" in capsys.readouterr().out
    before = {file.name: file.read_bytes() for file in home.iterdir() if file.name != "twin.db"}
    assert {"twin.key", "twin.toml", "audit.pub"} <= set(before)
    for file in (home, home / "twin.key", home / "twin.toml"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0
    assert load_settings(home).sources == {}
    assert main(["init", "--home", str(home), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["made"] == []
    assert {file.name: file.read_bytes() for file in home.iterdir() if file.name != "twin.db"} == before


def test_the_examples_of_a_new_twin_toml_are_settings_once_they_are_uncommented(tmp_path, capsys):
    main(["init", "--home", str(tmp_path / "new")])
    capsys.readouterr()
    lines = (tmp_path / "new" / "twin.toml").read_text("utf-8").splitlines()
    plain = "\n".join(
        line[2:] if line.startswith(("# [", "# ")) and ("=" in line or "[" in line) else line for line in lines
    )
    (tmp_path / "twin.toml").write_text(plain, "utf-8")
    assert set(load_settings(tmp_path).sources) == {"summit", "files"}


# ---- add and remove --------------------------------------------------------------------------------------------------


def test_a_source_that_is_added_and_removed_leaves_every_byte_as_it_was(home, twin):
    twin("source", "add", "lab", "--url", "https://lab.example/fhir", "--way", "bulk", "--type", "Patient")
    assert text(home).startswith(TOML)
    assert tomllib.loads(text(home))["sources"]["lab"] == {
        "url": "https://lab.example/fhir",
        "way": "bulk",
        "types": ["Patient"],
    }
    twin("source", "remove", "lab", "--yes")
    assert text(home) == TOML
    assert stat.S_IMODE((home / "twin.toml").stat().st_mode) == 0o640
    assert {file.name for file in home.iterdir()} == {"twin.toml"}


def test_a_removed_source_takes_its_own_comments_and_nobody_elses(home, twin):
    twin("source", "remove", "clinic", "--yes")
    assert "VPN" not in text(home)
    assert "of the clinic" not in text(home)
    assert '# The files\n[sources.files]\nfolder = "in"\n\n[warnings]\ndeliver = []   # nobody\n' in text(home)
    twin("source", "remove", "files", "--yes")
    assert tomllib.loads(text(home)) == {"purpose": "TREAT", "warnings": {"deliver": []}}


def test_what_is_commented_out_behind_the_last_source_stays(home, twin):
    (home / "twin.toml").write_text('[sources.a]\nfolder = "x"\n# of a\n\n# [sources.b]\n# folder = "y"\n', "utf-8")
    twin("source", "remove", "a", "--yes")
    assert text(home) == '# [sources.b]\n# folder = "y"\n'


@pytest.mark.parametrize(
    "before",
    [
        'sources = {a = {folder = "x"}}  # in a line\n',
        'sources.a.folder = "x"\npurpose = "TREAT"\n',
        '[sources]\na = {folder = "x"}\n\n[warnings]\n',
        '[sources.a]\nfolder = "x"\n[warnings]\n[sources.b]\nfolder = "[sources.c]"\n',
        '[ sources . "a" ]\nfolder = """x\n[sources.b]\n"""\n',
        "",
        "\n\n",
    ],
)
def test_however_toml_spells_it_only_the_source_that_was_meant_changes(tmp_path, before):
    file = tmp_path / "twin.toml"
    file.write_text(before, "utf-8")
    file.write_text(TwinToml(tmp_path).with_source("new", {"folder": "y", "page_size": 3}), "utf-8")
    old, new = tomllib.loads(before), tomllib.loads(file.read_text("utf-8"))
    assert new == {**old, "sources": {**old.get("sources", {}), "new": {"folder": "y", "page_size": 3}}}
    for name in list(new["sources"]):
        file.write_text(TwinToml(tmp_path).without_source(name), "utf-8")
        del new["sources"][name]
        assert tomllib.loads(file.read_text("utf-8")).get("sources", {}) == new["sources"]
    assert all(line in file.read_text("utf-8") for line in before.splitlines() if "warnings" in line)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "no address"], "valid URL"),
        (["--url", "https://a.example/", "--auth", "basic"], "user and password_file"),
        (["--url", "https://a.example/", "--folder", "x"], "url or folder"),
        (["--url", "https://u:canary@a.example/"], "url has a user"),
        (["--url", "https://a.example/", "--way", "walk"], "way"),
        (["--url", "https://a.example/", "--set", "pagesize=3"], "page_size"),
        (["--url", "https://a.example/", "--set", "page_size"], "KEY=VALUE"),
        (["--url", "https://a.example/", "--since", "2026-01-01"], "zone"),
        (["--url", "https://a.example/", "--since", "yesterday"], "an instant with its zone"),
        (["--url", "http://a.example/", "--auth", "bearer", "--token-file", "t"], "unprotected"),
        (["--url", "https://a.example/", "--auth", "backend-services"], "client_id"),
    ],
)
def test_what_would_be_no_setting_is_told_and_changes_nothing(home, twin, arguments, said):
    err = twin("source", "add", "new", *arguments, status=2).err
    assert said in err
    assert "canary" not in err
    assert text(home) == TOML
    assert {file.name for file in home.iterdir()} == {"twin.toml"}


@pytest.mark.parametrize("name", ["a b", "a.b", "../x", "", "clinic"])
def test_a_name_that_cannot_be_one_is_told(home, twin, name):
    twin("source", "add", name, "--folder", "x", status=2)
    assert text(home) == TOML


def test_a_file_that_is_no_toml_is_left_alone(home, twin):
    (home / "twin.toml").write_text("[sources.\n", "utf-8")
    for command in (["add", "x", "--folder", "x"], ["remove", "x", "--yes"], ["list"]):
        assert "not TOML" in twin("source", *command, status=2).err
    assert text(home) == "[sources.\n"


def test_a_file_that_somebody_else_changes_meanwhile_is_left_as_they_wrote_it(home):
    ours = TwinToml(home)
    changed = ours.with_source("new", {"folder": "x"})
    (home / "twin.toml").write_text("# theirs\n", "utf-8")
    with pytest.raises(Misuse, match="meanwhile"):
        ours.write(changed)
    assert text(home) == "# theirs\n"


def test_a_link_to_twin_toml_stays_one(home, twin, tmp_path_factory):
    kept = tmp_path_factory.mktemp("kept") / "settings.toml"
    (home / "twin.toml").rename(kept)
    (home / "twin.toml").symlink_to(kept)
    twin("source", "add", "new", "--folder", "x")
    assert (home / "twin.toml").is_symlink()
    assert "new" in load_settings(home).sources


def test_paths_are_meant_from_where_they_were_said(home, twin, monkeypatch, tmp_path_factory):
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    twin("source", "add", "a", "--folder", "in", "--fhir-version", "r4")
    assert load_settings(home).source("a").folder == here / "in"
    monkeypatch.chdir(home)
    twin("source", "add", "b", "--folder", "in")
    assert tomllib.loads(text(home))["sources"]["b"]["folder"] == "in"


def test_a_source_with_a_stream_is_not_removed_and_nobody_there_is_asked(home, twin, monkeypatch):
    (home / "twin.toml").write_text(
        TOML + '[streams.drop]\nkind = "folder"\nsource = "files"\nfolder = "drop"\n', "utf-8"
    )
    before = text(home)
    assert "stream drop" in twin("source", "remove", "files", "--yes", status=2).err
    assert "--yes" in twin("source", "remove", "clinic", status=2).err
    assert "There is no source" in twin("source", "remove", "clinics", "--yes", status=2).err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    assert "Nothing was removed" in twin("source", "remove", "clinic", status=2).err
    assert text(home) == before
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert "In the store stay 0 pulls" in twin("source", "remove", "clinic").out
    assert "clinic" not in load_settings(home).sources


# ---- keys ------------------------------------------------------------------------------------------------------------


def add_signing(twin, status=0):
    told = ("--url", "https://lab.example/fhir", "--auth", "backend-services", "--client-id", "us")
    return twin("source", "add", "lab", *told, status=status)


def test_a_source_that_signs_gets_a_key_that_only_we_can_read_and_its_public_half_is_said(home, twin, told):
    out = add_signing(twin).out
    file = home / "lab.jwk"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = SigningKey.read(file.read_text("utf-8"))
    assert key.alg == "ES384"
    assert key.kid in out
    assert "system/*.rs" in out
    assert json.loads(file.read_text("utf-8"))["keys"][0]["d"] not in out
    assert tomllib.loads(text(home))["sources"]["lab"]["key_file"] == "lab.jwk"
    assert told("source", "keys", "lab")["signs"] == {"lab": key.kid}


def test_a_key_that_is_there_is_taken_and_a_wrong_one_is_told(home, twin):
    mine = KeySet((SigningKey.new(),)).private_set()
    (home / "lab.jwk").write_text("{}", "utf-8")
    (home / "lab.jwk").chmod(0o600)
    assert "holds no key" in add_signing(twin, status=2).err
    assert text(home) == TOML
    (home / "lab.jwk").write_text(mine, "utf-8")
    add_signing(twin)
    assert (home / "lab.jwk").read_text("utf-8") == mine


def test_keys_are_changed_in_three_steps_and_a_wrong_step_changes_nothing(home, twin, told):
    add_signing(twin)
    [old] = told("source", "keys", "lab")["keys"]
    both = told("source", "keys", "lab", "--new")
    assert both["signs"] == {"lab": old["kid"]}
    [new] = [key["kid"] for key in both["keys"] if key["kid"] != old["kid"]]
    for step in (["--retire", old["kid"]], ["--use", "nobody"], ["--use", new, "--new"]):
        twin("source", "keys", "lab", *step, status=2)
    assert told("source", "keys", "lab") == both
    assert told("source", "keys", "lab", "--use", both["thumbprints"][new])["signs"] == {"lab": new}
    after = told("source", "keys", "lab", "--retire", old["kid"])
    assert [key["kid"] for key in after["keys"]] == [new]
    assert stat.S_IMODE((home / "lab.jwk").stat().st_mode) == 0o600


def test_public_keys_go_to_a_file_for_a_static_host(home, twin, told, tmp_path_factory):
    add_signing(twin)
    file = tmp_path_factory.mktemp("www") / "jwks.json"
    twin("source", "keys", "--output", str(file))
    published = json.loads(file.read_text("utf-8"))
    assert published["keys"] == told("source", "keys", "lab")["keys"]
    assert not {"d", "p", "q"} & set(published["keys"][0])
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    (home / "lab.jwk").chmod(0o644)
    assert "can be read by others" in twin("source", "keys", "lab", status=2).err


async def test_public_keys_are_served_to_whoever_asks_and_none_where_one_cannot_be_read(home, twin, told):
    add_signing(twin)
    app = Starlette(routes=[jwks_route(load_settings(home).sources)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://twin.test") as client:
        answer = await client.get("/jwks.json")
        assert answer.json()["keys"] == told("source", "keys", "lab")["keys"]
        assert answer.headers["cache-control"] == f"public, max-age={KEPT_SECONDS}"
        twin("source", "keys", "lab", "--new")
        assert len((await client.get("/jwks.json")).json()["keys"]) == 2
        (home / "lab.jwk").write_text("{", "utf-8")
        answer = await client.get("/jwks.json")
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (503, b"", "no-store")


# ---- list and show ---------------------------------------------------------------------------------------------------


def test_sources_are_listed_before_and_after_a_pull(home, twin, told):
    ehr = Ehr(EhrSettings(name="ward", require_auth=False))
    ehr.load({"resourceType": "Patient", "id": "p1", "gender": "female"})
    assert [row["name"] for row in told("source", "list")["sources"]] == ["clinic", "files"]
    assert not (home / "twin.db").exists()
    with serve([ehr]) as [base]:
        twin("source", "add", "ward", "--url", base, "--type", "Patient")
        twin("pull", "ward")
    [row] = [row for row in told("source", "list")["sources"] if row["name"] == "ward"]
    assert (row["kind"], row["where"], row["auth"], row["way"]) == ("server", base, "none", "crawl")
    assert (row["verdict"], row["twins"]) == ("complete", 1)
    assert "ward" in twin("source", "list").out
    assert "complete, 1 resources came" in twin("source", "show", "ward").out
    assert (
        "In the store stay 1 pulls of it and what 1 twins have from it" in twin("source", "remove", "ward", "--yes").out
    )


def test_settings_are_shown_with_where_they_come_from_and_never_a_secret(home, twin, told, monkeypatch):
    (home / "tok").write_text("canary", "utf-8")
    (home / "tok").chmod(0o600)
    twin(
        "source",
        "add",
        "lab",
        "--url",
        "https://lab.example/fhir",
        "--auth",
        "bearer",
        "--token-file",
        str(home / "tok"),
    )
    monkeypatch.setenv("TWIN_SOURCES", '{"lab": {"page_size": 7}}')
    shown = told("source", "show", "lab")["settings"]
    assert shown["auth"] == {"value": "bearer", "from": "twin.toml"}
    assert shown["page_size"] == {"value": 7, "from": "TWIN_SOURCES"}
    assert shown["at_once"] == {"value": 4, "from": "default"}
    assert shown["token_file"]["value"] == str(home / "tok")
    assert "canary" not in json.dumps(shown) + twin("source", "show", "lab").out
    assert "There is no source" in twin("source", "show", "labs", status=2).err


def test_a_source_is_looked_at_at_once_where_that_is_said(home, twin):
    ehr = Ehr(EhrSettings(name="ward", require_auth=False))
    with serve([ehr]) as [base]:
        assert "The server answers" in twin("source", "add", "ward", "--url", base, "--check").out
    assert "metadata" in twin("source", "add", "gone", "--url", "http://127.0.0.1:9/fhir", "--check", status=1).out


def test_a_variable_that_is_no_json_is_told(home, twin, monkeypatch):
    monkeypatch.setenv("TWIN_SOURCES", "canary")
    assert "sources" in (err := twin("source", "list", status=2).err)
    assert "canary" not in err


def test_a_secret_in_a_variable_is_no_setting(home, monkeypatch):
    monkeypatch.setenv("TWIN_SOURCES", '{"clinic": {"password": "canary"}}')
    with pytest.raises(BadSettings) as caught:
        load_settings(home)
    assert "canary" not in str(caught.value)
