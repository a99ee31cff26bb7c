"""A twin at any past instant, in two time axes: when it was true, when we knew it; and what changed between two."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.cli.diff import shown_shares
from gateway.home import Home
from gateway.pull.page import Asked, Certificate, Page
from gateway.settings import load_settings
from gateway.simulation import closed_kinds, open_twin, run_model
from gateway.store import StoredResource
from gateway.versions import brought, open_past, read_points
from mappers import map_resource, read_json
from mappers.facts import Origin
from security.errors import Misuse
from twin_engine.movement import Movement, Share

ROOT = Path(__file__).resolve().parents[2]
Json = dict[str, Any]


def day(month: int, number: int, hour: int = 8) -> datetime:
    return datetime(2026, month, number, hour, tzinfo=UTC)


def result(name: str, code: str, value: float, unit: str, when: str, **changes: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": when,
        "valueQuantity": {"value": value, "unit": unit, "code": unit, "system": "http://unitsofmeasure.org"},
        **changes,
    }


def creatinine(value: float, when: str, name: str = "c1", **changes: Any) -> Json:
    return result(name, "2160-0", value, "mg/dL", when, **changes)


def diabetes(onset: str, name: str = "d1") -> Json:
    return {
        "resourceType": "Condition",
        "id": name,
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
        "onsetDateTime": onset,
    }


PATIENT: Json = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1960-03-04"}


class Ward:
    """A source whose pulls come when we say."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.twin = home.store.new_twin(day(1, 1))

    def tell(self, when: datetime, *resources: Json, whole: tuple[str, ...] = ()) -> int:
        """Pull these resources at a time; of the types in `whole` the list is certified as complete."""
        store, later = self.home.store, when + timedelta(minutes=1)
        pull = store.begin_pull("ward", when - timedelta(minutes=1))
        store.land(pull, Page(1, "all", (), "end"))
        asked = tuple(Asked(kind, 1, 1, 1) for kind in whole)
        store.finish_fetch(pull, Certificate("ward", "r4", asked))
        changes = store.append(pull, 1, {self.twin: [self._understood(r) for r in resources]}, [], {}, now=when)
        store.finish_pull(pull, later)
        return changes.twins.get(self.twin, 0)

    def _understood(self, resource: Json) -> StoredResource:
        origin = Origin("ward", resource["resourceType"], resource["id"])
        raw = json.dumps(resource).encode()
        return StoredResource("ward", origin.resource, "r4", raw, tuple(map_resource(read_json(raw), "r4", origin, {})))


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Home.open(load_settings(tmp_path)) as home:
        yield Ward(home)


