"""One notification over the wire: headers as the subscriber asked, and what its answer is taken for."""

from __future__ import annotations

import httpx

from conformance.hostile.subscriptions.asked import MEDIA_TYPE, Asked

__all__ = ["send"]

_NOT_OURS = frozenset({"host", "content-type", "content-length", "transfer-encoding", "connection"})


async def send(http: httpx.AsyncClient, asked: Asked, body: bytes, *, wants_answer: bool = False) -> tuple[int, bool]:
    """Return the status of the answer (0: none came), and whether the notification counts as accepted.

    `wants_answer` as in `Mischief`.
    """
    headers = {name: value for name, value in asked.headers if name.lower() not in _NOT_OURS}
    try:
        answer = await http.post(asked.endpoint, content=body, headers={**headers, "Content-Type": MEDIA_TYPE})
    except httpx.HTTPError:
        return 0, False
    is_heard = bool(answer.content) or answer.status_code == 204 or not wants_answer
    return answer.status_code, 200 <= answer.status_code < 300 and is_heard
