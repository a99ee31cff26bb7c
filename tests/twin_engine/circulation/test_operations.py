"""Operations are read with every unit told, write themselves back, and what is not understood is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.errors import Misuse, UnknownName
from twin_engine.circulation.operation import HEADS, Device, NewValve, Repair, Revascularisation
from twin_engine.circulation.operation_text import read_operation, read_operations
from twin_engine.circulation.regions import PLACES, SEGMENTS, Regions, read_regions

PAGE = Path(__file__).resolve().parents[3] / "docs" / "circulation-operations.md"


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("aortic valve: Edwards Magna Ease 23 mm", NewValve("aortic", "Edwards Magna Ease", 23)),
        ("Aortic valve: edwards sapien 3 26 mm, leak 0.05 cm2", NewValve("aortic", "Edwards SAPIEN 3", 26, leak=0.05)),
        ("aortic valve 1.9 cm2", NewValve("aortic", orifice=1.9)),
        ("aortic valve: orifice 190 mm2, leak 5 mm2", NewValve("aortic", orifice=1.9, leak=0.05)),
        ("mitral valve: Medtronic Hancock II 29 mm", NewValve("mitral", "Medtronic Hancock II", 29)),
        ("mitral repair", Repair()),
        ("mitral repair: orifice 2.6 cm2, leak 0.02 cm2", Repair(2.6, 0.02)),
        ("mitral repair: leak 0 cm2", Repair(leak=0.0)),
        ("pump 9000 /min", Device("pump", 9000.0)),
        ("balloon: 40 mL", Device("balloon", 40.0)),
        ("balloon 0.04 L", Device("balloon", 40.0)),
        ("pacing 60 bpm", Device("pacing", 60.0)),
        ("revascularisation: segment 7 akinetic viable", Revascularisation(read_regions("segment 7 viable akinetic"))),
        ("revascularization: 6 viable segments", Revascularisation(read_regions("6 segments"))),
    ],
)
def test_an_operation_is_read_and_reads_back_as_it_writes_itself(text, operation):
    assert read_operation(text) == operation
    assert read_operation(operation.words) == operation


@st.composite
def plans(draw):
    areas = st.integers(30, 500).map(lambda hundredths: hundredths / 100)
    leaks = st.none() | st.integers(0, 60).map(lambda hundredths: hundredths / 100)
    motions = st.sampled_from(["normal", "viable", "hypokinetic viable", "akinetic viable", "scar"])
    numbers = draw(st.lists(st.integers(1, 17), unique=True, max_size=10))
    parts = [(number, draw(motions)) for number in numbers] + [(0, draw(motions))] * draw(st.integers(1, 7))
    return (
        NewValve("aortic", orifice=draw(areas), leak=draw(leaks)),
        Repair(draw(st.none() | st.just(2.5)), draw(leaks)),
        Device("pump", float(draw(st.integers(8000, 15000)))),
        Revascularisation(Regions(tuple(parts))),
    )


@given(plans())
def test_any_plan_reads_back_as_it_writes_itself(plan):
    assert read_operations(" and ".join(each.words for each in plan)) == plan


def test_several_make_one_plan():
    told = "aortic valve 1.9 cm2 and revascularisation: anterior, septal and lateral and pump 9000 /min"
    valve, vessels, pump = read_operations(told)
    assert (valve, pump) == (NewValve("aortic", orifice=1.9), Device("pump", 9000.0))
    assert isinstance(vessels, Revascularisation)
    assert [number for number, _ in vessels.regions.segments] == [1, 7, 13, 2, 3, 8, 9, 14, 5, 6, 11, 12, 16]
    assert read_operations([valve.words, vessels.words, pump.words]) == (valve, vessels, pump)
    assert read_operations("balloon 40 mL; pacing 80 /min\n") == read_operations(["balloon 40 mL", "pacing 80 /min"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("aortic valv 1.9 cm2", "aortic valve"),
        ("transplant", "Known: aortic valve"),
        ("aortic valve: Edwards Magna 23 mm", "Edwards Magna Ease"),
        ("mitral valve: Edwards SAPIEN 3 23 mm", "mitral prosthesis"),
        ("mitral repair: orifce 2.6 cm2", "orifice"),
        ("revascularisation: anteror", "anterior"),
        ("revascularisation: segment 18", "region of the left ventricle"),
        ("revascularisation: septum dead", "region of the left ventricle"),
    ],
)
def test_an_unknown_name_tells_the_nearest(text, says):
    with pytest.raises(UnknownName, match=re.escape(says)):
        read_operations(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no operation"),
        (" and ", "no operation of that name"),
        ("aortic valve", "cannot be read"),
        ("aortic valve 1.9", "a number and cm2"),
        ("aortic valve 1,9 cm2", "cannot be read"),
        ("aortic valve nan cm2", "cannot be read"),
        ("aortic valve 1.9 mL", "cannot be read"),
        ("aortic valve 19 cm2", "between 0.3 and 5 cm2"),
        ("aortic valve: Edwards Magna Ease 21 mm", "23, 25 mm"),
        ("aortic valve: Edwards SAPIEN 3 26 mm, orifice 2 cm2", "either a prosthesis"),
        ("mitral repair: leak 0.1 cm2, leak 0.2 cm2", "told twice"),
        ("mitral repair: leak 2 cm2", "between 0 and 0.6"),
        ("pump 9000 rpm", "a number and /min"),
        ("pump 5000 /min", "between 8000 and 15000"),
        ("pump 1e4 /min", "cannot be read"),
        ("balloon 400 mL", "between 10 and 50"),
        ("pacing 300 /min", "between 40 and 150"),
        ("revascularisation", "names no region"),
        ("revascularisation: viable", "names no region"),
        ("revascularisation: anterior akinetic", "viable, or it is scar"),
        ("revascularisation: anterior viable scar", "viable, or it is scar"),
        ("revascularisation: anterior, segment 1", "told twice"),
        ("revascularisation: 12 segments, anterior, inferior", "more segments than there are"),
        ("mitral repair and mitral valve: Medtronic Hancock II 29 mm", "two plans"),
        ("pump 9000 /min and pump 10000 /min", "two plans"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_can_be_said(text, says):
    with pytest.raises(Misuse, match=re.escape(says)):
        read_operations(text)


def test_a_refusal_does_not_repeat_what_was_written():
    for text in ("Mrs Smith 9000 /min", "aortic valve: Smith 23 mm", "pump smith", "revascularisation: smith wall"):
        with pytest.raises(Misuse) as refused:
            read_operations(text)
        assert "smith" not in str(refused.value).casefold()


def test_walls_and_territories_are_the_seventeen_segments_once_each():
    assert len(SEGMENTS) == len(set(SEGMENTS)) == 17
    for parts in (("anterior", "septal", "inferior", "lateral", "apex"), ("lad", "rca", "lcx")):
        assert sorted(number for part in parts for number in PLACES[part]) == list(range(1, 18))
    assert read_regions("LAD").viable == 7
    assert read_regions("LAD scar, inferior normal, 2 viable segments").viable == 2


def test_the_page_names_every_operation_and_its_example_runs(capsys):
    text = PAGE.read_text(encoding="utf-8")
    for head in HEADS[:-1]:
        assert f"`{head}" in text, head
    [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(block, PAGE.name, "exec"), {"__name__": "example"})  # noqa: S102 - our own document
    assert "Edwards SAPIEN 3 26 mm" in capsys.readouterr().out
    for written in re.findall(r"`((?:aortic valve|mitral|pump|balloon|pacing|revascularisation)[^`]*\d[^`]*)`", text):
        assert read_operations(written), written
