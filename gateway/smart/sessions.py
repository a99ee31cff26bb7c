"""Browser sessions of people who logged in: a cookie that is worth nothing here, for it stands as a hash only.

A session ends after 30 minutes without a request and after 12 hours (NIST SP 800-63B-4, 2.2.3, allows longer), at
logout, and when the account is disabled, removed or changed. A fresh one is drawn at each login, so that one which
somebody else put into the browser before is worth nothing (session fixation).

The cookie is the browser's from the first page on, so that forms are bound to it before anybody has logged in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.home import Home
from gateway.smart.accounts import Accounts
from gateway.smart.values import Account

__all__ = ["IDLE", "LONGEST", "Browser", "Session", "Sessions", "is_online"]

KIND: Final = "session"
IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=12)
_NOTED: Final = timedelta(minutes=1)  # so often is it written down that a session is used
_COOKIE_BYTES: Final = 32
_COOKIE_LENGTH: Final = 43


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who logged in with a browser (kind "session", by the hash of the cookie; `until` is when it ends)."""

    user: str
    account: int
    method: str
    begun: datetime
    seen: datetime


@dataclass(frozen=True, slots=True)
class Browser:
    """The browser that a request comes from. `id` is the hash of its cookie, and the session's name in the register."""

    cookie: str
    id: str
    is_new: bool
    account: Account | None = None
    session: Session | None = None


class Sessions:
    """The sessions of a home whose pages are reached at `base`."""

    def __init__(self, home: Home, base: str) -> None:
        self._home, self._accounts = home, Accounts(home)
        self._secure = base.lower().startswith("https:")
        # A cookie of this prefix is taken only with Secure, for all paths and without Domain (RFC 6265bis 4.1.3.2).
        self.cookie = "__Host-fhirtwin-login" if self._secure else "fhirtwin-login"

    def browser(self, request: Request, now: datetime) -> Browser:
        """Say who the browser is, and who uses it, if anybody who may still be logged in."""
        told = request.cookies.get(self.cookie, "")
        if len(told) != _COOKIE_LENGTH or not told.isascii():
            fresh = secrets.token_urlsafe(_COOKIE_BYTES)
            return Browser(fresh, _hash(fresh), is_new=True)
        id_ = _hash(told)
        found = self._home.store.registered(KIND, id_, now)
        if found is None:
            return Browser(told, id_, is_new=False)
        session = msgspec.msgpack.decode(found.content, type=Session)
        account = self._accounts.get(session.user, now)
        if account is None or account.disabled or account.session != session.account or now >= session.seen + IDLE:
            self._home.store.strike(KIND, id_, now)
            return Browser(told, id_, is_new=False)
        if now - session.seen >= _NOTED:
            session = msgspec.structs.replace(session, seen=now)
            self._keep(id_, session, now, after=found.revision)
        return Browser(told, id_, is_new=False, account=account, session=session)

    def begin(self, account: Account, method: str, now: datetime) -> Browser:
        """Begin a session under a cookie that nobody had before."""
        cookie = secrets.token_urlsafe(_COOKIE_BYTES)
        id_ = _hash(cookie)
        session = Session(user=account.name, account=account.session, method=method, begun=now, seen=now)
        self._keep(id_, session, now)
        return Browser(cookie, id_, is_new=True, account=account, session=session)

    def end(self, browser: Browser, now: datetime) -> bool:
        """End a session; `False` where there was none."""
        return self._home.store.strike(KIND, browser.id, now)

    def give(self, response: Response, browser: Browser) -> None:
        """Hand the browser its cookie."""
        response.set_cookie(
            self.cookie, browser.cookie, path="/", secure=self._secure, httponly=True, samesite="lax"
        )  # lax: an app that sends the browser here, by a link, finds the person logged in; forms are guarded by tokens

    def forget(self, response: Response) -> None:
        """Take the cookie from the browser."""
        response.delete_cookie(self.cookie, path="/", secure=self._secure, httponly=True, samesite="lax")

    def form_token(self, browser: Browser, about: str) -> str:
        """Make the token that a form about something carries on a page for this browser."""
        return self._home.blind.of("smart form", f"{browser.cookie} {about}")

    def is_ours(self, browser: Browser, about: str, token: str) -> bool:
        """Say whether a form is from a page that this browser was shown."""
        return not browser.is_new and hmac.compare_digest(self.form_token(browser, about).encode(), token.encode())

    def _keep(self, id_: str, session: Session, now: datetime, *, after: int = 0) -> None:
        until = min(session.begun + LONGEST, session.seen + IDLE)
        self._home.store.register(KIND, id_, msgspec.msgpack.encode(session), now, after=after, until=until)


def is_online(home: Home, id_: str, now: datetime) -> bool:
    """Say whether a session still is: until then `online_access` holds (A11)."""
    found = home.store.registered(KIND, id_, now)
    if found is None:
        return False
    session = msgspec.msgpack.decode(found.content, type=Session)
    account = Accounts(home).get(session.user, now)
    return account is not None and not account.disabled and account.session == session.account


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
