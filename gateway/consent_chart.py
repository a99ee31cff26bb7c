"""A twin's chart, as the API has it, beside the API: what the terminal opens is named by Consents in the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.api.charts import StoreCharts
from gateway.api.consents import Consents, Rules
from gateway.api.opened import OpenedChart
from gateway.api.shown import Shown
from gateway.home import Home
from gateway.store import StoredResource, TwinRecord
from mappers.reading import Unreadable, read_json

__all__ = ["open_consents", "shown_in"]

_LEVEL: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def open_consents(home: Home, twin: str) -> tuple[OpenedChart, Consents]:
    """Open the chart of a twin as it is now, and what decides about it. Record it first. `KeyError` for nobody."""
    charts = StoreCharts(home)
    return charts.chart(twin), Consents(charts, Rules.of(home.settings.serve))


def shown_in(chart: OpenedChart, record: TwinRecord) -> Sequence[tuple[Shown, ...]]:
    """Return for each resource of a record what it is in the chart.

    What is not shown, and what a past version said, stands there as it came: then all of it has to be allowed.
    """
    named = {(source, key): shown for source, key, shown in chart.from_sources()}
    found: list[tuple[Shown, ...]] = []
    for number, one in enumerate(record.resources):
        shown = named.get((one.source, one.key))
        is_past = record.as_of is not None
        body = _as_it_came(one) if shown is None or is_past else {}
        type_ = shown.type if shown else str(body.get("resourceType", "")) or one.key.partition("/")[0]
        id_ = shown.id if shown else "not-shown"
        came = Shown(type_, id_, -1 - number, record.created, record.id, body, b"")
        found.append((shown,) if shown and not is_past else (shown, came) if shown else (came,))
    return found


def _as_it_came(resource: StoredResource) -> Mapping[str, Any]:
    """Read a resource that is not shown; one whose bytes are withheld says nothing but its type."""
    kind = resource.key.partition("/")[0]
    try:
        return read_json(resource.raw) if resource.raw else {"resourceType": kind}
    except Unreadable:
        return {"resourceType": kind, "meta": {"security": [{"system": _LEVEL, "code": "V"}]}}
