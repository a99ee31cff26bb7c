"""How the resources of a block are written: those that were mapped by a form in columns, all others whole.

A form is written once a block. Beside it stand ids, blanks and bytes, each in a column of its own, so that what is
alike stands together: that is quicker to write, and packs better. A block without forms is an array of resources, as
all were before; which of the two it is, its first byte tells (msgpack: a map or an array).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.store.values import AnyResource, FilledResource, StoredResource
from mappers.forms import Filled, Form

__all__ = ["pack_resources", "raws_of", "unpack_resources"]

_MAPS: Final = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})  # github.com/msgpack/msgpack/blob/master/spec.md


class Columns(msgspec.Struct, omit_defaults=True):
    """Resources in order. `forms` go by `which`, of which -1 is one of `others`; `blanks` are all, one after another.

    `versions`, `places` and `urls` are empty where none has one.
    """

    forms: list[Form]
    which: list[int]
    ids: list[str]
    blanks: list[str]
    raws: list[bytes]
    versions: list[str] = []
    places: list[str] = []
    urls: list[str] = []
    others: list[StoredResource] = []


class _Bare(msgspec.Struct, gc=False):
    """A `StoredResource` without what was understood of it."""

    source: str
    key: str
    fhir_version: str
    raw: bytes
    full_url: str = ""
    moved: bool = False
    retracted: str = ""


class _BareColumns(Columns, omit_defaults=True):
    others: list[_Bare] = []  # type: ignore[assignment]  # the same resources, read for less


Bare = tuple[str, str, str, bytes, str, bool]
"""Source, key, FHIR version, bytes, fullUrl, and whether it is an end."""

_encode = msgspec.msgpack.Encoder().encode
_bare = msgspec.msgpack.Decoder(list[_Bare])
_bare_columns = msgspec.msgpack.Decoder(_BareColumns)
_whole = msgspec.msgpack.Decoder(tuple[StoredResource, ...])
_columns = msgspec.msgpack.Decoder(Columns)


def pack_resources(resources: Sequence[AnyResource]) -> bytes:
    """Write resources; `unpack_resources` gives them back in the same order."""
    if not any(isinstance(each, FilledResource) for each in resources):
        return _encode(resources)
    numbers: dict[Form, int] = {}
    made, filled_ones = Columns([], [], [], [], []), list[Filled]()
    which, ids, blanks, raws = made.which, made.ids, made.blanks, made.raws
    places, urls = [], []
    for each in resources:
        if isinstance(each, StoredResource):
            which.append(-1)
            made.others.append(each)
            continue
        filled = each.filled
        form = filled.form
        number = numbers.get(form)
        if number is None:
            number = numbers[form] = len(made.forms)
            made.forms.append(form)
        which.append(number)
        ids.append(filled.id)
        blanks += filled.blanks
        raws.append(each.raw)
        filled_ones.append(filled)
        places.append(each.place)
        urls.append(each.full_url)
    made.versions = _unless_empty([each.version for each in filled_ones])
    made.places = _unless_empty(places)
    made.urls = _unless_empty(urls)
    return _encode(made)


def unpack_resources(packed: bytes | msgspec.Raw) -> tuple[StoredResource, ...]:
    """Read what `pack_resources` wrote, and the blocks of releases before it."""
    if memoryview(packed)[0] not in _MAPS:
        return _whole.decode(packed)
    return tuple(_written_out(_columns.decode(packed)))


def raws_of(packed: bytes | msgspec.Raw) -> Iterator[Bare]:
    """Read the bytes of the resources in order, without what was understood of them: that takes far longer."""
    if memoryview(packed)[0] not in _MAPS:
        yield from map(_as_bare, _bare.decode(packed))
        return
    columns = _bare_columns.decode(packed)
    others, urls, place = iter(columns.others), columns.urls, 0
    for number in columns.which:
        if number < 0:
            yield _as_bare(next(others))
            continue
        form = columns.forms[number]
        key = Filled(form, columns.ids[place], "", (), "").key
        yield form.source, key, form.fhir_version, columns.raws[place], urls[place] if urls else "", False
        place += 1


def _as_bare(told: _Bare) -> Bare:
    return told.source, told.key, told.fhir_version, told.raw, told.full_url, told.moved or bool(told.retracted)


def _written_out(columns: Columns) -> Iterator[StoredResource]:
    others = iter(columns.others)
    sizes = [form.blanks for form in columns.forms]
    count = len(columns.ids)
    place = begin = 0
    versions, places, urls = (column or [""] * count for column in (columns.versions, columns.places, columns.urls))
    for number in columns.which:
        if number < 0:
            yield next(others)
            continue
        end = begin + sizes[number]
        filled = Filled(
            columns.forms[number], columns.ids[place], versions[place], tuple(columns.blanks[begin:end]), ""
        )
        yield FilledResource(filled, columns.raws[place], urls[place], places[place]).stored()
        place, begin = place + 1, end


def _unless_empty(column: list[str]) -> list[str]:
    return column if any(column) else []
