"""All that the synthetic patients have, converted by us and by HL7's converter, there and back, compared leaf by leaf.

Of every type each eighth resource; in CI, and where WHOLE is set, all of them, with the counts of docs/versions.md.
"""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from mappers import read_json
from mappers.versions.convert import convert
from mappers.versions.definitions import read_definitions
from tests.mappers.oracle.agreement import Agreement
from tests.mappers.oracle.converter import Ask, ask
from tests.mappers.oracle.tables import TABLES, VERSIONS, table_of
from tests.mappers.oracle.whole import by_element

__all__ = ["ask"]

pytestmark = pytest.mark.jvm

IS_WHOLE = bool(os.environ.get("CI") or os.environ.get("WHOLE"))
DOCS = Path(__file__).resolve().parents[2] / "docs" / "versions.md"
EXPLAINED = tomllib.loads((Path(__file__).parent / "oracle" / "disagreements.toml").read_text("utf-8"))
WAYS = [("dstu2", "r4"), ("stu3", "r4"), ("r4", "dstu2"), ("r4", "stu3"), ("r4", "r5")]
write = msgspec.json.Encoder(decimal_format="number").encode


def some(resources):
    """Take each eighth of every type, so that rare ones are among them."""
    seen = Counter()
    for resource in resources:
        kind = resource["resourceType"]
        if IS_WHOLE or seen[kind] % 8 == 0:
            yield resource
        seen[kind] += 1


@pytest.fixture(scope="module")
def agreement(shared_data, ask: Ask):
    """Convert by both, there and back: what HL7 made there is converted back by both."""
    told = {
        version: list(
            some(
                read_json(write(entry["resource"]))
                for file in sorted((shared_data / "patients" / version).glob("*.json"))
                for entry in msgspec.json.decode(file.read_bytes())["entry"]
            )
        )
        for version in ("dstu2", "stu3", "r4")
    }
    found = Agreement()
    there = [(one, other, resource) for one, other in WAYS for resource in told[one]]
    back = []
    for (one, other, _), theirs in compare(found, there, ask):
        if theirs is not None:
            back.append((other, one, theirs))
    for _ in compare(found, back, ask):
        pass
    return found


def compare(found, asked, ask):
    lines = [f"{one} {other} ".encode() + write(resource) for one, other, resource in asked]
    for (one, other, resource), line in zip(asked, ask("convert", lines), strict=True):
        kind = resource["resourceType"]
        if line.startswith(b"!"):
            found.none[one, other, kind] += 1
            yield (one, other, resource), None
        else:
            theirs = read_json(line)
            found.add(one, other, kind, convert(resource, one, other).resource, theirs)
            yield (one, other, resource), theirs


def test_at_least_995_of_a_thousand_elements_are_what_hl7_makes_of_them(agreement):
    assert agreement.agreed.total() > (1_400_000 if IS_WHOLE else 150_000)
    assert agreement.share() >= 0.995


def test_each_disagreement_is_explained(agreement):
    rows = {(row["from"], row["to"], row["type"], row["element"], row["who"]): row for row in EXPLAINED["row"]}
    assert {row["why"] for row in EXPLAINED["row"]} == {*EXPLAINED["why"]}
    assert {*agreement.kinds} <= {*rows}
    if IS_WHOLE:
        assert dict(agreement.kinds) == {kind: row["count"] for kind, row in rows.items()}
        assert {" ".join(key): count for key, count in agreement.none.items()} == EXPLAINED["none"]


def test_the_page_tells_each_reason_with_its_count():
    page = DOCS.read_text("utf-8")
    counts = Counter()
    for row in EXPLAINED["row"]:
        counts[row["why"]] += row["count"]
    for why, count in counts.items():
        assert f"| `{why}` | {count:,} | {EXPLAINED['why'][why]} |" in page


def test_the_tables_of_elements_are_those_of_hl7s_classes(ask: Ask):
    written = {version: (TABLES / f"elements_{version}.toml").read_text("utf-8") for version in VERSIONS}
    lines = [f"{version} {kind}".encode() for version, text in written.items() for kind in tomllib.loads(text)]
    answers = dict(zip(lines, ask("table", lines), strict=True))
    for version, text in written.items():
        assert table_of(version, lambda _, asked: [answers[line] for line in asked]) == text


R4B_ALONE = {("DocumentReference", "author"), ("Immunization", "fundingSource")}  # what its R4 or R4B side does wrong


def test_r4b_is_r4_to_hl7(ask: Ask):
    """HL7 has no converter between the two, so both are brought to R5: what we call R4B becomes the same."""
    told = [made for kind in sorted(read_definitions("r4").kinds) for _, made in by_element("r4", kind)]
    ours = [convert(resource, "r4", "r4b").resource for resource in told]
    lines = [b"r4 r5 " + write(each) for each in told] + [b"r4b r5 " + write(each) for each in ours]
    answers = ask("convert", lines)
    through = list(zip(told, answers[: len(told)], answers[len(told) :], strict=True))
    assert sum(one.startswith(b"{") for _, one, _ in through) > 1000
    other = [resource for resource, one, two in through if one.startswith(b"{") and read_json(one) != read_json(two)]
    assert {(each["resourceType"], name) for each in other for name in each if name != "resourceType"} == R4B_ALONE
    assert [convert(each, "r4b", "r4").resource for each in ours] == told


LEAST = {  # of the elements of all our types, filled one by one; HL7's converter drops many that we keep
    ("stu3", "r4"): 0.97, ("r4", "stu3"): 0.95, ("dstu2", "r4"): 0.94, ("r4", "dstu2"): 0.80, ("r5", "r4"): 0.95,
    ("r4", "r5"): 0.95,
}  # fmt: skip


def test_of_every_element_of_every_type_what_hl7_keeps_we_keep(ask: Ask):
    told = [
        (source, target, made)
        for source, target in LEAST
        for kind in sorted(read_definitions(source).kinds)
        for _, made in by_element(source, kind)
    ]
    found = Agreement()
    for _ in compare(found, told, ask):
        pass
    for way, least in LEAST.items():
        theirs = sum(count for (*pair, _, _, who), count in found.kinds.items() if tuple(pair) == way and who != "ours")
        assert found.agreed[way] > 1000
        assert found.agreed[way] / (found.agreed[way] + theirs) >= least, way
