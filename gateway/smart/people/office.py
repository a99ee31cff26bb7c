"""What the pages of one installation share, and one request of a browser as they see it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote, urlsplit

import jinja2
import msgspec
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.home import Home
from gateway.smart.accounts import Accounts
from gateway.smart.approval import find_pending
from gateway.smart.attempts import Attempts
from gateway.smart.launches import is_for
from gateway.smart.people.forms import Form
from gateway.smart.people.patients import Patients, ViewOf
from gateway.smart.registration import Clients
from gateway.smart.sessions import Browser, Sessions
from gateway.smart.values import Account, Client, Pending
from security.audit import Access, System, plain_name
from security.passkeys import Party

__all__ = ["SAFE", "Halt", "Office", "Visit"]

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'none'; "
    "form-action {forms}; frame-ancestors 'none'; base-uri 'none'"
)
SAFE: Final = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Content-Security-Policy": _POLICY.format(forms="'self'"),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_CHALLENGE_SECONDS: Final = 300
_FORMS: Final = ("login", "logout", "deny", "pick", "consent", "launch", "end", "passkey")


class Halt(Exception):
    """The request goes no further: a page says why."""

    def __init__(self, status: int, title: str, *sentences: str) -> None:
        super().__init__(title)
        self.status, self.title, self.sentences = status, title, sentences


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser. `request_id` is that of the authorization request that it is about, "" for none."""

    browser: Browser
    address: str
    now: datetime
    form: Form = field(default_factory=Form)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def request_id(self) -> str:
        """The authorization request that the form or the address names."""
        return self.form.one("request") or self.query.get("request", "")


