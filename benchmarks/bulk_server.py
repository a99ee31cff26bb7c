"""A FHIR server that is not the limit: Bulk Data files from disk, and searches that take a set time on few slots.

    python benchmarks/bulk_server.py FOLDER [--slots 4] [--latency 0.02] [--gzip]

It says its port on the first line. FOLDER holds NDJSON as `Type.1.ndjson`. It has no store, checks no filter and no
token: what is measured is the client.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

PAGE = 200  # resources on a page of a search

Answer = tuple[int, dict[str, str], bytes | Path]


class Server:
    """Answers; `busy_s` is the time that its slots were at work, from `begun` to `ended`."""

    def __init__(self, folder: Path, slots: int, latency_s: float, *, packed: bool) -> None:
        self.folder, self.latency_s, self.packed = folder, latency_s, packed
        self.slots, self._free = slots, asyncio.Semaphore(slots)
        self.base = ""
        self.lines: dict[str, list[bytes]] = {}
        self.busy_s = self.begun = self.ended = 0.0
        self.types = sorted({file.name.partition(".")[0] for file in folder.glob("*.ndjson")})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it is closed."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *rest = head.split("\r\n")
                method, target, _ = first.split(" ", 2)
                headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in rest if line}
                await reader.readexactly(int(headers.get("content-length", 0)))
                status, told, body = await self.answer(method, target, headers)
                size = body.stat().st_size if isinstance(body, Path) else len(body)
                told |= {"Content-Length": str(size)}
                lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode())
                if isinstance(body, Path):
                    with body.open("rb") as file:
                        await asyncio.get_running_loop().sendfile(writer.transport, file)
                else:
                    writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, method: str, target: str, headers: dict[str, str]) -> Answer:
        """Answer one request."""
        asked = urlsplit(target)
        query = dict(parse_qsl(asked.query))
        path = asked.path.removeprefix("/fhir")
        if path == "/metadata":
            return _json(self.capability())
        if path.endswith("$export"):
            types = query.get("_type", ",".join(self.types))
            return 202, {"Content-Location": f"{self.base}/status/{types}"}, b""
        if path.startswith("/status/"):
            return (202, {}, b"") if method == "DELETE" else _json(self.manifest(path.removeprefix("/status/")))
        if path.startswith("/files/"):
            told = {"Content-Type": "application/fhir+ndjson"}
            file = self.folder / Path(path).name
            if self.packed and "gzip" in headers.get("accept-encoding", ""):
                return 200, told | {"Content-Encoding": "gzip"}, file.with_suffix(".ndjson.gz")
            return 200, told, file
        if path == "/busy":
            return _json({"busy_s": self.busy_s, "wall_s": self.ended - self.begun, "slots": self.slots})
        return await self.search(path.strip("/"), query)

    async def search(self, type_: str, query: dict[str, str]) -> Answer:
        """Answer one page of a search, when a slot is free and the time is over."""
        self.begun = self.begun or time.perf_counter()
        async with self._free:
            began = time.perf_counter()
            body = self.page(type_, query)
            await asyncio.sleep(max(0.0, self.latency_s - (time.perf_counter() - began)))
            self.ended = time.perf_counter()
            self.busy_s += self.ended - began
        return 200, {"Content-Type": "application/fhir+json"}, body

    def page(self, type_: str, query: dict[str, str]) -> bytes:
        """Write one page of a search."""
        if type_ not in self.lines:
            files = sorted(self.folder.glob(f"{type_}.*.ndjson"))
            self.lines[type_] = [line for file in files for line in file.read_bytes().splitlines()]
        lines, begin, count = self.lines[type_], int(query.get("_offset", 0)), int(query.get("_count", PAGE))
        unknown = query.keys() - {"_offset", "_count", "_summary", "_sort", "_format", "_lastUpdated", "_total"}
        if unknown:
            lines = []
        head: dict[str, object] = {"resourceType": "Bundle", "type": "searchset", "total": len(lines)}
        kept = {name: value for name, value in query.items() if name != "_offset"}
        own = "&".join(f"{name}={value}" for name, value in kept.items())
        head["link"] = [{"relation": "self", "url": f"{self.base}/{type_}?{own}"}]
        if query.get("_summary") == "count":
            return json.dumps(head).encode()
        if begin + count < len(lines):
            url = f"{self.base}/{type_}?{own}{'&' if own else ''}_offset={begin + count}"
            head["link"] = [*head["link"], {"relation": "next", "url": url}]  # type: ignore[misc]
        entries = b",".join(
            b'{"resource":%b,"search":{"mode":"match"}}' % line for line in lines[begin : begin + count]
        )
        return json.dumps(head).encode()[:-1] + (b',"entry":[%b]}' % entries if entries else b"}")

    def manifest(self, types: str) -> dict[str, object]:
        """List the files of some types."""
        files = [
            (type_, file.name) for type_ in types.split(",") for file in sorted(self.folder.glob(f"{type_}.*.ndjson"))
        ]
        counts = json.loads((self.folder / "counts.json").read_text("utf-8"))
        return {
            "transactionTime": "2026-11-24T12:00:00Z",
            "request": f"{self.base}/$export",
            "requiresAccessToken": False,
            "output": [
                {"type": type_, "url": f"{self.base}/files/{name}", "count": counts[name]} for type_, name in files
            ],
            "error": [],
        }

    def capability(self) -> dict[str, object]:
        """Say what it can do."""
        export = [{"name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"}]
        searches = [{"code": "read"}, {"code": "search-type"}]
        parameters = [{"name": "_lastUpdated", "type": "date"}]
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-24",
            "kind": "instance",
            "software": {"name": "benchmark"},
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
            "rest": [
                {
                    "mode": "server",
                    "operation": export,
                    "resource": [
                        {"type": type_, "interaction": searches, "searchParam": parameters, "operation": export}
                        for type_ in self.types
                    ],
                }
            ],
        }


def _json(value: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


async def main() -> None:
    """Serve until we are ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a page of a search")
    parser.add_argument("--gzip", action="store_true", help="send files packed to whoever takes that")
    told = parser.parse_args()
    if told.gzip:
        for file in told.folder.glob("*.ndjson"):
            file.with_suffix(".ndjson.gz").write_bytes(gzip.compress(file.read_bytes(), 1))
    server = Server(told.folder, told.slots, told.latency, packed=told.gzip)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    server.base = f"http://127.0.0.1:{port}/fhir"
    print(server.base, flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
