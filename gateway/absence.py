"""What is held of a source and was not listed any more: a suspicion, until the server is asked for each of them.

Only a list that is proven whole makes a suspect, or where no list is, the server's history of the type; only the
server's own word makes it gone. Many at once are a fault of the list, or of our rights, more often than deletions: then
nothing is asked, and a person is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from gateway.home import Home
from gateway.profiles import kept
from gateway.pull.absent import can_be_asked, grants_all, is_readable, look_for
from gateway.pull.connection import Connection
from gateway.pull.history import deleted_since, is_offered, question
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Asked, Certificate, Entry, Gone, Page
from gateway.retractions import holders_of
from gateway.sources import connect
from gateway.store import Pull, name_of
from gateway.store.holders import Holders
from gateway.suspects import Arrived, arrived_in, told_deleted, unlisted, why_not
from security.audit import fetch_event
from security.errors import NotFhir, Refused

__all__ = ["ask_for_absent"]

_MOST = 1_000  # suspects of one type that are asked for
_SHARE = 0.05  # of a list, as far as it is more than
_FEW = 25  # which are always asked for: one of two patients is half of a list
_AT_ONCE = 50  # on one landed page: a kill costs so many questions at most
_OVERLAP = timedelta(days=1)
_NAMED = 100  # resources that a certificate names

Progress = Callable[[str], None]


async def ask_for_absent(
    home: Home, pull: Pull, certificate: Certificate, progress: Progress, *, ask_all: bool = False
) -> Certificate:
    """Ask for what is held and was not listed, land the answers, and say in the certificate what they were.

    Call it behind the last page of a walk; killed in between, it goes on behind the last landed answer. `ask_all` is
    the word of a person who has looked why many are missing: each of them is asked for.
    """
    settings = home.settings.sources.get(pull.source)
    if settings is None or not settings.base_url:
        return certificate  # files say nothing by leaving something out
    certificate = msgspec.structs.replace(certificate, base=settings.base_url)
    holders = holders_of(home, pull.source)
    if not len(holders):
        return certificate
    whole, others = _lists(certificate)
    if why := why_not(home, pull.source, settings.base_url):
        certificate = msgspec.structs.replace(certificate, note=f"{certificate.note} {why}".strip())
        whole, others = {}, set()
    arrived = arrived_in(home, pull, holders)
    suspects = unlisted(home, pull.source, holders, whole)
    for name in told_deleted(home, pull.source, holders):
        suspects.setdefault(name.partition("/")[0], []).append(name)
    if suspects or others:
        async with connect(settings, kept(home.settings.home, pull.source), home=home, name=pull.source) as connection:
            connection.fhir_version = certificate.fhir_version
            if others:
                told, asked = await _history(home, pull, connection, holders, others)
                for type_, names in told.items():
                    suspects.setdefault(type_, []).extend(names)
                certificate = _with(certificate, *asked)
            for type_ in sorted(suspects):
                found, listed = sorted(set(suspects[type_])), whole.get(type_)
                if len(found) > _most(listed, len(found)) and not ask_all:
                    certificate = _with(
                        certificate, Asked(f"{type_}, not listed any more", len(found), 0, 0, "many-absent")
                    )
                elif listed and not await grants_all(connection, type_):
                    narrowed = msgspec.structs.replace(listed, signs=("narrowed-scope",))
                    certificate = _signed(certificate, listed, narrowed)
                else:
                    pull = await _ask(home, pull, connection, type_, found, arrived, progress)
    for type_ in sorted(arrived.doubted):
        certificate = _told(certificate, whole.get(type_), type_, arrived)
    return certificate


def _lists(certificate: Certificate) -> tuple[dict[str, Asked], set[str]]:
    """Return the lists that are whole, by type, and the types that were asked for of which nobody knows."""
    every = {asked.type or asked.of_all for asked in certificate.asked} - {""}
    whole = {asked.listed: asked for asked in certificate.asked if asked.listed and asked.verdict == "complete"}
    short = {asked.type or asked.of_all for asked in certificate.asked if asked.verdict != "complete"}
    narrowed = {asked.type or asked.of_all for asked in certificate.asked if "narrowed-scope" in asked.signs}
    others = every - (whole.keys() - short) - narrowed  # of a part of a type, its history says as little as its list
    return {type_: asked for type_, asked in whole.items() if type_ not in short}, others


def _most(listed: Asked | None, found: int) -> int:
    """Say how many suspects of a type are asked for; of what the server itself calls deleted, more than of others."""
    share = int(_SHARE * (listed.came + found)) if listed else _MOST
    return max(_FEW, min(_MOST, share))


async def _history(
    home: Home, pull: Pull, connection: Connection, holders: Holders, types: Iterable[str]
) -> tuple[dict[str, list[str]], list[Asked]]:
    """Ask what was deleted of the types whose lists prove nothing, where the server tells their history."""
    try:
        capability = await fetch_capability(connection)
    except (NotFhir, Refused):
        return {}, []
    suspects: dict[str, list[str]] = {}
    told: list[Asked] = []
    for type_ in sorted(types):
        if is_offered(capability, type_):
            found, asked = await deleted_since(connection, type_, _since(home, pull, question(type_)))
            told.append(asked)
            held = [name for name in found if holders.of(name_of(pull.source, name))]
            if new := sorted(name for name in held if not holders.is_marked(name_of(pull.source, name))):
                suspects[type_] = new
    return suspects, told


def _since(home: Home, pull: Pull, what: str) -> datetime:
    """Say from when on a history is asked: the start of the last pull that had walked it, or of the first; and a day.

    The day is for clocks that differ. What is told again does no harm.
    """
    done = [each for each in home.store.pulls(pull.source) if each.state == "done" and each.certificate]
    for each in done:
        if each.certificate and any(asked.what == what and not asked.stopped for asked in each.certificate.asked):
            return each.started - _OVERLAP
    return min((each.started for each in done), default=pull.started) - _OVERLAP


async def _ask(
    home: Home,
    pull: Pull,
    connection: Connection,
    type_: str,
    found: Sequence[str],
    arrived: Arrived,
    progress: Progress,
) -> Pull:
    peer, base = home.peer(pull.source), connection.base.url
    control = arrived.listed.get(type_) or next(iter(arrived.listed.values()), "")
    believes_404 = bool(control) and can_be_asked(control) and await is_readable(connection, control)
    for begin in range(0, len(found), _AT_ONCE):
        names = found[begin : begin + _AT_ONCE]
        entries: list[Entry] = []
        gone: list[Gone] = []
        for name in names:
            match await look_for(connection, name, believes_404=believes_404):
                case Gone() as answer:
                    gone.append(answer)
                    arrived.gone.add(name)
                case Entry() as answer:
                    entries.append(answer)
                    arrived.there.add(name)
        what = f"{type_}, {len(names)} that were not listed any more"
        progress(f"{pull.source}: {what}")
        page = Page(
            pull.pages + 1, what, tuple(entries), pull.cursor or "", type_, gone=tuple(gone), doubted=tuple(names)
        )
        asked = tuple(f"{base}/{name}" for name in ([control] if believes_404 and not begin else []) + list(names))
        home.store.land(pull, page, [fetch_event(home.access(peer=peer, what=asked))])
        pull = replace(pull, pages=pull.pages + 1)
        arrived.doubted[type_] += names
    return pull


def _told(certificate: Certificate, asked: Asked | None, type_: str, arrived: Arrived) -> Certificate:
    """Say what became of the suspects of a type, and that its list was not whole where some of them are there."""
    doubted, settled = arrived.doubted[type_], arrived.settled(type_)
    stopped = "unclear-absence"
    if settled == len(doubted):
        stopped = ""
    one_by_one = Asked(f"{type_}, asked for one by one", len(doubted), settled, 1, stopped)
    certificate = _with(certificate, one_by_one)
    there = tuple(name for name in doubted if name in arrived.there)
    if not there or asked is None:
        return certificate
    signs = (*asked.signs, "known-to-be-missing")
    return _signed(certificate, asked, msgspec.structs.replace(asked, signs=signs, missing=there[:_NAMED]))


def _with(certificate: Certificate, *asked: Asked) -> Certificate:
    return msgspec.structs.replace(certificate, asked=(*certificate.asked, *asked))


def _signed(certificate: Certificate, asked: Asked, instead: Asked) -> Certificate:
    every = tuple(instead if each is asked else each for each in certificate.asked)
    return msgspec.structs.replace(certificate, asked=every)
