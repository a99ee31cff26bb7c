"""Plans with exercise of a stored twin, as they are typed; and what other models say to a ventilator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import VERSIONS, build, to_json
from gateway.calibration import Calibrated, current, dynamic_model, dynamic_models
from gateway.cli import main
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.simulation import open_twin
from gateway.web.trial import build_trial, run_trial
from security.errors import Misuse

ACTIVE = ("--model", "glucose-exercise")
WALK = """
title = "A walk after lunch"

[[meal]]
amount = 60
unit = "g"
minutes = 15

[[exercise]]
amount = 45
unit = "%"
at = "+1h"
minutes = 40
"""
LUNCH = 'title = "Lunch"\n[[meal]]\namount = 60\nunit = "g"\nminutes = 15\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one twin: the woman with type 1 diabetes of the cohort, as `summit` knows her."""
    place: Path = tmp_path_factory.mktemp("exercise")
    (place / "in").mkdir()
    cohort = build(1)
    patient = next(member for member in cohort.people if member.story == "type-1-diabetes").ids["summit"]
    directory, *people = cohort.bundles("summit")
    mine = next(b for b in people if any(e["fullUrl"].endswith(f"Patient/{patient}") for e in b["entry"]))
    for number, bundle in enumerate((directory, mine)):
        (place / "in" / f"{number}.json").write_bytes(to_json(bundle))
    with Home.open(load_settings(place / "home")) as opened:
        asyncio.run(ingest(opened, Folder("summit", place / "in", VERSIONS["summit"]), lambda text: None))
    return place / "home"


@pytest.fixture(scope="module")
def twin(home: Path) -> str:
    with Home.open(load_settings(home), create=False) as opened:
        [summary] = opened.store.twins()
    return str(summary.id[:8])


