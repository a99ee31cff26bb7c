"""twin outbox retract."""

from __future__ import annotations

from gateway.cli.terminal import Options, print_json, say
from gateway.deliver.review import retract
from gateway.home import Home
from gateway.settings import load_settings

__all__ = ["retract_"]

_SHORT = 12


def retract_(delivery: str, /, *, why: str = "", options: Options = Options()) -> None:
    """Enter a result that arrived in error at its EHR, because you know that it does not stand.

    It stays there, and says so (docs/superseding.md). Nothing is sent by this: run twin deliver, or twin send. Exit
    status 4 where somebody else has to agree to it; then it waits for them.

    Parameters
    ----------
    delivery
        The delivery's id, or the beginning of it; twin outbox list tells it.
    why
        A sentence for those who read the result at the EHR.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = home.store.delivery(delivery)
        change = retract(home, found, why)
    if options.json:
        print_json({"delivery": found.id, "change": change, "source": found.source})
    else:
        say(f"Delivery {found.id[:_SHORT]} is to be entered in error at {found.source}, as delivery {change[:_SHORT]}.")
        say("It leaves with twin deliver, or twin send.")
