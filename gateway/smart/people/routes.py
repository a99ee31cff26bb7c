"""The pages over HTTP: each request is read within limits, answered in a thread, and never answered with a trace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.home import Home, now
from gateway.smart.addresses import address_of
from gateway.smart.people.deciding import Deciding
from gateway.smart.people.entering import Entering
from gateway.smart.people.forms import Form, read_form
from gateway.smart.people.managing import Managing
from gateway.smart.people.office import SAFE, Halt, Office, Visit
from gateway.smart.people.opening import Opening
from gateway.smart.people.patients import ViewOf
from security.errors import Denied, Fault, Misuse

__all__ = ["people_routes"]

Answer = Callable[[Visit], Response]
_STATIC: Final = {"style.css": "text/css", "passkeys.js": "text/javascript"}


def people_routes(home: Home, base: str, view_of: ViewOf) -> list[Route]:
    """Return the routes of the pages. `base` is the URL of the FHIR API, `view_of` makes the view of a caller."""
    office = Office(home, base, view_of)
    entering, deciding, opening, managing = Entering(office), Deciding(office), Opening(office), Managing(office)
    pages: dict[str, dict[str, Answer]] = {
        "login": {"GET": entering.show, "POST": entering.enter},
        "logout": {"POST": entering.leave},
        "pick": {"GET": deciding.show_pick, "POST": deciding.pick},
        "consent": {"GET": deciding.show_consent, "POST": deciding.decide},
        "deny": {"POST": deciding.deny},
        "launch": {"GET": opening.show, "POST": opening.open},
        "manage": {"GET": managing.show},
        "end": {"POST": managing.revoke},
        "passkey-login": {"POST": entering.enter_by_passkey},
        "passkey-add": {"POST": managing.add_passkey},
        "passkey-remove": {"POST": managing.remove_passkey},
    }
    return [
        *(Route(f"/auth/{path}", _endpoint(office, answers), methods=[*answers]) for path, answers in pages.items()),
        *(Route(f"/auth/{name}", _static(name), methods=["GET"]) for name in _STATIC),
    ]


def _endpoint(office: Office, answers: dict[str, Answer]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        answer = answers["GET" if request.method == "HEAD" else request.method]
        address = address_of(request, office.home.settings.serve.proxies, office.base)
        visit = None
        try:
            form = await read_form(request) if request.method == "POST" else Form()
            at = now()
            browser = await run_in_threadpool(office.sessions.browser, request, at)
            visit = Visit(browser, address, at, form, dict(request.query_params))
            return await run_in_threadpool(answer, visit)
        except Halt as halt:
            halted = halt
        except Denied as fault:
            halted = Halt(403, "Not allowed", fault.message, fault.hint)
        except Misuse as fault:
            halted = Halt(400, "This cannot be done", fault.message, fault.hint)
        except Fault:  # the store or its audit is not there: nothing is shown, and nothing of it is told
            halted = Halt(503, "Not now", "Something that is needed is not available. Try again in a minute.")
        return _told(office, visit, halted)

    return endpoint


def _told(office: Office, visit: Visit | None, halt: Halt) -> Response:
    sentences = [each for each in halt.sentences if each]
    if visit is None:
        return Response(f"{halt.title}. {' '.join(sentences)}\n", halt.status, SAFE, "text/plain")
    return office.page(
        visit,
        "told.html",
        halt.title,
        halt.status,
        sentences=sentences,
        account=visit.browser.account,
        onward="manage" if visit.browser.account else "",
        onward_words="Your apps",
    )


def _static(name: str) -> Callable[[Request], Response]:
    content = files("gateway.smart.people").joinpath(f"static/{name}").read_bytes()
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=300"}

    def static(request: Request) -> Response:
        return Response(content, media_type=_STATIC[name], headers=headers)

    return static
