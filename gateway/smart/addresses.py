"""Where a request comes from: who speaks to us, or, behind a server with TLS that was named to us, who speaks to that.

X-Forwarded-For is whatever the sender wrote there, up to the last server that added to it: so it is read from its end,
and only as far as servers go that `[serve] proxies` names (M5).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address

from starlette.requests import Request

__all__ = ["address_of"]


def address_of(request: Request, proxies: Collection[str], base: str) -> str:
    """Return the address; "" where it cannot be known: we are behind a server of this machine that nobody named."""
    found = request.client.host if request.client else ""
    if found not in proxies:
        return "" if _is_here(found) and base.startswith("https:") else found
    for told in reversed(",".join(request.headers.getlist("x-forwarded-for")).split(",")):
        found = told.strip()
        if not _is_address(found):
            return ""
        if found not in proxies:
            return found
    return ""


@lru_cache(maxsize=1024)
def _is_here(address: str) -> bool:
    return not _is_address(address) or ip_address(address).is_loopback


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
