"""Who may agree to a proposal: the first rule of [approval] that fits it, and what somebody is who would agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec

from gateway.approval_settings import ApprovalRule, ApprovalSettings, Kind
from gateway.home import Home
from gateway.smart.accounts import Accounts
from gateway.store import Delivery
from mappers.outbound.names import HYPOTHETICAL_TAG
from security.audit import plain_name
from security.errors import Denied
from security.policy import Role
from security.roles import rights_of

__all__ = ["Person", "Policy", "as_now", "at_the_terminal", "kind_of", "policy_for", "policy_of", "with_account"]

_TERMINAL: Final = "os-user:"
_ACCOUNT: Final = "user:"
_BY_ITSELF: Final[tuple[Kind, ...]] = ("warning", "change")  # agreed to by who asked for them: [warnings], [approval]
_WARNS: Final = frozenset({"DetectedIssue", "Flag", "Communication"})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who would agree, or has.

    Parameters
    ----------
    who
        As the audit names them: "os-user:anna" at the terminal, "user:ana" with an account.
    name
        The name of that account, as settings have it.
    roles
        What they are now.
    client
        The app with which they do it, "" at the terminal.
    """

    who: str
    name: str
    roles: frozenset[Role] = frozenset()
    client: str = ""

    @property
    def works_here(self) -> bool:
        """Whether they may write to records at all: who holds the keys at the terminal, or has a role that may."""
        return self.who.startswith(_TERMINAL) or ("c", "Observation") in rights_of(self.roles).of_twins


@dataclass(frozen=True, slots=True)
class Policy:
    """Who has to agree to one proposal; `rule` is the number of the rule in twin.toml, 0 where none fits it."""

    by: Literal["automatic", "role", "person"]
    rule: int = 0
    roles: tuple[Role, ...] = ()
    people: tuple[str, ...] = ()

    def lets(self, person: Person) -> str:
        """Say how somebody may agree ("role:clinician", "person"), "" where they may not.

        What is agreed to by itself, anybody who works here may agree to as well: it was proposed under another policy.
        """
        if self.by == "role":
            return next((f"role:{role}" for role in self.roles if role in person.roles), "")
        may = person.name in self.people if self.people else person.works_here
        return "person" if may else ""

    @property
    def said(self) -> str:
        """Say in a few words who has to agree."""
        match self.by:
            case "automatic":
                return "nobody has to"
            case "role":
                return f"somebody who is {' or '.join(self.roles)}"
            case _:
                return " or ".join(self.people) if self.people else "any person who works here"


def policy_for(settings: ApprovalSettings, kind: Kind, model: str, source: str) -> Policy:
    """Choose the first rule that fits; without one a warning and a change need nobody, and all else needs a person."""
    for number, rule in enumerate(settings.rules, 1):
        if _fits(rule, kind, model, source):
            return Policy(rule.by, number, rule.roles, rule.people)
    return Policy("automatic" if kind in _BY_ITSELF else "person")


def policy_of(home: Home, delivery: Delivery) -> Policy:
    """Say, by the settings as they are now, who has to agree to something in the outbox."""
    model = delivery.model or home.store.run(delivery.run).model
    return policy_for(home.settings.approval, kind_of(delivery), model, delivery.source)


def kind_of(delivery: Delivery) -> Kind:
    """Say what a delivery tells; of one that was proposed before kinds were kept, by its resources."""
    if delivery.kind != "result":
        kind: Kind = msgspec.convert(delivery.kind, Kind)
        return kind
    resources = [entry.resource for entry in msgspec.json.decode(delivery.bundle, type=_Bundle).entry]
    types = {each.resourceType for each in resources}
    if types & _WARNS:
        return "warning"
    if any(tag == HYPOTHETICAL_TAG for each in resources for tag in each.meta.tag):
        return "plan"
    return "risk" if "RiskAssessment" in types else "observation"


def at_the_terminal(home: Home, who: str = "") -> Person:
    """Say who sits at the terminal, or sat there, with the roles that twin.toml gives to that account now."""
    actor = who or home.actor
    name, given = actor.removeprefix(_TERMINAL), home.settings.approval.roles
    return Person(actor, name, frozenset(role for role, names in given.items() if name in names))


def with_account(
    home: Home, name: str, source: str, now: datetime, *, client: str = "", since: datetime | None = None
) -> Person:
    """Say who has an account, with their roles as they are now.

    Raises `Denied` where there is no such account, it is disabled, it is younger than `since` (somebody else has the
    name now), or it is of another tenant than the patients of a source.
    """
    account = Accounts(home).get(name, now)
    if account is None or account.disabled or (since is not None and account.created > since):
        raise Denied("This account may not agree to anything: it is not there, or it is disabled.")
    known = home.settings.sources.get(source)
    if known is None or account.tenant != known.tenant:
        raise Denied("This account is of another tenant than the patients of that source.")
    return Person(plain_name(f"{_ACCOUNT}{account.name}"), account.name, frozenset(account.roles), client)


def as_now(home: Home, who: str, source: str, now: datetime, since: datetime) -> Person:
    """Say what somebody is now who agreed then. Raises `Denied` as `with_account` does."""
    if who.startswith(_TERMINAL):
        return at_the_terminal(home, who)
    return with_account(home, who.removeprefix(_ACCOUNT), source, now, since=since)


class _Meta(msgspec.Struct):
    tag: list[dict[str, object]] = []


class _Resource(msgspec.Struct):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _Entry(msgspec.Struct):
    resource: _Resource = msgspec.field(default_factory=_Resource)


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []


def _fits(rule: ApprovalRule, kind: Kind, model: str, source: str) -> bool:
    return (
        (not rule.kinds or kind in rule.kinds)
        and (not rule.models or model in rule.models)
        and (not rule.sources or source in rule.sources)
    )
