"""Laws of mapping, over resources of every mapped type in all five versions, half of them broken."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappers import map_resource, read_json
from mappers.analytes import ANALYTES
from mappers.facts import Fact, Link, Origin, Outcome, Quantity, Refusal
from mappers.ledger import FLAGS, REASONS, Ledger
from mappers.versions import VERSIONS
from tests.mappers.generated import reordered, resources, sprinkled

UNITS = {analyte.name: analyte.unit.code for analyte in ANALYTES}
ROWS = {name: [each for each in ANALYTES if each.name == name] for name in UNITS}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines are shared
ENCODER = msgspec.json.Encoder(decimal_format="number")


def mapped(resource, version):
    origin = Origin("north", str(resource.get("resourceType")), "1")
    return map_resource(resource, version, origin, {"Medication/1": resource})


def said(outcomes):
    """What was understood and refused, as a bag: an order is no statement."""
    return Counter(msgspec.json.encode(outcome) for outcome in outcomes)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_goes_in_comes_out_as_fact_link_or_refusal(version):
    @QUICK
    @given(resources(version))
    def law(resource):
        outcomes = mapped(resource, version)
        assert outcomes
        for outcome in outcomes:
            assert isinstance(outcome, Fact | Link | Refusal)
            if isinstance(outcome, Refusal):
                assert outcome.reason in REASONS
            if isinstance(outcome, Fact):
                assert set(outcome.flags) <= FLAGS.keys()
        ledger = Ledger()
        ledger.add(resource["resourceType"], outcomes)
        assert ledger.resources == ledger.understood + ledger.refused == 1
        assert ledger.facts + ledger.links + sum(ledger.refusals.values()) == len(outcomes)

    law()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_number_is_in_the_unit_of_its_name_and_can_be(version):
    @QUICK
    @given(resources(version, noise=1))
    def law(resource):
        for fact in mapped(resource, version):
            if not isinstance(fact, Fact) or not isinstance(fact.value, Quantity) or fact.name not in UNITS:
                continue
            if fact.kind != "measurement":
                continue
            assert fact.value.unit == UNITS[fact.name]
            assert any(row.low <= fact.value.value <= row.high for row in ROWS[fact.name])
            assert ("unusual" in fact.flags) == all(row.is_unusual(fact.value.value) for row in ROWS[fact.name])

    law()


@pytest.mark.parametrize("version", VERSIONS)
def test_mapping_twice_is_mapping_once_and_leaves_the_resource_as_it_is(version):
    @QUICK
    @given(resources(version))
    def law(resource):
        before = repr(resource)
        first = mapped(resource, version)
        assert mapped(resource, version) == first
        assert repr(resource) == before
        assert msgspec.json.decode(msgspec.json.encode(first), type=list[Outcome]) == first

    law()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_order_of_keys_and_what_no_version_defines_say_nothing(version):
    @QUICK
    @given(resources(version, noise=1))
    def law(resource):
        told = said(mapped(resource, version))
        assert said(mapped(reordered(resource), version)) == told
        assert said(mapped(sprinkled(resource), version)) == told

    law()


@QUICK
@given(st.data())
def test_the_order_in_which_resources_come_says_nothing(data):
    """Whatever mapping remembers of one resource (codes, units) changes nothing in the next."""
    version = data.draw(st.sampled_from(VERSIONS))
    pile = data.draw(st.lists(resources(version), min_size=2, max_size=4))
    forward = [said(mapped(resource, version)) for resource in pile]
    backward = [said(mapped(resource, version)) for resource in reversed(pile)]
    assert forward == backward[::-1]


@QUICK
@given(st.data())
def test_reading_the_bytes_gives_the_same_as_the_values(data):
    """Decimals keep their digits on the way through JSON: 97.10 stays 97.10."""
    version = data.draw(st.sampled_from(VERSIONS))
    resource = data.draw(resources(version, noise=0))
    assert said(mapped(read_json(ENCODER.encode(resource)), version)) == said(mapped(resource, version))


@pytest.mark.parametrize("version", VERSIONS)
def test_good_resources_of_every_type_are_among_them(version):
    """The laws above would hold of nothing, too."""
    kinds, reasons = set(), set()

    @settings(QUICK, max_examples=200, derandomize=True)
    @given(resources(version, noise=0))
    def seen(resource):
        for outcome in mapped(resource, version):
            if isinstance(outcome, Refusal):
                reasons.add(outcome.reason)
            elif isinstance(outcome, Fact):
                kinds.add(resource["resourceType"])

    seen()
    assert len(kinds) >= 8
    assert len(reasons) > 5
