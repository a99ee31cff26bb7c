"""What a server's filters are worth: it is asked with a parameter that no server has."""

from __future__ import annotations

from gateway.pull.asking import SAID_NO
from gateway.pull.bundle import NotReadError, read_bundle
from gateway.pull.connection import Connection
from security.errors import Denied, Fault

__all__ = ["CONTROLS", "ask_nonsense"]

_NONSENSE = "fhirtwin-no-such-parameter"

CONTROLS = {
    "refused": "Unknown search parameters are refused.",
    "dropped": "Unknown search parameters are ignored, and left out of the self link.",
    "repeated": "Unknown search parameters are ignored, and repeated in the self link: no filter can be proven.",
    "unknown": "What the server does with unknown search parameters is not known.",
}
"""What each answer means, for people."""


async def ask_nonsense(connection: Connection, type_: str) -> str:
    """Ask, and return a key of `CONTROLS`: who neither refuses nor drops the parameter cannot prove any filter."""
    try:
        reply = await connection.get(type_, (("_count", "1"), (_NONSENSE, "1")), allow=SAID_NO, tries=1)
        if reply.status in SAID_NO:
            return "refused"
        return "repeated" if _NONSENSE in read_bundle(reply.body).linked("self") else "dropped"
    except Denied:
        raise
    except (NotReadError, Fault):
        return "unknown"
