"""A kept run of any kind, read for what a chain tells of it: what it was made with, what went in, what came out."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wording import output_interval, output_value
from twin_engine import Input, Output

__all__ = ["ReadRun", "read_run", "said_outputs"]


class ReadRun(msgspec.Struct, frozen=True):
    """What every kind of run says of itself; what a kind does not say is empty."""

    type: str = "run"
    model: str = ""
    title: str = ""
    version: str = ""
    settings: dict[str, str] = {}
    at: str = ""
    last: str = ""
    valid_at: str = ""
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    plan: Any = None
    plans: tuple[Any, ...] = ()
    branches: tuple[Any, ...] = ()
    assumptions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    citation: str = ""
    seed: int = 0
    members: int = 0


def read_run(content: bytes) -> ReadRun | None:
    """Read it; `None` for what has another shape than all runs have."""
    try:
        found = msgspec.json.decode(content, type=ReadRun)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.model else None


def said_outputs(run: ReadRun) -> list[dict[str, Any]]:
    """Tell the numbers that came out, as twin simulate shows them."""
    told = []
    for each in run.outputs:
        value, unit = output_value(each)
        told.append({"name": each.name, "title": each.title, "said": f"{value} {unit}".strip()})
        if interval := output_interval(each):
            told[-1]["interval"] = interval
    return told
