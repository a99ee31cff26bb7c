"""The pages over HTTP: loopback only, to the holder of a key that is drawn at each start."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Final

import jinja2
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.home import Home, now
from gateway.simulation import answering_models, open_twin, run_model
from gateway.web.view import build_view
from security.errors import Fault
from twin_engine import Missing

__all__ = ["serve_twin", "web_app"]

_HOST: Final = "127.0.0.1"
_COOKIE: Final = "fhirtwin"
_SAFE: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def web_app(home: Home, key: str) -> Starlette:
    """Build the application. A browser enters with `/enter?key=…` once and holds a cookie from then on.

    The access is recorded before the page is made; if it cannot be recorded, there is no page.
    """
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("gateway.web"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = files("gateway.web").joinpath("static/twin.css").read_text("utf-8")

    def allowed(request: Request) -> bool:
        return hmac.compare_digest(request.cookies.get(_COOKIE, "").encode(), key.encode())

    def enter(request: Request) -> Response:
        if not hmac.compare_digest(request.query_params.get("key", "").encode(), key.encode()):
            return PlainTextResponse(
                "This key is not the one of this server. Open the address that twin printed.", 403, _SAFE
            )
        twin = request.query_params.get("twin", "")
        answer = RedirectResponse(f"/twins/{twin}" if twin.replace("-", "").isalnum() else "/", 303, _SAFE)
        answer.set_cookie(_COOKIE, key, httponly=True, samesite="strict")
        return answer

    def twin(request: Request) -> Response:
        if not allowed(request):
            return PlainTextResponse("Open the address that twin printed; it holds the key.", 403, _SAFE)
        try:
            record = open_twin(home, request.path_params["twin"])
            answers = [run_model(home, record, name)[0] for name in answering_models(home)]
        except Fault as fault:
            status = 404 if fault.issue == "not-found" else 403 if fault.issue == "forbidden" else 503
            return PlainTextResponse(str(fault), status, _SAFE)
        view = build_view(home, record, [a for a in answers if isinstance(a, Missing)], now())
        return HTMLResponse(templates.get_template("twin.html").render(view=view), headers=_SAFE)

    def stylesheet(request: Request) -> Response:
        return Response(style, media_type="text/css")

    return Starlette(
        routes=[
            Route("/enter", enter),
            Route("/twins/{twin}", twin),
            Route("/static/twin.css", stylesheet),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[_HOST, "localhost"])],
    )


def serve_twin(home: Home, twin: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the pages until Ctrl-C, and tell the address to open."""
    key = secrets.token_urlsafe(24)
    server = uvicorn.Server(
        uvicorn.Config(web_app(home, key), host=_HOST, port=port, log_level="warning", access_log=False, lifespan="off")
    )

    tell(f"http://{_HOST}:{port}/enter?key={key}&twin={twin}")
    with suppress(KeyboardInterrupt):  # Ctrl-C is how this is meant to end
        server.run()
