"""A Bundle cut into its resources, each the very bytes that came. Nothing is read but what paging needs."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Bundle", "Head", "Item", "NotReadError", "head_of", "read_bundle", "read_head"]


class NotReadError(ValueError):
    """Bytes that are no JSON, or no Bundle; `reason` is "truncated", "not-json" or "not-fhir"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Search(msgspec.Struct, frozen=True):
    mode: str = ""


class _Request(msgspec.Struct, frozen=True):
    method: str = ""
    url: str = ""


class Item(msgspec.Struct, frozen=True):
    """One entry. `resource` is a view into the bytes of the Bundle: copy it, or the whole Bundle stays in memory."""

    resource: msgspec.Raw = msgspec.Raw(b"")
    fullUrl: str = ""  # noqa: N815  FHIR's spelling, here and below
    search: _Search = _Search()
    request: msgspec.Raw = msgspec.Raw(b"")

    @property
    def deletes(self) -> str:
        """What the entry says is to be deleted, or was ("Observation/1"); "" where it says no such thing."""
        if memoryview(self.resource) or not memoryview(self.request):
            return ""
        try:
            asked = msgspec.json.decode(self.request, type=_Request)
        except msgspec.ValidationError:  # a request that cannot be read says nothing
            return ""
        return (asked.url or self.fullUrl) if asked.method == "DELETE" else ""


class _Link(msgspec.Struct, frozen=True):
    relation: str = ""
    url: str = ""


class Bundle(msgspec.Struct, frozen=True):
    """What paging needs to know of a Bundle of any version and type."""

    resourceType: str = ""  # noqa: N815
    type: str = ""
    total: int | None = None
    link: list[_Link] = []
    entry: list[Item] = []

    def linked(self, relation: str) -> str:
        """Return the URL of a link ("next", "self"), "" where there is none."""
        return next((link.url for link in self.link if link.relation == relation), "")


class Head(msgspec.Struct, frozen=True):
    """Type and id of a resource; "" where it has none. A data point of Open mHealth has the type "omh:heart-rate"."""

    resourceType: str = ""  # noqa: N815
    id: str = ""

    @property
    def version(self) -> str:
        """The FHIR version by which it is read whatever its source speaks: of a data point; "" for a resource."""
        return "r4" if ":" in self.resourceType else ""


class _Schema(msgspec.Struct, frozen=True):
    namespace: str = ""
    name: str = ""


class _Header(msgspec.Struct, frozen=True):
    schema_id: _Schema = _Schema()
    id: str = ""
    uuid: str = ""


class _Point(msgspec.Struct, frozen=True):
    header: _Header
    body: dict[str, msgspec.Raw]


_heads, _bundles = msgspec.json.Decoder(Head), msgspec.json.Decoder(Bundle)
_points = msgspec.json.Decoder(_Point)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def read_head(data: bytes) -> Head:
    """Read type and id of a resource or data point; raises `NotReadError`. All else in it is the mappers' business."""
    try:
        found = _heads.decode(data)
    except msgspec.ValidationError as error:
        raise NotReadError("not-fhir") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotReadError(_why(error)) from error
    if not found.resourceType:
        return _head_of_point(data)
    return found


def _head_of_point(data: bytes) -> Head:
    try:
        header = _points.decode(data).header
    except msgspec.ValidationError as error:
        raise NotReadError("not-fhir") from error
    if not header.schema_id.name:
        raise NotReadError("not-fhir")
    return Head(f"{header.schema_id.namespace}:{header.schema_id.name}", header.id or header.uuid)


def head_of(data: bytes) -> Head | None:
    """Read type and id of a resource, `None` where it is no resource."""
    try:
        return read_head(data)
    except NotReadError:
        return None


def read_bundle(data: bytes) -> Bundle:
    """Cut a Bundle into its entries; raises `NotReadError`.

    A key that stands twice would make a reader drop entries without a word, because the last one wins: such a Bundle
    is refused ("not-json").
    """
    try:
        found = _bundles.decode(data)
        hidden = _hides_something(data)
    except msgspec.ValidationError as error:
        raise NotReadError("not-fhir") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotReadError(_why(error)) from error
    if found.resourceType != "Bundle":
        raise NotReadError("not-fhir")
    if hidden:
        raise NotReadError("not-json")
    return found


def _why(error: Exception) -> str:
    return "truncated" if "truncated" in str(error) else "not-json"  # msgspec: "Input data was truncated"


def _hides_something(data: bytes) -> bool:
    """Say whether the Bundle, or an entry of it, has a key twice."""
    whole = _objects.decode(data)
    if _is_shorter(_objects, whole, data):
        return True
    entries = whole.get("entry")
    return entries is not None and _is_shorter(_lists, _lists.decode(entries), entries)


def _is_shorter(decoder: msgspec.json.Decoder[Any], value: object, data: bytes | msgspec.Raw) -> bool:
    """Say whether JSON is shorter when its value is written again, white space aside.

    A key that is there twice is written once. (Keys with escapes are written shorter as well, and FHIR has none.) Most
    servers write no white space; where there may be some, a second look without it tells.
    """
    if len(msgspec.json.encode(value)) == len(memoryview(data)):
        return False
    tight = msgspec.json.format(data, indent=-1)
    return len(msgspec.json.encode(decoder.decode(tight))) != len(tight)
