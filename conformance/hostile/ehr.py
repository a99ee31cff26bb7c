"""One EHR: its settings, its resources, its authorization server and its moods, behind one ASGI app."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from starlette.applications import Starlette

from conformance.hostile import events, wire
from conformance.hostile.bulk import BulkHabits, Exports, FileHost
from conformance.hostile.misbehaviour import Misbehaviours
from conformance.hostile.paging import Pages
from conformance.hostile.references import redirect
from conformance.hostile.rest import Rest
from conformance.hostile.scopes import Action, ScopeVersion
from conformance.hostile.seen import Seen
from conformance.hostile.smart import Authorization
from conformance.hostile.store import Store
from conformance.hostile.versions import VERSIONS, FhirVersion, Version
from security.errors import BadSettings, NotFhir

__all__ = ["Ehr", "EhrSettings"]


@dataclass(frozen=True, slots=True)
class EhrSettings:
    """The habits of one EHR; a misbehaviour comes and goes, a habit stays.

    Parameters
    ----------
    name, fhir_version
        What it is called, and the FHIR version that it speaks.
    require_auth
        Whether it wants a SMART bearer token for everything but its capability statement.
    page_size, max_page_size
        Rows on a page where `_count` is absent, and the most that `_count` gets.
    paging
        "typed": next links keep the resource type and carry `ct=…==`, as Microsoft's; "base": they go to the base with
        `_getpages=…`, as HAPI's.
    page_lifetime, token_lifetime
        Seconds until a next link, or a token, expires.
    unknown_parameters
        HAPI and Medplum refuse what they do not know; Microsoft, Blaze and Spark ignore it (interop.md 2a).
    honours_prefer
        Whether `Prefer: handling=strict|lenient` overrides that.
    includes_total
        Whether a page says `Bundle.total` unasked.
    without
        Search parameters that it does not have, such as `_lastUpdated` on Epic; conditions of writes know them neither.
    required
        Parameters of which a search of a type must have one, such as {"Observation": ("category", "code")} on Epic.
    accepts
        Resource types that may be written; `None` for all, empty for a server that is read only.
    bundles
        Which Bundles it takes at its base; to others it says 405.
    updates
        Whether what is there may be changed; else 405.
    tells_versions
        Whether ETag, Location and meta.versionId tell the version; without, If-Match means nothing.
    judges_writes
        Whether what is written is checked against the structure of the version (422).
    scope_versions
        SMART scope versions that it understands.
    well_known
        Whether `.well-known/smart-configuration` is there (microsoft/fhir-server#2138: it was not).
    bulk
        How it exports.
    """

    name: str = "ehr"
    fhir_version: FhirVersion = "r4"
    require_auth: bool = True
    page_size: int = 50
    max_page_size: int = 500
    paging: Literal["typed", "base"] = "typed"
    page_lifetime: float = 600.0
    token_lifetime: float = 300.0
    unknown_parameters: Literal["refuse", "ignore"] = "refuse"
    honours_prefer: bool = True
    includes_total: bool = True
    without: frozenset[str] = frozenset()
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    accepts: frozenset[str] | None = None
    bundles: frozenset[str] = frozenset({"transaction", "batch"})
    updates: bool = True
    tells_versions: bool = True
    judges_writes: bool = True
    scope_versions: tuple[ScopeVersion, ...] = ("v1", "v2")
    well_known: bool = True
    bulk: BulkHabits = field(default_factory=BulkHabits)

    def __post_init__(self) -> None:
        if self.fhir_version not in VERSIONS:
            raise BadSettings(f"This EHR speaks {', '.join(VERSIONS)}.", hint="Choose one of them.")
        if not 1 <= self.page_size <= self.max_page_size:
            raise BadSettings("page_size is at least 1 and at most max_page_size.")

    def takes(self, type_: str, action: Action = "c") -> bool:
        """Say whether resources of the type may be written: created, updated or deleted."""
        return (self.accepts is None or type_ in self.accepts) and (action != "u" or self.updates)


class Ehr:
    """A FHIR server of one version, in memory. `app` is the ASGI application; `serve` gives it a port."""

    def __init__(self, settings: EhrSettings | None = None, *, clock: Callable[[], datetime] | None = None) -> None:
        self.settings = settings or EhrSettings()
        self.version: Version = VERSIONS[self.settings.fhir_version]
        self.clock = clock or _utc_now
        self.started = self.clock()
        self.store = Store(self.clock, tells_versions=self.settings.tells_versions)
        self.pages = Pages(self.clock, timedelta(seconds=self.settings.page_lifetime))
        self.smart = Authorization(
            self.clock, timedelta(seconds=self.settings.token_lifetime), self.settings.scope_versions
        )
        self.misbehaviours = Misbehaviours()
        self.seen: list[Seen] = []
        self.origin = f"http://{self.settings.name}.test"
        self.exports = Exports(self)
        self.files = FileHost(self)
        self._ids = 0
        self.app: Starlette = Rest(self).app()

    @property
    def base_url(self) -> str:
        """The FHIR base."""
        return f"{self.origin}/fhir"

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return f"{self.origin}/auth/token"

    def merge(self, old: str, survivor: str) -> int:
        """Merge a Patient into another, as a registrar does; return how many resources moved."""
        return events.merge(self, old, survivor)

    def unmerge(self, old: str, survivor: str) -> int:
        """Take a merge back; return how many resources moved back."""
        return events.unmerge(self, old, survivor)

    def new_id(self, type_: str) -> str:
        """Make the next logical id; the same run gives the same ids."""
        self._ids += 1
        return str(uuid5(NAMESPACE_URL, f"{self.settings.name}/{type_}/{self._ids}"))

    def load(self, *sources: bytes | Mapping[str, Any]) -> int:
        """Load Bundles of any type, or single resources, as if they had always been there; return how many resources.

        A resource keeps its id, and its `meta.lastUpdated` where it has one; references to a `fullUrl` become
        references to where the resource lies. The same `Type/id` again is its next version. A type that the version
        does not have is refused (`NotFhir`), and with it the whole bundle.
        """
        return sum(self._load(source) for source in sources)

    def load_file(self, path: Path) -> int:
        """Load a JSON file, or an NDJSON file of one resource a line."""
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise BadSettings(f"The file cannot be read: {error.strerror}.", detail=path) from error
        if path.suffix == ".ndjson":
            return self.load(*(line for line in raw.splitlines() if line.strip()))
        return self.load(raw)

    def _load(self, source: bytes | Mapping[str, Any]) -> int:
        try:
            document = wire.decode(source) if isinstance(source, bytes) else source
        except wire.NotJson as error:
            raise NotFhir("What should be loaded is not JSON.", detail=error) from error
        entries = list(_entries(document))
        for resource, _ in entries:
            if resource.get("resourceType") not in self.version.types:
                raise NotFhir(
                    f"What should be loaded has a resource type that a {self.version.name} server does not mount.",
                    hint="Load bundles of the server's own FHIR version.",
                    detail=resource.get("resourceType"),
                )
        placed = [(resource, self._place(resource), full_url) for resource, full_url in entries]
        where = {full_url: f"{resource['resourceType']}/{id_}" for resource, id_, full_url in placed if full_url}
        with self.store.atomic():
            for resource, id_, _ in placed:
                pointed = redirect(resource, lambda text: where.get(text, text))
                self.store.write(pointed, resource["resourceType"], id_, _last_updated(resource))
        return len(placed)

    def _place(self, resource: Mapping[str, Any]) -> str:
        id_ = resource.get("id")
        return id_ if isinstance(id_, str) and id_ else self.new_id(resource["resourceType"])


def _entries(document: Any) -> Iterable[tuple[dict[str, Any], str]]:
    if not isinstance(document, Mapping) or not isinstance(document.get("resourceType"), str):
        raise NotFhir("What should be loaded is not a FHIR resource.", hint="It has no resourceType.")
    if document["resourceType"] != "Bundle":
        return [(dict(document), "")]
    return _bundled(document)


def _bundled(bundle: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for entry in bundle.get("entry", []):
        resource = entry.get("resource")
        if isinstance(resource, Mapping) and entry.get("search", {}).get("mode") != "outcome":
            yield dict(resource), entry.get("fullUrl", "")


def _last_updated(resource: Mapping[str, Any]) -> datetime | None:
    told = resource.get("meta", {}).get("lastUpdated")
    try:
        return datetime.fromisoformat(told) if told else None
    except (TypeError, ValueError):
        return None


def _utc_now() -> datetime:
    return datetime.now(UTC)
