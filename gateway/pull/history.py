"""What a server's history of a type says was deleted (`GET Type/_history?_since=…`, http.html#history).

It is asked where the list of the type proves nothing. What it names is a suspect like any other: it may be there again.
"""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.pull.absent import can_be_asked
from gateway.pull.asking import SAID_NO
from gateway.pull.bundle import NotReadError, read_bundle
from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.inflate import TooLarge
from gateway.pull.metadata import Capability
from gateway.pull.origin import ForeignUrlError
from gateway.pull.page import Asked
from security.errors import Denied, NotFhir, Refused, Unreachable

__all__ = ["deleted_since", "is_offered", "question"]

_PAGES = 10_000


def is_offered(capability: Capability, type_: str) -> bool:
    """Say whether the server says that it tells the history of a type."""
    ability = capability.types.get(type_)
    return ability is not None and "history-type" in ability.interactions


def question(type_: str) -> str:
    """Name the question in a certificate."""
    return f"{type_}, history"


async def deleted_since(connection: Connection, type_: str, since: datetime) -> tuple[list[str], Asked]:
    """List the names of what was deleted since an instant, and say how far the history could be walked.

    Raises what ends a pull: `Denied` where our credentials are no longer good, `Unreachable`, also "come back later".
    """
    found: dict[str, None] = {}
    came = pages = 0
    target, stopped = f"{type_}/_history", ""
    params: tuple[tuple[str, str], ...] = (("_since", since.astimezone(UTC).isoformat(timespec="seconds")),)
    seen: set[str] = set()
    while target and not stopped:
        try:
            reply = await connection.get(target, params, allow=SAID_NO, fresh=True)
            bundle = read_bundle(reply.body) if reply.status not in SAID_NO else None
            if bundle is None:
                stopped = "refused"
                break
            pages += 1
            came += len(bundle.entry)
            for item in bundle.entry:
                if name := _name(item.deletes, str(connection.base.url)):
                    found[name] = None
            link = bundle.linked("next")
            target, params = connection.resolve(link, reply.url) if link else "", ()
            if target in seen or pages >= _PAGES:
                stopped = "loop"
            seen.add(target)
        except (ComeBackLater, Denied):
            raise
        except ForeignUrlError:
            stopped = "foreign-next-link"
        except TooLarge:
            stopped = "too-large"
        except (NotReadError, NotFhir):
            stopped = "not-fhir"
        except Refused:
            stopped = "refused"
        except Unreachable:
            if not await connection.answers():
                raise
            stopped = "unreachable"
    return [name for name in found if name.startswith(f"{type_}/")], Asked(question(type_), came, came, pages, stopped)


def _name(told: str, base: str) -> str:
    """Read what a DELETE entry names: below our base or relative, with a version or without; "" for anything else."""
    name = told.removeprefix(f"{base}/").removeprefix("/").split("/_history/", 1)[0]
    return name if can_be_asked(name) else ""
