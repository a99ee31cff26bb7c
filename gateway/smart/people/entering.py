"""Signing in and out: by password or passkey, with the same words for whatever is wrong."""

from __future__ import annotations

import json
import threading
from base64 import urlsafe_b64decode
from typing import Final

import msgspec
from starlette.responses import Response

from gateway.smart.people.office import Office, Visit
from gateway.smart.people.steps import next_step
from gateway.smart.registration import web_origin
from gateway.smart.values import Account, Passkey
from security.audit import login_event, logout_event
from security.passkeys import request_options, shown_id, used_passkey
from security.passwords import verify_password

__all__ = ["Entering", "challenge_in"]

_WRONG: Final = "User name and password do not fit."
_WRONG_KEY: Final = "The passkey was not accepted."
_AT_ONCE: Final = threading.BoundedSemaphore(4)  # each takes 64 MiB while it runs


class Entering:
    """The pages /auth/login and /auth/logout."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def show(self, visit: Visit) -> Response:
        """Ask who is there, unless that is known."""
        office = self._office
        found = office.pending(visit)
        if visit.browser.account is None or (found is not None and found[0].fresh and not found[0].session):
            return self._form(visit)
        if found is None:
            return office.go("manage")
        pending, client = found
        return next_step(office, office.bind(pending, client, visit.browser, visit.now))

    def enter(self, visit: Visit) -> Response:
        """Sign somebody in by their password."""
        office = self._office
        office.demand_ours(visit, "login")
        office.pending(visit)
        name, password = visit.form.one("name")[:128], visit.form.one("password")
        account = office.accounts.get(name, visit.now)
        if wait := office.attempts.begin(name, visit.address, visit.now):
            return self._wait(visit, account, wait)
        with _AT_ONCE:
            fits = verify_password(password, account.password if account else "")
        if account is None or not fits or account.disabled:
            return self._refused(visit, account, "password", _WRONG, name)
        office.accounts.renew_hash(account, password, visit.now)
        account = office.accounts.get(name, visit.now) or account
        return self._entered(visit, account, "password")

    def enter_by_passkey(self, visit: Visit) -> Response:
        """Sign somebody in by a passkey, which says whose it is."""
        office, now = self._office, visit.now
        office.demand_ours(visit, "login")
        office.pending(visit)
        if wait := office.attempts.begin("", visit.address, now):
            return self._wait(visit, None, wait)
        credential = visit.form.one("credential")
        id_, challenge = shown_id(credential), challenge_in(credential)
        owner = next((each for each in office.accounts.all(now) if any(key.id == id_ for key in each.passkeys)), None)
        known = next((key for key in owner.passkeys if key.id == id_), None) if owner else None
        if office.party is None or owner is None or known is None or owner.disabled:
            return self._refused(visit, owner, "passkey", _WRONG_KEY)
        count = (
            used_passkey(office.party, challenge, credential, known.public_key, known.count)
            if office.use_challenge(visit.browser, challenge, now)
            else None
        )
        if count is None:
            return self._refused(visit, owner, "passkey", _WRONG_KEY)
        account = office.accounts.change(owner.name, lambda found: _counted(found, id_, count), now)
        return self._entered(visit, account, "passkey")

    def leave(self, visit: Visit) -> Response:
        """Sign out. A request that waited for this person waits for the next one."""
        office, browser = self._office, visit.browser
        office.demand_ours(visit, "logout")
        found = office.pending(visit)
        if browser.account is not None and office.sessions.end(browser, visit.now):
            method = browser.session.method if browser.session else "password"
            office.home.store.append_audit([logout_event(office.access(visit, browser.account), method=method)])
        if found is not None:
            office.keep(found[0], visit.now, session="", user="", launch=_unpicked(found[0].launch))
        response = office.go("login", request=visit.request_id)
        office.sessions.forget(response)
        return response

    def _entered(self, visit: Visit, account: Account, method: str) -> Response:
        office = self._office
        found = office.pending(visit)
        if found is not None and found[0].session:
            found = office.keep(found[0], visit.now, session="", user=""), found[1]
        office.home.store.append_audit([login_event(office.access(visit, account), method=method)])
        office.attempts.succeeded(account.name, visit.address, visit.now)
        if visit.browser.session is not None:
            office.sessions.end(visit.browser, visit.now)
        browser = office.sessions.begin(account, method, visit.now)
        bound = office.bind(*found, browser, visit.now) if found else None
        response = next_step(office, bound) if bound else office.go("manage")
        office.sessions.give(response, browser)
        return response

    def _refused(self, visit: Visit, account: Account | None, method: str, told: str, typed: str = "") -> Response:
        access = self._office.access(visit, account, outcome="8", reason="not-authenticated")
        self._office.home.store.append_audit([login_event(access, method=method)])
        return self._form(visit, told, 401, typed)

    def _wait(self, visit: Visit, account: Account | None, seconds: int) -> Response:
        access = self._office.access(visit, account, outcome="4", reason="too-many-attempts")
        self._office.home.store.append_audit([login_event(access, method="password")])
        minutes = -(-seconds // 60)
        wait = f"{seconds} seconds" if seconds < 60 else f"{minutes} minute{'' if minutes == 1 else 's'}"
        response = self._form(visit, f"Too many attempts. Try again in {wait}.", 429)
        response.headers["Retry-After"] = str(seconds)
        return response

    def _form(self, visit: Visit, told: str = "", status: int = 200, typed: str = "") -> Response:
        office = self._office
        found = office.pending(visit)
        party = office.party
        return office.page(
            visit,
            "login.html",
            "Sign in",
            status,
            told=told,
            typed=typed,
            client=found[1] if found else None,
            request_id=visit.request_id,
            leads_to=(web_origin(found[0].redirect_uri),) if found else (),
            passkeys=party is not None,
            passkey_options=request_options(party, office.challenge(visit.browser, visit.now)) if party else "",
        )


def _unpicked(launch: dict[str, object]) -> dict[str, object]:
    """Forget the patient whom the person before had picked; one that an EHR launch is about stays."""
    return (
        {name: value for name, value in launch.items() if name not in ("patient", "picked")}
        if launch.get("picked")
        else launch
    )


def _counted(account: Account, id_: str, count: int) -> Account:
    def counted(key: Passkey) -> Passkey:
        return msgspec.structs.replace(key, count=count) if key.id == id_ else key

    return msgspec.structs.replace(account, passkeys=tuple(map(counted, account.passkeys)))


def challenge_in(credential: str) -> bytes:
    """Read which challenge is said to be signed; whether it is ours, and was signed, is asked next."""
    try:
        data = json.loads(credential)["response"]["clientDataJSON"]
        challenge = json.loads(_decoded(data))["challenge"]
        return _decoded(challenge)
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
