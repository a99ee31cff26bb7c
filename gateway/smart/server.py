"""The token endpoint, introspection and revocation: Authlib's authorization server over our register.

It knows nothing of HTTP: `gateway.smart.app` reads requests and writes answers. Each answer is recorded before it
leaves, with the client and the reason, and never with a credential (I5, C7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError

from gateway.home import Home
from gateway.smart.accounts import Accounts
from gateway.smart.authentication import NotTheClient, authenticate
from gateway.smart.granted import Granted
from gateway.smart.grants import BackendGrant, CodeGrant, OnlyS256, RefreshGrant, RegisteredClient
from gateway.smart.issuing import token_response
from gateway.smart.places import Places
from gateway.smart.token_request import TokenAsked
from gateway.smart.values import Account, Client
from security.audit import System, issue_event, logout_event, plain_name

__all__ = ["Answer", "TokenServer", "error_answer"]

_LONGEST_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status, JSON, headers."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class TokenServer(AuthorizationServer):
    """Gives tokens under what people and the operator allowed."""

    def __init__(self, home: Home, places: Places) -> None:
        super().__init__()
        self.home, self.store, self.places = home, home.store, places
        self._accounts = Accounts(home)
        self.register_grant(CodeGrant, [OnlyS256()])
        self.register_grant(RefreshGrant)
        self.register_grant(BackendGrant)

    def token(self, request: TokenAsked) -> Answer:
        """Answer a token request."""
        return self.recorded(request, lambda: self.create_token_response(request))

    def recorded(self, request: TokenAsked, answer: Callable[[], Answer]) -> Answer:
        """Give an answer that is recorded: what was given within its own transaction, what was refused here."""
        made = answer()
        if made.status != 200:
            self.store.append_audit([self._event(request, None, str(made.body.get("error", "")))])
        return made

    def client_of(self, request: TokenAsked, endpoint: str) -> Client:
        """Return the client that asks at another endpoint of ours. Raises `OAuth2Error`."""
        return self._known(request, (self.places.token, endpoint))

    def person(self, granted: Granted, now: datetime) -> Account | None:
        """Return whose grant it is, if their account is as it was."""
        account = self._accounts.get(granted.user, now)
        is_theirs = account is not None and not account.disabled and account.session == granted.session
        return account if is_theirs and account is not None and account.tenant == granted.tenant else None

    def give(
        self, request: TokenAsked, granted: Granted, scopes: Sequence[str], *, refresh: str = ""
    ) -> dict[str, Any]:
        """Make the token response, recorded with all else of its transaction."""
        told = token_response(self.store, self.places, granted, scopes, request.now, refresh=refresh)
        self.store.append_audit([self._event(request, granted, "")])
        return told

    def record_end(self, request: TokenAsked, client_id: str, user: str) -> None:
        """Record that a client ended a token of its own."""
        name = plain_name(client_id)
        access = replace(
            self.home.access(peer=System(name, plain_name(request.source))),
            when=request.now,
            actor=plain_name(f"user:{user}" if user else f"client:{client_id}"),
        )
        self.store.append_audit([logout_event(access, method="revocation")])

    # What Authlib asks of a server:

    def authenticate_client(self, request: TokenAsked, methods: object, endpoint: str = "token") -> RegisteredClient:
        """Find out which client it is; the methods are the same for all grants."""
        registered = RegisteredClient(self._known(request, (self.places.token,)))
        request.client = registered
        return registered

    def create_oauth2_request(self, request: TokenAsked) -> TokenAsked:
        """Return it: it is one already."""
        return request

    def handle_response(self, status: int, body: object, headers: object) -> Answer:
        """Make the answer."""
        return Answer(status, dict(body) if isinstance(body, Mapping) else {}, _plain_headers(headers))

    def handle_error_response(self, request: TokenAsked, error: OAuth2Error) -> Answer:
        """Tell an error by its code and a sentence of ours (RFC 6749 5.2)."""
        return error_answer(error)

    def save_token(self, token: object, request: object) -> None:
        """Do nothing: an access token says all of itself, and a refresh token stands in its family."""

    def send_signal(self, name: str, *args: object, **said: object) -> None:
        """Tell nobody."""

    def validate_requested_scope(self, scope: object) -> None:
        """Leave it to the grants."""

    def _known(self, request: TokenAsked, audiences: tuple[str, ...]) -> Client:
        try:
            client, request.auth_method = authenticate(self.store, request, audiences)
        except NotTheClient as error:
            request.why, request.claimed = error.why, error.client_id
            raise
        request.claimed = client.id
        return client

    def _event(self, request: TokenAsked, granted: Granted | None, error: str) -> Mapping[str, Any]:
        form = request.form
        claimed = (request.claimed or form.get("client_id", "") or "unknown")[:_LONGEST_KEPT]
        name = plain_name(claimed)
        begun = self.home.access(
            peer=System(name, plain_name(request.source)),
            basis=" ".join(map(plain_name, granted.scopes)) if granted else "",
            outcome="0" if granted else "8",
            reason="" if granted else _reason(request.why or error),
        )
        actor = f"user:{granted.user}" if granted and granted.user else f"client:{claimed}"
        access = replace(
            begun,
            when=request.now,
            actor=plain_name(actor),
            purpose=granted.purpose if granted else begun.purpose,
            patient=granted.patient if granted else "",
        )
        kept = {key: text[:_LONGEST_KEPT] for key, text in form.items()}
        return issue_event(access, client_id=name, form=kept)


def error_answer(error: OAuth2Error) -> Answer:
    """Write an error of OAuth."""
    headers = {}
    if error.status_code == 401:
        headers["WWW-Authenticate"] = 'Basic realm="fhirtwin"'
    told = {"error": str(error.error)}
    if type(error) in (NotTheClient, InvalidRequestError) and error.description:
        told["error_description"] = str(error.description)
    return Answer(int(error.status_code or 400), told, headers)


def _reason(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)[:64] or "refused"


def _plain_headers(headers: object) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers} if isinstance(headers, list) else {}
