"""Access tokens of others: an OpenID provider's, or an EHR's authorization server's ([serve.trust.NAME]).

A signed token is checked with its issuer's published keys; an opaque one is asked about (RFC 7662), and what was
answered is known for half a minute (B4). What its claims are called is a setting; what they cannot say is not there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool

from gateway.home import Home
from gateway.pull.pinned import ask
from gateway.smart.key_sets import KeySets
from gateway.smart.places import Places
from gateway.trust_settings import TrustSettings
from security.audit import TokenUse, opaque_token, plain_name, signed_token
from security.errors import BadSettings, Unreachable
from security.policy import Caller, Role
from security.scopes import read_scopes
from security.signed import BadToken, open_unverified, verify
from security.tokens import SKEW, check_times

__all__ = ["Issuers"]

_REMEMBERED: Final = timedelta(seconds=30)
_MOST: Final = 10_000
_LONGEST_SECRET: Final = 4096
_PURPOSE = re.compile(r"[A-Z][A-Z0-9]{1,15}", re.ASCII)
_TWIN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Answered:
    told: Mapping[str, Any] | None
    until: datetime


class Issuers:
    """The issuers that the operator trusts. False where there is none."""

    def __init__(self, home: Home, places: Places) -> None:
        self._home, self._places = home, places
        self._trusted = dict(home.settings.serve.trust)
        for name, each in self._trusted.items():
            if each.issuer == places.issuer:
                raise BadSettings(f"[serve.trust.{name}] is this installation itself.", hint="Take it out.")
        inside = [_host(u) for t in self._trusted.values() if t.inside for u in (t.keys_url, t.introspection_url) if u]
        self._inside = frozenset(inside)
        self._ca_file = home.settings.serve.ca_file
        self._sets = KeySets(self._inside, self._ca_file)
        self._answered: dict[tuple[str, bytes], _Answered] = {}
        self._secrets = {name: _secret(each) for name, each in self._trusted.items()}

    def __bool__(self) -> bool:
        return bool(self._trusted)

    async def who(self, token: str, now: datetime) -> Caller:
        """Return who shows a token of one of them. Raises `BadToken`, or a `Fault` where one cannot be asked now."""
        signed = [(name, each) for name, each in self._trusted.items() if each.keys_url]
        try:
            header_and_claims = open_unverified(token)
        except BadToken:
            header_and_claims = None
        if header_and_claims is not None:
            issuer, kid = header_and_claims.claims.get("iss"), header_and_claims.header.get("kid")
            for _, each in signed:
                if each.issuer == issuer:
                    keys = await self._sets.keys(each.keys_url, kid if isinstance(kid, str) else None, now, stale=True)
                    types = tuple(typ.lower() for typ in each.types) or None
                    claims = verify(token, keys, each.algorithms, types=types, needs_kid=False).claims
                    return await self._caller(each, claims, token, now)
        for name, each in self._trusted.items():
            if each.introspection_url and (claims_told := await self._introspected(name, each, token, now)) is not None:
                return await self._caller(each, claims_told, token, now)
        raise BadToken("issuer")

    async def _introspected(
        self, name: str, trusted: TrustSettings, token: str, now: datetime
    ) -> Mapping[str, Any] | None:
        key = name, hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._answered.get(key)
        if known is None or now >= known.until:
            known = _Answered(await self._ask(name, trusted, token), now + _REMEMBERED)
            if len(self._answered) >= _MOST:
                self._answered.clear()
            self._answered[key] = known
        return known.told

    async def _ask(self, name: str, trusted: TrustSettings, token: str) -> Mapping[str, Any] | None:
        login = ":".join(quote(part, safe="") for part in (trusted.client_id, self._secrets[name]))
        headers = {
            "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        body = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        reply = await ask("POST", trusted.introspection_url, headers, body, inside=self._inside, ca_file=self._ca_file)
        if reply.status != 200:
            raise Unreachable("The issuer does not say whether a token holds.", hint="Check [serve.trust].")
        try:
            told: Any = json.loads(reply.body)
        except (ValueError, RecursionError) as error:
            raise Unreachable("The issuer does not say whether a token holds.") from error
        if not isinstance(told, dict) or told.get("active") is not True:
            return None
        if told.get("iss", trusted.issuer) != trusted.issuer:
            return None
        return told

    async def _caller(self, trusted: TrustSettings, claims: Mapping[str, Any], token: str, now: datetime) -> Caller:
        audience = trusted.audience or self._places.base
        meant = claims.get("aud")
        # An answer about an opaque token need not say for whom it is (RFC 7662 2.2): its issuer told us, who asked.
        if not (meant is None and trusted.introspection_url) and audience not in (
            meant if isinstance(meant, list) else [meant]
        ):
            raise BadToken("audience")
        _, expires = check_times(claims, now) if "exp" in claims or trusted.keys_url else (now, now + _REMEMBERED)
        if now >= expires + SKEW:
            raise BadToken("expired")
        scopes = _words(_claim(claims, trusted.scope))
        user, client = _text(claims, trusted.user), _text(claims, trusted.client) or _text(claims, "azp")
        if not (user or client):
            raise BadToken("claims")
        patient = await run_in_threadpool(self._twin, trusted, _text(claims, trusted.patient))
        is_for_itself = not user or user == client
        purpose = (_text(claims, trusted.purpose) if trusted.purpose else "") or "TREAT"
        if not _PURPOSE.fullmatch(purpose):
            raise BadToken("claims")
        return Caller(
            client=client or "unknown",
            user="" if is_for_itself else f"{trusted.issuer}#{user}",
            fhir_user=_text(claims, trusted.fhir_user),
            roles=_roles(trusted, claims),
            tenant=trusted.tenant,
            purpose=purpose,
            patient=patient,
            encounter=_text(claims, trusted.encounter),
            scopes=tuple(each for each in read_scopes(scopes).known if patient or not each.startswith("patient/")),
            token=self._mark(trusted, claims, token, client, user),
            expires=expires,
        )

    def _twin(self, trusted: TrustSettings, patient: str) -> str:
        """Return whose twin a patient of the issuer is. Raises `BadToken` for one whom we do not know."""
        if not patient:
            return ""
        id_ = patient.rpartition("/")[2]
        if not trusted.source:
            if not _TWIN.fullmatch(id_):
                raise BadToken("patient")
            return id_
        store = self._home.store
        twin = store.twin_of(trusted.source, f"Patient/{id_}")
        if twin is None or store.tenant_of(trusted.source) != trusted.tenant:
            raise BadToken("patient")
        return twin

    def _mark(self, trusted: TrustSettings, claims: Mapping[str, Any], token: str, client: str, user: str) -> TokenUse:
        named = {
            "client_id": plain_name(client) if client else "",
            "issuer": plain_name(trusted.issuer),
            "user": plain_name(user) if user else "",
        }
        jti = claims.get("jti")
        if isinstance(jti, str) and jti:
            return signed_token(jti, **named)
        mark = opaque_token(token, self._home.blind.of("token", "mark").encode()).mark
        return TokenUse(mark, **named)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Find a claim; a name that has dots may also go into objects."""
    found: Any = claims
    if name in claims:
        return claims[name]
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _text(claims: Mapping[str, Any], name: str) -> str:
    found = _claim(claims, name)
    return found if isinstance(found, str) and len(found) <= 500 else ""


def _words(told: Any) -> list[str]:
    if isinstance(told, str):
        return told.split()
    return [each for each in told if isinstance(each, str)] if isinstance(told, list) else []


def _roles(trusted: TrustSettings, claims: Mapping[str, Any]) -> frozenset[Role]:
    return frozenset(
        trusted.role_names[each] for each in _words(_claim(claims, trusted.roles)) if each in trusted.role_names
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _secret(trusted: TrustSettings) -> str:
    if trusted.client_secret_file is None:
        return ""
    try:
        text = trusted.client_secret_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings("client_secret_file cannot be read.", hint="Check [serve.trust].", detail=error) from error
    if not 0 < len(text) <= _LONGEST_SECRET:
        raise BadSettings("client_secret_file holds no secret.", hint="Check [serve.trust].")
    return text
