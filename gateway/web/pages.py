"""What a browser may ask: to enter, to see twins, to say that a warning was seen, to try a treatment or an operation,
to agree to a proposal or decline it.

Every access is recorded before its page is made; if it cannot be recorded, there is no page. What one model cannot do
stands in its section, and costs no other; what takes seconds is made behind the page, which says so and is told.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from gateway import __version__
from gateway.events import Hub
from gateway.home import Home, now
from gateway.simulation import answering_models, open_twin, run_model
from gateway.warnings import acknowledge, silence
from gateway.web.agreeing import build_agreeing, decide
from gateway.web.behind import Behind
from gateway.web.forms import Form, read_form, token_of
from gateway.web.heart import is_known, resting_models
from gateway.web.live import Watcher
from gateway.web.living import Living, build_living, living_titles
from gateway.web.resting import Rests
from gateway.web.section import Lacking, attempt
from gateway.web.twins import build_twins
from gateway.web.view import build_view
from security.errors import Fault, Misuse
from twin_engine import Missing

__all__ = ["SAFE", "Pages"]

SAFE: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_COOKIE: Final = "fhirtwin"
_STATUS: Final = {"not-found": 404, "forbidden": 403, "invalid": 422}
_SILENCE_MINUTES: Final = 60

Act = Callable[[str, Form], Awaitable[str]]
"""Does what a form asks for on a twin; returns where on its page that is shown."""


@dataclass(frozen=True)
class Refused:
    """What could not be done, said where it was asked for: at the form of a model."""

    where: str
    model: str
    sentences: tuple[str, ...]


class Pages:
    """The pages of one home, for the holder of one key."""

    def __init__(self, home: Home, key: str, hub: Hub, watcher: Watcher, behind: Behind) -> None:
        self._home, self._key, self._hub, self._watcher = home, key, hub, watcher
        self._rests = Rests(home, behind)
        templates = jinja2.Environment(
            loader=jinja2.PackageLoader("gateway.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._page, self._list = templates.get_template("twin.html"), templates.get_template("twins.html")

    def allowed(self, request: Request) -> bool:
        """Say whether the browser holds the key."""
        return hmac.compare_digest(request.cookies.get(_COOKIE, "").encode(), self._key.encode())

    def enter(self, request: Request) -> Response:
        """Take the key once, and hand out the cookie."""
        if not hmac.compare_digest(request.query_params.get("key", "").encode(), self._key.encode()):
            return PlainTextResponse(
                "This key is not the one of this server. Open the address that twin printed.", 403, SAFE
            )
        twin = request.query_params.get("twin", "")
        answer = RedirectResponse(f"/twins/{twin}" if twin.replace("-", "").isalnum() else "/", 303, SAFE)
        answer.set_cookie(_COOKIE, self._key, httponly=True, samesite="strict")
        return answer

    async def twins(self, request: Request) -> Response:
        """List the twins, with what each has to be looked at for."""
        if not self.allowed(request):
            return _keyless()
        try:
            rows = await run_in_threadpool(build_twins, self._home, now())
        except Fault as fault:
            return _refusal(fault)
        for row in reversed(rows):
            self._watcher.follow(row.id, row.version)
        warned = sum(bool(row.standing) for row in rows)
        return HTMLResponse(self._list.render(twins=rows, warned=warned, software=__version__), 200, SAFE)

    async def twin(self, request: Request) -> Response:
        """Show a twin; `run` in the address names a what-if to show, `compare` a proposal to hold against its EHR."""
        if not self.allowed(request):
            return _keyless()
        run, compare = (request.query_params.get(name, "") for name in ("run", "compare"))
        return await self._show(
            request.path_params["twin"],
            run if run.isalnum() else "",
            {},
            None,
            compare=compare if compare.isalnum() else "",
        )

    async def acknowledge(self, request: Request) -> Response:
        """Note that somebody has seen a warning."""

        def act(twin: str, form: Form) -> str:
            model = form.get("model", "")
            acknowledge(self._home, twin, model, _number(form.get("number", "")))
            return f"#warned-{model}"

        return await self._act(request, "warnings", _threaded(act), told="warning")

    async def silence(self, request: Request) -> Response:
        """Keep a rule of a twin silent for an hour."""

        def act(twin: str, form: Form) -> str:
            model, until = form.get("model", ""), now() + timedelta(minutes=_SILENCE_MINUTES)
            silence(self._home, twin, model, form.get("rule", ""), until)
            return f"#warned-{model}"

        return await self._act(request, "warnings", _threaded(act), told="warning")

    async def approve(self, request: Request) -> Response:
        """Agree to a proposal, for the person at the terminal."""
        return await self._decide(request, agreed=True)

    async def decline(self, request: Request) -> Response:
        """Decline one."""
        return await self._decide(request, agreed=False)

    async def _decide(self, request: Request, *, agreed: bool) -> Response:
        act = _threaded(partial(decide, self._home, agreed=agreed))
        return await self._act(request, "proposals", act, told="proposal")

    async def attempt(self, request: Request) -> Response:
        """Simulate what a form asks for, and go to the page that shows it."""
        return await self._act(request, "try", self._rests.attempt)

    async def operate(self, request: Request) -> Response:
        """Operate on a simulated heart as a form asks for, and go to the page that shows it."""
        return await self._act(request, "operate", self._rests.operate)

    async def medicate(self, request: Request) -> Response:
        """Compare medicines as a form asks for, and go to the page that shows it."""
        return await self._act(request, "medicate", self._rests.medicate)

    async def _act(self, request: Request, where: str, act: Act, *, told: str = "") -> Response:
        """Do what a form asks for and show the page again; a refusal is said at the form, with what was typed."""
        if not self.allowed(request):
            return _keyless()
        asked, form = request.path_params["twin"], Form()
        try:
            twin = await run_in_threadpool(self._home.store.find_twin, asked)
            form = await read_form(request, self._key, twin)
            place = await act(twin, form)
        except Misuse as fault:
            if fault.issue == "not-found" and not form:
                return _refusal(fault)
            return await self._show(asked, "", form, Refused(where, form.get("model", ""), (fault.message, fault.hint)))
        except Fault as fault:
            return _refusal(fault)
        if told:
            self._hub.publish(told, {"twin": twin})
        return RedirectResponse(f"/twins/{twin}{place}", 303, SAFE)

    async def _show(self, twin: str, run: str, said: Form, refused: Refused | None, *, compare: str = "") -> Response:
        try:
            shown = await run_in_threadpool(self._build, twin, run, said, compare)
            record = shown.pop("record")
            rests = [await self._rests.build(record, model, run, said) for model in shown.pop("resting")]
        except Fault as fault:
            return _refusal(fault)
        self._watcher.follow(record.id, record.version)
        lives = [each.model for each in shown["living"] if isinstance(each, Living)]
        places = {(where, model) for where in ("warnings", "try") for model in lives} | {("proposals", "")}
        places |= {("operate", each.model) for each in rests if each.operate}
        places |= {("medicate", each.model) for each in rests if each.medicate}
        places |= {("try", each.model) for each in rests if each.trial}
        page = self._page.render(
            **shown,
            rests=rests,
            refused=refused,
            placed=refused is not None and (refused.where, refused.model) in places,
            here=f"/twins/{record.id}" + (f"?run={run}" if run else ""),
            token=token_of(self._key, record.id),
        )
        return HTMLResponse(page, 422 if refused else 200, SAFE)

    def _build(self, twin: str, run: str, said: Form, compare: str) -> dict[str, Any]:
        """Open the twin, which is recorded, and make its sections one by one, but for those that take seconds."""
        home, at = self._home, now()
        record = open_twin(home, twin)
        resting = {name: m for name, m in resting_models(home).items() if is_known(home, record, m, at)}
        answers = [
            attempt(model.title, partial(run_model, home, record, name))
            for name, model in answering_models(home).items()
            if name not in resting
        ]
        told = [answer[0] if isinstance(answer, tuple) else answer for answer in answers]
        living = [
            attempt(
                title,
                partial(build_living, home, record, name, at, run, said if said.get("model") == name else {}),
            )
            for name, title in living_titles(home).items()
        ]
        lacks = [answer for answer in told if isinstance(answer, Missing | Lacking)]
        drawn = {each.channel for each in living if isinstance(each, Living)}
        view = build_view(home, record, lacks, at, drawn=drawn, apart=resting)
        return {
            "record": record,
            "resting": tuple(resting.values()),
            "view": view,
            "living": living,
            "agreeing": build_agreeing(home, record, compare),
        }


def _threaded(act: Callable[[str, Form], str]) -> Act:
    async def threaded(twin: str, form: Form) -> str:
        return await run_in_threadpool(act, twin, form)

    return threaded


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Misuse("The number of the warning is missing.", hint="Use the button beside the warning.")
    return int(text)


def _keyless() -> Response:
    return PlainTextResponse("Open the address that twin printed; it holds the key.", 403, SAFE)


def _refusal(fault: Fault) -> Response:
    return PlainTextResponse(str(fault), _STATUS.get(fault.issue, 503), SAFE)
