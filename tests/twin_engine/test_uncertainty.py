"""How sure a number is: declared with its source, or unknown."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

import mappers
from twin_engine.model import Prior
from twin_engine.uncertainty import declared, of_population, uncertainty_of

ANALYTES = tomllib.loads((Path(mappers.__file__).parent / "tables" / "analytes.toml").read_text("utf-8"))["analyte"]


@pytest.mark.parametrize("name", declared())
def test_every_row_is_a_quantity_of_the_mapping_in_its_unit_and_is_cited(name):
    row = declared()[name]
    assert (name, row.unit) in {(analyte["name"], analyte["unit"]) for analyte in ANALYTES}
    assert row.both is None or (row.measuring is None and row.person is None)
    told = [each for each in (row.measuring, row.person, row.both) if each is not None]
    assert told
    for each in told:
        assert len(each.cite) > 20
        kinds = [each.sd is not None, each.percent is not None, (each.limit or each.limit_percent) is not None]
        assert kinds.count(True) == 1
        assert each.sd_at(100.0) > 0.0


def test_the_parts_are_joined_and_a_limit_is_no_standard_deviation():
    # CLIA 1992: 0.3 mg/dL or 15 %, the greater; within a person 5.2 % (Front Med 2022;9:1009358)
    low, high = uncertainty_of("creatinine", 1.0, "mg/dL"), uncertainty_of("creatinine", 4.0, "mg/dL")
    assert low is not None
    assert high is not None
    assert low.sd == pytest.approx(math.hypot(0.3 / math.sqrt(3), 0.052))
    assert high.sd == pytest.approx(math.hypot(0.6 / math.sqrt(3), 4.0 * 0.052))
    assert [part.of for part in low.parts] == ["measuring", "person"]
    assert "JCGM 100" in low.parts[0].source
    assert low.unknown == ()


def test_what_is_declared_in_part_names_the_other_part():
    found = uncertainty_of("systolic-pressure", 140.0, "mm[Hg]")
    assert found is not None
    assert (found.sd, found.unknown) == (8.0, ("person",))


@pytest.mark.parametrize(("name", "unit"), [("body-weight", "kg"), ("creatinine", "umol/L"), ("", "1")])
def test_what_nobody_declared_is_unknown(name, unit):
    assert uncertainty_of(name, 80.0, unit) is None


@pytest.mark.parametrize("prior", [Prior("linear", 5.0, 2.0), Prior("log", 82.0, 0.25), Prior("sqrt", 9.0, 0.4)])
def test_the_spread_of_a_population_is_that_of_its_draws(prior):
    drawn = prior.natural(prior.draw(400_000, np.random.default_rng(1)))
    assert of_population(prior, "a survey").sd == pytest.approx(float(np.std(drawn)), rel=0.01)
