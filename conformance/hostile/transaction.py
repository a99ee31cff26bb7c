"""Transactions, which happen wholly or not at all, and batches, whose entries stand alone.

Source: FHIR R4 http.html#transaction (3.1.0.11): deletes first, then creates, updates and reads; references between
entries, also to what a conditional create found, are resolved; one resource may be named only once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec

from conformance.hostile import wire
from conformance.hostile.interactions import Interactions
from conformance.hostile.problem import Problem, problem_of
from conformance.hostile.references import redirect
from conformance.hostile.searchset import search
from conformance.hostile.store import Held

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["conditions_in", "process"]

_ORDER = ("DELETE", "POST", "PUT", "GET")


class _FailedAlone(Exception):
    """One entry is not done, and the rest is, whatever kind of bundle it is."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass(slots=True)
class _Step:
    """One entry, and where its resource lies or will lie."""

    method: str
    type: str
    id: str = ""
    criteria: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict)
    full_url: str = ""
    if_match: str = ""
    matched: Held | None = None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


def conditions_in(bundle: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the types and criteria of the conditional creates in a Bundle, whatever else is wrong with it."""
    entries = bundle.get("entry")
    requests = [e.get("request") for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else []
    told = [each for each in requests if isinstance(each, Mapping) and each.get("method") == "POST"]
    return [(str(each.get("url")), str(each["ifNoneExist"])) for each in told if each.get("ifNoneExist")]


def process(ehr: Ehr, interactions: Interactions, bundle: Mapping[str, Any], *, echo: bool = False) -> dict[str, Any]:
    """Carry out a transaction or a batch and return the Bundle that answers it; `echo` puts written resources in."""
    kind = bundle.get("type")
    entries = bundle.get("entry", [])
    if bundle.get("resourceType") != "Bundle" or kind not in ("transaction", "batch") or not isinstance(entries, list):
        raise Problem(400, "invalid", "The base takes a Bundle of type transaction or batch.")
    if kind not in ehr.settings.bundles:
        raise Problem(405, "not-supported", f"This server takes no {kind}.")
    if refused := ehr.misbehaviours.take(f"{kind}-refused", "Bundle"):
        raise problem_of(int(refused.number))
    run = _together if kind == "transaction" else _alone
    answer: dict[str, Any] = {"resourceType": "Bundle", "type": f"{kind}-response"}
    if answers := run(ehr, interactions, entries, echo):
        answer["entry"] = answers
    return answer


def _together(ehr: Ehr, interactions: Interactions, entries: Sequence[Any], echo: bool) -> list[dict[str, Any]]:
    steps: list[_Step] = []
    with ehr.store.atomic():
        for place, entry in enumerate(entries):
            with _entry(place):
                steps.append(_plan(ehr, interactions, entry))
        _refuse_overlap(steps)
        answers: dict[int, dict[str, Any]] = {}
        for place in sorted(range(len(steps)), key=lambda place: _ORDER.index(steps[place].method)):
            with _entry(place):
                try:
                    answers[place] = _carry_out(ehr, interactions, steps[place], steps, echo)
                except _FailedAlone as failed:
                    answers[place] = _failure(ehr, failed.problem)
    return [answers[place] for place in range(len(steps))]


def _alone(ehr: Ehr, interactions: Interactions, entries: Sequence[Any], echo: bool) -> list[dict[str, Any]]:
    answers = []
    for entry in entries:
        try:
            with ehr.store.atomic():
                step = _plan(ehr, interactions, entry)
                answers.append(_carry_out(ehr, interactions, step, [step], echo))
        except Problem as problem:
            answers.append(_failure(ehr, problem))
        except _FailedAlone as failed:
            answers.append(_failure(ehr, failed.problem))
    return answers


@contextmanager
def _entry(place: int) -> Iterator[None]:
    """Say in a problem which entry it was."""
    try:
        yield
    except Problem as problem:
        raise Problem(problem.status, problem.code, f"Bundle.entry[{place}]: {problem.text}") from problem


def _plan(ehr: Ehr, interactions: Interactions, entry: Any) -> _Step:
    """Find out what an entry is about, before anything is written."""
    request = entry.get("request") if isinstance(entry, Mapping) else None
    if not isinstance(request, Mapping) or request.get("method") not in _ORDER:
        raise Problem(400, "required", "An entry needs a request with one of the methods GET, POST, PUT and DELETE.")
    path, _, criteria = str(request.get("url", "")).partition("?")
    parts = path.split("/")
    # Relative to the base and nothing else: an absolute URL could name another server (requirement B9).
    if not 1 <= len(parts) <= 2 or not all(parts) or ".." in parts:
        raise Problem(400, "invalid", "request.url is not relative to the base.")
    step = _Step(
        method=request["method"],
        type=parts[0],
        id=unquote(parts[1]) if len(parts) == 2 else "",
        criteria=criteria,
        resource=entry.get("resource") or {},
        full_url=entry.get("fullUrl", ""),
        if_match=request.get("ifMatch", ""),
    )
    if step.method == "POST":
        if step.id or criteria:
            raise Problem(400, "invalid", "A create goes to the type.")
        step.matched = interactions.matched(step.type, request.get("ifNoneExist", ""))
        step.id = step.matched.id if step.matched else ehr.new_id(step.type)
    elif step.method == "PUT" and not step.id:
        step.id = interactions.target(step.type, criteria, step.resource)
        step.resource = {**step.resource, "id": step.id}
    elif step.method == "PUT":
        placed = interactions.placed(step.type, step.id)
        if placed != step.id:
            step.id, step.resource = placed, {**step.resource, "id": placed}
    elif step.method == "DELETE" and not step.id:
        raise Problem(400, "not-supported", "A conditional delete is not supported.")
    return step


def _refuse_overlap(steps: Sequence[_Step]) -> None:
    written = [step.reference for step in steps if step.method != "GET" and not step.matched]
    named = [step.full_url for step in steps if step.full_url]
    if len(set(written)) < len(written) or len(set(named)) < len(named):
        raise Problem(400, "invalid", "Two entries are about the same resource.")


def _carry_out(ehr: Ehr, interactions: Interactions, step: _Step, steps: Sequence[_Step], echo: bool) -> dict[str, Any]:
    if step.method == "GET":
        return _get(ehr, interactions, step)
    if step.method == "DELETE":
        interactions.delete(step.type, step.id, step.if_match)
        return {"response": {"status": _status(204)}}
    if step.matched:
        return _written(step.matched, 200, echo)
    if step.method == "POST" and (failed := ehr.misbehaviours.take("entry-failed", step.type)):
        raise _FailedAlone(problem_of(int(failed.number)))
    where = {other.full_url: other.reference for other in steps if other.full_url and other.id}
    resource = redirect(step.resource, lambda text: where.get(text) or _resolved(ehr, interactions, text))
    if step.method == "POST":
        return _written(interactions.create(step.type, resource, step.id), 201, echo)
    held = interactions.update(step.type, step.id, resource, step.if_match)
    return _written(held, 201 if held.number == 1 else 200, echo)


def _resolved(ehr: Ehr, interactions: Interactions, text: str) -> str:
    """Resolve what is left after the entries: a conditional reference, or a urn that names nothing."""
    if text.startswith("urn:uuid:"):
        raise Problem(400, "not-found", "A reference names a urn:uuid that no entry has as its fullUrl.")
    type_, mark, criteria = text.partition("?")
    if not mark or type_ not in ehr.version.types:
        return text
    found = interactions.only(type_, criteria)
    if found is None:
        raise Problem(412, "not-found", "A conditional reference matches nothing.")
    return found.reference


def _get(ehr: Ehr, interactions: Interactions, step: _Step) -> dict[str, Any]:
    if step.id:
        held = interactions.read(step.type, step.id)
        return {"resource": msgspec.Raw(held.body), "response": {"status": _status(200), "etag": held.etag}}
    found = search(ehr, interactions, step.type, parse_qsl(step.criteria, keep_blank_values=True))
    return {"resource": found, "response": {"status": _status(200)}}


def _written(held: Held, status: int, echo: bool) -> dict[str, Any]:
    response = {
        "status": _status(status),
        "location": held.location,
        **({"etag": held.etag} if held.tells_version else {}),
        "lastModified": wire.instant(held.when),
    }
    return {"resource": msgspec.Raw(held.body), "response": response} if echo else {"response": response}


def _failure(ehr: Ehr, problem: Problem) -> dict[str, Any]:
    response: dict[str, Any] = {"status": _status(problem.status)}
    if ehr.version.name == "dstu2":  # entry.response.outcome came with STU3
        return {"resource": problem.outcome(), "response": response}
    return {"response": {**response, "outcome": problem.outcome()}}


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
