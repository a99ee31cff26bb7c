"""One piece of work of `deliver.py` in a process of its own: deliver_child.py ours|bare HOME AT_ONCE."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import msgspec

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from gateway.deliver.shipment import Shipment  # noqa: E402
from gateway.deliver.worker import work  # noqa: E402
from gateway.home import Home  # noqa: E402
from gateway.settings import load_settings  # noqa: E402
from gateway.store import Delivery  # noqa: E402

Found = dict[str, Any]


def ours(home: Home) -> int:
    """Deliver all that waits, as `twin deliver` does."""
    return asyncio.run(work(home)).ended["sent"]


async def bare(base: str, queues: list[list[bytes]], at_once: int, headers: dict[str, str]) -> int:
    """Post transactions of conditional creates, so many at once; of each patient one after the other, as ours."""
    waiting, taken = iter(queues), 0

    async def one(http: httpx.AsyncClient) -> None:
        nonlocal taken
        for queue in waiting:
            for body in queue:
                reply = await http.post(base, content=body, headers=headers)
                entries = msgspec.json.decode(reply.content).get("entry", ())
                taken += reply.status_code == 200 and all(e["response"]["status"].startswith("201") for e in entries)

    async with httpx.AsyncClient(timeout=300, trust_env=False) as http:
        await asyncio.gather(*(one(http) for _ in range(at_once)))
    return taken


def bodies(base: str, deliveries: list[Delivery]) -> list[list[bytes]]:
    """Write what ours would post, by patient: the model's Device is there, and referred to."""
    told: dict[str, list[bytes]] = defaultdict(list)
    headers = {"Content-Type": "application/fhir+json"}
    device = ""
    for each in deliveries:
        shipment = Shipment.read(each.bundle)
        [item] = shipment.devices
        if not device:
            made = httpx.post(
                f"{base}/Device", content=item.resource, headers=headers | {"If-None-Exist": item.unless}, timeout=300
            )
            device = f"Device/{made.raise_for_status().json()['id']}"
        told[each.twin].append(shipment.without({item.uuid: device}).bundle("transaction"))
    return [*told.values()]


def main() -> int:
    """Do it, and print what it took as one line of JSON."""
    what, folder, at_once = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    with Home.open(load_settings(folder), create=False) as home:
        deliveries = home.store.outbox()
        [source] = home.settings.sources.values()
        if what == "bare":
            base = source.base_url
            queues = bodies(base, deliveries)
            headers = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
            begun, cpu = time.monotonic(), time.process_time()
            sent = asyncio.run(bare(base, queues, at_once, headers))
        else:
            begun, cpu = time.monotonic(), time.process_time()
            sent = ours(home)
        seconds, spent = time.monotonic() - begun, time.process_time() - cpu
    print(json.dumps({"sent": sent, "rate": sent / seconds, "cpu_ms": spent / max(sent, 1) * 1000}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
