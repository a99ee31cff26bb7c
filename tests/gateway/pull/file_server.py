"""A server of one file on loopback: it knows ranges and validators, packs, and breaks off where a test says so."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

__all__ = ["Answer", "FileServer", "file_server"]


class Answer(NamedTuple):
    """What is sent; `told` is the Content-Length, where it is another than what comes, or -1 for none."""

    status: int
    headers: dict[str, str]
    body: bytes
    told: int | None = None


class FileServer:
    """The file and its habits.

    `breaks` says after how many bytes of each answer the connection breaks (`None`: it does not). `instead` may answer
    a request, by its number from 1.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag = '"1"'
        self.last_modified = "Tue, 24 Nov 2026 12:00:00 GMT"
        self.ranges = True
        self.packs = False
        self.breaks: list[int | None] = []
        self.instead: Callable[[int], Answer | None] = lambda number: None
        self.asked: list[dict[str, str]] = []
        self.url = ""

    def answer(self, headers: dict[str, str]) -> Answer:
        """Answer as RFC 9110 14 says."""
        if (found := self.instead(len(self.asked))) is not None:
            return found
        told = {"ETag": self.etag, "Last-Modified": self.last_modified}
        told = {name: value for name, value in told.items() if value}
        whole = len(self.content)
        asked = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        if self.ranges and asked and headers.get("if-range") in (self.etag, self.last_modified):
            start = int(asked[1])
            if start >= whole:
                return Answer(416, {"Content-Range": f"bytes */{whole}"}, b"")
            told["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
            return Answer(206, told, self.content[start:])
        if self.packs and "gzip" in headers.get("accept-encoding", ""):
            told = {**told, "Content-Encoding": "gzip", "ETag": self.etag and f'{self.etag[:-1]}-gzip"'}
            return Answer(200, told, gzip.compress(self.content, 1))
        return Answer(200, told, self.content)


@contextmanager
def file_server(content: bytes) -> Iterator[FileServer]:
    """Serve a file in threads until the block ends."""
    files = FileServer(content)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            files.asked.append(headers)
            status, told, body, length = files.answer(headers)
            break_at = files.breaks.pop(0) if files.breaks else None
            self.send_response(status)
            for name, value in told.items():
                self.send_header(name, value)
            if length is None or length >= 0:
                self.send_header("Content-Length", str(len(body) if length is None else length))
            self.close_connection = length is not None or break_at is not None
            with suppress(OSError):
                self.end_headers()
                self.wfile.write(body if break_at is None else body[:break_at])

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        files.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield files
        server.shutdown()
