"""A result as one transaction that an EHR can take twice and will keep once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Protocol

import msgspec

from mappers.outbound import dstu2, r4, r5, stu3, us_core
from mappers.outbound.attention import Form, write_attention
from mappers.outbound.document import Paper, document_uuid, write_document
from mappers.outbound.gate import check
from mappers.outbound.ladder import DOCUMENT, Rungs, choose_rungs
from mappers.outbound.names import RESULT_TAG, URI_SYSTEM, device_uuid, entry_url, kind_of, result_uuid
from mappers.outbound.remark import remark
from mappers.outbound.result import Attention, Result, ResultOutput
from mappers.outbound.shape import CONTAINED, Frame, Resource, contained, observation_uuid
from mappers.outbound.words import origin, revision, risk_said
from mappers.versions import FhirVersion

__all__ = ["render", "to_json"]


class _Version(Protocol):
    """What each FHIR version's file offers."""

    def device(self, result: Result) -> Resource: ...
    def observation(self, result: Result, output: ResultOutput, frame: Frame) -> Resource: ...
    def risk_assessment(self, result: Result, frame: Frame) -> Resource: ...
    def provenance(self, result: Result, frame: Frame, targets: list[str]) -> Resource: ...
    def revised(self, reference: str) -> Resource: ...


_VERSIONS: dict[FhirVersion, _Version] = {"dstu2": dstu2, "stu3": stu3, "r4": r4, "r4b": r4, "r5": r5}
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def render(
    result: Result,
    version: FhirVersion,
    *,
    patient: str,
    sender: str,
    attention: Attention | None = None,
    form: Form | None = None,
    with_risks: bool = True,
    profiles: Collection[str] = (),
    organization: str = "",
    takes: Collection[str] | None = None,
    revises: Collection[str] = (),
    document: Paper = "pdf",
) -> dict[str, Any]:
    """Return a transaction with the model's Device, the results and their Provenance, each created unless it is there.

    Parameters
    ----------
    patient
        Reference to the patient in the EHR that is written to ("Patient/7").
    sender
        Name and version of the software that sends it.
    attention, form
        A warning that goes with the result, and the resource that the EHR takes for it (`mappers.outbound.attention`).
    with_risks
        Whether the EHR takes RiskAssessments.
    profiles, organization
        The profiles that the EHR says it supports, without a version, and the Organization in it for which we write
        (`mappers.outbound.us_core`). They are US Core's, which is written in R4; other versions claim none.
    takes
        The types that the EHR takes; `None` where nobody knows: then all.
    revises
        References to older results of ours at the same EHR in whose place this one comes ("Observation/9").
    document
        How a document is written, where the result goes as one.

    It has been checked (see `check`). References between its entries are urn:uuid and are resolved by the server.
    Raises `ValueError` for a hypothetical result with a warning, or without its risks; `Refused` where nothing that the
    EHR takes can hold a part of the result (`mappers.outbound.ladder`).
    """
    if result.hypothesis and (attention or not with_risks):
        raise ValueError("a hypothetical result is a RiskAssessment and nothing else")
    form = form if attention else None
    rungs = choose_rungs(result, takes, form=form, with_risks=with_risks)
    write = _VERSIONS[version]
    model = device_uuid(result.model, result.version)
    frame = Frame(patient=patient, sender=sender, device=entry_url(model) if rungs.device else f"#{CONTAINED}")

    made = dict(_results(result, version, frame, rungs, document, tuple(revises)))
    tagged = {result_uuid(result.run, "provenance")}
    if attention and rungs.form:
        uuid = result_uuid(result.run, f"attention/{attention.name}")
        made[uuid] = write_attention(result, attention, rungs.form, version, frame)
        tagged.add(uuid)
    if revises:
        made = {uuid: remark(resource, version, revision(revises)) for uuid, resource in made.items()}
    if rungs.provenance:
        origin_of = write.provenance(result, frame, [entry_url(uuid) for uuid in made])
        origin_of["entity"] += [write.revised(each) for each in revises]
        made[result_uuid(result.run, "provenance")] = origin_of
    else:
        made = {uuid: _traced(resource, version, origin(result, sender)) for uuid, resource in made.items()}

    device = write.device(result)
    if rungs.device:
        made = {model: device} | made
    else:
        made = {uuid: resource | {"contained": [contained(device)]} for uuid, resource in made.items()}
    if version == "r4":
        made = {uuid: us_core.claim(resource, profiles, organization) for uuid, resource in made.items()}
    entries = [
        _entry(
            uuid,
            resource,
            f"_tag={RESULT_TAG}|{uuid}" if uuid in tagged else f"identifier={URI_SYSTEM}|urn:uuid:{uuid}",
        )
        for uuid, resource in made.items()
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    check(bundle, version)
    return bundle


def _results(
    result: Result, version: FhirVersion, frame: Frame, rungs: Rungs, document: Paper, revises: tuple[str, ...]
) -> Iterator[tuple[str, Resource]]:
    """Write what was found, each part on its rung, and name it."""
    write = _VERSIONS[version]
    observed = result.observations if rungs.values == "Observation" else ()
    observed += result.risks if rungs.risks == "Observation" else ()
    older = tuple(each for each in revises if kind_of(each) == "Observation")
    for output in observed:
        written = write.observation(result, output, frame)
        if output.kind == "risk":
            written = remark(written, version, risk_said(output))
        if version in ("dstu2", "stu3") and len(observed) == len(older) == 1:  # else nobody knows which replaces which
            replaced = {"type": "replaces", "target": {"reference": older[0]}}
            written["related"] = [*written.get("related", []), replaced]
        yield observation_uuid(result, output), written
    if rungs.risks == "RiskAssessment":
        yield result_uuid(result.run, "risk"), write.risk_assessment(result, frame)
    if DOCUMENT in (rungs.values, rungs.risks):
        replaces = tuple(each for each in revises if kind_of(each) == DOCUMENT)
        yield document_uuid(result), write_document(result, version, frame, paper=document, replaces=replaces)


def _traced(resource: Resource, version: FhirVersion, words: str) -> Resource:
    """Say what a Provenance would; a document says it already."""
    return resource if resource["resourceType"] == DOCUMENT else remark(resource, version, words)


def _entry(uuid: str, resource: Resource, unless: str) -> Resource:
    """Create a resource unless one is found by `unless` (conditional create, FHIR R4 http.html#ccreate)."""
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": unless}
    return {"fullUrl": entry_url(uuid), "resource": resource, "request": request}


def to_json(bundle: dict[str, Any]) -> bytes:
    """Write a bundle as JSON with every digit of its decimals: 12.30 stays 12.30."""
    return _ENCODER.encode(bundle)
