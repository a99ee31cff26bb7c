"""Opening what a chain is made of in the store: who is meant, what of them may be shown, and the record of reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial

from gateway.consented import consented
from gateway.handles import handle, split_handle
from gateway.home import Home
from gateway.lineage.asked import Asked, read_asked
from gateway.lineage.chain import Chain
from gateway.lineage.graph import Lineage
from gateway.lineage.kept import RECORDED, Kept, came_of, is_result, pulled_of, pulls_that_brought
from gateway.simulation import audit_reference
from gateway.store import AuditEntry, Delivery, Pull, SavedRun, TwinVersion, name_of
from gateway.store.owners import twin_owner
from mappers.facts import Origin
from security.audit import log_event, read_event
from security.audit.search import Criterion
from security.errors import Erased, Misuse, UnknownName
from security.reidentification import Reidentify

__all__ = ["bases_of", "certified", "kept_of", "lineage", "recorded_of"]

_FOLLOWING = Reidentify("follow a result back to the bytes that it stands on")
_AT_ONCE = 1000


def lineage(home: Home, told: str, source: str = "") -> Lineage:
    """Follow what was asked for, for a person: recorded first, then opened, and no more than consents allow.

    Raises `UnknownName` where there is nothing of that name, `Erased` where there was, `Misuse` where it may be several
    or is at no source that is known, `Denied` where consents allow nothing of it.
    """
    home.must_know(source or None)
    asked = read_asked(told, source, bases_of(home))
    if asked.kind == "handle":
        return _of_handle(home, asked, told)
    if (delivery := _delivery(home, asked)) is not None:
        kept = _open(home, delivery.twin)
        return Chain(told, kept).of_delivery(_again(kept, delivery), asked.name if asked.kind != "id" else "")
    if asked.kind == "id" and (run := _run(home, asked.name)) is not None:
        return Chain(told, _open(home, run.twin)).of_run(run)
    if asked.kind == "resource" and (found := _raw(home, asked)):
        [(name, twins), *others] = found
        if others:
            _several(name for name, _ in found)
        kept = _open(home, *twins)
        if not kept[0].may(name, asked.name):  # what is withheld is, to who asks for it by name, not there
            raise _unknown(told)
        return Chain(told, kept).of_raw(name, asked.name)
    home.store.append_audit([log_event(home.access())])  # whether it was erased, the log is asked
    if _was_erased(home, asked):
        raise Erased(
            "This was erased. Nothing is kept of it but that it was.", hint="twin erase gave a receipt for it."
        )
    raise _unknown(told)


def _unknown(told: str) -> UnknownName:
    return UnknownName(
        "result and no resource", told, ["twin outbox list and twin show TWIN have names that there are"]
    )


def bases_of(home: Home) -> dict[str, tuple[str, ...]]:
    """List the addresses of the sources."""
    return {
        name: tuple(each.rstrip("/") for each in (known.base_url, *map(str, known.aliases)) if each)
        for name, known in home.settings.sources.items()
        if known.base_url
    }


def kept_of(
    home: Home,
    twin: str,
    versions: Sequence[TwinVersion],
    pulls: Iterable[Pull],
    events: Iterable[AuditEntry],
    allowed: frozenset[tuple[str, str]] | None = None,
) -> Kept:
    """Gather what is kept of one twin; `versions`, `pulls` and `events` are opened already."""
    came = came_of(versions)
    store = home.store
    configured = home.settings.sources
    return Kept(
        twin=twin,
        runs=tuple(store.runs(twin)),
        deliveries=tuple(store.outbox(twin=twin)),
        states=tuple(store.states_of(twin)),
        came=came,
        pulls=tuple(map(pulled_of, pulls)),
        events=tuple(sorted(events, key=lambda each: each.sequence)),
        bases={name: known.base_url for name, known in configured.items()},
        handle=partial(handle, home, twin),
        allowed=allowed,
    )


def recorded_of(home: Home, twin: str) -> list[AuditEntry]:
    """Find the events about a twin that a chain may name."""
    return _search(home, [Criterion("patient", (twin,)), Criterion("subtype", RECORDED)])


def certified(home: Home, pulls: Sequence[Pull]) -> list[AuditEntry]:
    """Find the events about what some pulls proved."""
    names = tuple(pull.id for pull in pulls)
    return _search(home, [Criterion("identifier", names)]) if names else []


def _open(home: Home, *twins: str) -> list[Kept]:
    """Open some twins, and those that the same people are or were; each reading is recorded."""
    store = home.store
    every: dict[str, None] = dict.fromkeys(twins)
    versions: dict[str, list[TwinVersion]] = {}
    waiting = list(every)
    while waiting:
        one = waiting.pop()
        store.append_audit([read_event(home.access(patient=one))])
        versions[one] = store.twin_versions(one, leave=_FOLLOWING)
        for other in _related(home, one, versions[one]):
            if other not in every:
                every[other] = None
                waiting.append(other)
    allowed = _allowed(home, list(every))
    opened = []
    for one in every:
        pulls = pulls_that_brought(came_of(versions[one]), store.runs(one), store.pulls())
        events = [*recorded_of(home, one), *certified(home, pulls)]
        opened.append(kept_of(home, one, versions[one], pulls, events, allowed))
    return opened


def _related(home: Home, twin: str, versions: Sequence[TwinVersion]) -> set[str]:
    """Name the twins that somebody was before they were joined, and is since."""
    store = home.store
    found = {
        other
        for version in versions
        for each in version.resources
        if each.key.startswith("Patient/")
        for other in store.was_twin(each.source, each.key)
        if other
    }
    with suppress(Misuse):  # nobody is this twin any more, and who is was found by their Patient
        found.update(store.relatives(twin).along)
    return found - {twin}


def _allowed(home: Home, twins: Sequence[str]) -> frozenset[tuple[str, str]] | None:
    """Say what consents, as they are now, allow to be shown of some people: all (`None`), or which resources."""
    somebody = home.store.who_are_somebody(twins)
    whole = (home.store.twin_record(twin) for twin in twins if twin in somebody or len(twins) == 1)
    records = [consented(home, record) for record in whole]
    if not any(record.partial for record in records):
        return None
    return frozenset((one.source, one.key) for record in records for one in record.resources)


def _search(home: Home, criteria: Sequence[Criterion]) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    below: int | None = None
    while below != 0:
        page = home.store.search_audit(criteria, limit=_AT_ONCE, below=below)
        found += page.entries
        below = page.next
    return found[::-1]


def _delivery(home: Home, asked: Asked) -> Delivery | None:
    store = home.store
    if asked.kind == "id":
        try:
            return store.delivery(asked.name)
        except UnknownName:
            return None
    sources = [asked.source] if asked.source else dict.fromkeys([*home.settings.sources, *store.sources()])
    names = (asked.name, f"urn:uuid:{asked.name}") if asked.kind == "uuid" else (asked.name,)
    told = ((name, store.delivered_as(name, each)) for name in sources for each in names)
    found = {name: one for name, one in told if one is not None and is_result(one, asked.name)}
    if len(found) > 1:
        _several(found)
    return next(iter(found.values()), None)


def _run(home: Home, start: str) -> SavedRun | None:
    try:
        return home.store.run(start)
    except UnknownName:
        return None


def _again(kept: Sequence[Kept], delivery: Delivery) -> Delivery:
    return next((found for each in kept if (found := each.delivery(delivery.id))), delivery)


def _several(sources: Iterable[str]) -> None:
    raise Misuse("Several sources have something of that name.", hint=f"Say --source: {', '.join(sorted(sources))}.")


def _raw(home: Home, asked: Asked) -> list[tuple[str, list[str]]]:
    """Find the twins that hold, or held, a resource: by the audit of the runs that used it, else in what they hold."""
    store = home.store
    sources = [asked.source] if asked.source else sorted(store.sources())
    found = []
    for source in sources:
        type_, _, id_ = asked.name.partition("/")
        reference = audit_reference(home, Origin(source, type_, id_))
        holders = {
            twin
            for twin in _patients(home, [Criterion("entity", (reference,))])
            if _holds(home, twin, source, asked.name)
        }
        hashed = name_of(source, asked.name)
        holders |= {twin for twin, names in store.holdings(source) if twin is not None and hashed in names}
        if holders:
            found.append((source, sorted(holders)))
    return found


def _holds(home: Home, twin: str, source: str, key: str) -> bool:
    try:
        versions = home.store.twin_versions(twin)
    except KeyError:  # erased
        return False
    return any((one.source, one.key) == (source, key) for version in versions for one in version.resources)


def _of_handle(home: Home, asked: Asked, told: str) -> Lineage:
    owner, digits = split_handle(asked.name)
    if owner in home.store.sources():
        home.store.append_audit([read_event(home.access(what=("Basic/refusals",)))])
        raise Misuse("What this handle names belongs to no twin: nothing stands on it.", hint="twin explain tells why.")
    twin = home.store.find_twin(owner)
    kept = _open(home, twin)
    wanted = f"{twin[:8]}.{digits}"
    mine = next(each for each in kept if each.twin == twin)
    for version in reversed(home.store.twin_versions(twin)):
        for one in version.resources:
            if any(handle(home, twin, outcome.origin) == wanted for outcome in one.outcomes):
                if not mine.may(one.source, one.key):
                    break
                return Chain(told, kept).of_raw(one.source, one.key)
    raise UnknownName("fact", told, ["twin show TWIN lists them"])


def _patients(home: Home, criteria: Sequence[Criterion]) -> set[str]:
    found = set()
    for entry in _search(home, criteria):
        for entity in entry.event.get("entity", ()):
            reference = str(entity.get("what", {}).get("reference", ""))
            if reference.startswith("Patient/"):
                found.add(reference.removeprefix("Patient/"))
    return found


def _was_erased(home: Home, asked: Asked) -> bool:
    """Say whether something of that name was of somebody who is erased: by what is left, which is keyed hashes."""
    store = home.store
    if asked.kind == "id":
        if len(asked.name) < len(home.blind.of("run", "")):
            return False
        named = _patients(home, [Criterion("identifier", (asked.name,))])
        return any(store.keys.tombstone(twin_owner(twin)) is not None for twin in named)
    name = f"urn:uuid:{asked.name}" if asked.kind == "uuid" else asked.name
    sources = [asked.source] if asked.source else dict.fromkeys([*home.settings.sources, *store.sources()])
    return any(store.erased_as(source, name) is not None for source in sources)
