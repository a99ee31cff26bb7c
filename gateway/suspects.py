"""Who is suspected to be gone from a source: held here, and not in what came, or told to be deleted.

A suspicion is no more than a reason to ask (`gateway.absence`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from gateway.home import Home
from gateway.pull.absent import can_be_asked
from gateway.pull.bundle import head_of
from gateway.pull.page import Page
from gateway.store import Pull, name_of
from gateway.store.holders import Holders

__all__ = ["Arrived", "arrived_in", "told_deleted", "unlisted", "why_not"]


@dataclass
class Arrived:
    """What the landed pages say: who came, what was doubted and what became of it, and one listed name a type."""

    listed: dict[str, str] = field(default_factory=dict)
    doubted: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    there: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def settled(self, type_: str) -> int:
        """Count the suspects of a type of which we know whether they are gone."""
        return sum(name in self.there or name in self.gone for name in self.doubted[type_])


def arrived_in(home: Home, pull: Pull, holders: Holders) -> Arrived:
    """Read from the landed pages what came, and what was asked for already."""
    arrived = Arrived()
    for page in home.store.landed_pages(pull):
        for name in _names(page):
            holders.mark(name_of(pull.source, name))
            arrived.listed.setdefault(name.partition("/")[0], name)
            if name in page.doubted:
                arrived.there.add(name)
        for name in page.doubted:
            holders.mark(name_of(pull.source, name))
            arrived.doubted[name.partition("/")[0]].append(name)
        arrived.gone.update(gone.resource for gone in page.gone)
    return arrived


def unlisted(home: Home, source: str, holders: Holders, whole: Collection[str]) -> dict[str, list[str]]:
    """Find what is held, of a type whose list is whole, and neither came nor was asked for already."""
    suspects: dict[str, set[str]] = defaultdict(set)
    for owner, names in holders.unmarked() if whole else ():
        for resource in home.store.held_by_name(owner, source, names):
            type_ = resource.key.partition("/")[0]
            if type_ in whole and can_be_asked(resource.key):
                suspects[type_].add(resource.key)
    return {type_: sorted(found) for type_, found in suspects.items()}


def told_deleted(home: Home, source: str, holders: Holders) -> Iterator[str]:
    """List what a stream said was deleted, where it is held and did not come."""
    if home.store.lane(source) is None:
        return
    for resource in home.store.unlinked(source):
        if any(refusal.reason == "deleted" for refusal in resource.refusals):
            name = resource.key.removeprefix("@deletion of ").partition(",")[0].split("/_history/", 1)[0]
            name = "/".join(name.split("/")[-2:])
            hashed = name_of(source, name)
            if can_be_asked(name) and holders.of(hashed) and not holders.is_marked(hashed):
                yield name


def why_not(home: Home, source: str, base: str) -> str:
    """Say why nothing may be concluded from what a source does not list; "" where it may."""
    bases = {pull.certificate.base for pull in home.store.pulls(source) if pull.certificate}
    if bases - {"", base}:
        return "This source had another url before: what is not listed any more is not taken back."
    streams = home.settings.streams.items()
    own = [stream.kind == "subscription" for name, stream in streams if (stream.source or name) == source]
    if home.store.lane(source) is not None and not (own and all(own)):
        return "Others send to this source by themselves: what is not listed any more is not taken back."
    return ""


def _names(page: Page) -> Iterator[str]:
    for entry in page.entries:
        head = head_of(entry.raw)
        if head is not None and head.id:
            yield f"{head.resourceType}/{head.id}"
