"""What tests of the gateway share: a receiver of webhooks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from standardwebhooks.webhooks import Webhook as Judge
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

SECRET = bytes(range(32))


class Receiver:
    """A receiver that checks signatures with the reference library and answers as it is told."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.taken: list[tuple[str, bytes]] = []
        self.elsewhere = 0
        self.url = ""

    async def take(self, request: Request) -> Response:
        body = await request.body()
        if self.answers and (status := self.answers.pop(0)) != 200:
            return RedirectResponse("/elsewhere", status) if status == 307 else Response(status_code=status)
        try:
            Judge(SECRET).verify(body, dict(request.headers))
        except WebhookVerificationError:
            return Response(status_code=401)
        self.taken.append((request.headers["webhook-id"], body))
        return Response(status_code=204)

    async def stray(self, request: Request) -> Response:
        self.elsewhere += 1
        return Response(status_code=204)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    here = Receiver()
    app = Starlette(
        routes=[Route("/warn", here.take, methods=["POST"]), Route("/elsewhere", here.stray, methods=["POST"])]
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        here.url = f"http://127.0.0.1:{listening.getsockname()[1]}/warn"
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield here
        server.should_exit = True
        thread.join()