@pytest.fixture
def ask(ward: Ward, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def asked(command: str, *arguments: str, text: bool = False, status: int = 0) -> Any:
        capsys.readouterr()
        told = [command, ward.twin, *arguments, "--home", str(ward.home.settings.home)]
        assert main(told if text else [*told, "--format", "json"]) == status
        out = capsys.readouterr().out
        return out if text else json.loads(out)

    return asked


def names(told: Json, part: str = "facts") -> set[str]:
    return {fact["name"] for fact in told[part]}


def known(told: Json, name: str) -> Json | None:
    return next((each for each in told["known"] if each["name"] == name), None)


# ---- two axes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def late(ward: Ward) -> Ward:
    """A result of 1 March that we learnt on 10 March."""
    ward.tell(day(2, 1), PATIENT, result("w1", "29463-7", 70, "kg", "2026-01-20T08:00:00Z"))
    ward.tell(day(3, 10), creatinine(1.4, "2026-03-01T08:00:00Z"))
    return ward


@pytest.mark.parametrize("flag", ["--as-of", "--at"])
def test_a_result_that_we_learnt_late_was_true_before_we_knew_it(late, ask, flag):
    then = ask("show", flag, "2026-03-05")
    assert ("creatinine" in names(then)) == (flag == "--at")
    assert "creatinine" in names(ask("show", flag, "2026-03-11"))
    profile = ask("profile", "--model", "kidney", flag, "2026-03-05")
    found = known(profile, "creatinine")
    assert (found is not None) == (flag == "--at")
    run = ask("simulate", "--model", "kidney", flag, "2026-03-05", status=0 if flag == "--at" else 5)
    assert (run["run"] is not None) == (flag == "--at")


def test_before_it_was_true_it_is_not_seen_though_we_know_it(late, ask):
    seen = ask("show", "--at", "2026-02-28")
    assert names(seen) == {"sex", "birth-date", "body-weight"}
    assert (seen["later"], seen["undecided"]) == (1, [])
    assert next(gap["why"] for gap in ask("profile", "--model", "kidney", "--at", "2026-02-28")["missing"]) == "after"


def test_both_axes_hold_at_once(late, ask):
    ask("show", "--at", "2026-03-05", "--as-of", "2026-03-05")
    both = ask("profile", "--model", "kidney", "--at", "2026-03-05", "--as-of", "2026-03-05")
    assert known(both, "creatinine") is None
    assert both["version"] == 1
    assert both["at"] == "2026-03-05T00:00:00Z"


def test_a_partial_date_is_only_surely_before_an_instant_if_all_of_it_is(ward, ask):
    ward.tell(day(2, 1), PATIENT, diabetes("2020"))
    seen = ask("show", "--at", "2020-06-15")
    assert "diabetes" not in names(seen)
    assert names(seen, "undecided") == {"diabetes"}
    assert "diabetes" in names(ask("show", "--at", "2021-01-02"))
    assert ask("show", "--at", "2019-06-01")["later"] == 1
    text = ask("show", "--at", "2020-06-15", text=True)
    assert "1 facts that may be from before or after" in text


def test_what_was_certified_later_proves_nothing_about_what_was_known_before(ward):
    ward.tell(day(2, 1), PATIENT, creatinine(1.4, "2026-01-20T08:00:00Z"))
    ward.tell(day(3, 10), diabetes("2020-05-05"), whole=("Condition", "MedicationRequest"))
    record = open_twin(ward.home, ward.twin)
    assert closed_kinds(ward.home, record) == {"condition", "medication"}
    then = open_twin(ward.home, ward.twin, day(3, 5))
    assert closed_kinds(ward.home, then) == frozenset()
    answer, _ = run_model(ward.home, then, "prevent", at=day(3, 5))
    assert {lack.why for lack in answer.lacks if lack.need == "diabetes"} == {"unproven"}


# ---- profile ---------------------------------------------------------------------------------------------------------


def test_a_profile_tells_how_old_how_sure_and_what_was_taken_from_a_population(late, ask):
    told = ask("profile", "--at", "2026-03-11T08:00")
    found = known(told, "creatinine")
    assert found is not None
    assert (found["how"], found["age"], found["sure"]) == ("measured", {"least": 10.0, "most": 10.0}, "declared")
    assert [part["of"] for part in found["uncertainty"]["parts"]] == ["measuring", "person"]
    assert [fact["resource"] for fact in found["facts"]] == ["Observation/c1"]
    assert known(told, "body-weight") is not None
    assert ask("profile", "--at", "2026-01-19")["imputed"][0]["instead_of"]["why"] == "after"
    text = ask("profile", "--at", "2026-01-19", text=True)
    assert "NOT KNOWN OF THIS PATIENT" in text
    assert "[imputed] 82 kg" in text
    assert max(map(len, ask("profile", text=True).splitlines())) <= 200


def test_a_kind_of_facts_is_chosen_by_its_name_and_an_unknown_one_is_no_empty_list(late, ask, capsys):
    assert names(ask("show", "--kind", "measurement")) == {"body-weight", "creatinine"}
    own = ["--home", str(late.home.settings.home)]
    assert main(["show", late.twin, "--kind", "measurment", *own]) == 2
    assert '"measurement"' in capsys.readouterr().err
    for command in ("show", "diff"):
        assert main([command, late.twin, "--limit", "-1", *own]) == 2
        assert "--limit 0" in capsys.readouterr().err


def test_an_unknown_model_is_named_with_those_that_there_are(late, ask, capsys):
    assert ask("profile", "--model", "kidny", text=True, status=2) == ""


@pytest.mark.parametrize("command", ["show", "profile", "versions", "diff"])
def test_looking_at_a_twin_is_recorded_before_it_is_shown(late, ask, command):
    store = late.home.store
    before = len(store.audit_events(1000))
    ask(command)
    events = [e.event for e in store.audit_events(1000)][: len(store.audit_events(1000)) - before]
    assert any(e["subtype"][0]["code"] == "read" for e in events)
    assert all(late.twin in json.dumps(e) for e in events)
    assert store.verify_audit().ok
    if command == "diff":
        assert {"run"} <= {e["subtype"][0]["code"] for e in events}


# ---- versions --------------------------------------------------------------------------------------------------------


@pytest.fixture
def corrected(ward: Ward) -> Ward:
    """Three pulls: a creatinine, its correction with a retracted pressure, and a newer creatinine."""
    pressure = result("b1", "8480-6", 138, "mm[Hg]", "2026-02-01T08:00:00Z")
    uacr = result("u1", "9318-7", 120, "mg/g", "2026-02-01T08:00:00Z")
    ward.tell(day(2, 2), PATIENT, creatinine(1.4, "2026-02-01T08:00:00Z"), pressure, uacr)
    amended = creatinine(1.6, "2026-02-01T08:00:00Z", status="corrected")
    ward.tell(day(3, 2), amended, {**pressure, "status": "entered-in-error"})
    ward.tell(day(4, 2), creatinine(1.5, "2026-04-01T08:00:00Z", "c2"), amended)
    return ward


def test_versions_tell_when_from_where_and_what_each_brought(corrected, ask):
    told = [(v["version"], v["source"], v["came"], v["corrected"], v["retracted"]) for v in ask("versions")["versions"]]
    assert told == [(1, "ward", 5, 0, 0), (2, "ward", 0, 1, 1), (3, "ward", 1, 0, 0)]
    assert [v["created"] for v in ask("versions")["versions"]][1] == "2026-03-02T08:00:00Z"
    assert [v["pull"] for v in ask("versions")["versions"]][1] == "2026-03-02T07:59:00Z"
    assert "2026-03-02 08:00:00" in ask("versions", text=True)


def test_what_the_versions_brought_is_what_is_there(corrected):
    told = brought(corrected.home, open_past(corrected.home, corrected.twin))
    kept = len(list(corrected.home.store.twin_record(corrected.twin).facts))
    assert sum(v.came for v in told) - sum(v.retracted for v in told) == kept


def test_every_version_is_the_record_of_its_time(corrected):
    past = open_past(corrected.home, corrected.twin)
    for number in range(past.newest + 1):
        point = past.of_version(number)
        record = past.record(point)
        stored = corrected.home.store.twin_record(corrected.twin, point.as_of)
        assert (record.version, set(record.facts)) == (number, set(stored.facts))


def test_a_point_is_a_version_or_a_time_and_nothing_else(corrected):
    past = open_past(corrected.home, corrected.twin)
    first, last = read_points(corrected.home, past, "1", "2026-03-05")
    assert (first.version, first.at, last.version, last.at) == (1, day(2, 2), 2, day(3, 5, 0))
    before, after = read_points(corrected.home, past, None, None)
    assert (before.version, after.version, after.as_of) == (2, 3, None)
    for wrong in ("4", "yesterday", "-1", "2026-13-01"):
        with pytest.raises(Misuse):
            read_points(corrected.home, past, wrong, None)


# ---- diff ------------------------------------------------------------------------------------------------------------


def result_of(told: Json, model: str, name: str) -> Json:
    [moves] = [m for m in told["models"] if m["model"] == model]
    [found] = [r for r in moves["results"] if r["name"] == name]
    return dict(found)


def test_a_diff_lists_what_came_what_was_corrected_and_what_was_retracted(corrected, ask):
    facts = ask("diff", "--from", "1", "--to", "2")["facts"]
    assert sorted(fact["what"] for fact in facts) == ["corrected", "retracted"]
    [change] = [fact for fact in facts if fact["what"] == "corrected"]
    assert (change["before"]["value"]["value"], change["after"]["value"]["value"]) == (1.4, 1.6)
    [gone] = [fact for fact in facts if fact["what"] == "retracted"]
    assert (gone["before"]["name"], gone["after"], gone["because"]) == ("systolic-pressure", None, ["status"])
    text = ask("diff", "--from", "1", "--to", "2", "--model", "kidney", text=True)
    assert "1.4 mg/dL" in text
    assert "Retracted, status:" in text


def test_a_diff_from_later_to_earlier_is_refused_instead_of_telling_of_retractions(corrected, ask, capsys):
    assert main(["diff", corrected.twin, "--from", "3", "--to", "1", "--home", str(corrected.home.settings.home)]) == 2
    told = capsys.readouterr()
    assert "Exchange --from and --to." in told.err
    assert told.out == ""


def test_a_diff_says_why_a_number_moved_and_the_shares_add_up(corrected, ask):
    told = ask("diff", "--from", "1", "--to", "3", "--model", "kidney")
    for name in ("egfr", "kidney-failure-2y", "kidney-failure-5y"):
        found = result_of(told, "kidney", name)
        assert found["method"] == "exact"
        moved = found["after"] - found["before"]
        assert sum(s["amount"] for s in found["shares"]) == pytest.approx(moved, rel=1e-12)
    by_name = {s["name"]: s for s in result_of(told, "kidney", "egfr")["shares"]}
    assert by_name["creatinine"]["amount"] < 0.0
    assert by_name["age"]["cause"] == "facts"  # 65 to 66: the newer creatinine is from after the birthday
    text = ask("diff", "--from", "1", "--to", "3", "--model", "kidney", text=True)
    assert "simulated, not measured" in text
    head = re.search(r"Estimated glomerular filtration rate .*: ([\d.]+) -> ([\d.]+) .* \(([-+][\d.]+)\)", text)
    assert head is not None
    rows = re.findall(r"^ +([-+][\d.]+)  (?:Creatinine|Age)", text.split("\nRisk")[0], re.MULTILINE)
    assert sum(round(float(row) * 10) for row in rows) == round(float(head[3]) * 10)
    assert round(float(head[2]) * 10) - round(float(head[1]) * 10) == round(float(head[3]) * 10)


def test_the_same_version_at_two_times_differs_by_the_passage_of_time_alone(corrected, ask):
    told = ask("diff", "--from", "2026-04-03", "--to", "2027-04-02", "--model", "kidney")
    assert told["facts"] == []
    [moves] = told["models"]
    assert {change["cause"] for change in moves["changes"]} == {"time"}
    still = ask("diff", "--from", "3", "--to", "3", "--at", "2026-05-01")
    assert (still["facts"], [m["changes"] for m in still["models"]]) == ([], [[], []])


def test_a_run_of_other_settings_takes_the_place_of_what_the_model_says_today(corrected, ask):
    settings = corrected.home.settings.home / "twin.toml"
    settings.write_text('[models.kidney]\nregion = "elsewhere"\n', "utf-8")
    kept = ask("simulate", "--model", "kidney", "--at", "2026-04-02T09:00")
    settings.write_text("", "utf-8")
    told = ask("diff", "--from", "3", "--to", "3", "--model", "kidney")
    [moves] = told["models"]
    assert (moves["settings_before"], moves["settings"]) == ({"region": "elsewhere"}, {"region": "north-america"})
    found = result_of(told, "kidney", "kidney-failure-5y")
    then = {o["name"]: o["value"] for o in kept["result"]["outputs"]}["kidney-failure-5y"]
    assert found["before"] == then
    assert {s["cause"] for s in found["shares"]} == {"model"}
    assert "the model changed" in ask("diff", "--from", "3", "--to", "3", "--model", "kidney", text=True)


def test_a_model_that_moves_in_time_is_calibrated_only_when_it_is_named(corrected, ask):
    assert "glucose" in ask("diff")["not_calibrated"]
    [fitted] = ask("diff", "--model", "glucose")["fitted"]
    assert (fitted["after"]["readings"], fitted["after"]["say"]) == (0, "There are no readings.")


def test_fitted_parameters_are_told_before_and_after(ward, ask):
    start = day(5, 1, 0)
    readings = [
        result(
            f"g{n}",
            "99504-3",
            120 + n,
            "mg/dL",
            f"{start + timedelta(minutes=5 * n):%Y-%m-%dT%H:%M:%SZ}",
        )
        for n in range(60)
    ]
    weight = result("w1", "29463-7", 70, "kg", "2026-04-20T08:00:00Z")
    ward.tell(day(5, 2), PATIENT, weight, *readings[:30])
    ward.tell(day(5, 3), *readings[30:])
    [fitted] = ask("diff", "--from", "1", "--to", "2", "--model", "glucose")["fitted"]
    assert (fitted["before"]["readings"], fitted["after"]["readings"]) == (30, 60)
    assert [p["name"] for p in fitted["before"]["parameters"]] == [p["name"] for p in fitted["after"]["parameters"]]
    assert fitted["before"]["parameters"] != fitted["after"]["parameters"]
    text = ask("diff", "--from", "1", "--to", "2", "--model", "glucose", text=True)
    assert "30 x interstitial glucose" in text
    assert "Fitted parameters: median" in text


def test_shares_are_rounded_so_that_what_is_shown_adds_up():
    amounts = (0.27, 0.27, 0.27, -0.11)
    shares = tuple(Share(str(i), "", "facts", amount) for i, amount in enumerate(amounts))
    movement = Movement("x", "X", "observation", "1", 0, 10.0, 10.0 + sum(amounts), "exact", shares)
    assert sorted(shown_shares(movement, 10)) == [-1, 2, 3, 3]  # each rounded by itself, they would add up to 8
    assert sum(shown_shares(movement, 10)) == round(movement.after * 10) - round(movement.before * 10)  # type: ignore[operator]
    assert all(
        abs(whole - amount * 10) < 1.0 for whole, amount in zip(shown_shares(movement, 10), amounts, strict=True)
    )


# ---- documentation ---------------------------------------------------------------------------------------------------


def test_the_commands_of_the_documentation_run_as_they_stand(corrected, capsys):
    text = (ROOT / "docs" / "time.md").read_text("utf-8")
    commands = re.findall(r"^    twin (.*?)(?:  +#.*)?$", text, re.MULTILINE)
    assert len(commands) > 6
    for command in commands:
        said = shlex.split(command.replace("ID", corrected.twin[:8]))
        assert main([*said, "--home", str(corrected.home.settings.home)]) in (0, 5), command
        assert capsys.readouterr().out