@pytest.fixture
def ask(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Type a command, with plans in files: its status, and what it printed to both."""

    def asked(*words: str, **files: str) -> tuple[int, str, str]:
        for name, text in files.items():
            (tmp_path / name).write_text(text, "utf-8")
        capsys.readouterr()
        status = main([*(str(tmp_path / w) if w in files else w for w in words), "--home", str(home)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return asked


def courses(result: dict[str, Any]) -> list[list[float]]:
    return [branch["courses"][0]["median"] for branch in result["branches"]]


def test_what_if_one_walks_after_lunch_is_told_beside_lunch_alone_and_compared_again(ask, twin):
    status, out, err = ask(
        *("what-if", twin, *ACTIVE, "--plan", "lunch", "--plan", "walk", "--minutes", "240", "--format", "json"),
        lunch=LUNCH,
        walk=WALK,
    )
    assert status == 0, err
    told = json.loads(out)
    nothing, lunch, walk = courses(told["result"])
    assert lunch[:13] == walk[:13]
    assert max(lunch) > max(nothing) + 10.0
    assert walk[20] < lunch[20] - 20.0
    assert [each["plan"]["title"] for each in told["result"]["branches"]][2] == "A walk after lunch"
    assert {"when", "input", "amount", "minutes"} <= told["result"]["branches"][2]["plan"]["doses"][1].keys()
    assert "Deichmann" in told["result"]["citation"]
    status, out, err = ask("compare", told["run"][:12], "--format", "json")
    assert (status, json.loads(out)["runs"][0]["result"]) == (0, told["result"]), err
    status, out, _ = ask("compare", told["run"][:12])
    assert status == 0
    assert "A walk after lunch" in out
    assert "how much it differs from A" in out


def test_exercise_is_given_in_words_and_runs_made_apart_stand_side_by_side(ask, twin):
    runs = []
    for order in ("45 % exercise for 40 min at +30min", "20 % exercise for 40 min at +30min"):
        status, out, err = ask("what-if", twin, *ACTIVE, "--give", order, "--minutes", "120", "--format", "json")
        assert status == 0, err
        runs.append(json.loads(out))
    hard, easy = (courses(each["result"])[1] for each in runs)
    assert hard[14] < easy[14] < courses(runs[0]["result"])[0][14]
    status, out, err = ask("compare", *(each["run"] for each in runs))
    assert status == 0, err
    assert "45 % exercise for 40 min at +30min; run" in out


def test_a_closed_loop_gives_less_insulin_to_one_who_exercises(ask, twin):
    therapy = ("--therapy", "closed-loop, basal 0.8 [iU]/h, carb_ratio 12 g/[iU], correction 50 mg/dL/[iU]")
    given = []
    for order in ("20 g carbohydrate", "50 % exercise for 45 min"):
        status, out, err = ask(
            *("what-if", twin, *ACTIVE, "--give", order, *therapy, "--minutes", "90", "--format", "json")
        )
        assert status == 0, err
        outcomes = json.loads(out)["result"]["branches"][2]["outcomes"]
        given.append(next(each["value"] for each in outcomes if each["name"] == "insulin"))
    assert given[1] < given[0]


def test_exercise_is_rehearsed_step_by_step(ask, twin):
    script = "wait 30 min\ngive 45 % exercise for 40 min\nwait 40 min\nplan\ncompare\nquit\n"
    status, out, err = ask("rehearse", twin, *ACTIVE, "--script", "script", script=script)
    assert status == 0, err
    assert '[[exercise]]\ninput = "exercise"\namount = 45.0\nunit = "%"' in out
    status, out, err = ask("rehearse", twin, *ACTIVE, "--script", "script", "--format", "json", script=script)
    assert status == 0, err
    nothing, moved = courses(json.loads(out)["result"])
    assert moved[:7] == nothing[:7]
    assert moved[14] < nothing[14] - 10.0


@pytest.mark.parametrize("model", ["glucose", "glucose-exercise"])
@pytest.mark.parametrize(
    ("group", "item"),
    [
        ("procedure", 'input = "aortic-valve-replacement"\namount = 1.8\nunit = "cm2"'),
        ("fluid", 'input = "crystalloid"\namount = 500\nunit = "mL"\nminutes = 30'),
        ("ventilation", 'input = "fio2"\namount = 60\nunit = "%"'),
    ],
)
def test_what_a_model_lacks_is_refused_with_what_it_takes(ask, twin, model, group, item):
    status, out, err = ask("what-if", twin, "--model", model, "--plan", "plan", plan=f"[[{group}]]\n{item}\n")
    said = " ".join(err.split())
    assert (status, out) == (2, "")
    assert f"The model {model} does not answer to {'' if group == 'ventilation' else 'a '}{group}." in said
    assert "It takes meal: carbohydrate (g); dose: insulin-bolus ([iU])" in said
    assert ("exercise: exercise (%)" in said) is (model == "glucose-exercise")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("45 % exercise at +30min", "does not say when it ends"),
        ("90 % exercise for 30 min", "holds from 0 to 60 %"),
        ("30 min exercise", "none that can be converted"),
    ],
)
def test_exercise_that_cannot_be_is_refused(ask, twin, order, said):
    for words in (("what-if", twin, *ACTIVE, "--give", order), ("rehearse", twin, *ACTIVE, "--script", "script")):
        status, _, err = ask(*words, script=f"give {order}\n")
        assert status == 2
        assert said in " ".join(err.split())


def test_the_form_of_the_page_asks_how_long_and_takes_exercise(home, twin):
    with Home.open(load_settings(home), create=False) as opened:
        found = current(opened, open_twin(opened, twin), dynamic_model(opened, "glucose-exercise"))
        assert isinstance(found, Calibrated)
        fields = {each.title: each for each in build_trial(opened, found, "", {}).plans[0].fields}
        said = {"hours": "2", "plan1.exercise.amount": "45", "plan1.exercise.at": "30", "plan1.exercise.minutes": "40"}
        run = run_trial(opened, found, said)
        shown = build_trial(opened, found, run, said).shown
        with pytest.raises(Misuse, match="does not say when it ends"):
            run_trial(opened, found, said | {"plan1.exercise.minutes": "0"})
    assert [fields["Aerobic exercise"].lasts, fields["Aerobic exercise"].minutes] == ["for", "30"]
    assert [each.group for each in fields.values()] == ["meal", "dose", "dose", "exercise"]
    assert [fields["Carbohydrate eaten"].lasts, fields["Carbohydrate eaten"].minutes] == ["over", "0"]
    assert shown is not None
    assert shown.branches[1] == ("B", "45 % exercise for 40 min at +30min")


def test_a_variant_is_calibrated_only_where_it_is_named(home):
    with Home.open(load_settings(home), create=False) as opened:
        assert set(dynamic_models(opened)) == {"glucose"}
        assert dynamic_model(opened, "glucose-exercise").instead_of == "glucose"
