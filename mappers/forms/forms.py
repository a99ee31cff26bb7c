"""Mapping by forms: what an EHR said before in the same words is not thought through again.

An EHR writes few forms and fills them in often: id, patient, times and numbers differ, all else is the same to the
byte. The first resource of each form is mapped by `mappers.map_resource`, watched; nothing else here knows what a
resource means. What is read by a form is what that made of the first one, with other blanks. All that is not surely of
a form is left to it: a resource with padding or with keys that stand twice, what looks at elements that no mapper has
looked at so far, a reference that has to be followed, a number that fares otherwise than those before.
"""

from __future__ import annotations

from typing import Final

from mappers.codes import BUILT_IN, Codes
from mappers.elements import Json
from mappers.facts import Origin
from mappers.forms.form import Filled, Form
from mappers.forms.layout import Apart, Layout, Pieces, Shape
from mappers.forms.learning import Lesson, Untellable, times_of
from mappers.forms.memo import Memo
from mappers.forms.numbers import Kinds, numbers_of
from mappers.forms.pieces import Strictness, cut, text_in
from mappers.forms.stencil import Stencil, draw
from mappers.forms.tracks import ARE_BUILT, Tracks, make_tracks, size_of
from mappers.reading import Unreadable, read_json
from mappers.versions import FhirVersion, as_fhir_version

__all__ = ["Forms"]

_VERSIONS: Final[tuple[FhirVersion, ...]] = (
    "r4",
    "r4b",
)  # others change their shape first, for which all of it is looked at
_NEVER: Final = frozenset({"Patient"})  # each one is another, and people are met by more than facts
_NEVER_BEGUN: Final = tuple(f'{{"resourceType":"{kind}"'.encode() for kind in _NEVER)
_LAYOUTS: Final = 2_000  # that are remembered
_EVERY: Final = 100  # resources to learn from, after which hits are counted
_STENCIL_BYTES: Final = 32 << 20  # of those that are kept, about
_NEW: Final = Shape((), "", is_unread=False)


