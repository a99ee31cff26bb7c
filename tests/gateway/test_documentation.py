"""What is offered is documented; what is documented is offered."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from gateway.approval_settings import ApprovalRule, ApprovalSettings
from gateway.cli import main
from gateway.neighbours import OURS
from gateway.pull.page import STOPS, Sign
from gateway.settings import (
    AuditSettings,
    KeysSettings,
    ServeSettings,
    Settings,
    SourceSettings,
    StoreSettings,
    StreamSettings,
    WarningSettings,
    load_settings,
)
from gateway.trust_settings import TrustSettings
from security.errors import BadSettings

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["demo", "doctor", "pull", "listen", "list", "show", "refusals", "simulate", "propose", "send"]
COMMANDS += [f"proposals {name}" for name in ("list", "show", "approve", "decline")]
COMMANDS += ["explain", "lineage", "quality"]
COMMANDS += ["profile", "versions", "diff", "convert"]
COMMANDS += ["forecast", "what-if", "compare", "rehearse", "glycaemia", "operate", "medicate"]
COMMANDS += ["warnings check", "warnings list", "warnings ack", "warnings silence"]
COMMANDS += ["audit list", "audit verify", "model list", "model show", "model check"]
COMMANDS += ["init", "source add", "source list", "source show", "source remove", "source keys"]
COMMANDS += ["source vendors"]
COMMANDS += ["certificates list", "certificates show"]
COMMANDS += [f"codes {name}" for name in ("list", "show", "check", "import", "missing", "replay")]
COMMANDS += [f"identities {name}" for name in ("list", "show", "join", "part", "undo")]
COMMANDS += [f"audit {name}" for name in ("disclosures", "access-log", "anomalies", "review", "mark")]
COMMANDS += [f"audit {name}" for name in ("show", "export", "retain", "reindex", "serve")]
COMMANDS += [f"audit {name}" for name in ("bundle", "prove", "consistency", "witness", "cosign")]
COMMANDS += ["store status", "store sql"]
COMMANDS += ["model card", "model new", "hostile list", "hostile serve"]
COMMANDS += ["keys status", "keys rotate", "keys protect"]
COMMANDS += ["serve", "shown", "keys tokens"]
COMMANDS += [f"client {name}" for name in ("add", "list", "show", "launch", "rotate", "disable", "enable", "remove")]
COMMANDS += [f"user {name}" for name in ("add", "list", "show", "roles", "password", "passkeys")]
COMMANDS += [f"user {name}" for name in ("disable", "enable", "remove")]
COMMANDS += [f"consent {name}" for name in ("list", "show", "test")]
COMMANDS += ["deliver", *(f"outbox {name}" for name in ("list", "show", "retry", "drop", "retract"))]
COMMANDS += ["export", "erase", "hold", "restrict", "backup", "restore"]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def say(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    assert f"Usage: twin {command}" in capsys.readouterr().out
    assert f"`twin {command}" in read("README.md")


def test_the_list_of_commands_is_complete():
    listed = set(re.findall(r"^│ ([a-z][a-z-]*) ", say("--help").stdout, re.MULTILINE))
    assert listed == {command.split()[0] for command in COMMANDS}


def test_help_comes_without_the_heavy_libraries():
    code = (
        "import sys; import gateway.cli; print([m for m in ('numpy', 'sqlmodel', 'httpx', 'fhir') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_reason_for_stopping_is_documented():
    told = read("docs/pull.md")
    assert [stop for stop in STOPS if f"`{stop}`" not in told] == []
    files = [*(ROOT / "gateway" / "pull").rglob("*.py"), ROOT / "gateway" / "absence.py"]
    text = "".join(file.read_text("utf-8") for file in files if file.name != "page.py")
    used = {
        word for words in re.findall(r'Stopped\("([a-z-]+)"|stopped ?= "([a-z-]+)"', text) for word in words if word
    }
    assert used <= {*STOPS, *get_args(Sign)}
    assert set(STOPS) <= set(re.findall(r'"([a-z-]+)"', text))


def test_every_setting_is_documented():
    told = read("docs/settings.md")
    parts = {"home", "sources", "models", "warnings", "streams", "keys", "store", "audit", "serve", "trust", "approval"}
    tables = (
        *(Settings, SourceSettings, StreamSettings, WarningSettings, KeysSettings, StoreSettings, AuditSettings),
        *(ServeSettings, TrustSettings, ApprovalSettings, ApprovalRule),
    )
    names = {name for table in tables for name in table.model_fields} - parts
    assert [name for name in names if f"`{name}`" not in told] == []


def test_the_example_of_twin_toml_is_read(tmp_path):
    [example] = re.findall(r"```toml\n(.*?)```", read("docs/settings.md"), re.DOTALL)
    (tmp_path / "twin.toml").write_text(example, "utf-8")
    assert set(load_settings(tmp_path).sources) == set(tomllib.loads(example)["sources"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[sources.a]\nurl = "http://127.0.0.1/"\npagesize = 3\n', "page_size"),
        ("[sources.a]\n", "url or folder"),
        ('[sources.a]\nurl = "http://127.0.0.1/"\nauth = "backend-services"\n', "client_id"),
        ('[sources."a b"]\nfolder = "x"\n', "letters"),
        ("purpose = \n", "not TOML"),
        ('[warnings]\ndeliver = ["webhook"]\n', "webhook_secret_file"),
        ("[warnings]\nfalse_alarms = 1\n", "false_alarms_a_day"),
        ('[streams.a]\nkind = "post"\ntoken_file = "a"\n', "there is no [sources.a]"),
        ('[sources.a]\nfolder = "x"\n[streams.a]\nkind = "post"\n', "token_file"),
        (
            '[sources.a]\nfolder = "x"\n[streams.a]\nkind = "subscription"\nendpoint = "https://t.example.org/"\n',
            "topic",
        ),
        ('[sources.a]\nfolder = "x"\n[streams.a]\nkind = "mqtt"\nhost = "h"\ntopics = ["t"]\ntls = false\n', "tls"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, said):
    (tmp_path / "twin.toml").write_text(text, "utf-8")
    with pytest.raises(BadSettings) as raised:
        load_settings(tmp_path)
    assert said in str(raised.value)


def test_a_variable_wins_over_the_file(tmp_path, monkeypatch):
    (tmp_path / "twin.toml").write_text('purpose = "TREAT"\n', "utf-8")
    monkeypatch.setenv("TWIN_PURPOSE", "HRESCH")
    assert load_settings(tmp_path).purpose == "HRESCH"


def test_links_between_the_documents_lead_somewhere():
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text("utf-8")):
            assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_no_machine_is_named_in_what_we_ship():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    kinds = (".py", ".md", ".toml", ".txt", ".xml", ".sh", "file")
    forbidden = (f"{ROOT.parent}/", f"{Path.home()}/", "index-" + "url")
    named = [name for name in listed.splitlines() if name.endswith(kinds) and any(f in read(name) for f in forbidden)]
    assert named == []


def test_our_packages_are_the_five_that_are_shipped():
    shipped = tomllib.loads(read("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(shipped) == set(OURS)
