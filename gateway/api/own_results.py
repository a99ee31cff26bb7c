"""What models of ours found for a twin, as the API shows it: the newest answer of each, labelled as simulated.

Each is written once, in R4, with what it stands on named by our own ids. Forecasts and what-ifs are no findings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from gateway import __version__
from gateway.deliver.proposal import result_of
from gateway.home import Home
from gateway.simulation import answers_of
from gateway.store import SavedRun
from gateway.wording import said_value
from mappers.facts import Origin, Quantity
from mappers.outbound import ResultInput, render
from mappers.outbound.times import instant
from twin_engine import Input, Run

__all__ = ["OURS", "Found", "own_results"]

OURS: Final = "urn:fhirtwin:source:fhirtwin"
_SENDER: Final = f"fhirtwin {__version__}"
_UUID: Final = re.compile(r"urn:uuid:[0-9a-f-]{36}")

Digits = Callable[[str], str]
"""A keyed hash of a name, 26 characters."""
Leads = Callable[[Origin], str]
"""Our reference to the resource that a fact comes from."""
Found = tuple[datetime, dict[str, Any]]


def own_results(home: Home, twin: str, digits: Digits, leads: Leads) -> tuple[list[Found], frozenset[str]]:
    """Return the resources, each with the time of its run, and the `urn:uuid` names by which an EHR may hold them."""
    newest: dict[str, tuple[SavedRun, Run]] = {}
    for saved, run in answers_of(home, twin):
        if run.outputs:
            newest.setdefault(saved.model, (saved, run))
    found: dict[str, Found] = {}
    names: set[str] = set()
    for saved, run in sorted(newest.values(), key=lambda each: (each[0].created, each[0].id)):
        result = msgspec.structs.replace(
            result_of(home, saved, msgspec.structs.replace(run, inputs=()), run.outputs, ""),
            inputs=tuple(_inputs(run.inputs, leads)),
        )
        bundle = render(result, "r4", patient=f"Patient/{twin}", sender=_SENDER)
        ids = {each["fullUrl"]: f"{twin}-{digits(each['fullUrl'])}" for each in bundle["entry"]}
        kinds = {each["fullUrl"]: each["resource"]["resourceType"] for each in bundle["entry"]}
        for entry in bundle["entry"]:
            resource = _leading(entry["resource"], {url: f"{kinds[url]}/{id_}" for url, id_ in ids.items()})
            id_ = ids[entry["fullUrl"]]
            meta = {"lastUpdated": instant(saved.created), "source": OURS, **resource["meta"]}
            body = {"resourceType": resource["resourceType"], "id": id_, **resource, "meta": {"versionId": "1", **meta}}
            found.setdefault(id_, (saved.created, body))
            names.update(_UUID.findall(str(entry["request"]["ifNoneExist"])))
    return list(found.values()), frozenset(names)


def _inputs(inputs: Iterable[Input], leads: Leads) -> Iterator[ResultInput]:
    """List the facts that a result stands on, each once, by our own references."""
    told: set[str] = set()
    for each in inputs:
        for fact in each.facts:
            reference = leads(fact.origin)
            if reference and reference not in told:
                told.add(reference)
                is_number = isinstance(fact.value, Quantity)
                yield ResultInput(
                    name=each.name,
                    title=each.title,
                    value=f"{fact.value.value:f}" if isinstance(fact.value, Quantity) else said_value(fact.value),
                    unit=fact.value.unit if isinstance(fact.value, Quantity) and is_number else "",
                    when=fact.when.text if fact.when else "",
                    reference=reference,
                    source=fact.origin.source,
                    local=True,
                )


def _leading(value: Any, names: Mapping[str, str]) -> Any:
    """Let references between the entries of a transaction lead to our ids."""
    if isinstance(value, dict):
        return {
            key: names.get(part, part) if key == "reference" and isinstance(part, str) else _leading(part, names)
            for key, part in value.items()
        }
    return [_leading(part, names) for part in value] if isinstance(value, list) else value
