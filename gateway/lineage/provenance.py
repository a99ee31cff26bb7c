"""A chain as FHIR R4: a Bundle of Provenance, one for each delivery and one for each raw resource that it stands on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from gateway import __version__
from gateway.lineage.graph import Lineage, Node
from mappers.outbound.times import instant
from security.errors import NotFhir

__all__ = ["as_bundle"]

Resource = dict[str, Any]

_NAMES: Final = UUID("b9f6c0de-5b0e-4a43-9d5e-5ad1d3a4c6a8")  # chosen once
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def as_bundle(chain: Lineage) -> Resource:
    """Write it; checked with the classes of fhir.resources. Raises `NotFhir`, a mistake of ours, for a bad one."""
    entries = [
        {"fullUrl": f"urn:uuid:{uuid5(_NAMES, node.id)}", "resource": resource}
        for node in chain.nodes
        if (resource := _resource(chain, node)) is not None
    ]
    bundle: Resource = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    try:
        get_fhir_model_class("Bundle").model_validate(bundle)
    except ValidationError as error:
        places = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
        raise NotFhir("A chain written as FHIR is no valid FHIR.", hint="Report it.", detail=places) from error
    return bundle


def _resource(chain: Lineage, node: Node) -> Resource | None:
    if node.kind == "delivery":
        return _of_delivery(chain, node)
    return _of_raw(chain, node) if node.kind == "raw" and "sha256" in node.told else None


def _of_delivery(chain: Lineage, node: Node) -> Resource | None:
    became = [chain.node(edge.of) for edge in chain.edges if edge.to == node.id and edge.how == "delivered by"]
    proposals = list(_to(chain, node, "proposal"))
    if not became or not proposals:
        return None
    agents = [_agent("assembler", {"display": f"fhirtwin {__version__}"})]
    entities: list[Resource] = []
    for decision in _to(chain, proposals[0], "decision"):
        if decision.told.get("agreed", True):
            who = {"identifier": {"system": "urn:fhirtwin:user", "value": str(decision.told.get("who", "unknown"))}}
            agents.append(_agent("verifier", who))
    for run in _to(chain, proposals[0], "run"):
        agents += [_agent("author", {"display": model.id}) for model in _to(chain, run, "model")]
        what = {"identifier": {"system": "urn:fhirtwin:run", "value": run.told["run"]}, "display": "simulation run"}
        entities.append({"role": "derivation", "what": what})
        entities += [{"role": "source", "what": _what(raw)} for raw in _raws(chain, run)]
    return {
        "resourceType": "Provenance",
        "target": [{"reference": _address(each)} for each in became],
        "recorded": instant(proposals[0].told["proposed"]),
        "agent": agents,
        "entity": entities,
    }


def _of_raw(chain: Lineage, node: Node) -> Resource:
    facts = [chain.node(edge.of) for edge in chain.edges if edge.to == node.id and edge.how == "read in"]
    rules = {f"urn:fhirtwin:mapping:{m.told['version']}" for fact in facts for m in _to(chain, fact, "mapping")}
    digest = {"identifier": {"system": "urn:fhirtwin:sha256", "value": node.told["sha256"]}}
    return {
        "resourceType": "Provenance",
        "target": [_what(node)],
        "recorded": instant(_moment(node.told["came"])),
        **({"policy": [each.replace(" ", "-") for each in sorted(rules)]} if rules else {}),
        "agent": [_agent("author", {"display": node.told["source"]})],
        "entity": [{"role": "source", "what": digest}],
    }


def _raws(chain: Lineage, run: Node) -> list[Node]:
    """List what a run was read in, each once; what is withheld is there as that."""
    facts = (fact for each in _to(chain, run, "input") for fact in _to(chain, each, "fact"))
    found = {raw.id: raw for fact in facts for raw in _to(chain, fact, "raw")}
    return list(found.values())


def _what(raw: Node) -> Resource:
    told = raw.told
    if "resource" not in told:
        return {"display": f"withheld by the patient's consents, of {told['source']}"}
    what: Resource = {"display": f"{told['source']}: {told['resource'].partition('/')[0].partition('@')[0]}"}
    if "sha256" in told:
        what["identifier"] = {"system": "urn:fhirtwin:sha256", "value": told["sha256"]}
    if told["address"].startswith(("http://", "https://")):
        what["reference"] = told["address"]
    return what


def _address(resource: Node) -> str:
    version = resource.told["version"]
    return f"{resource.told['address']}{f'/_history/{version}' if version else ''}"


def _to(chain: Lineage, node: Node, kind: str) -> Iterator[Node]:
    for edge in chain.edges:
        if edge.of == node.id and edge.to.startswith(f"{kind} "):
            yield chain.node(edge.to)


def _agent(role: str, who: Resource) -> Resource:
    return {"type": {"coding": [{"system": _ROLE, "code": role}]}, "who": who}


def _moment(told: Any) -> datetime:
    return told if isinstance(told, datetime) else datetime.fromisoformat(str(told))
