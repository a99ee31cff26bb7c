"""A chain in words: what each thing of it is, in one line, and when and by whom it was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gateway.lineage.graph import LACKS, Edge, Lineage, Node, NodeKind

__all__ = ["said_counts", "said_node", "tree"]

Json = Mapping[str, Any]

_FORTH: Final[Mapping[str, str]] = {
    "delivered by": "became",
    "changed by": "changed",
    "carries": "carried by",
    "tells of": "told by",
    "used": "used by",
    "rests on": "on it rests",
    "read in": "from it was read",
}
"""How a step is said from what stands to what stands on it; other steps are not followed that way."""

_STANDING: Final[frozenset[NodeKind]] = frozenset({"raw", "fact", "input", "run", "proposal", "delivery", "resource"})
_NOUNS: Final[Mapping[NodeKind, tuple[str, str]]] = {
    "resource": ("resource at an EHR", "resources at EHRs"),
    "delivery": ("delivery", "deliveries"),
    "run": ("run", "runs"),
    "calibration": ("calibration", "calibrations"),
    "input": ("input", "inputs"),
    "fact": ("fact", "facts"),
    "raw": ("version of raw resources", "versions of raw resources"),
    "mapping": ("version of the mapping rules", "versions of the mapping rules"),
    "pull": ("pull", "pulls"),
    "event": ("audit event", "audit events"),
}
_UNITS: Final[Mapping[str, str]] = {"1": "", "a": "years", "{score}": ""}


def tree(chain: Lineage) -> Iterator[tuple[int, str]]:
    """Write a chain as lines, each with its depth. What was told already is named and not told again."""
    seen: set[str] = set()
    nodes = {node.id: node for node in chain.nodes}
    for start in chain.start:
        yield from _lines(chain, nodes, nodes[start], "", 0, seen)


def _lines(
    chain: Lineage, nodes: Mapping[str, Node], node: Node, how: str, depth: int, seen: set[str]
) -> Iterator[tuple[int, str]]:
    lead = f"{how}: " if how else ""
    if node.id in seen:
        yield depth, f"{lead}{said_node(node, short=True)} (told above)"
        return
    seen.add(node.id)
    yield depth, f"{lead}{said_node(node)}"
    for line in _more(node):
        yield depth + 1, line
    for lack in node.lacks:
        yield depth + 1, f"({lack}) {LACKS[lack]}"
    if node.events:
        told = ", ".join(_event(nodes[f"event {number}"]) for number in node.events)
        yield depth + 1, f"audit: {told}"
    for edge in chain.below(node.id):
        if (step := _step(chain, nodes, edge)) is not None:
            yield from _lines(chain, nodes, *step, depth + 1, seen)


def _step(chain: Lineage, nodes: Mapping[str, Node], edge: Edge) -> tuple[Node, str] | None:
    if chain.direction == "back":
        return nodes[edge.to], edge.how
    after = nodes[edge.of]
    return (after, _FORTH[edge.how]) if edge.how in _FORTH and after.kind in _STANDING else None


def said_node(node: Node, *, short: bool = False) -> str:
    """Say in one line what a thing is; `short` names it only."""
    name, rest = _SAID[node.kind](node.told)
    return name if short or not rest else f"{name}, {rest}"


def said_counts(chain: Lineage) -> list[str]:
    """Say how much a chain has, and how much of it is missing and why."""
    counts = chain.counts
    there = [f"{n} {one if n == 1 else many}" for kind, (one, many) in _NOUNS.items() if (n := counts.get(kind, 0))]
    told = [f"{', '.join(there)}."]
    told += [f"{n} × {lack}: {LACKS[lack]}" for lack, n in chain.missing.items()]
    return told


def _event(node: Node) -> str:
    told = node.told
    failed = "" if told["outcome"] == "0" else ", refused or failed"
    return f"{told['number']} {told['what']} by {told['who']} at {_time(told['when'])}{failed}"


def _resource(told: Json) -> tuple[str, str]:
    version = f"version {told['version']}" if told["version"] else "its version not told"
    there = f"; now there: {told['there']}" if "there" in told else ""
    return f"{told['resource']} at {told['source']}", f"{told['how']}, {version}{there}"


def _delivery(told: Json) -> tuple[str, str]:
    name = f"delivery {told['delivery']}"
    if "state" not in told:
        return name, ""
    reason = f" ({told['reason']})" if told["reason"] else ""
    tries = f"{told['attempts']} attempt{'' if told['attempts'] == 1 else 's'}"
    return name, f"to {told['source']}: {told['state']}{reason} since {_time(told['updated'])} after {tries}"


def _proposal(told: Json) -> tuple[str, str]:
    model = f" of {told['model']}" if told.get("model") else ""
    plan = f": {told['hypothesis']}" if told.get("hypothesis") else ""
    change = f": to be {told['to']}, because {told.get('why', 'somebody wants it')}" if told.get("to") else ""
    return f"proposal{model} (kind {told['kind']})", f"made {_time(told['proposed'])}{plan}{change}"


def _decision(told: Json) -> tuple[str, str]:
    why = f": “{told['why']}”" if told.get("why") else ""
    return str(told.get("who", "somebody")), f"{told.get('how', '')} at {_time(told.get('when', ''))}{why}"


def _run(told: Json) -> tuple[str, str]:
    of = f" of {told['model']}" if told.get("model") else ""
    seed = f"; seed {told['seed']}, {told['members']} members" if "seed" in told else ""
    return f"run {told['run']}{of}", f"made {_time(told['made'])} on version {told['twin_version']} of the record{seed}"


def _model(told: Json) -> tuple[str, str]:
    return f"model {told['model']} version {told['version']}", f"{told['title']}; {told['citation']}"


def _calibration(told: Json) -> tuple[str, str]:
    if "revision" not in told:
        return f"its calibration ({told['kind']})", ""
    made = f"kept {_time(told['updated'])} on version {told['twin_version']} of the record"
    return f"its calibration ({told['kind']}), revision {told['revision']}", made


def _input(told: Json) -> tuple[str, str]:
    if "title" not in told:
        return "an input", told["basis"]
    when = f" ({told['when']})" if told["when"] else ""
    return f"{told['title']} {told['said']} {_UNITS.get(told['unit'], told['unit'])}".strip() + when, str(told["basis"])


def _fact(told: Json) -> tuple[str, str]:
    when = f" on {told['when']}" if told["when"] else ""
    was = f", told as {told['original']}" if told["original"] else ""
    more = f"; steps: twin explain {told['explain']}" if told["explain"] else ""
    return f"fact {told['name']} {told['value']}".rstrip() + when, f"{told['status'] or 'no status'}{was}{more}"


def _raw(told: Json) -> tuple[str, str]:
    if "sha256" not in told:
        return f"{told.get('resource', 'a resource')} of {told['source']}", ""
    version = f" version {told['version']}" if told["version"] else ""
    came = f"came {_time(told['came'])} with version {told['record_version']} of the record"
    moved = f" (joined from twin {told['joined_from']})" if "joined_from" in told else ""
    kept = f"; {told['verified']}" if "verified" in told else ""
    name = f"{told['resource']} of {told['source']}{version}"
    return name, f"FHIR {told['fhir_version'] or 'of no known version'}, {came}{moved}; {told['since']}{kept}"


def _pull(told: Json) -> tuple[str, str]:
    if told["way"] == "by itself":
        return f"what came by itself from {told['source']}", ""
    ended = f"to {_time(told['ended'])}" if told["ended"] else "not ended"
    said = f"certificate: {told['verdict']}" if told["verdict"] else "no certificate"
    return f"pull {told['pull']} of {told['source']}", f"{told['way']}, {_time(told['began'])} {ended}; {said}"


def _more(node: Node) -> Iterator[str]:
    """Say what does not fit into the line of a thing."""
    told = node.told
    if node.kind == "run":
        for plan in told.get("plans", ()):
            yield f"plan: {plan}"
        for each in told.get("outputs", ()):
            interval = f" (middle 95 %: {each['interval']})" if "interval" in each else ""
            yield f"simulated: {each['title']} {each['said']}{interval}"
        for each in told.get("assumptions", ()):
            yield f"assumed: {each}"
        if settings := told.get("settings"):
            yield f"settings: {', '.join(f'{name} = {value}' for name, value in settings.items())}"
    if node.kind == "raw" and "sha256" in told:
        yield f"SHA-256 of its bytes: {told['sha256']}"
        if told["address"] != told["resource"]:
            yield f"at {told['address']}"
    if node.kind == "delivery" and len(told.get("became", ())) > 1:
        yield f"became: {', '.join(told['became'])}"
    if node.kind == "resource":
        yield f"our name for it: urn:uuid:{told['uuid'].removeprefix('urn:uuid:')}"


_SAID: Final[Mapping[NodeKind, Callable[[Json], tuple[str, str]]]] = {
    "resource": _resource,
    "delivery": _delivery,
    "proposal": _proposal,
    "decision": _decision,
    "run": _run,
    "model": _model,
    "calibration": _calibration,
    "input": _input,
    "fact": _fact,
    "mapping": lambda told: (f"mapping rules, version {told['version']}", ""),
    "raw": _raw,
    "pull": _pull,
    "event": lambda told: (f"audit event {told['number']}", str(told["what"])),
}


def _time(told: Any) -> str:
    if isinstance(told, str):
        try:
            told = datetime.fromisoformat(told)
        except ValueError:
            return str(told)
    return f"{told.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
