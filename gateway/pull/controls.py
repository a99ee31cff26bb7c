"""What a server's filters are worth: it is asked with a parameter that no server has."""

from __future__ import annotations

from gateway.pull.connection import Connection
from gateway.pull.interview import Interview, Pairs
from gateway.pull.profile import Unknown
from gateway.pull.trials import NONSENSE, ONE, handles_unknown

__all__ = ["CONTROLS", "ask_nonsense"]

CONTROLS = {
    "refused": "Unknown search parameters are refused.",
    "dropped": "Unknown search parameters are ignored, and left out of the self link.",
    "repeated": "Unknown search parameters are ignored, and repeated in the self link: no filter can be proven.",
    "unknown": "What the server does with unknown search parameters is not known.",
}
"""What each answer means, for people."""


async def ask_nonsense(connection: Connection, type_: str, params: Pairs = (), *, by_post: bool = False) -> Unknown:
    """Ask, and return a key of `CONTROLS`: who neither refuses nor drops the parameter cannot prove any filter.

    `params` are those with which the type can be asked at all; without them a refusal would say nothing. A question
    that fails is "unknown", and so is one that we may not ask.
    """
    interview = Interview(connection, most=1)
    interview.by_post = by_post
    return handles_unknown(await interview.ask(type_, (*params, *ONE, *NONSENSE)))
