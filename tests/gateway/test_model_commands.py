"""twin model list, show, check, card and new, as they are typed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from gateway.authoring import write_model
from gateway.cli import main
from gateway.cli.model_card import markdown_of
from gateway.evidence import Evidence, Provenance, evidence_of
from security.errors import Misuse
from twin_engine import check_model, models
from twin_engine.check import Finding
from twin_engine.dynamic import DynamicModel
from twin_engine.physiology import hovorka, uva_padova
from twin_engine.physiology.uva_padova import UvaPadova

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def say(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    """Type a command into a home of its own; the exit status and what came out."""

    def typed(*words: str) -> tuple[int, str]:
        capsysbinary.readouterr()
        status = main(["model", *words, "--home", str(tmp_path / "home")])
        return status, capsysbinary.readouterr().out.decode()

    return typed


def test_show_tells_all_parts_of_a_model_with_their_units(say):
    status, out = say("show", "glucose")
    assert status == 0
    for title in ("Needs", "Gives", "Parameters", "States", "Answers to", "Is kept current by", "Settings"):
        assert re.search(f"^{title}", out, re.MULTILINE), title
    assert re.search(
        r"^insulin-sensitivity +Insulin sensitivity SI +L/m\[iU\]/min +0.001 +5e-05 +0.02 +lognormal, m", out, re.M
    )
    assert re.search(r"^depot +Insulin under the skin +m\[iU\]/kg +0 +5000", out, re.M)
    assert re.search(r"^carbohydrate +Carbohydrate eaten +meal +dose +g +0 +300", out, re.M)
    assert re.search(r"^insulin-basal +Basal insulin +dose +rate +\[iU\]/h +0 +15 +0 +8 min", out, re.M)
    assert re.search(r"^interstitial-glucose +Glucose of the sensor +mg/dL +8 +40 +400 +8 ", out, re.M)
    assert re.search(r"^substeps +1", out, re.M)


def test_show_leaves_out_what_a_model_has_none_of(say):
    _, out = say("show", "kidney")
    assert "States" not in out
    assert re.search(r"^egfr +eGFR +mL/min/\{1.73_m2\} +10 +below 60 ", out, re.MULTILINE)


def test_show_as_json_has_each_part_whole(say):
    told = json.loads(say("show", "hovorka", "--format", "json")[1])
    assert [each["name"] for each in told["states"]] == [state.name for state in hovorka.Hovorka.states]
    assert told["plan"][1]["unit"] == "[iU]"
    assert told["channels"][0]["sd"] == 10.0
    assert told["parameters"][0] == {
        "name": "transfer",
        "unit": "/min",
        "value": 0.066,
        "bounds": [0.066, 0.066],
        "citation": hovorka.HOVORKA,
        "prior": None,
        "title": "Glucose from tissue to plasma",
    }
    assert {"needs", "card", "settings", "holds_for", "yields"} <= set(told)


def test_check_tells_what_half_the_step_changes_and_what_a_full_plan_does(say):
    status, out = say("check", "glucose")
    assert status == 0
    assert "glucose 1 keeps the contract." in out
    assert "interstitial-glucose, light plan: with half the step it changes by at most" in out
    assert "With a plan at its upper bounds" not in out  # it stays within what it declares
    assert "With a plan at its upper bounds: The model hovorka gave a glucose below zero" in say("check", "hovorka")[1]
    told = json.loads(say("check", "glucose", "--format", "json")[1])
    assert told["ok"]
    assert told["steps"][0]["order"] == pytest.approx(1.0, abs=0.1)


def test_a_card_holds_the_evidence_and_what_was_seen_now(say):
    status, out = say("card", "uva-padova")
    assert status == 0
    card = UvaPadova.card
    for text in (card.context_of_use, card.verification, card.validation, card.uncertainty, card.limits):
        assert text in out
    assert hashlib.sha256(Path(uva_padova.__file__).read_bytes()).hexdigest() in out
    assert "all rules of the contract are kept" in out
    assert "insulin-depot" in out
    assert uva_padova.KOVATCHEV in out


def test_a_card_in_markdown_is_one_document(say):
    status, out = say("card", "kidney", "--format", "markdown")
    assert status == 0
    assert out.startswith("# Kidney function and risk of kidney failure (kidney 1)\n\n## Identity\n")


@pytest.mark.parametrize("name", models())
def test_a_card_in_markdown_is_whole_and_its_tables_are_tables(name: str):
    model = models()[name]
    found = Finding(name, "split", "A course that is cut goes on another way.", "Mend it.")
    evidence = Evidence("fhirtwin 0", Provenance("fhirtwin", "0", "twin_engine", ""), (found,))
    out = "\n".join(markdown_of(model, evidence))
    tokens = MarkdownIt("commonmark").enable("table").parse(out)
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[1:10:2] == ["Identity", "Population", "Verification, as the author says", "Validation", "Limits"]
    rows = len(model.needs) + len(model.yields) + len(model.holds_for) + len(model.parameters) + len(model.settings)
    if isinstance(model, DynamicModel):
        rows += len(model.states) + len(model.plan) + len(model.channels)
    bodies = [i for i, token in enumerate(tokens) if token.type == "tbody_open"]
    assert sum(token.type == "tr_open" for token in tokens) == rows + len(bodies)
    assert "does not keep the contract" in out
    assert "split: A course that is cut goes on another way. Mend it." in out
    shown = MarkdownIt("commonmark").enable("table").render(out)
    for need in model.needs:
        assert f"<td>{need.unit}</td>" in shown


def test_a_card_as_json_has_the_model_and_the_evidence(say):
    told = json.loads(say("card", "prevent", "--format", "json")[1])
    assert told["card"]["limits"]
    assert told["evidence"]["findings"] == []
    assert told["evidence"]["provenance"]["distribution"] == "fhirtwin"


@pytest.mark.parametrize("command", ["show", "check", "card"])
def test_an_unknown_model_is_named_with_its_neighbours(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["model", command, "kidny", "--home", str(tmp_path)]) == 2
    assert "Did you mean kidney?" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["equation", "dynamic"])
def test_a_new_model_works_from_the_start_and_is_found_where_its_distribution_is_trusted(
    say, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name, folder = f"trial-{kind}", tmp_path / "mine"
    status, out = say("new", name, "--kind", kind, "--folder", str(folder))
    assert status == 0
    assert f'trusted_models = ["{name}-model"]' in out
    tested = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-W",
        "error",
        "--rootdir",
        str(folder),
    ]
    done = subprocess.run(
        [*tested, str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[34] passed", done.stdout)

    _install(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name.replace("-", "_"), raising=False)
    assert name not in models()
    found = models(trusted=(f"{name}-model",))[name]
    assert isinstance(found, DynamicModel) == (kind == "dynamic")
    assert check_model(found) == ()
    assert evidence_of(found).provenance.distribution == f"{name}-model"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "twin.toml").write_text(f'trusted_models = ["{name}-model"]\n', "utf-8")
    assert say("check", name)[0] == 0
    status, card = say("card", name)
    assert status == 0
    assert f"from {name}-model 0.1.0" in card
    monkeypatch.delitem(sys.modules, name.replace("-", "_"))


def _install(folder: Path) -> None:
    """Do offline what pip does with the pyproject.toml that was written: its METADATA and its entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("".join(groups), "utf-8")


