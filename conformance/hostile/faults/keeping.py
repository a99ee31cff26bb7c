"""Faults of what is kept of a write, and of finding it again: elements lost or changed, searches that lag behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Keeping, Looking
from conformance.hostile.problem import Problem

__all__: list[str] = []

_OWN = "<div xmlns='http://www.w3.org/1999/xhtml'>Entered by another system</div>".replace("'", '"')


def _has_identifier(keeping: Keeping) -> bool:
    return bool(keeping.resource.get("identifier"))


@fault(
    "identifier-replaced",
    "kept",
    "keeps a number of its own (value: its system) in place of the identifiers that were sent",
    "iomt-fhir PR 259; athenaFlex#373: filed as a document of the EHR's own",
    value="urn:oid:2.999.1",
    fits=_has_identifier,
)
def identifier_replaced(keeping: Keeping, struck: Any) -> None:
    own = {"system": struck.setting, "value": keeping.ehr.new_id("Identifier")}
    is_list = isinstance(keeping.resource["identifier"], list)
    keeping.resource["identifier"] = [own] if is_list else own


@fault(
    "identifier-dropped",
    "kept",
    "keeps no identifier",
    "39: openemr#9076: elements are lost on the way",
    fits=_has_identifier,
)
def identifier_dropped(keeping: Keeping, struck: Any) -> None:
    del keeping.resource["identifier"]


@fault(
    "elements-dropped",
    "kept",
    "does not keep some elements (value: their paths, joined by +)",
    "39: openemr#14197, openemr#9076",
    value="meta.security+meta.tag+note+component",
)
def elements_dropped(keeping: Keeping, struck: Any) -> None:
    for path in struck.setting.split("+"):
        _drop(keeping.resource, path.split("."))


@fault(
    "narrative-replaced",
    "kept",
    "writes its own narrative in place of the one that was sent",
    "narrative.html: a server may make it anew",
    fits=lambda keeping: "text" in keeping.resource,
)
def narrative_replaced(keeping: Keeping, struck: Any) -> None:
    keeping.resource["text"] = {"status": "generated", "div": _OWN}


@fault(
    "texts-cut",
    "kept",
    "cuts each text after value characters, but for narratives",
    "athenaFlex#373; fields of an EHR have an end",
    value="60",
)
def texts_cut(keeping: Keeping, struck: Any) -> None:
    keeping.resource = {
        name: value if name in ("text", "id", "meta") else _cut(value, int(struck.number))
        for name, value in keeping.resource.items()
    }


@fault(
    "search-lag",
    "looked-for",
    "what is written is found by searches and conditions value seconds later only; reads find it",
    "interop.md 2a, resumption: stale replicas; hapi-fhir#4597: a create that nobody finds yet",
    value="2",
)
def search_lag(looking: Looking, struck: Any) -> None:
    looking.until = looking.ehr.clock() - timedelta(seconds=struck.number)


@fault(
    "parameters-ignored",
    "looked-for",
    "ignores search parameters (value: their names, joined by +): the whole list comes",
    "9: microsoft/fhir-server#1050",
    value="identifier+_tag",
    fits=lambda looking: not looking.is_condition,
)
def parameters_ignored(looking: Looking, struck: Any) -> None:
    looking.pairs = [pair for pair in looking.pairs if pair[0].partition(":")[0] not in struck.setting.split("+")]


@fault(
    "parameters-refused",
    "looked-for",
    "400 to search parameters (value: their names, joined by +), in conditions too",
    "microsoft/fhir-server#4672; interop.md 2a: servers rarely advertise correctly",
    value="identifier+_tag",
)
def parameters_refused(looking: Looking, struck: Any) -> None:
    if any(name.partition(":")[0] in struck.setting.split("+") for name, _ in looking.pairs):
        raise Problem(400, "not-supported", "That search parameter is not supported.")


def _drop(value: Any, path: list[str]) -> None:
    if isinstance(value, list):
        for each in value:
            _drop(each, path)
    elif isinstance(value, dict):
        if len(path) == 1:
            value.pop(path[0], None)
        elif path[0] in value:
            _drop(value[path[0]], path[1:])
            if value[path[0]] in ({}, [], [{}]):  # an empty one is not allowed in FHIR JSON
                del value[path[0]]


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, dict):
        is_code = {"system", "code", "reference", "url", "div", "value"}
        return {name: each if name in is_code else _cut(each, longest) for name, each in value.items()}
    if isinstance(value, list):
        return [_cut(each, longest) for each in value]
    return value[:longest] if isinstance(value, str) else value
