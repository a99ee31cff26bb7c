"""What stands at the EHR now under the address of a result: ours, another resource, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.home import Home
from gateway.lineage.graph import Lineage, Node
from gateway.profiles import kept
from gateway.sources import connect
from mappers import Unreadable, read_json
from mappers.elements import objects, text
from security.audit import fetch_event
from security.errors import Fault

__all__ = ["look_there"]

_NOT_THERE: Final = frozenset({404, 410})


async def look_there(home: Home, chain: Lineage) -> Lineage:
    """Read what a chain starts with at its EHR, and say beside it what is there. Each reading is recorded.

    What cannot be asked says why.
    """
    found: dict[str, str] = {}
    twin = next((str(node.told["twin"]) for node in chain.of_kind("run")), "")
    for node in (chain.node(id_) for id_ in chain.start):
        if node.kind == "resource":
            try:
                found[node.id] = await _look(home, node, twin)
            except Fault as fault:
                found[node.id] = f"not known: {fault.message}"
    nodes = tuple(
        msgspec.structs.replace(node, told={**node.told, "there": found[node.id]}) if node.id in found else node
        for node in chain.nodes
    )
    return msgspec.structs.replace(chain, nodes=nodes)


async def _look(home: Home, node: Node, patient: str) -> str:
    source, reference = node.told["source"], node.told["resource"]
    settings = home.settings.source(source)
    async with connect(settings, kept(home.settings.home, source), home=home, name=source) as connection:
        access = home.access(peer=home.peer(source), patient=patient, what=(node.told["address"],))
        home.store.append_audit([fetch_event(access)])
        reply = await connection.get(reference, allow=_NOT_THERE, fresh=True)
    if reply.status in _NOT_THERE:
        return "nothing: it was deleted there" if reply.status == 410 else "nothing"
    try:
        body = read_json(reply.body)
    except Unreadable:
        return "something that cannot be read"
    version = text(_object(body.get("meta")).get("versionId")) or "not told"
    status = text(body.get("status")) or "none"
    if not _is_ours(body, node.told["uuid"].removeprefix("urn:uuid:")):
        return f"another resource: it has not our identifier (version {version})"
    return f"ours, version {version}, status {status}"


def _is_ours(body: Mapping[str, Any], uuid: str) -> bool:
    meta = _object(body.get("meta"))
    named = (
        *objects(body.get("identifier")),
        *([body["identifier"]] if isinstance(body.get("identifier"), dict) else []),
    )
    values = [text(each.get("value")) for each in named] + [text(each.get("code")) for each in objects(meta.get("tag"))]
    return any(value.removeprefix("urn:uuid:") == uuid for value in values)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
