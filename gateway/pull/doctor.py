"""Look at one server step by step and say of each step what was seen and what to do. Nothing is written there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.pull.bundle import NotReadError, read_bundle
from gateway.pull.connection import Connection
from gateway.pull.metadata import Capability, read_capability
from gateway.pull.origin import Base
from gateway.pull.outcome import fault_of
from gateway.pull.questions import questions
from gateway.pull.smart import discover
from gateway.pull.tokens import BackendServices
from security.errors import Denied, Fault

__all__ = ["CHECKS", "Finding", "State", "examine"]

State = Literal["ok", "warning", "failed", "skipped"]

CHECKS = ("url", "metadata", "version", "smart", "token", "scopes", "read", "write")
_SAID_NO = frozenset(range(400, 500)) - {401, 408, 425, 429}


@dataclass(frozen=True, slots=True)
class Finding:
    """One step: which, how it went, what was seen, and what to do ("" where there is nothing to do)."""

    check: str
    state: State
    seen: str
    hint: str = ""


async def examine(
    connection: Connection, *, types: Sequence[str] = (), create: Sequence[str] = ()
) -> AsyncIterator[Finding]:
    """Examine a server: URL, metadata, version, SMART, token, scopes, one read of each type, and the right to write.

    `types` and `create` are the resource types that will be read (empty: those of this release) and written. Whether we
    may write is concluded from what the server says and grants, and never tried.
    """
    yield _url(connection.base)
    capability: Capability | None = None
    try:
        capability = read_capability(await _metadata(connection))
        software = capability.software or "a server without a name"
        yield Finding("metadata", "ok", f"The server answers and is {software}.")
    except Fault as fault:
        yield Finding("metadata", "failed", fault.message, fault.hint)
    if capability is None:
        for check in CHECKS[2:]:
            yield Finding(check, "skipped", "Not looked at, because there is no metadata.")
        return
    yield _version(connection, capability)
    connection.fhir_version = connection.fhir_version or capability.fhir_version
    has_token = True
    async for finding in _credentials(connection):
        has_token = has_token and finding.state != "failed"
        yield finding
    if not has_token:
        for check in CHECKS[6:]:
            yield Finding(check, "skipped", "Not looked at, because there is no token.")
        return
    asked, absent = questions(capability, types)
    for type_ in asked:
        yield await _read(connection, type_)
    if absent:
        yield Finding("read", "warning", f"The server does not offer: {', '.join(absent)}.", "These will be missing.")
    yield _write(connection, capability, create)


async def _metadata(connection: Connection) -> bytes:
    """Ask without a token first, as most servers allow: else trouble with the token looks like trouble with the url."""
    try:
        return (await connection.get("metadata", anonymous=True)).body
    except Denied:
        return (await connection.get("metadata")).body


def _url(base: Base) -> Finding:
    if not base.is_protected:
        return Finding("url", "warning", "Data travels unprotected.", "Use https:// in the source's url.")
    return Finding("url", "ok", f"The url begins with {base.url.scheme}://.")


def _version(connection: Connection, capability: Capability) -> Finding:
    told, found = connection.fhir_version, capability.fhir_version
    if told is not None and told != found:
        hint = "Correct fhir_version in twin.toml, or leave it out."
        return Finding("version", "failed", f"The server speaks {found}, and {told} was told.", hint)
    return Finding("version", "ok", f"The server speaks {found}.")


async def _credentials(connection: Connection) -> AsyncIterator[Finding]:
    auth = connection.auth
    if not isinstance(auth, BackendServices):
        kind = "No credentials are used" if auth is None else "A fixed token or a password is used"
        for check in ("smart", "token", "scopes"):
            yield Finding(check, "skipped", f"{kind}.")
        return
    try:
        told = await discover(connection.wire, connection.base)
        where = "" if connection.base.same_server(Base.parse(told.token_endpoint).url) else ", on another server"
        yield Finding("smart", "ok", f"The token endpoint is named in {told.found}{where}; scopes {told.scope_style}.")
        await auth.authorization(connection.wire)
        yield Finding("token", "ok", "The server gave us a token.")
    except Fault as fault:
        yield Finding("token" if auth.configuration else "smart", "failed", fault.message, fault.hint)
        return
    missing = auth.grant.missing if auth.grant else ()
    if missing:
        hint = "Ask the server's operator to grant them to our client_id; without them this data stays away."
        yield Finding("scopes", "warning", f"Not granted: {', '.join(missing)}.", hint)
    else:
        yield Finding("scopes", "ok", "All scopes that we asked for were granted.")


async def _read(connection: Connection, type_: str) -> Finding:
    check = f"read {type_}"
    try:
        reply = await connection.get(type_, (("_count", "1"),), allow=_SAID_NO, tries=1)
        if reply.status in _SAID_NO:
            fault = fault_of(reply)
            return Finding(check, "failed", fault.message, fault.hint)
        total = read_bundle(reply.body).total
    except NotReadError:
        return Finding(check, "failed", "The answer is no Bundle.", "Tell the server's operator.")
    except Fault as fault:
        return Finding(check, "failed", fault.message, fault.hint)
    return Finding(check, "ok", f"There are {total}." if total is not None else "It can be searched.")


def _write(connection: Connection, capability: Capability, create: Sequence[str]) -> Finding:
    if not create:
        return Finding("write", "skipped", "Nothing is to be written there.")
    refused = [t for t in create if not capability.can_create(t)]
    if not capability.can_transaction:
        hint = "Results cannot be delivered here; set write = false."
        return Finding("write", "failed", "The server takes no transactions.", hint)
    if refused:
        hint = "Results that need them go down to what the server takes, or set write = false."
        return Finding("write", "warning", f"The server does not create: {', '.join(refused)}.", hint)
    auth = connection.auth
    grant = auth.grant if isinstance(auth, BackendServices) else None
    lacking = [t for t in create if grant is not None and f"{t}.c" in grant.missing]
    if lacking:
        hint = "Ask the server's operator for scopes to create these, or set write = false."
        return Finding("write", "failed", f"No scope to create: {', '.join(lacking)}.", hint)
    return Finding("write", "ok", "The server says that it takes what we would write; it was not tried.")