class Forms:
    """The forms of one source, learned as its resources come; `codes` are the tables to map by.

    Without `stencils` each resource is read element by element; what comes out is the same.
    """

    def __init__(self, source: str, codes: Codes = BUILT_IN, *, stencils: bool = ARE_BUILT) -> None:
        self._source, self._codes = source, codes.of(source)
        self._layouts: dict[str, dict[tuple[str, ...], Layout]] = {version: {} for version in _VERSIONS}
        self._memo = Memo()
        self._strictness = Strictness()
        self._has_stencils, self._drawn, self._size = stencils, 0, 0
        self._tracks: dict[str, Tracks[Stencil]] = {}
        self._forget_stencils()

    @property
    def stencils(self) -> int:
        """How many stencils there are (`mappers.forms.stencil`)."""
        return self._drawn

    def read(self, raw: bytes, version: str) -> Filled | None:
        """Read a resource; `None` where it is of no form, and `map_resource` has to say what it means."""
        tracks = self._tracks.get(version)
        found = tracks.fill(raw) if tracks is not None else None
        if isinstance(found, Filled):
            return found
        if found is None:
            return self._read(raw, version, None)
        stencil, told = found
        return stencil.fill(told) or self._read(raw, version, stencil)

    def _read(self, raw: bytes, version: str, stencil: Stencil | None) -> Filled | None:
        """Read a resource that lies under no stencil, or is not of its form, element by element."""
        layouts = self._layouts.get(version)
        if layouts is None or raw.startswith(_NEVER_BEGUN) or (pieces := cut(raw)) is None:
            return None
        layout = layouts.get(tuple(pieces)) or self._new_layout(layouts, tuple(pieces))
        if layout.length + sum(map(len, pieces.values())) != len(raw) or "id" not in pieces:
            return None  # it is padded, or a key stands twice, or is written with escapes
        if not layout.seen:
            return self._learn(raw, version, layout, pieces)
        apart = layout.take_apart(pieces)
        if apart is None:
            return None
        key, times, numbers, version_id, subject, _ = apart
        shape = layout.shapes.get(key, _NEW)
        if shape is None:
            return None
        if shape is _NEW:
            return None if layout.is_hopeless else self._learn(raw, version, layout, pieces)
        if layout.ignored and not shape.is_unread and not self._strictness.holds(b",".join(layout.ignored(pieces))):
            return None
        kinds: Kinds = ()
        if numbers:
            kinds, times, _ = numbers_of(shape.slots, times, numbers)
            if None in kinds:
                return None
        form = shape.forms.get(kinds)
        if form is None:
            return None if kinds in shape.forms else self._learn(raw, version, layout, pieces)
        identity = text_in(bytes(pieces["id"]))
        if identity is None:
            return None
        layout.hits += 1
        if self._has_stencils and layout.is_worth_drawing and (stencil is None or stencil.shape is not shape):
            self._draw(version, layout, shape, apart, pieces)
        return Filled(form, identity, version_id, tuple(times), subject or shape.subject)

    def _draw(self, version: str, layout: Layout, shape: Shape, apart: Apart, pieces: Pieces) -> None:
        """Keep a stencil, under which others of the form are found without reading them."""
        drawn = draw(layout, shape, apart, pieces, self._memo)
        if drawn is None:
            return
        parts, wanted, stencil = drawn
        self._size += size_of(parts)
        if self._size > _STENCIL_BYTES:
            self._forget_stencils()
            self._size = size_of(parts)
        if self._tracks[version].add(parts, wanted, stencil, stencil.plainly):
            self._drawn += 1
        layout.stencils += 1

    def _count_hits(self) -> None:
        for tracks in self._tracks.values():
            for stencil, hits in tracks.hits():
                stencil.layout.hits += hits

    def _forget_stencils(self) -> None:
        self._count_hits()
        self._tracks = {version: make_tracks() for version in _VERSIONS} if self._has_stencils else {}
        self._drawn = self._size = 0
        for layouts in self._layouts.values():
            for layout in layouts.values():
                layout.stencils = 0

    def _new_layout(self, layouts: dict[tuple[str, ...], Layout], names: tuple[str, ...]) -> Layout:
        if len(layouts) >= _LAYOUTS:
            layouts.clear()
        layout = layouts[names] = Layout(names, self._memo)
        return layout

    def _learn(self, raw: bytes, version: str, layout: Layout, pieces: Pieces) -> Filled | None:
        """Map a resource, and keep what it has in common with others."""
        layout.misses += 1
        if layout.misses % _EVERY == 0:
            self._count_hits()
        told = as_fhir_version(version)
        try:
            resource = read_json(raw)
        except Unreadable:
            return None
        kind, identity = resource["resourceType"], text_in(bytes(pieces["id"]))
        if kind in _NEVER or identity is None or told is None:
            return None
        lesson = Lesson(self._codes, told, Origin(self._source, kind, identity, _version_in(resource)), resource)
        if layout.look(lesson.seen, pieces, resource) and layout.stencils:
            self._forget_stencils()
        while (apart := layout.take_apart(pieces)) is not None:
            may_fix = not layout.shapes
            try:
                return self._keep(lesson, layout, apart)
            except Untellable as error:
                fixed = layout.numbered if error.by_number else (*layout.times, *layout.periods)
                if not may_fix or not fixed:
                    layout.keep(apart[0], None)
                    return None
                if layout.look((), pieces, resource, fixed) and layout.stencils:
                    self._forget_stencils()
        return None

    def _keep(self, lesson: Lesson, layout: Layout, apart: Apart) -> Filled | None:
        key, times, numbers, version, subject, is_alone = apart
        shape = layout.shapes.get(key)
        if shape is None:
            slots = lesson.slots(len(numbers))
            shape = Shape(slots, lesson.subject, is_unread=lesson.is_unread)
        kinds, blanks, paths = numbers_of(shape.slots, times, numbers)
        if None in kinds:
            layout.keep(key, shape)
            return None
        where = layout.subject if is_alone else ""
        parts = lesson.parts(times_of(lesson.resource, layout.times, layout.periods), where, paths)
        form = Form(self._source, lesson.origin.type, lesson.version, tuple(parts), len(blanks))
        filled = Filled(form, lesson.origin.id, version, tuple(blanks), subject or shape.subject)
        if filled.outcomes() != lesson.outcomes or filled.subject != lesson.subject:
            raise Untellable
        shape.forms[kinds] = form
        if key not in layout.shapes:
            layout.keep(key, shape)
        return filled


def _version_in(resource: Json) -> str:
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else ""
