"""From a result at an EHR back to every raw resource and every record of it, and from a raw resource forth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from gateway.cli import main
from gateway.lineage import LACKS, lineage
from gateway.lineage.provenance import as_bundle
from gateway.lineage.words import said_counts, tree
from gateway.store import Delivery
from security.audit.entry import read_entry
from security.audit.inclusion import check_proof
from security.errors import Misuse, UnknownName
from security.reidentification import Reidentify
from tests.gateway.lineage.following import Place, written

RESTS = ("rests on", "not among what had come with")
LEAVE = Reidentify("see in a test whether the bytes are those that came")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with written(tmp_path_factory.mktemp("lineage"), ("summit", "harbor"), ("kidney", "prevent")) as found:
        yield found


@pytest.fixture
def risk(place: Place) -> tuple[Delivery, str]:
    """A delivery of which a RiskAssessment came, and its address at the EHR."""
    for twin in place.twins:
        for delivery in place.home.store.outbox(twin=twin):
            for one in delivery.landed:
                if one.reference.startswith("RiskAssessment/"):
                    return delivery, one.reference
    pytest.fail("no RiskAssessment was delivered")


def test_from_a_risk_assessment_it_reaches_the_bytes_of_each_resource_that_the_run_names(place, risk):
    delivery, reference = risk
    store = place.home.store
    chain = lineage(place.home, reference, delivery.source)
    used: set[tuple[str, str, str]] = set()
    waiting: list[Any] = [json.loads(store.run(delivery.run).content)["inputs"]]
    while waiting:  # whatever has a source, a type and an id is where something was read
        value = waiting.pop()
        if isinstance(value, dict):
            if {"source", "type", "id"} <= value.keys():
                used.add((value["source"], f"{value['type']}/{value['id']}", value["version"]))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    raws = chain.of_kind("raw")
    assert {(node.told["source"], node.told["resource"], node.told["version"]) for node in raws} == used
    assert {source for source, _, _ in used} == {"summit", "harbor"}
    kept = {(r.source, r.key): r.sha256 for r in store.twin_record(delivery.twin, leave=LEAVE).resources}
    assert all(node.told["sha256"] == kept[node.told["source"], node.told["resource"]] for node in raws)
    assert all(node.told["fhir_version"] == {"summit": "r4", "harbor": "stu3"}[node.told["source"]] for node in raws)
    assert set(chain.missing) <= {"no-fact"}


def test_each_step_names_its_record_and_the_record_can_be_proven(place, risk, capsys):
    delivery, reference = risk
    chain = lineage(place.home, reference, delivery.source)
    recorded: dict[str, set[str]] = {}
    for node in chain.nodes:
        kinds = {chain.node(f"event {number}").told["what"] for number in node.events}
        recorded[node.kind] = recorded.get(node.kind, set()) | kinds
    assert recorded["run"] == {"run"}
    assert recorded["proposal"] == {"proposal"}
    assert recorded["decision"] == {"approval"}
    assert "delivery" in recorded["delivery"]
    assert recorded["raw"] == {"query"}
    assert recorded["pull"] == {"certificate"}
    number = chain.of_kind("run")[0].events[0]
    assert main(["audit", "prove", str(number), "--home", str(place.home.settings.home)]) == 0
    assert check_proof(capsys.readouterr().out, place.home.store.audit_public_key).ok
    by_number = {e.sequence: read_entry(e.sequence, e.event) for e in place.home.store.audit_events(10_000)}
    assert by_number[number].thing == delivery.run


def test_who_agreed_how_and_when_stands_between_the_proposal_and_the_delivery(place, risk):
    delivery, reference = risk
    chain = lineage(place.home, reference, delivery.source)
    [decision] = chain.of_kind("decision")
    told = json.loads(delivery.decision)
    assert (decision.told["who"], decision.told["how"]) == (place.home.actor, told["how"])
    assert (f"proposal {delivery.id}", decision.id, "agreed to by") in {(e.of, e.to, e.how) for e in chain.edges}


def test_however_a_result_is_named_it_is_the_same_chain(place, risk):
    delivery, reference = risk
    [landed] = [one for one in delivery.landed if one.reference == reference]
    base = place.bases[delivery.source]
    names = [
        *(f"{base}/{reference}", f"{base}/{reference}/_history/{landed.version}", reference),
        *(f"urn:uuid:{landed.uuid}", landed.uuid.upper()),
    ]
    chains = [lineage(place.home, name, delivery.source) for name in names]
    assert all(chain.start == (f"resource {delivery.source} {reference}",) for chain in chains)
    assert all((chain.nodes, chain.edges) == (chains[0].nodes, chains[0].edges) for chain in chains)
    by_id = [lineage(place.home, name) for name in (delivery.id, delivery.id[:12], delivery.run, delivery.run[:12])]
    assert [chain.start for chain in by_id] == [(f"delivery {delivery.id}",)] * 2 + [(f"run {delivery.run}",)] * 2
    assert all({n.id for n in chain.of_kind("raw")} == {n.id for n in chains[0].of_kind("raw")} for chain in by_id)


def test_from_a_raw_resource_it_goes_forth_to_every_result_that_stood_on_it(place, risk):
    delivery, reference = risk
    raw = next(n for n in lineage(place.home, reference, delivery.source).of_kind("raw") if "Patient/" in n.id)
    chain = lineage(place.home, raw.told["address"])
    assert chain.direction == "forth"
    assert chain.start == (raw.id,)
    home = place.home
    stood = {
        d.id
        for d in home.store.outbox(twin=delivery.twin)
        if raw.told["resource"].partition("/")[2] in _content(place, d)
    }
    assert {node.told["delivery"] for node in chain.of_kind("delivery")} == stood
    assert len(chain.of_kind("run")) == 2
    told = "\n".join(line for _, line in tree(chain))
    assert f"{reference} at {delivery.source}" in told


def _content(place: Place, delivery: Delivery) -> str:
    return place.home.store.run(delivery.run).content.decode()


def test_the_handle_of_a_fact_leads_to_the_resource_that_it_was_read_in(place, risk):
    delivery, reference = risk
    chain = lineage(place.home, reference, delivery.source)
    fact = next(node for node in chain.of_kind("fact") if node.told["kind"] == "measurement")
    forth = lineage(place.home, fact.told["explain"])
    first = next(edge.to for edge in chain.edges if edge.of == fact.id and edge.how == "read in")
    assert forth.start == (first,)
    assert delivery.id in {node.told["delivery"] for node in forth.of_kind("delivery")}


def test_reading_it_is_recorded_for_the_patient(place, risk):
    delivery, reference = risk
    before = place.home.store.search_audit(limit=1).size
    lineage(place.home, reference, delivery.source)
    events = place.home.store.audit_events(place.home.store.search_audit(limit=1).size - before)
    entries = [read_entry(each.sequence, each.event) for each in events]
    assert {(entry.kind, entry.patients) for entry in entries} == {("read", (delivery.twin,))}


def test_the_counts_add_up(place, risk):
    delivery, reference = risk
    chain = lineage(place.home, reference, delivery.source)
    below = Counter(edge.of for edge in chain.edges if edge.how in RESTS)
    inputs = chain.of_kind("input")
    assert len(inputs) == len(json.loads(_content(place, delivery))["inputs"])
    assert all((below[node.id] > 0) != bool(node.lacks) for node in inputs)
    ids = {node.id for node in chain.nodes}
    assert all({edge.of, edge.to} <= ids for edge in chain.edges)
    told = {node.id for node in chain.nodes if node.kind == "event"}
    assert told == {f"event {number}" for node in chain.nodes for number in node.events}
    said = said_counts(chain)
    assert f"{len(inputs)} inputs" in said[0]
    assert set(chain.missing) <= set(LACKS)


def test_as_fhir_it_is_provenance_of_the_result_and_of_each_raw_resource(place, risk):
    delivery, reference = risk
    chain = lineage(place.home, reference, delivery.source)
    bundle = json.loads(json.dumps(as_bundle(chain)))
    Bundle.model_validate(bundle)
    found = [entry["resource"] for entry in bundle["entry"]]
    assert len(found) == 1 + len(chain.of_kind("raw"))
    [result] = [each for each in found if any(reference in t["reference"] for t in each["target"] if "reference" in t)]
    sources = {e["what"]["identifier"]["value"] for e in result["entity"] if e["role"] == "source"}
    assert sources == {node.told["sha256"] for node in chain.of_kind("raw")}


def ask(place: Place, capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> Any:
    capsys.readouterr()
    done = main(["lineage", *words, "--home", str(place.home.settings.home)])
    told = capsys.readouterr()
    assert done == status, told.err
    return told.out if status == 0 else told.err


def test_the_command_tells_it_to_people_and_to_scripts(place, risk, capsys):
    delivery, reference = risk
    told = ask(place, capsys, reference, "--source", delivery.source)
    assert told.startswith(f"{reference} at {delivery.source}, created")
    for word in (
        "agreed to by",
        "tells of: run",
        "computed by: model",
        "read by the rules of",
        "SHA-256",
        "certificate",
    ):
        assert word in told
    graph = json.loads(ask(place, capsys, reference, "--source", delivery.source, "--format", "json"))
    assert graph["counts"]["raw"] == sum(node["kind"] == "raw" for node in graph["nodes"]) > 1
    assert json.loads(ask(place, capsys, reference, "--source", delivery.source, "--fhir"))["type"] == "collection"


def test_asked_to_it_looks_what_stands_at_the_ehr_now(place, risk, capsys):
    delivery, reference = risk
    ehr, words = place.ehrs[delivery.source], (reference, "--source", delivery.source, "--check")
    assert "now there: ours, version 1" in ask(place, capsys, *words)
    [event] = [read_entry(e.sequence, e.event) for e in place.home.store.audit_events(3) if _is_fetch(e)]
    assert event.patients == (delivery.twin,)
    body = json.loads(ehr.store.read(*reference.split("/")).body)
    ehr.load({**body, "identifier": [{"system": "urn:x", "value": "another"}]})
    assert "now there: another resource" in ask(place, capsys, *words)
    ehr.load(body)


def _is_fetch(entry: Any) -> bool:
    return read_entry(entry.sequence, entry.event).kind == "fetch"


def test_an_address_that_leads_nowhere_is_said_to_be_one(place, risk, capsys):
    delivery, reference = risk
    assert "harbor, summit" in ask(place, capsys, f"https://ehr.example.org/{reference}", status=2)
    other = next(name for name in place.bases if name != delivery.source)
    with pytest.raises(Misuse):
        lineage(place.home, f"{place.bases[delivery.source]}/{reference}", other)
    with pytest.raises(UnknownName):
        lineage(place.home, "RiskAssessment/nothing", delivery.source)
