"""A small forward proxy on loopback: it passes on plain requests, and opens tunnels for TLS (RFC 9110 9.3.6)."""

from __future__ import annotations

import base64
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

__all__ = ["ForwardProxy", "forward_proxy"]


class ForwardProxy:
    """What the proxy was asked, and how it behaves: it wants a `login` ("user:password"); `closed` is its refusal."""

    def __init__(self) -> None:
        self.url = ""
        self.login = ""
        self.closed = ""
        self.asked: list[str] = []
        self.lines: list[bytes] = []  # all headers that it could read

    def refusal(self, headers: bytes) -> str:
        """Say with which status line a request is refused, "" where it is not."""
        wanted = f"proxy-authorization: basic {base64.b64encode(self.login.encode()).decode()}".lower()
        if self.login and wanted not in headers.decode("latin-1").lower():
            return "407 Proxy Authentication Required"
        return self.closed


@contextmanager
def forward_proxy() -> Iterator[ForwardProxy]:
    """Run a proxy in threads until the block ends."""
    proxy = ForwardProxy()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.serve()

        def serve(self) -> None:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = self.request.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, body = data.partition(b"\r\n\r\n")
            line, _, headers = head.partition(b"\r\n")
            method, target, _ = line.decode().split(" ")
            proxy.asked.append(f"{method} {target}")
            proxy.lines.append(headers)
            if refused := proxy.refusal(headers):
                self.request.sendall(f"HTTP/1.1 {refused}\r\nContent-Length: 0\r\n\r\n".encode())
                return
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                with socket.create_connection((host, int(port)), 5) as there:
                    self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    self.pass_on(there)
                return
            url = urlsplit(target)
            kept = [each for each in headers.split(b"\r\n") if not each.lower().startswith((b"proxy-", b"connection"))]
            path = url.path + (f"?{url.query}" if url.query else "")
            start = f"{method} {path} HTTP/1.1".encode()
            with socket.create_connection((url.hostname or "", url.port or 80), 5) as there:
                there.sendall(b"\r\n".join([start, *kept, b"Connection: close", b"", b""]) + body)
                self.pass_on(there)

        def pass_on(self, there: socket.socket) -> None:
            back = threading.Thread(target=_copy, args=(there, self.request), daemon=True)
            back.start()
            threading.Thread(target=_copy, args=(self.request, there), daemon=True).start()
            back.join(10)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield proxy
        server.shutdown()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
