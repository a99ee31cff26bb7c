"""What the Consents in a chart let its readers have (`gateway.api.view.Consenting`), at the speed of a page.

A chart is of a version, so its Consents are compiled once, and each decision is kept for who asked, for that version
and for the span of time in which no period of theirs begins or ends. A Consent that is withdrawn makes another version
of the chart: what was kept of the one before is never asked again. So is a change in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from gateway.api.shown import Chart, Charts, Gone, Shown
from gateway.serve_settings import ServeSettings
from security.audit import Access, consent_event
from security.consent import Asker, Deed, Directive, Directives, Item, Verdict, Without
from security.consent.directive import NOT_IN_FORCE
from security.consent.directives import MADE_FROM
from security.policy import Action, Caller, Resource
from security.purposes import TREATMENT

__all__ = ["Consents", "Doubting", "Hearing", "Rules"]

_FREE: Final = Verdict(True, "of-nobody")
_BY_DEFAULT: Final = Verdict(True, "no-consent-treatment")
_SHOWN: Final = Verdict(True, "consent-shown")
_KEPT: Final = Verdict(True, "consent-kept")
_NOT_THEIRS: Final = Verdict(False, "consent-not-theirs")
_UNNAMED: Final = "not-shown"
_NOT_SHOWN: Final = "it is not shown as it came: twin shown says why"
_MOST_CHARTS: Final = 4_096
_MOST_TABLES: Final = 256


@runtime_checkable
class Doubting(Protocol):
    """A chart that knows of resources that it does not show, or not as they came."""

    def doubtful(self, type_: str) -> Sequence[str]:
        """Name what is there of a type and is not shown as it came: a Consent of which a part was left out, say."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator said about consents (`[serve]` of twin.toml)."""

    without: Without = "treatment"
    zone: tzinfo = UTC
    organization: str = ""
    organizations: Mapping[str, str] | None = None

    @classmethod
    def of(cls, told: ServeSettings) -> Rules:
        """Read them from the settings."""
        zone = UTC if told.consent_zone == "UTC" else ZoneInfo(told.consent_zone)
        return cls(told.without_consent, zone, told.organization, told.client_organizations)

    def organization_of(self, client: str) -> str:
        """Name the Organization that who uses a client works for; "" where nobody has said."""
        return (self.organizations or {}).get(client, self.organization)