class Office:
    """The pages of one home at `base`, the URL of the FHIR API; they are beside it, under /auth."""

    def __init__(self, home: Home, base: str, view_of: ViewOf) -> None:
        self.home, self.base = home, base.rstrip("/")
        self.sessions, self.accounts, self.clients = Sessions(home, base), Accounts(home), Clients(home)
        self.patients = Patients(home, view_of)
        self.attempts = Attempts(home.store, "password")
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("gateway.smart.people"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @cached_property
    def party(self) -> Party | None:
        """For whom passkeys are made; `None` where we are reached by a number, to which none can be bound."""
        parts = urlsplit(self.base)
        host = parts.hostname or ""
        try:
            ip_address(host)
        except ValueError:
            return Party(host, f"{parts.scheme}://{parts.netloc}")
        return None

    def access(self, visit: Visit, account: Account | None, **what: Any) -> Access:
        """Begin the audit record of what somebody does with a browser."""
        actor = plain_name(f"user:{account.name}") if account else "nobody"
        begun = self.home.access(peer=System("browser", plain_name(visit.address or "unknown")))
        return replace(begun, when=visit.now, actor=actor, **what)

    def page(self, visit: Visit, template: str, title: str, status: int = 200, **shown: Any) -> HTMLResponse:
        """Make a page; a browser that was not here before gets its cookie with it."""
        onward = shown.pop("leads_to", ())
        tokens = {name: self.sessions.form_token(visit.browser, name) for name in _FORMS}
        values = {"account": None, "request_id": "", "told": "", "passkeys": False, **shown}
        text = self._templates.get_template(template).render(title=title, tokens=tokens, **values)
        headers = {**SAFE, "Content-Security-Policy": _POLICY.format(forms=_forms(onward))} if onward else SAFE
        response = HTMLResponse(text, status, headers)
        if visit.browser.is_new:
            self.sessions.give(response, visit.browser)
        return response

    def go(self, place: str, **named: str) -> Response:
        """Send the browser on to another page of ours."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in named.items() if value)
        return RedirectResponse(f"{place}?{query}" if query else place, 303, SAFE)

    def leave(self, url: str) -> Response:
        """Send the browser back to an app, at an address that was registered."""
        return Response(None, 303, {**SAFE, "Location": url})

    def demand_ours(self, visit: Visit, about: str) -> None:
        """Refuse a form that is not from a page that this browser was shown (CSRF)."""
        if not self.sessions.is_ours(visit.browser, about, visit.form.one("token")):
            raise Halt(403, "This form is too old", "Go back, load the page again, and send it once more.")

    def demand_account(self, visit: Visit) -> Account:
        """Return who is signed in."""
        if visit.browser.account is None:
            raise Halt(
                403, "You are signed out", "Sign in again. If an app sent you here, go back to it and start anew."
            )
        return visit.browser.account

    def pending(self, visit: Visit) -> tuple[Pending, Client] | None:
        """Return the authorization request that a page is about, with its client; `None` where it is about none."""
        id_ = visit.request_id
        if not id_:
            return None
        pending = find_pending(self.home, id_, visit.now) if len(id_) <= 200 else None
        client = self.clients.get(pending.client, visit.now) if pending else None
        if pending is None or client is None or client.disabled:
            raise Halt(
                400, "This request has ended", "It was answered already, or it waited too long. Start again in the app."
            )
        if pending.session not in ("", visit.browser.id):
            raise Halt(403, "This request is another browser's", "Start again in the app, in this browser.")
        return pending, client

    def demand_bound(self, visit: Visit) -> tuple[Pending, Client, Account]:
        """Return the request, its client and who decides about it: the session that it was bound to at sign-in."""
        account = self.demand_account(visit)
        found = self.pending(visit)
        if found is None or found[0].session != visit.browser.id:
            raise Halt(400, "This request has ended", "Start again in the app.")
        return *found, account

    def bind(self, pending: Pending, client: Client, browser: Browser, now: datetime) -> Pending:
        """Bind a request to the session of who has signed in: nobody else goes on with it."""
        account = browser.account
        if account is None:
            raise ValueError("a request is bound to who is signed in")
        if client.tenant != account.tenant:
            raise Halt(403, "This app is not for you", "It is registered for another organisation than your account.")
        if not is_for(pending, browser.id, account.name):
            raise Halt(403, "This app was opened by somebody else", "Open it again where you are signed in.")
        return self.keep(pending, now, session=browser.id, user=account.name)

    def keep(self, pending: Pending, now: datetime, **changes: Any) -> Pending:
        """Replace a request by a changed one, within its time."""
        found = self.home.store.registered("pending", pending.id, now)
        after = msgspec.structs.replace(pending, **changes)
        content = msgspec.msgpack.encode(after)
        if found is None or not self.home.store.register(
            "pending", pending.id, content, now, after=found.revision, until=found.until
        ):
            raise Halt(400, "This request has ended", "Start again in the app.")
        return after

    def challenge(self, browser: Browser, now: datetime) -> bytes:
        """Draw what a passkey has to sign: for this browser, for five minutes, without anything being kept."""
        when = str(int(now.timestamp()))
        return f"{when}.{self.home.blind.of('passkey challenge', f'{browser.cookie} {when}')}".encode()

    def use_challenge(self, browser: Browser, told: bytes, now: datetime) -> bool:
        """Say whether a challenge is one that this browser was given, and was not used yet; it is used up."""
        when = told.partition(b".")[0].decode("ascii", "replace")
        if not (when.isascii() and when.isdigit() and len(when) < 12):
            return False
        begun = datetime.fromtimestamp(int(when), now.tzinfo)
        is_ours = hmac.compare_digest(told, self.challenge(browser, begun))
        is_fresh = timedelta(0) <= now - begun + timedelta(seconds=1) <= timedelta(seconds=_CHALLENGE_SECONDS)
        until = begun + timedelta(seconds=2 * _CHALLENGE_SECONDS)
        used = self.home.store.register
        return is_ours and is_fresh and used("challenge", told.decode("ascii"), b"", now, until=until)


def _forms(onward: Sequence[str]) -> str:
    """Say where a form may lead: browsers ask that of the redirects behind it, too, and an app may redirect further.

    So https is open on the pages that end at an app; where a password is typed, only the app's own origin is.
    """
    return " ".join(dict.fromkeys(("'self'", *onward)))
