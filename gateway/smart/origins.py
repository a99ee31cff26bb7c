"""Which web pages of others may ask us from a browser: those of registered apps, and no others (A16)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.smart.registration import web_origin
from gateway.smart.values import Client
from gateway.store import Store

__all__ = ["Origins"]


class Origins:
    """The origins of the redirect and launch URLs of all clients that are not disabled."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: tuple[int, frozenset[str]] | None = None

    def allows(self, origin: str, now: datetime) -> bool:
        """Say whether a page of an origin may read our answers; false for what sends none."""
        version = self._store.register_version()
        if self._known is None or self._known[0] != version:
            found = (
                msgspec.msgpack.decode(each.content, type=Client) for each in self._store.registered_all("client", now)
            )
            urls = [
                url for client in found if not client.disabled for url in (*client.redirect_uris, client.launch_url)
            ]
            self._known = version, frozenset(web_origin(url) for url in urls if url.startswith("http"))
        return origin in self._known[1]
