"""What a delivery carries, entry by entry: our name of each, by what it is found, and what refers to what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Self

import msgspec

__all__ = ["Item", "Shipment"]

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LAST: Final = "Provenance"  # it refers to all the others


class _Request(msgspec.Struct):
    url: str = ""
    ifNoneExist: str = ""  # noqa: N815  FHIR's spelling


class _Entry(msgspec.Struct):
    fullUrl: str = ""  # noqa: N815  FHIR's spelling
    resource: msgspec.Raw = msgspec.Raw(b"{}")
    request: _Request = msgspec.field(default_factory=_Request)


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []


_reader: Final = msgspec.json.Decoder(_Bundle)


class Item(msgspec.Struct, frozen=True):
    """One resource that is to be created unless it is there.

    Parameters
    ----------
    uuid
        Our name of it, by which the server finds it.
    type
        Its FHIR type.
    unless
        The search that finds it ("identifier=…", "_tag=…").
    full_url
        How the other entries refer to it.
    resource
        Its JSON.
    """

    uuid: str
    type: str
    unless: str
    full_url: str
    resource: bytes


class Shipment(msgspec.Struct, frozen=True):
    """The entries of a delivery's transaction. The model's Device goes first, the Provenance last."""

    items: tuple[Item, ...]

    @classmethod
    def read(cls, bundle: bytes) -> Self:
        """Read what was put into the outbox."""
        return cls(tuple(_item(entry) for entry in _reader.decode(bundle).entry))

    @property
    def devices(self) -> tuple[Item, ...]:
        """The models' Devices, which many deliveries share."""
        return tuple(item for item in self.items if item.type == "Device")

    @property
    def results(self) -> tuple[Item, ...]:
        """What is the patient's."""
        return tuple(item for item in self.items if item.type != "Device")

    @property
    def in_order(self) -> tuple[Item, ...]:
        """What is the patient's, with what refers to the others behind them."""
        return tuple(sorted(self.results, key=lambda item: item.type == _LAST))

    @property
    def types(self) -> tuple[str, ...]:
        """The types of all entries, as they stand."""
        return tuple(item.type for item in self.items)

    def without(self, there: Mapping[str, str]) -> Shipment:
        """Leave out what is at the EHR already (our name of it to its address), and refer to it there."""
        return Shipment(
            tuple(
                msgspec.structs.replace(item, resource=self.resolved(item.resource, there))
                for item in self.items
                if item.uuid not in there
            )
        )

    def resolved(self, resource: bytes, there: Mapping[str, str]) -> bytes:
        """Refer to what is at the EHR by its address; our own name stands nowhere else (`mappers.outbound.names`)."""
        for item in self.items:
            if (address := there.get(item.uuid)) is not None and item.full_url:
                resource = resource.replace(b'"%b"' % item.full_url.encode(), msgspec.json.encode(address))
        return resource

    def refers(self, item: Item, resource: bytes | None = None) -> bool:
        """Say whether an item (as it stands, or as `resource`) refers to another one by our name for it in here."""
        told = item.resource if resource is None else resource
        return any(each.full_url and b'"%b"' % each.full_url.encode() in told for each in self.items)

    def bundle(self, kind: str) -> bytes:
        """Write a transaction or a batch of what is the patient's."""
        return b'{"resourceType":"Bundle","type":"%b","entry":[%b]}' % (
            kind.encode(),
            b",".join(_entries(self.results)),
        )


def _entries(items: Iterable[Item]) -> Iterable[bytes]:
    for item in items:
        request = {"method": "POST", "url": item.type, "ifNoneExist": item.unless}
        head = msgspec.json.encode({"fullUrl": item.full_url, "request": request})
        yield b'%b,"resource":%b}' % (head[:-1], item.resource)


def _item(entry: _Entry) -> Item:
    unless = entry.request.ifNoneExist
    found = _UUID.findall(unless)
    return Item(found[-1] if found else "", entry.request.url, unless, entry.fullUrl, bytes(entry.resource))
