"""What-ifs of a stored twin, as their users ask for them: a person with a sensor, meals and insulin on record."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import VERSIONS, build, to_json
from gateway.cli import main
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings

MEAL = "60 g carbohydrate over 15 min at +30min"
BOLUS = "4 [iU] insulin-bolus at +30min"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one twin: the woman with type 1 diabetes of the cohort, as `summit` knows her."""
    place: Path = tmp_path_factory.mktemp("what-if")
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
    return summary.id


class Asked:
    """What a command printed, and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def ask(home, capsys):
    def asked(*arguments: str) -> Asked:
        capsys.readouterr()
        status = main([*arguments, "--home", str(home)])
        said = capsys.readouterr()
        return Asked(status, said.out, said.err)

    return asked


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def outcomes(branch: dict[str, Any]) -> dict[str, float]:
    return {outcome["name"]: outcome["value"] for outcome in branch["outcomes"]}


class TestWhatIf:
    def test_a_meal_with_and_without_insulin_is_compared_and_kept(self, ask, twin, tmp_path):
        (tmp_path / "bare.toml").write_text(
            '[[give]]\ninput = "carbohydrate"\namount = 60\nunit = "g"\nat = "+30min"\nminutes = 15\n', "utf-8"
        )
        done = ask(
            *("what-if", twin[:8], "--plan", str(tmp_path / "bare.toml"), "--give", MEAL, "--give", BOLUS),
            *("--minutes", "240", "--format", "json"),
        )
        assert done.status == 0, done.err
        nothing, bare, dosed = done.json["result"]["branches"]
        assert bare["plan"]["title"] == "bare"
        assert outcomes(bare)["greatest"] > outcomes(nothing)["greatest"] + 20
        assert outcomes(dosed)["greatest"] < outcomes(bare)["greatest"]
        assert done.json["result"]["utility"]["citation"]
        again = ask("compare", done.json["run"][:12], "--format", "json")
        assert again.json["runs"][0]["result"] == done.json["result"]

    def test_a_closed_loop_is_compared_with_what_a_person_would_do(self, ask, twin):
        settings = "basal 0.8 [iU]/h, carb_ratio 12 g/[iU], correction 50 mg/dL/[iU]"
        therapies = ("--therapy", f"closed-loop, {settings}", "--therapy", f"basal-bolus, {settings}")
        done = ask("what-if", twin[:8], "--give", MEAL, *therapies, "--minutes", "180")
        assert done.status == 0, done.err
        assert "Insulin that the therapy gives" in done.out
        assert "a sensor of its own" in " ".join(done.out.split())
        done = ask("what-if", twin[:8], "--give", MEAL, *therapies, "--minutes", "180", "--format", "json")
        nothing, eaten, loop, pen = done.json["result"]["branches"]
        assert "insulin" not in outcomes(nothing) | outcomes(eaten)
        assert outcomes(loop)["insulin"] > 4.0
        assert pen["plan"]["therapy"]["by"] == "basal-bolus"
        done = ask("what-if", twin[:8], "--therapy", "closed-loop, basal 0.8")
        assert done.status == 2
        assert "carb_ratio" in done.err

    def test_it_is_drawn_and_said_to_be_simulated(self, ask, twin):
        done = ask("what-if", twin[:8], "--give", MEAL, "--minutes", "120", "--sensitivity")
        assert done.status == 0, done.err
        assert "simulated, not measured" in done.out
        assert "A: simulated medians" in done.out or "A to B: simulated medians" in done.out
        assert "how much it differs from A" in done.out
        assert "Declared by" in done.out
        assert "what it hangs on" in done.out

    def test_the_same_question_is_the_same_run_and_each_asking_is_recorded(self, ask, twin, home):
        def asked() -> tuple[str, int]:
            run = ask("what-if", twin[:8], "--give", MEAL, "--minutes", "60", "--format", "json").json["run"]
            with Home.open(load_settings(home), create=False) as opened:
                return run, sum(run in str(event) for event in opened.store.audit_events())

        (one, first), (other, second) = asked(), asked()
        assert one == other
        assert second > first > 0

    def test_what_the_model_does_not_know_is_refused(self, ask, twin):
        done = ask("what-if", twin[:8], "--give", "30 min exercise")
        assert done.status == 2
        assert "carbohydrate (g)" in done.err
        for order in (
            "60 carbohydrate",
            "60 [iU] carbohydrate",
            "900 g carbohydrate",
            "a lot",
            "60 g carbohydrate at 7",
        ):
            assert ask("what-if", twin[:8], "--give", order).status == 2

    def test_it_needs_a_plan_that_can_be_read(self, ask, twin, tmp_path):
        assert ask("what-if", twin[:8]).status == 2
        assert ask("what-if", twin[:8], "--plan", str(tmp_path / "none.toml")).status == 2
        (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
        assert ask("what-if", twin[:8], "--plan", str(tmp_path / "odd.toml")).status == 2
        assert ask("what-if", twin[:8], "--give", MEAL, "--model", "kidney").status == 2

    def test_another_declared_utility_ranks_otherwise(self, ask, twin, tmp_path):
        (tmp_path / "u.toml").write_text(
            'title = "As high as can be"\ndeclared_by = "this test"\n[weights]\nmean = 1\n', "utf-8"
        )
        done = ask(
            *("what-if", twin[:8], "--give", MEAL, "--minutes", "180", "--utility", str(tmp_path / "u.toml")),
            *("--format", "json"),
        )
        assert done.json["result"]["ranking"] == [MEAL, "nothing new"]
        assert done.json["result"]["utility"]["declared_by"] == "this test"

    def test_where_nothing_was_measured_there_is_no_number(self, ask, twin):
        done = ask("what-if", twin[:8], "--give", MEAL, "--at", "2020-01-01", "--format", "json")
        assert done.status == 5
        assert done.json["run"] is None
        assert done.json["result"]["say"]

    def test_the_age_of_the_last_reading_is_told_where_it_is_old(self, ask, twin):
        done = ask("what-if", twin[:8], "--give", MEAL, "--minutes", "60", "--format", "json")
        assert done.status == 0, done.err
        [note] = done.json["notes"]
        assert "this what-if is of the past, not of now" in note
        assert note in " ".join(ask("what-if", twin[:8], "--give", MEAL, "--minutes", "60").out.split())
        last = when(done.json["result"]["at"])
        fresh = ask(
            "what-if", twin[:8], "--give", MEAL, "--minutes", "60", "--at", last.isoformat(), "--format", "json"
        )
        assert fresh.json["notes"] == []
        later = (last + timedelta(hours=3)).isoformat()
        old = ask("what-if", twin[:8], "--give", MEAL, "--minutes", "60", "--at", later, "--format", "json")
        assert "3 hours old" in old.json["notes"][0]

    @pytest.mark.parametrize("hours", [25, 24 * 365 * 70])
    def test_no_plan_starts_where_nothing_is_known_of_the_patient_any_more(self, ask, twin, hours):
        done = ask("what-if", twin[:8], "--give", MEAL, "--minutes", "60", "--format", "json")
        at = (when(done.json["result"]["at"]) + timedelta(hours=hours)).isoformat()
        refused = ask("what-if", twin[:8], "--give", MEAL, "--at", at)
        assert refused.status == 2
        assert "more than a day older" in refused.err
        assert refused.out == ""

    def test_what_is_kept_of_it_is_nothing_to_write_back(self, ask, twin):
        ask("what-if", twin[:8], "--give", MEAL, "--minutes", "60")
        ask("simulate", twin[:8], "--model", "kidney", "--at", "2026-11-01")
        proposals = ask("propose", twin[:8], "--format", "json").json["proposals"]
        assert {proposal["model"] for proposal in proposals} == {"kidney"}


class TestThePast:
    def test_what_would_have_happened_stands_beside_what_was_measured(self, ask, twin):
        last = when(ask("what-if", twin[:8], "--give", MEAL, "--minutes", "5", "--format", "json").json["result"]["at"])
        at = (last - timedelta(hours=12)).isoformat()
        done = ask(
            *("what-if", twin[:8], "--at", at, "--counterfactual", "--give", "80 g carbohydrate at +10min"),
            *("--minutes", "180", "--format", "json"),
        )
        assert done.status == 0, done.err
        result = done.json["result"]
        assert result["kind"] == "counterfactual"
        factual, other = result["branches"]
        assert outcomes(other)["greatest"] > outcomes(factual)["greatest"]
        assert result["measured"]
        assert all(when(at) < when(reading["when"]) <= when(at) + timedelta(hours=3) for reading in result["measured"])
        assert result["hindsight"][0]["counterfactual"]["name"] == "interstitial-glucose"
        assert result["met"][0]["count"] == len(result["measured"])
        shown = ask("compare", done.json["run"])
        assert "● measured" in shown.out
        assert "in the light of what was measured" in shown.out

    def test_it_needs_a_moment_and_one_plan(self, ask, twin):
        assert ask("what-if", twin[:8], "--counterfactual", "--give", MEAL).status == 2


def measured(number: int, code: str, value: float, unit: str, at: datetime) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": at.isoformat(),
        "valueQuantity": {"value": value, "unit": unit, "code": unit, "system": "http://unitsofmeasure.org"},
    }


def test_a_past_version_of_a_twin_branches_as_it_was_known_then(tmp_path, capsys):
    first = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
    person = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1990-03-04"}
    (tmp_path / "in").mkdir()

    def told(readings: range) -> datetime:
        resources = [person, measured(99, "29463-7", 70, "kg", first - timedelta(days=9))]
        resources += [measured(i, "99504-3", 120 + i % 5, "mg/dL", first + timedelta(minutes=5 * i)) for i in readings]
        (tmp_path / "in" / f"{readings.start}.ndjson").write_text("\n".join(map(json.dumps, resources)), "utf-8")
        with Home.open(load_settings(tmp_path / "home")) as opened:
            asyncio.run(ingest(opened, Folder("files", tmp_path / "in", "r4"), lambda text: None))
        return datetime.now(UTC)

    def start_of(*more: str) -> datetime:
        with Home.open(load_settings(tmp_path / "home"), create=False) as opened:
            [one] = opened.store.twins()
        capsys.readouterr()
        order = ("--give", "20 g carbohydrate", "--minutes", "60", "--format", "json")
        assert main(["what-if", one.id, *order, *more, "--home", str(tmp_path / "home")]) == 0
        return when(json.loads(capsys.readouterr().out)["result"]["at"])

    then = told(range(20))
    told(range(20, 40))
    assert start_of() == first + timedelta(minutes=5 * 39)
    assert start_of("--as-of", then.isoformat()) == first + timedelta(minutes=5 * 19)


class TestCompare:
    def test_runs_made_apart_are_shown_side_by_side_and_not_as_a_difference(self, ask, twin):
        runs = [
            ask("what-if", twin[:8], "--give", f"{grams} g carbohydrate", "--minutes", "60", "--format", "json").json
            for grams in (20, 50)
        ]
        done = ask("compare", *(run["run"] for run in runs))
        assert done.status == 0, done.err
        assert "20 g carbohydrate; run" in done.out
        assert "50 g carbohydrate; run" in done.out
        assert "not paired" in done.out

    def test_an_answer_without_a_course_is_refused_and_an_unknown_run_too(self, ask, twin):
        assert ask("compare", "ffffffffffff").status == 2
        kidney = ask("simulate", twin[:8], "--model", "kidney", "--at", "2026-11-01", "--format", "json").json["run"]
        assert kidney
        assert ask("compare", kidney).status == 2


class TestRehearse:
    SCRIPT = (
        "# breakfast\nlook 2 h\nwait 30 min\ngive 60 g carbohydrate over 15 min\nwait 10\n\nundo\nplan\ncompare\nquit\n"
    )

    def test_a_script_is_played_and_kept(self, ask, twin, tmp_path):
        script = tmp_path / "script"
        script.write_text(self.SCRIPT, "utf-8")
        done = ask("rehearse", twin[:8], "--script", str(script))
        assert done.status == 0, done.err
        assert 'input = "carbohydrate"' in done.out
        assert "simulated" in done.out
        assert "Kept as run" in done.out
        found = ask("rehearse", twin[:8], "--script", str(script), "--format", "json").json
        assert found["minutes"] == 30
        nothing, rehearsed = found["result"]["branches"]
        assert len(rehearsed["plan"]["doses"]) == 1
        assert rehearsed["courses"][0]["median"][:7] == nothing["courses"][0]["median"][:7]
        assert outcomes(rehearsed)["greatest"] > outcomes(nothing)["greatest"]

    def test_a_script_stops_at_what_cannot_be_done(self, ask, twin, tmp_path):
        script = tmp_path / "script"
        for line in ("give 900 g carbohydrate", "give 5 W exercise", "dance", "wait 9999 h", "undo"):
            script.write_text(f"{line}\n", "utf-8")
            assert ask("rehearse", twin[:8], "--script", str(script)).status == 2

    def test_a_person_at_a_terminal_is_told_and_goes_on(self, ask, twin, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO("dance\nhelp\ngive 20 g carbohydrate\nquit\n"))
        done = ask("rehearse", twin[:8])
        assert done.status == 0
        assert 'Type "help"' in done.err
        assert "let time pass" in done.out
        assert "Kept as run" in done.out

    def test_a_rehearsal_in_which_nothing_is_given_is_not_kept(self, ask, twin, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO("wait 30\n"))
        assert ask("rehearse", twin[:8], "--format", "json").json["run"] is None
