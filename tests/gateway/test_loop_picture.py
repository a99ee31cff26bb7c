"""The picture of a circulation says what it is, shows the numbers that it was given, and nothing else."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.loop_picture import HEIGHT, WIDTH, Cuff, Shown, draw
from gateway.panel import axis
from gateway.web.pages import SAFE
from security.errors import Misuse
from twin_engine.circulation.body import adult
from twin_engine.circulation.heart import at_rest
from twin_engine.circulation.waveform import portrait

SVG = "{http://www.w3.org/2000/svg}"
CUFF = Cuff(131.0, 62.0, "2026-11-24")
EM = 0.55  # widths of a letter in sizes of the font; DejaVu Sans, a wide one, has 0.5 here


@pytest.fixture(scope="module")
def states():
    """A failing heart as it is, stronger, with a balloon, and with a pump; six members each."""
    looks = [{}, {"Ees_lv": 1.8}, {"balloon": 40.0}, {"pump": 1.0, "w_pump": 10000.0}]
    made = np.stack(
        [adult(**{"Ees_lv": 1.0, "TBV": 5600.0, "R_sys": r} | look) for look in looks for r in np.linspace(0.9, 1.2, 6)]
    )
    hearts, parameters, beats = (each.reshape(4, 6, -1) for each in at_rest(made))
    labels = ("before", "stronger", "balloon of 40 mL", "pump at 10,000 /min")
    return [Shown(label, portrait(h, p, b)) for label, h, p, b in zip(labels, hearts, parameters, beats, strict=True)]


@pytest.fixture(scope="module")
def collapsed():
    hearts, parameters, _ = at_rest(np.tile(adult(), (6, 1)))
    return Shown("after a bleed", portrait(hearts, parameters, np.full((6, 23), np.nan)))


def parse(svg):
    return ET.fromstring(svg)  # noqa: S314 - our own


def words(picture):
    return ["".join(each.itertext()) for each in picture.iter(f"{SVG}text")]


def pairs(line):
    return np.array([[float(n) for n in point.split(",")] for point in line.get("points").split()])


def lines(picture, title):
    """The lines of the group with a title."""
    [group] = [g for g in picture.iter(f"{SVG}g") if g.find(f"{SVG}title").text == title]
    return list(group.iter(f"{SVG}polyline"))


def frames(picture):
    """Left, top, bottom and right of each panel."""
    sides = [re.fullmatch(r"M([\d.]+) ([\d.]+)V([\d.]+)H([\d.]+)", p.get("d")) for p in picture.iter(f"{SVG}path")]
    return [tuple(map(float, side.groups())) for side in sides if side]


def scales(picture, frame):
    """What a place in a panel means, read off its ticks as a person would."""
    left, top, bottom, right = frame
    across, up = [], []
    for each in picture.iter(f"{SVG}text"):
        x, y, said = float(each.get("x")), float(each.get("y")), "".join(each.itertext())
        if not re.fullmatch(r"-?[\d.]+", said):
            continue
        if each.get("text-anchor") == "middle" and y == bottom + 16.0 and left <= x <= right:
            across.append((x, float(said)))
        if each.get("text-anchor") == "end" and x == left - 6.0 and top <= y <= bottom + 5.0:
            up.append((y - 4.0, float(said)))
    return tuple(
        np.polynomial.Polynomial.fit(*zip(*sorted(ticks), strict=True), 1) if ticks else None for ticks in (across, up)
    )


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_picture_is_whole_by_itself_and_says_what_it_is(states, count):
    svg = draw(states[:count], measured=CUFF)
    picture = parse(svg)
    assert (picture.get("width"), picture.get("height")) == ("900", "520")
    assert "simulated, not measured" in picture.find(f"{SVG}title").text
    assert picture.find(f"{SVG}desc").text.startswith("Simulated, not measured.")
    assert "Simulated, not measured" in words(picture)
    assert svg == draw(states[:count], measured=CUFF)
    for shown in states[:count]:
        assert shown.label in picture.find(f"{SVG}desc").text
        assert any(shown.label in each for each in words(picture))


def test_a_picture_needs_nothing_that_the_pages_policy_forbids(states):
    assert "default-src 'none'; style-src 'self'" in SAFE["Content-Security-Policy"]
    for each in parse(draw(states, measured=CUFF)).iter():
        assert each.tag.removeprefix(SVG) in {
            *("svg", "title", "desc", "rect", "g", "text", "tspan", "path", "polyline", "circle"),
        }
        for name, value in each.items():
            assert name not in {"style", "class", "href", "id"}
            assert not name.startswith("on")
            assert "url(" not in value


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_nothing_is_drawn_outside_of_the_picture(states, count):
    picture = parse(draw(states[:count], measured=CUFF))
    panels = frames(picture)
    assert len(panels) == (2 if count <= 2 else 1 + count)
    for group in picture.iter(f"{SVG}g"):
        for each in group.iter(f"{SVG}polyline"):
            x, y = pairs(each).T
            assert any(
                left <= x.min() and x.max() <= right and top <= y.min() and y.max() <= bottom
                for left, top, bottom, right in panels
            )
    for each in picture.iter(f"{SVG}text"):
        [span] = each
        wide = EM * float(span.get("font-size")) * len(span.text)
        ahead = {"start": 0.0, "middle": 0.5, "end": 1.0}[each.get("text-anchor")]
        x = float(each.get("x")) - ahead * wide
        assert x >= 0.0, span.text
        assert x + wide <= WIDTH, span.text
        assert 10.0 <= float(each.get("y")) <= HEIGHT - 4.0
        assert float(span.get("font-size")) >= 12.0


def test_the_loop_is_the_hearts_volumes_and_pressures(states):
    picture = parse(draw(states[:2]))
    across, up = scales(picture, frames(picture)[0])
    for name, shown in zip("AB", states[:2], strict=True):
        wave = shown.portrait.stands
        [loop] = lines(picture, f"{name} {shown.label}: loop of the left ventricle, simulated")
        x, y = pairs(loop).T
        beat = slice(0, wave.begins[1] + 1, 2)
        assert across(x) == pytest.approx(wave.left_volume[beat], abs=0.1)
        assert up(y) == pytest.approx(wave.left_pressure[beat], abs=0.1)
        assert across(x).max() == pytest.approx(wave.left_volume.max(), abs=1.0)
        thin = lines(picture, f"{name} {shown.label}: other hearts of the ensemble, simulated")
        assert len(thin) == 5
        assert all(float(each.get("stroke-width")) < float(loop.get("stroke-width")) / 2.0 for each in thin)


@pytest.mark.parametrize("count", [2, 4])
def test_the_beats_are_the_hearts_pressures_over_time(states, count):
    picture = parse(draw(states[:count], measured=CUFF))
    panels = frames(picture)[1:]
    for place, shown in enumerate(states[:count]):
        wave = shown.portrait.stands
        frame = panels[0] if count == 2 else panels[place]
        across, _ = scales(picture, frame)
        up = scales(picture, panels[0] if place < 2 else panels[2])[1]  # the left one's numbers stand for both
        for curve, pressure in (
            ("aorta", wave.root_pressure),
            ("LV", wave.left_pressure),
            ("LA", wave.left_atrial_pressure),
        ):
            [drawn] = lines(picture, f"{'ABCD'[place]} {shown.label}: {curve}, simulated")
            x, y = pairs(drawn).T
            assert across(x) == pytest.approx((wave.seconds - wave.seconds[0])[::2], abs=0.005)
            assert up(y) == pytest.approx(pressure[::2], abs=0.2)


def test_states_are_told_apart_by_colour_and_by_dash(states):
    picture = parse(draw(states))
    looks = []
    for name, shown in zip("ABCD", states, strict=True):
        [loop] = lines(picture, f"{name} {shown.label}: loop of the left ventricle, simulated")
        looks.append((loop.get("stroke"), loop.get("stroke-dasharray")))
    assert len({colour for colour, _ in looks}) == len({dash for _, dash in looks}) == 4
    two = parse(draw(states[:2]))
    [before] = lines(two, "A before: loop of the left ventricle, simulated")
    [after] = lines(two, "B stronger: loop of the left ventricle, simulated")
    assert before.get("stroke-dasharray")
    assert not after.get("stroke-dasharray")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_measured_values_are_solid_dots_beside_the_beats_and_nothing_else_is(states, count):
    picture = parse(draw(states[:count], measured=CUFF))
    dots = list(picture.iter(f"{SVG}circle"))
    panel = frames(picture)[1]
    up = scales(picture, panel)[1]
    assert [round(float(up(float(dot.get("cy")))), 1) for dot in dots] == [
        pytest.approx(CUFF.systolic, abs=0.5),
        pytest.approx(CUFF.diastolic, abs=0.5),
    ]
    assert all(float(dot.get("cx")) > panel[3] for dot in dots)
    colours = {each.get("stroke") for each in picture.iter(f"{SVG}polyline")}
    assert not colours & {dot.get("fill") for dot in dots}
    assert any("Measured by cuff: 131/62 mmHg, 2026-11-24" in each for each in words(picture))
    without = draw(states[:count])
    assert "circle" not in without
    assert "easured by cuff" not in without


def test_the_legend_has_the_numbers_of_the_thick_loop(states):
    told = states[0].portrait.stands.told()
    said = (
        f"{told['systolic-pressure']:.0f}/{told['diastolic-pressure']:.0f} mmHg, EF {told['ejection-fraction']:.0f} %, "
        f"{told['end-diastolic-volume']:.0f} to {told['end-systolic-volume']:.0f} mL"
    )
    assert any(each.startswith(said) for each in words(parse(draw(states[:1]))))


def test_a_label_is_text_whatever_it_holds(states):
    nasty = '<script>alert(1)</script>\x00\x1b & "it\'s"]]>\ud800'
    svg = draw([Shown(nasty, states[0].portrait), Shown("w" * 300, states[1].portrait)], measured=Cuff(120, 80, nasty))
    assert "<script" not in svg
    picture = parse(svg)
    svg.encode()
    assert '<script>alert(1)</script>   & "it\'s"]]> ' in picture.find(f"{SVG}desc").text
    assert max(map(len, words(picture))) < 130
    assert any(each.endswith("w…") for each in words(picture))


def test_a_collapsed_heart_is_said_and_not_drawn(states, collapsed):
    both = parse(draw([states[0], collapsed]))
    assert not [g for g in both.iter(f"{SVG}g") if g.find(f"{SVG}title").text.startswith("B ")]
    said = [each for each in words(both) if "collapses" in each]
    assert said == ["collapses, mean pressure below 30 mmHg: not drawn; 6 of 6 collapse"]
    assert "B after a bleed: collapses" in both.find(f"{SVG}desc").text
    alone = draw([collapsed], measured=CUFF)
    assert "nan" not in alone.lower()
    assert words(parse(alone)).count("collapsed") == 2
    assert len(list(parse(alone).iter(f"{SVG}polyline"))) == 1  # the sample of the legend


def test_other_numbers_of_states_and_what_is_no_number_are_refused(states):
    for wrong in ([], [*states, states[0]]):
        with pytest.raises(Misuse):
            draw(wrong)
    with pytest.raises(Misuse):
        draw(states[:1], measured=Cuff(float("nan"), 80.0))


@given(st.lists(st.floats(-50.0, 500.0), min_size=1, max_size=6), st.integers(3, 8), st.sampled_from([0.0, 0.05]))
def test_an_axis_holds_its_values_and_few_round_ticks(values, most, room):
    made = axis(values, 100.0, 20.0, most=most, room=room)
    for value in values:
        assert 20.0 - 1e-6 <= made.at(value) <= 100.0 + 1e-6
    assert len(made.ticks) <= most
    assert list(made.ticks) == sorted(set(made.ticks))
    assert all(made.low - 1e-9 <= tick <= made.high + 1e-9 for tick in made.ticks)
