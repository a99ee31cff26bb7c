"""JSON Patch (RFC 6902): a few operations on a document, all or none. The document is copied, never changed."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["BadPatch", "patched"]

_MOST: Final = 100
_MOST_COPIED: Final = 100_000  # values: a copy of a copy of a copy doubles each time
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
_ESCAPED: Final = re.compile(r"~(?![01])")
_NEEDS: Final = {
    "add": {"value"},
    "copy": {"from"},
    "move": {"from"},
    "remove": set[str](),
    "replace": {"value"},
    "test": {"value"},
}


class BadPatch(ValueError):
    """A patch that is none, or that does not fit the document; says which operation, and repeats nothing of it."""


def patched(document: Any, operations: Sequence[Any]) -> Any:
    """Apply operations in order. Raises `BadPatch`."""
    if len(operations) > _MOST:
        raise BadPatch(f"A patch has {_MOST} operations at most.")
    made, copied = copy.deepcopy(document), 0
    for number, operation in enumerate(operations, 1):
        try:
            if operation["op"] == "copy":
                copied += _values(_at(made, _pointer(operation["from"])))
                if copied > _MOST_COPIED:
                    raise ValueError("copy")
            made = _applied(made, operation)
        except (LookupError, TypeError, ValueError):
            raise BadPatch(f"Operation {number} is none, or does not fit what is there.") from None
    return made


def _values(value: Any) -> int:
    """Count the values in one."""
    found = [value]
    for each in found:
        if isinstance(each, dict | list):
            found += each.values() if isinstance(each, dict) else each
            if len(found) > _MOST_COPIED:
                break
    return len(found)


def _applied(document: Any, operation: Any) -> Any:
    kind, path = operation["op"], _pointer(operation["path"])
    if not _NEEDS[kind] <= operation.keys():
        raise ValueError(kind)
    if kind == "test":
        if not _same(_at(document, path), operation["value"]):
            raise ValueError(kind)
        return document
    if kind == "remove":
        return _removed(document, path)
    if kind == "replace":
        _at(document, path)
        return _added(_removed(document, path) if path else document, path, copy.deepcopy(operation["value"]))
    if kind == "add":
        return _added(document, path, copy.deepcopy(operation["value"]))
    source = _pointer(operation["from"])
    value = copy.deepcopy(_at(document, source))
    if kind == "move":
        if path[: len(source)] == source and path != source:
            raise ValueError("nothing is moved into itself")
        document = _removed(document, source)
    return _added(document, path, value)


def _pointer(told: Any) -> list[str]:
    """Read a JSON Pointer (RFC 6901)."""
    if not isinstance(told, str) or len(told) > 1000 or _ESCAPED.search(told):
        raise ValueError("pointer")
    if told and not told.startswith("/"):
        raise ValueError("pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in told.split("/")[1:]]


def _at(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        document = document[_index(part, len(document) - 1)] if isinstance(document, list) else document[part]
    return document


def _index(part: str, last: int) -> int:
    if not _INDEX.fullmatch(part) or int(part) > last:
        raise IndexError(part)
    return int(part)


def _added(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent)), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise TypeError(last)
    return document


def _removed(document: Any, path: Sequence[str]) -> Any:
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        del parent[_index(last, len(parent) - 1)]
    else:
        del parent[last]
    return document


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