def test_new_never_overwrites_and_writes_nothing_then(say, tmp_path: Path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "test_my_model.py").write_text("mine", "utf-8")
    assert say("new", "my-model", "--folder", str(folder))[0] == 2
    assert [path.name for path in folder.iterdir()] == ["test_my_model.py"]
    assert (folder / "test_my_model.py").read_text("utf-8") == "mine"


def test_new_leaves_a_project_as_it_is_and_tells_which_line_it_needs(say, tmp_path: Path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("# mine\n", "utf-8")
    status, out = say("new", "my-model", "--folder", str(folder))
    assert status == 0
    assert (folder / "pyproject.toml").read_text("utf-8") == "# mine\n"
    assert 'my-model = "my_model:MyModel"' in out


def test_new_as_json_tells_what_was_written(say, tmp_path: Path):
    told = json.loads(say("new", "my-model", "--folder", str(tmp_path / "mine"), "--format", "json")[1])
    assert [Path(path).name for path in told["written"]] == ["my_model.py", "test_my_model.py", "pyproject.toml"]
    assert all(Path(path).is_file() for path in told["written"])
    assert told["entry_point"]["value"] == "my_model:MyModel"


@pytest.mark.parametrize(
    "name", ["My-Model", "my_model", "", "1st", "a" * 41, "-x", "../x", "class", "json", "gateway", "numpy", "kidney"]
)
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path):
    with pytest.raises(Misuse) as refused:
        write_model(name, "equation", tmp_path / "mine", models())
    assert refused.value.hint
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_cannot_be_one_is_a_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(Misuse):
        write_model("my-model", "equation", tmp_path / "file", models())


def test_what_new_writes_needs_a_version_of_ours_that_there_is(tmp_path: Path):
    made = write_model("my-model", "dynamic", tmp_path / "mine", models())
    project = tomllib.loads((made.folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["dependencies"] == ["fhirtwin>=0.1.0"]
    assert not [entry for entry in entry_points(group="fhirtwin.models") if entry.name == "my-model"]