class Consents:
    """Decides for all requests of one process. Several threads may ask."""

    def __init__(self, charts: Charts, rules: Rules) -> None:
        self._charts, self.rules = charts, rules
        self._read: dict[tuple[str, str], Directives] = {}
        self._tables: dict[tuple[object, ...], _Table] = {}
        self._last: tuple[Caller, Chart, datetime, _Table] | None = None

    def permits(self, caller: Caller, action: Action, chart: Chart, shown: Shown | Gone, now: datetime) -> bool:
        """Say whether the patient's consents let a caller have a resource of a chart. Fails closed."""
        return self.verdict(caller, action, chart, shown, now).permit

    def permits_write(
        self, caller: Caller, action: Action, chart: Chart, type_: str, resource: Resource, now: datetime
    ) -> bool:
        """Say whether they let a caller write one into it."""
        return self.verdict_on_write(caller, action, chart, type_, resource, now).permit

    def during(self) -> Hearing:
        """Begin to note what is decided in one request: the door gives it to the request's `View`."""
        return Hearing(self)

    def verdict(self, caller: Caller, deed: Deed, chart: Chart, shown: Shown | Gone, now: datetime) -> Verdict:
        """Decide, with the rule and the consents by which."""
        if not chart.twin:
            return _FREE
        table = self._table(caller, chart, now)
        if table.is_easy and isinstance(shown, Shown) and _is_plain(shown):
            return _BY_DEFAULT
        key = deed, shown.type, shown.id, shown.version
        found = table.verdicts.get(key)
        if found is None:
            found = table.verdicts[key] = self._decide(caller, deed, chart, table, shown, now)
        return found

    def verdict_on_write(
        self, caller: Caller, deed: Deed, chart: Chart, type_: str, resource: Resource, now: datetime
    ) -> Verdict:
        """Decide about a resource that is to be written."""
        if not chart.twin:
            return _FREE
        table = self._table(caller, chart, now)
        if type_ == "Consent":
            if _keeps_consents(caller):
                return _KEPT
            if table.asker.glass or (deed != "c" and table.asker.twin != chart.twin and table.directives.keeps_out):
                return _NOT_THEIRS  # else whom it keeps out could withdraw it
        item = Item(type_, str(resource.get("id", "")), resource, _look(chart))
        return table.directives.decide(table.asker, deed, item, now)

    def directives(self, chart: Chart) -> Directives:
        """Compile the Consents of a chart, or return what was compiled of it."""
        key = chart.twin, chart.version
        found = self._read.get(key)
        if found is None:
            bodies = [shown.body for shown in chart.of_type("Consent")]
            read = Directives.read(chart.twin, bodies, self.rules.without, self.rules.zone)
            found = Directives(chart.twin, (*read.all, *_doubtful(chart)), self.rules.without)
            if len(self._read) >= _MOST_CHARTS:
                self._read.clear()
            self._read[key] = found
        return found

    def asker(self, caller: Caller, chart: Chart) -> Asker:
        """Say who a caller is, in the words in which this chart's Consents may name them."""
        if self.directives(chart).is_silent:
            return Asker.of(caller)
        shared = self._charts.shared(caller.tenant)
        references, identifiers = _known_as(caller.fhir_user, shared) if caller.fhir_user else (set(), set())
        employer, names = _organization(self.rules.organization_of(caller.client), shared)
        references |= {team.reference for team in chart.of_type("CareTeam") if _members(team.body) & references}
        return Asker.of(
            caller,
            references=references | employer,
            identifiers=identifiers | names,
            knows_organization=bool(employer),
        )

    def _table(self, caller: Caller, chart: Chart, now: datetime) -> _Table:
        last = self._last
        if last is not None and last[0] is caller and last[1] is chart and last[2] is now:
            return last[3]
        directives = self.directives(chart)
        shared = "" if directives.is_silent else self._charts.shared(caller.tenant).version
        who = caller.tenant, caller.client, caller.user, caller.fhir_user, caller.roles, caller.purpose, caller.glass
        key = *who, chart.twin, chart.version, shared, directives.epoch(now)
        table = self._tables.get(key)
        if table is None:
            table = _Table(directives, self.asker(caller, chart))
            while len(self._tables) >= _MOST_TABLES:  # the oldest goes
                self._tables.pop(next(iter(self._tables), key), None)
            self._tables[key] = table
        self._last = caller, chart, now, table
        return table

    def _decide(
        self, caller: Caller, deed: Deed, chart: Chart, table: _Table, shown: Shown | Gone, now: datetime
    ) -> Verdict:
        if shown.type == "Consent" and deed in ("r", "s") and _shows_consents(caller):
            return _SHOWN
        body = shown.body if isinstance(shown, Shown) else _last_body(chart, shown)
        return table.directives.decide(table.asker, deed, Item(shown.type, shown.id, body, _look(chart)), now)


class _Table:
    """What was decided for one caller about one version of a chart, in one span of time."""

    __slots__ = ("asker", "directives", "is_easy", "verdicts")

    def __init__(self, directives: Directives, asker: Asker) -> None:
        self.directives, self.asker = directives, asker
        self.verdicts: dict[tuple[str, str, str, int], Verdict] = {}
        plain = not asker.glass and not asker.twin and asker.purpose in TREATMENT
        self.is_easy = plain and directives.is_silent and directives.without == "treatment"


class Hearing:
    """What consents decided during one request, for its answer and for the audit (BALP AuthZconsent; I3)."""

    def __init__(self, consents: Consents) -> None:
        self._consents = consents
        self._said: dict[tuple[str, bool, str], dict[str, None]] = {}

    def permits(self, caller: Caller, action: Action, chart: Chart, shown: Shown | Gone, now: datetime) -> bool:
        """Decide as `Consents.permits`, and note which consents did."""
        return self._note(chart.twin, self._consents.verdict(caller, action, chart, shown, now))

    def permits_write(
        self, caller: Caller, action: Action, chart: Chart, type_: str, resource: Resource, now: datetime
    ) -> bool:
        """Decide as `Consents.permits_write`, and note which consents did."""
        return self._note(chart.twin, self._consents.verdict_on_write(caller, action, chart, type_, resource, now))

    def _note(self, twin: str, verdict: Verdict) -> bool:
        if verdict.consents:
            rule = "" if verdict.permit else verdict.rule
            self._said.setdefault((twin, verdict.permit, rule), {}).update(dict.fromkeys(verdict.consents))
        return verdict.permit

    def events(self, access: Callable[..., Access], organization: str = "") -> list[dict[str, Any]]:
        """Make the events of what consents decided so far: one for each twin that they let in, one that they kept out.

        `access` begins them (`Call.access`). What no consent decided is told by the event of what was asked.
        """
        return [*self._events(access, organization or self._consents.rules.organization or "fhirtwin")]

    def _events(self, access: Callable[..., Access], organization: str) -> Iterator[dict[str, Any]]:
        for (twin, permit, rule), consents in self._said.items():
            ended = access(patient=twin) if permit else access(patient=twin, outcome="8", reason=rule)
            yield consent_event(ended, consents=tuple(consents), organization=organization)


