"""A user's own tables of codes, as a user adds them: what is missing, filling it in, mistakes, and ConceptMaps."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.code_files import check_table
from gateway.concept_map import convert_map
from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.coded import GLU, condition, filled, lab, patient, put, result, write


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write(
        tmp_path / "ward",
        patient(),
        *(result(f"o{n}", "GLU", display="Glucose, venous") for n in range(3)),
        result("o8", "KREA", system="", unit="mg/dL", value=1.1),
        result("o9", "2345-7", system="http://loinc.org"),
        condition("c1", "DM2"),
    )
    home = tmp_path / "home"
    assert main(["pull", "--folder", str(tmp_path / "ward"), "--fhir-version", "r4", "--home", str(home)]) == 0
    return home


def run(home: Path, capsys, *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    assert main(["codes", *arguments, "--home", str(home)]) == status
    return capsys.readouterr().out


def say(home: Path, capsys, *arguments: str, status: int = 0):
    return json.loads(run(home, capsys, *arguments, "--format", "json", status=status))


@pytest.mark.parametrize(
    "command",
    [["codes", "missing", "--source"], ["codes", "replay", "--source"], ["refusals"], ["refusals", "--reason"]],
)
def test_a_mistyped_name_is_told_and_not_answered_with_nothing(home, capsys, command):
    capsys.readouterr()
    near = "no-unti" if "--reason" in command else "wrad"
    assert main([*command, near, "--home", str(home)]) == 2
    assert f"Did you mean {'no-unit' if '--reason' in command else 'ward'}" in capsys.readouterr().err


def test_what_no_table_has_is_listed_once_a_code_with_its_count_most_frequent_first(home, capsys):
    found = say(home, capsys, "missing")
    assert [(one["code"], one["count"], one["sources"]) for one in found["codes"]] == [
        ("GLU", 3, {"ward": 3}),
        ("KREA", 1, {"ward": 1}),
        ("DM2", 1, {"ward": 1}),
    ]
    assert found["statements"] == 5
    assert found["codes"][0]["display"] == "Glucose, venous"
    assert "Glucose, venous" in run(home, capsys, "missing")
    with Home.open(load_settings(home)) as opened:
        subtypes = [e.event["entity"][-1]["what"]["reference"] for e in opened.store.audit_events(2)]
    assert subtypes == ["Basic/missing-codes"] * 2  # who read it is on record


def test_the_list_is_a_table_to_fill_in_and_changes_nothing_before(home, capsys):
    skeleton = run(home, capsys, "missing", "--source", "ward", "--format", "toml")
    rows = tomllib.loads(skeleton)["code"]
    assert [row["from"] for row in rows] == [GLU, "|KREA", "urn:oid:1.2.3|DM2"]
    put(home, "ward", skeleton)
    assert "3 codes are not filled in" in run(home, capsys, "check")
    assert say(home, capsys, "replay")["changed"] == 0
    put(home, "ward", filled(skeleton, "loinc|2345-7", "loinc|2160-0", "sct|44054006"))
    assert say(home, capsys, "check")["mistakes"] == []
    assert say(home, capsys, "missing")["codes"] == []
    done = say(home, capsys, "replay", "--dry-run")
    assert (done["changed"], done["facts_new"], done["refusals_gone"]) == (5, 5, 5)
    assert say(home, capsys, "replay") == {**done, "dry_run": False}
    assert say(home, capsys, "replay")["changed"] == 0


def test_without_a_source_a_code_without_a_system_is_in_no_table(home, capsys):
    assert "KREA" not in run(home, capsys, "missing", "--format", "toml")


def test_the_next_pull_takes_a_table_and_a_broken_one_stops_it_before_it_begins(home, capsys, tmp_path):
    put(home, "lab", lab())
    write(tmp_path / "north", patient(), result("n1", "GLU"))
    pull = ["pull", "--folder", str(tmp_path / "north"), "--fhir-version", "r4", "--home", str(home)]
    assert main(pull) == 0
    assert say(home, capsys, "missing")["codes"][0]["count"] == 1  # nothing for GLU: what was refused may be replayed
    put(home, "lab", lab(to="loinc|2345-8"))
    assert main(pull) != 0
    told = capsys.readouterr().err
    assert "codes/lab.toml: code 1: from 'urn:oid:1.2.3|GLU'" in told
    assert "twin codes check" in told


def test_tables_and_their_rows_are_shown_by_name_and_by_what_a_fact_names(home, capsys):
    put(home, "lab", lab())
    assert "lab" in run(home, capsys, "list")
    [table] = say(home, capsys, "list")["tables"]
    assert (table["name"], table["rows"], table["unfilled"]) == ("lab", 1, 0)
    [row] = say(home, capsys, "show", "lab")["rows"]
    assert say(home, capsys, "show", f"4+{row['row']}")["rows"] == [row]
    assert (row["from"], row["is"], row["to"]) == (GLU, "equal", "http://loinc.org|2345-7")
    assert len(say(home, capsys, "show", "retired")["rows"]) > 100
    assert "loinc|2345-7" in run(home, capsys, "show", "lab")
    assert main(["codes", "show", "lap", "--home", str(home)]) != 0
    assert "Did you mean lab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x =", "It is not TOML"),
        ('color = "red"', "There is no key 'color'; there are: title, source, cite, [[code]]."),
        (lab(extra='to_code = "x"'), "code 1: There is no key 'to_code'; there are: from, to, is, cite, display."),
        (lab(told="GLU"), 'Write `from` as "system|code"'),
        (lab(told="|GLU"), "Say `source` at the top"),
        (lab(relation="same"), "`is` has to be equal, wider, narrower or unmatched."),
        (lab(relation=""), "Say in `is` how `to` relates to it"),
        (lab(to=""), "`is` says equal, and there is no `to`"),
        (lab(relation="unmatched"), "Take out one of them"),
        (lab(cite=""), "Say in `cite` who says so"),
        (lab(to="2345-7"), 'Write `to` as "system|code"'),
        (lab(to="urn:oid:9.9|1"), "no standard one. There are: loinc, sct"),
        (lab(to="loinc|2345-8"), "2345-8 is no LOINC code (its last digit does not fit)"),
        (lab(to="sct|44054007"), "44054007 is no SNOMED CT concept"),
        (lab(to="rxnorm|simva"), "no RxNorm number"),
        (lab(told="loinc|2160-0"), "This is creatinine to everybody"),
        (lab() + lab().partition("\n\n")[2].replace("2345-7", "2339-0"), "it stands 2 times"),
    ],
)
def test_a_mistake_is_told_with_its_file_its_row_and_what_to_do(tmp_path, capsys, text, said):
    put(tmp_path, "lab", text)
    out = run(tmp_path, capsys, "check", status=1)
    assert "mistake  codes/lab.toml" in out
    assert said in " ".join(out.split())
    mistakes = say(tmp_path, capsys, "check", status=1)["mistakes"]
    assert mistakes[0]["file"] == "codes/lab.toml"


def test_two_tables_may_not_say_two_things_of_one_code(tmp_path, capsys):
    put(tmp_path, "a", lab())
    put(tmp_path, "b", lab(to="loinc|2339-0"))
    assert "in codes/a.toml and codes/b.toml" in run(tmp_path, capsys, "check", status=1)
    put(tmp_path, "b", lab(to="loinc|2339-0", head='source = "south"\n'))  # each is true of its own source
    assert run(tmp_path, capsys, "check")


def test_what_will_have_no_effect_is_noted(tmp_path, capsys):
    put(tmp_path, "lab", lab(to="loinc|1-8") + '\n[[code]]\nfrom = "urn:x|Y"\nto = "loinc|6777-7"\nis = "equal"\n')
    told = run(tmp_path, capsys, "check")
    assert "our tables have no name for it" in told
    assert "this code is retired; loinc|2345-7 took its place" in told


# ---- ConceptMaps


def concept_map(**changes):
    return {
        "resourceType": "ConceptMap",
        "url": "http://example.org/ConceptMap/lab",
        "version": "2",
        "name": "LabCodes",
        "status": "active",
        "group": [
            {
                "source": "urn:oid:1.2.3",
                "target": "http://loinc.org",
                "element": [
                    {"code": "GLU", "target": [{"code": "2345-7", "equivalence": "equivalent"}]},
                    {"code": "KREA", "target": [{"code": "2160-0", "equivalence": "subsumes"}]},
                    {"code": "K", "target": [{"code": "2823-3", "equivalence": "specializes"}]},
                    {"code": "X", "target": [{"equivalence": "unmatched"}]},
                    {"code": "NA", "target": [{"code": "2951-2", "equivalence": "relatedto"}]},
                    {"code": "CL", "target": [{"code": "2075-0", "equivalence": "equal", "dependsOn": [{}]}]},
                    {
                        "code": "TWO",
                        "target": [
                            {"code": "2345-7", "equivalence": "equal"},
                            {"code": "2339-0", "equivalence": "equal"},
                        ],
                    },
                ],
            }
        ],
        **changes,
    }


def imported(tmp_path, capsys, resource, *arguments):
    file = tmp_path / "map.json"
    file.write_text(json.dumps(resource), "utf-8")
    done = say(tmp_path, capsys, "import", str(file), *arguments)
    rows = say(tmp_path, capsys, "show", done["table"])["rows"]
    return done, {
        row["from"].rpartition("|")[2]: (row["to"] and row["to"].rpartition("|")[2], row["is"]) for row in rows
    }


def test_a_concept_map_becomes_a_table(tmp_path, capsys):
    done, rows = imported(tmp_path, capsys, concept_map(), "--source", "ward")
    assert rows == {
        "GLU": ("2345-7", "equal"),
        "KREA": ("2160-0", "wider"),
        "K": ("2823-3", "narrower"),
        "X": (None, "unmatched"),
    }
    assert done["left_out"] == {
        "relatedto": 1,
        "holds under conditions only": 1,
        "several targets in one system": 2,
    }
    [table] = say(tmp_path, capsys, "list")["tables"]
    assert (table["name"], table["source"]) == ("labcodes", "ward")
    cited = say(tmp_path, capsys, "show", "labcodes")["rows"][0]["cite"]
    assert cited == "ConceptMap http://example.org/ConceptMap/lab version 2"
    assert main(["codes", "import", str(tmp_path / "map.json"), "--home", str(tmp_path)]) != 0  # it is there
    assert "--replace" in capsys.readouterr().err


def test_r5_tells_it_from_the_other_side(tmp_path, capsys):
    elements = [
        {"code": "A", "target": [{"code": "2345-7", "relationship": "equivalent"}]},
        {"code": "B", "target": [{"code": "2345-7", "relationship": "source-is-narrower-than-target"}]},
        {"code": "C", "target": [{"code": "2345-7", "relationship": "source-is-broader-than-target"}]},
        {"code": "D", "noMap": True},
    ]
    group = {"source": "urn:oid:1.2.3|4", "target": "http://loinc.org|2.78", "element": elements}
    _, rows = imported(tmp_path, capsys, concept_map(group=[group]))
    assert rows == {
        "A": ("2345-7", "equal"),
        "B": ("2345-7", "wider"),
        "C": ("2345-7", "narrower"),
        "D": (None, "unmatched"),
    }


def test_dstu2_has_its_elements_at_the_top(tmp_path, capsys):
    target = {"codeSystem": "urn:oid:2.16.840.1.113883.6.1", "code": "2345-7", "equivalence": "equal"}
    element = {"codeSystem": "urn:oid:1.2.3", "code": "GLU", "target": [target]}
    _, rows = imported(tmp_path, capsys, concept_map(group=[], element=[element]))
    assert rows == {"GLU": ("2345-7", "equal")}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no FHIR JSON"),
        (b'{"resourceType": "Patient"}', "is no ConceptMap"),
        (json.dumps(concept_map(name="")).replace("2345-7", "2345-8").encode(), "2345-8 is no LOINC code"),
    ],
)
def test_what_makes_no_table_is_not_imported(tmp_path, capsys, content, said):
    file = tmp_path / "map.json"
    file.write_bytes(content)
    assert main(["codes", "import", str(file), "--home", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "codes").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["group", "element", "target", "source", "code", "equivalence", "relationship", "noMap", "codeSystem"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["group", "element"]), JSON, max_size=2))
def test_whatever_a_concept_map_holds_it_is_read_or_left_out(content):
    made = convert_map(content)
    assert all(row["is"] in {"equal", "wider", "narrower", "unmatched"} for row in made.rows)
    assert all(bool(row["to"]) == (row["is"] != "unmatched") for row in made.rows)
    assert all(count > 0 for count in made.left_out.values())
    tomllib.loads(made.as_toml("title", "", "cite"))


def test_a_table_says_nothing_of_who_is_in_it():
    table, problems = check_table(lab(), "codes/lab.toml")
    assert problems == []
    assert table is not None
    other, _ = check_table(lab(to="loinc|2339-0"), "codes/lab.toml")
    assert other is not None
    assert table.version != other.version
