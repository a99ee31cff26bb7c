"""Look at one server step by step and say of each step what was seen and what to do. Nothing is written there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.pull.asking import SAID_NO
from gateway.pull.bundle import NotReadError, read_bundle
from gateway.pull.connection import Connection
from gateway.pull.metadata import Capability, OtherVersion, read_capability, without_statement
from gateway.pull.origin import Base
from gateway.pull.outcome import fault_of, read_outcome
from gateway.pull.profile import Profile
from gateway.pull.questions import questions
from gateway.pull.smart import discover
from gateway.pull.tokens import ClientCredentials, narrowed
from gateway.pull.wire import Reply
from security.errors import Denied, Fault, NotFhir, Refused

__all__ = ["CHECKS", "Finding", "State", "examine"]

State = Literal["ok", "warning", "failed", "skipped"]

CHECKS = ("url", "metadata", "version", "smart", "token", "scopes", "read", "write")
_LEAST = "DocumentReference"  # in which any result can go (mappers.outbound.ladder)
_NOT_SO = (400, 422)  # the question is not taken as it was asked


@dataclass(frozen=True, slots=True)
class Finding:
    """One step: which, how it went, what was seen, and what to do ("" where there is nothing to do)."""

    check: str
    state: State
    seen: str
    hint: str = ""


async def examine(
    connection: Connection,
    *,
    types: Sequence[str] = (),
    create: Sequence[str] = (),
    know: Callable[[Capability], Awaitable[Profile]] | None = None,
) -> AsyncIterator[Finding]:
    """Examine a server: URL, metadata, version, SMART, token, scopes, one read of each type, and the right to write.

    `types` and `create` are the resource types that will be read (empty: those of this release) and written. Whether we
    may write is concluded from what the server says and grants, and never tried. `know` learns what the server does,
    once it can be asked; each type is then read as it wants to be.
    """
    yield _url(connection.base)
    capability: Capability | None = None
    try:
        reply = await _metadata(connection)
        capability = read_capability(reply.body, reply.headers)
        software = capability.software or "a server without a name"
        yield Finding("metadata", "ok", f"The server answers and is {software}.")
    except Fault as fault:
        if (
            connection.fhir_version
            and isinstance(fault, NotFhir | Refused | Denied)
            and not isinstance(fault, OtherVersion)
        ):
            capability = without_statement(connection.fhir_version)
            hint = "It is pulled all the same, because fhir_version is told: all that we understand is asked for."
            yield Finding("metadata", "warning", fault.message, hint)
        else:
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
    profile = await know(capability) if know else Profile()
    asked, absent = questions(capability, types)
    for type_ in dict.fromkeys((*asked, *profile.also_searched)):
        yield await _read(connection, profile, type_)
    if lacking := [type_ for type_ in absent if type_ not in profile.also_searched]:
        yield Finding("read", "warning", f"The server does not offer: {', '.join(lacking)}.", "These will be missing.")
    yield _write(connection, capability, create)


async def _metadata(connection: Connection) -> Reply:
    """Ask without a token first, as most servers allow: else trouble with the token looks like trouble with the url."""
    try:
        return await connection.get("metadata", anonymous=True)
    except Denied:
        return await connection.get("metadata")


def _url(base: Base) -> Finding:
    if not base.is_protected:
        return Finding("url", "warning", "Data travels unprotected.", "Use https:// in the source's url.")
    return Finding("url", "ok", f"The url begins with {base.url.scheme}://.")


def _version(connection: Connection, capability: Capability) -> Finding:
    if not capability.is_told:
        return Finding(
            "version", "warning", f"The server does not say which it speaks; {connection.fhir_version} was told."
        )
    told, found = connection.fhir_version, capability.fhir_version
    if told is not None and told != found:
        hint = "Correct fhir_version in twin.toml, or leave it out."
        return Finding("version", "failed", f"The server speaks {found}, and {told} was told.", hint)
    return Finding("version", "ok", f"The server speaks {found}.")


async def _credentials(connection: Connection) -> AsyncIterator[Finding]:
    auth = connection.auth
    if not isinstance(auth, ClientCredentials):
        kind = "No credentials are used" if auth is None else "A fixed token or a password is used"
        for check in ("smart", "token", "scopes"):
            yield Finding(check, "skipped", f"{kind}.")
        return
    try:
        told = await discover(connection.wire, connection.base)
        where = "" if connection.base.same_server(Base.parse(told.token_endpoint).url) else ", on another server"
        yield Finding("smart", "ok", f"The token endpoint is named in {told.found}{where}; scopes {told.scope_style}.")
        await auth.authorization(connection.wire)
        remarks = " ".join(auth.remarks)
        seen = f"The server gave us a token. {remarks}".rstrip()
        yield Finding(
            "token", "warning" if remarks else "ok", seen, "Tell its operator, or set it right." if remarks else ""
        )
    except Fault as fault:
        yield Finding("token" if auth.configuration else "smart", "failed", fault.message, fault.hint)
        return
    if missing := narrowed(auth):
        hint = "Ask the server's operator to grant them to our client_id; without them this data stays away."
        yield Finding("scopes", "warning", f"Not granted: {', '.join(missing)}.", hint)
    else:
        yield Finding("scopes", "ok", "All scopes that we asked for were granted.")


async def _read(connection: Connection, profile: Profile, type_: str) -> Finding:
    check = f"read {type_}"
    if type_ in profile.per_patient or ("*" in profile.per_patient and type_ != "Patient"):
        return Finding(check, "skipped", "It is asked for patient after patient, and was not tried.")
    slices = profile.slices.get(type_)
    params = (*(slices[0].parameters if slices else ()), ("_count", "1"))
    by_post = profile.longest_url == 0
    try:
        reply = await connection.search(type_, params, allow=SAID_NO, tries=1, by_post=by_post)
        if reply.status in SAID_NO:
            fault = fault_of(reply)
            if reply.status in _NOT_SO and "required" in " ".join(read_outcome(reply.body).codes):
                return Finding(check, "warning", fault.message, "A pull asks by category and by patient, too.")
            return Finding(check, "failed", fault.message, fault.hint)
        total = read_bundle(reply.body).total
    except NotReadError:
        return Finding(check, "failed", "The answer is no Bundle.", "Tell the server's operator.")
    except Fault as fault:
        return Finding(check, "failed", fault.message, fault.hint)
    if slices:
        return Finding(check, "ok", f"It can be searched in {len(slices)} questions.")
    return Finding(check, "ok", f"There are {total}." if total is not None else "It can be searched.")


def _write(connection: Connection, capability: Capability, create: Sequence[str]) -> Finding:
    if not create:
        return Finding("write", "skipped", "Nothing is to be written there.")
    if not capability.is_told:
        return Finding("write", "warning", "The server does not say what it takes.", "The first delivery will tell.")
    refused = [t for t in create if not capability.can_create(t)]
    if not any(map(capability.can_create, (*create, _LEAST))):
        hint = "Results are tried all the same, and most likely refused: ask its operator, or set write = false."
        return Finding("write", "failed", "The server creates nothing that a result can go in.", hint)
    if refused:
        hint = "What would go in them goes in what the server takes (below), or set write = false."
        return Finding("write", "warning", f"The server does not create: {', '.join(refused)}.", hint)
    lacking = [t for t in create if f"{t}.c" in narrowed(connection.auth)]
    if lacking:
        hint = "Ask the server's operator for scopes to create these, or set write = false."
        return Finding("write", "failed", f"No scope to create: {', '.join(lacking)}.", hint)
    if not capability.can_transaction:
        hint = "A result that is cut off in the middle is gone on with at the next try."
        return Finding("write", "ok", "The server takes no transactions: results go part by part.", hint)
    return Finding("write", "ok", "The server says that it takes what we would write; it was not tried.")