def _is_plain(shown: Shown) -> bool:
    """Say whether a resource has no label, and is made of no others: for treatment it needs no consent."""
    body = shown.body
    if "security" in (body.get("meta") or ()):
        return False
    return not any(key in body for key in MADE_FROM.get(shown.type, ()))


def _look(chart: Chart) -> Callable[[str], Mapping[str, Any] | None]:
    def look(reference: str) -> Mapping[str, Any] | None:
        type_, _, id_ = reference.partition("/")
        found = chart.get(type_, id_)
        return found.body if isinstance(found, Shown) else _last_body(chart, found) if found else None

    return look


def _last_body(chart: Chart, gone: Gone) -> Mapping[str, Any] | None:
    """Return what a resource was before its end: that says how sensitive the end of it is."""
    return next((each.body for each in chart.versions(gone.type, gone.id) if isinstance(each, Shown)), None)


def _shows_consents(caller: Caller) -> bool:
    """Say whether somebody has to see Consents whatever they say: who checks that they are kept to, and who keeps them.

    Their roles let them see no other part of a record (`security/tables/roles.toml`).
    """
    return bool(caller.roles & {"auditor", "admin"})


def _keeps_consents(caller: Caller) -> bool:
    """Say whether somebody may record a patient's Consents though those allow them nothing."""
    return "admin" in caller.roles


def _doubtful(chart: Chart) -> Iterator[Directive]:
    """Stand for Consents that are there and are not shown as they came: one that is not understood denies.

    Where it can be seen that it is not in force, it is not.
    """
    for id_ in chart.doubtful("Consent") if isinstance(chart, Doubting) else ():
        shown = chart.get("Consent", id_)
        if not isinstance(shown, Shown) or shown.body.get("status") not in NOT_IN_FORCE:
            yield Directive(f"Consent/{id_ or _UNNAMED}", "", "unknown", "none", None, problems=(_NOT_SHOWN,))


def _known_as(person: str, shared: Chart) -> tuple[set[str], set[str]]:
    """Find all Practitioners that are one by an identifier, their roles and Organizations, and their identifiers."""
    references, identifiers = {person}, set[str]()
    type_, _, id_ = person.partition("/")
    own = shared.get(type_, id_)
    if isinstance(own, Shown):
        identifiers |= _identifiers(own.body)
        for other in shared.of_type(type_):
            if identifiers & _identifiers(other.body):
                references.add(other.reference)
    for role in shared.of_type("PractitionerRole"):
        if _target(role.body.get("practitioner")) in references:
            references |= {role.reference, _target(role.body.get("organization"))} - {""}
    return references, identifiers


def _organization(told: str, shared: Chart) -> tuple[set[str], set[str]]:
    """Find an Organization by our id or by an identifier: all that are one by an identifier, and their identifiers.

    Nothing where it is told by an identifier that none has: then nobody knows whether a Consent means it.
    """
    names = {told} if "|" in told else set()
    own = shared.get("Organization", told.partition("/")[2]) if told.startswith("Organization/") else None
    if isinstance(own, Shown):
        names |= _identifiers(own.body)
    found = {each.reference for each in shared.of_type("Organization") if names & _identifiers(each.body)}
    return (found | {told} if told.startswith("Organization/") else found), names


def _members(team: Mapping[str, Any]) -> set[str]:
    told = team.get("participant")
    found = (
        {_target(each.get("member")) for each in told if isinstance(each, Mapping)} if isinstance(told, list) else set()
    )
    return found - {""}


def _target(told: Any) -> str:
    reference = told.get("reference") if isinstance(told, Mapping) else ""
    return reference if isinstance(reference, str) else ""


def _identifiers(body: Mapping[str, Any]) -> set[str]:
    told = body.get("identifier")
    pairs = (
        [(e.get("system"), e.get("value")) for e in told if isinstance(e, Mapping)] if isinstance(told, list) else []
    )
    return {f"{system}|{value}" for system, value in pairs if system and value}
