"""What an EHR has from us already, beside what would be written: asked there, element by element."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.deliver.difference import Line, compare, differences
from security.audit.entry import read_entry
from tests.gateway.deliver.superseding import SECOND, Ward, ward

scalars = st.one_of(st.text("ab1", max_size=2), st.booleans(), st.decimals(-9, 9, places=2))
resources = st.dictionaries(
    st.sampled_from("abc"),
    st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from("xy"), scalars, max_size=2)),
    max_size=3,
)


@given(resources, resources)
def test_nothing_differs_from_itself_and_each_side_is_told(one, other):
    assert compare(one, one) == ()
    back = {"new": "gone", "gone": "new", "changed": "changed"}
    there, here = compare(one, other), compare(other, one)
    assert {(x.path, x.how, x.before, x.after) for x in there} == {
        (x.path, back[x.how], x.after, x.before) for x in here
    }


def test_digits_are_no_difference_and_what_a_server_adds_is_none():
    ours = {"valueQuantity": {"value": Decimal("7.10"), "unit": "%"}, "meta": {"tag": [{"code": "simulated"}]}}
    theirs = {
        "id": "9",
        "meta": {"versionId": "1", "lastUpdated": "2026-11-01T00:00:00Z", "tag": [{"code": "simulated"}]},
        "text": {"status": "generated", "div": "<div/>"},
        "valueQuantity": {"value": Decimal("7.1"), "unit": "%"},
    }
    assert compare(theirs, ours) == ()
    theirs["valueQuantity"]["value"] = Decimal("7.2")
    assert compare(theirs, ours) == (Line("valueQuantity.value", "changed", "7.2", "7.10"),)


async def by_type(there: Ward) -> dict[str, tuple[str, str]]:
    found = await differences(there.home, there.results()[-1])
    return {each.type: (each.stands, each.at) for each in found}


async def test_before_it_is_sent_there_is_nothing_and_then_the_very_same(tmp_path):
    with ward(tmp_path) as there:
        await there.pull()
        there.propose()
        assert set((await by_type(there)).values()) == {("new", "")}
        assert there.writes() == []
        await there.deliver()
        found = await differences(there.home, there.results()[-1])
        assert {(each.stands, each.lines) for each in found} == {("there", ())}


async def test_what_somebody_changed_there_and_what_is_newer_is_told_old_and_new(tmp_path, capsys):
    with ward(tmp_path) as there:
        await there.hear()
        [first] = there.results()
        there.edit(first, note=[{"text": "seen"}])
        edited = {each.type: each for each in await differences(there.home, first)}["Observation"]
        assert [(line.path, line.how) for line in edited.lines if line.path.startswith("note")] == [
            ("note[0].text", "changed")
        ]
        there.measure("c2", 2.4, SECOND)
        await there.pull()
        there.propose()
        newest = there.results()[-1]
        assert newest.replaces == first.id
        place = next(each.reference for each in first.landed if each.reference.startswith("Observation/"))
        words = ["proposals", "show", newest.id, "--diff", "--format", "json", "--home", str(tmp_path)]
        assert await asyncio.to_thread(main, words) == 0
        told = {each["type"]: each for each in json.loads(capsys.readouterr().out)["at_the_ehr"]}
        assert (told["Observation"]["stands"], told["Observation"]["at"]) == ("older", place)
        [value] = [line for line in told["Observation"]["lines"] if line["path"] == "valueQuantity.value"]
        assert value["how"] == "changed"
        assert Decimal(value["before"]) > Decimal(value["after"])  # a higher creatinine, a lower filtration rate
        assert told["Device"]["stands"] == "there"


async def test_each_question_is_recorded_before_it_is_asked(tmp_path):
    with ward(tmp_path) as there:
        await there.pull()
        there.propose()
        asked, logged = len(there.ehr.seen), len(there.home.store.audit_rows())
        await differences(there.home, there.results()[-1])
        searches = [seen for seen in there.ehr.seen[asked:] if "metadata" not in seen.path]
        page = there.home.store.search_audit(limit=len(there.home.store.audit_rows()) - logged)
        kinds = [read_entry(each.sequence, each.event).kind for each in page.entries]
        assert kinds.count("query") == len(searches) == 4
