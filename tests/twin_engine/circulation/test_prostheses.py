"""Prostheses: published orifices give published grades, and the gradients that they leave; nothing is interpolated."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from security.errors import Misuse, UnknownName
from twin_engine.circulation.prostheses import PROSTHESES, SOURCES, implanted, prosthesis, suits
from twin_engine.circulation.report import valve_lines
from twin_engine.circulation.states import Reached, State, reach


def test_mismatch_of_19_mm_valves_in_small_patients_is_what_was_found_in_them():
    # J Cardiothorac Surg 2015;10(S1):A193: 100 patients of 1.40 m2; no mismatch with Trifecta, 0.87 with Mosaic Ultra.
    small = {"surface": 1.40}
    assert suits("aortic", "Abbott Trifecta", 19, **small).mismatch == "none"
    mosaic = suits("aortic", "Medtronic Mosaic Ultra", 19, **small)
    assert mosaic.mismatch == "moderate"
    assert mosaic.indexed == pytest.approx(0.82, abs=0.005)
    assert mosaic.sources == ("saitama-2015", "varc-3")


@pytest.mark.parametrize(
    ("surface", "obese", "mismatch"),
    [
        (1.0 / 0.851, False, "none"),
        (1.0 / 0.849, False, "moderate"),
        (1.0 / 0.651, False, "moderate"),
        (1.0 / 0.649, False, "severe"),
        (1.0 / 0.701, True, "none"),
        (1.0 / 0.699, True, "moderate"),
        (1.0 / 0.551, True, "moderate"),
        (1.0 / 0.549, True, "severe"),
    ],
)
def test_grades_are_those_of_varc_3(surface: float, obese: bool, mismatch: str):
    # Read in PMC10654767: moderate 0.65 to 0.85, severe up to 0.65 cm2/m2; in obese patients 0.55 to 0.70, and 0.55.
    found = suits("aortic", "Abbott Epic", 21, surface=surface, obese=obese)  # of 1.0 cm2
    assert found.area == 1.0
    assert found.mismatch == mismatch


def test_mitral_grades_are_their_own():
    # Heart 2011, 1,006 mitral valves: none above 1.20, severe up to 0.90 cm2/m2.
    size = {"position": "mitral", "name": "Medtronic Hancock II", "size": 27}  # of 1.62 cm2
    assert suits(**size, surface=1.34).mismatch == "none"
    assert suits(**size, surface=1.36).mismatch == "moderate"
    assert suits(**size, surface=1.81).mismatch == "severe"
    with pytest.raises(Misuse, match="obese"):
        suits(**size, surface=1.8, obese=True)


def test_what_is_not_in_the_table_is_refused():
    with pytest.raises(UnknownName, match="SAPIEN 3"):
        prosthesis("aortic", "Edwards SAPIEN", 23)
    with pytest.raises(UnknownName):
        prosthesis("mitral", "Edwards SAPIEN 3", 23)
    with pytest.raises(Misuse, match="20, 23, 26, 29 mm"):
        prosthesis("aortic", "Edwards SAPIEN 3", 25)
    for surface in (0.0, 17.3, float("nan")):
        with pytest.raises(Misuse, match="body surface"):
            suits("aortic", "Edwards SAPIEN 3", 23, surface=surface)


def test_the_table_says_each_thing_once_and_a_larger_label_is_not_always_a_larger_orifice():
    names = [(each.position, each.name, size.size) for each in PROSTHESES for size in each.sizes]
    assert len(set(names)) == len(names)
    assert set(SOURCES) >= {each.source for each in PROSTHESES}
    assert all((size.sd or 0.0) < size.area for each in PROSTHESES for size in each.sizes)
    assert (
        prosthesis("mitral", "Medtronic Hancock II", 31)[1].area
        < prosthesis("mitral", "Medtronic Hancock II", 29)[1].area
    )


def test_replacing_a_stenosed_valve_leaves_the_gradient_published_for_the_size(reached: Mapping[str, Reached]):
    lines = valve_lines(reached)
    assert [line.of for line in lines if not line.declared] == []
    assert len(lines) == sum(size.gradient is not None for each in PROSTHESES for size in each.sizes)
    aortic = [line.inside for line in lines if "aortic" in line.of]
    assert sum(aortic) >= 0.9 * len(aortic)


def test_a_replacement_unloads_the_heart_and_ends_a_leak(reached: Mapping[str, Reached]):
    stenosis = reached["aortic-stenosis-severe"].tells
    after = reach(
        State(
            **{"name": "x", "title": "x", "before": "aortic-stenosis-severe", "acute": True, "published": ()},
            changes=implanted("aortic", "Edwards Inspiris Resilia", 23),
        )
    ).tells
    assert after["aortic-mean-gradient"] < 0.35 * stenosis["aortic-mean-gradient"]
    assert after["wedge-pressure"] < stenosis["wedge-pressure"] - 1.0
    assert after["cardiac-output"] > stenosis["cardiac-output"]
    leaking = reached["aortic-regurgitation-chronic"].tells
    dry = reach(
        State(
            **{"name": "x", "title": "x", "before": "aortic-regurgitation-chronic", "acute": True, "published": ()},
            changes=implanted("aortic", "Abbott St Jude Regent", 25),
        )
    ).tells
    assert leaking["aortic-regurgitant-volume"] > 100.0
    assert dry["aortic-regurgitant-volume"] < 0.1
    assert dry["end-diastolic-volume"] < leaking["end-diastolic-volume"] - 30.0
