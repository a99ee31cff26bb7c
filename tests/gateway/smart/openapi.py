"""The endpoints of the authorization server and its pages as an OpenAPI document: what each may answer, and no more."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "pattern": "^[a-z_]+$"}, "error_description": {"type": "string"}},
    "additionalProperties": {"type": "string"},
}
TOKEN = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in", "scope"],
    "properties": {"expires_in": {"type": "integer", "maximum": 3600}, "token_type": {"const": "Bearer"}},
}
SMART = {
    "type": "object",
    "required": [
        *("issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "grant_types_supported", "capabilities"),
        "code_challenge_methods_supported",
    ],
    "properties": {"code_challenge_methods_supported": {"const": ["S256"]}},
}
KEYS = {"type": "object", "required": ["keys"], "properties": {"keys": {"type": "array", "minItems": 1}}}
ACTIVE = {"type": "object", "required": ["active"], "properties": {"active": {"type": "boolean"}}}
NO_STORE = {"Cache-Control": {"required": True, "schema": {"type": "string", "pattern": "no-store"}}}


def document() -> Json:
    """Write it."""
    asked = ("login", "pick", "consent")
    pages = {name: {"get": operation(name, query("request"), page(200, 303, 400, 403))} for name in asked}
    pages |= {name: {"get": operation(name, [], page(200, 303))} for name in ("manage", "launch")}
    forms = {
        "login": ("name", "password", "request"),
        "logout": ("request",),
        "deny": ("request",),
        "pick": ("request", "do", "patient", "text", "born"),
        "consent": ("request", "do", "scope", "part.0"),
        "launch": ("do", "client", "patient", "text", "born"),
        "end": ("grant",),
        "passkey-login": ("credential", "request"),
        "passkey-add": ("credential", "label"),
        "passkey-remove": ("id",),
    }
    paths = {f"/auth/{name}": told for name, told in pages.items()}
    for name, fields in forms.items():
        posted = operation(f"{name}Form", [], page(200, 303, 400, 401, 403, 404, 422, 429), form("token", *fields))
        paths.setdefault(f"/auth/{name}", {})["post"] = posted
    token = ("grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier", "refresh_token")
    token += ("scope", "client_assertion", "client_assertion_type")
    authorize = ("response_type", "client_id", "redirect_uri", "scope", "state", "aud", "code_challenge")
    authorize += ("code_challenge_method", "launch", "nonce")
    shown = ("token", "token_type_hint", "client_id", "client_secret")
    paths |= {
        "/fhir/.well-known/smart-configuration": {"get": operation("smart", [], told_as(SMART))},
        "/auth/jwks": {"get": operation("jwks", [], told_as(KEYS))},
        "/auth/authorize": {
            "get": operation("authorize", query(*authorize), page(302, 400, 429)),
            "post": operation("authorizeForm", [], page(302, 400, 429), form(*authorize)),
        },
        "/auth/token": {"post": operation("token", [], told_as(TOKEN, error=True), form(*token))},
        "/auth/introspect": {"post": operation("introspect", [], told_as(ACTIVE, error=True), form(*shown))},
        "/auth/revoke": {"post": operation("revoke", [], told_as({"type": "object"}, error=True), form(*shown))},
    }
    return {"openapi": "3.1.0", "info": {"title": "Authorization server", "version": "1"}, "paths": paths}


def operation(name: str, parameters: list[Json], responses: Json, body: Json | None = None) -> Json:
    told = {"operationId": name, "parameters": parameters, "responses": responses}
    return {**told, "requestBody": body} if body else told


def query(*names: str) -> list[Json]:
    return [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]


def form(*names: str) -> Json:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    return {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def page(*statuses: int) -> Json:
    """A page, or where to go on; a form that is none is told in plain text."""
    told: Json = {}
    for status in statuses:
        content = {"text/html": {}, "text/plain": {}}
        told[str(status)] = {
            "description": "",
            "headers": NO_STORE,
            **({} if 300 <= status < 400 else {"content": content}),
        }
    return told


def told_as(schema: Json, *, error: bool = False) -> Json:
    told: Json = {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}
    for status in (400, 401, 429) if error else ():
        content = {"application/json": {"schema": ERROR}}
        told[str(status)] = {"description": "", "headers": NO_STORE, "content": content}
    return told
