"""The way to a server: through a proxy, with our own certificate, and with TLS settings that are read once."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from gateway.pull.connection import Connection
from gateway.pull.passwords import StaticBearer
from gateway.pull.trust import tls_context
from gateway.pull.wire import Patience, Proxy
from security.errors import BadSettings, Denied, Unreachable
from tests.gateway.pull.certificates import self_signed
from tests.gateway.pull.forward_proxy import forward_proxy

SECRET = "canary-token-4711"
ONCE = Patience(tries=1)


@pytest.fixture
def proxy():
    with forward_proxy() as found:
        yield found


async def test_a_plain_request_goes_through_the_proxy(ehr, connect, proxy):
    reply = await connect(proxy=Proxy(proxy.url)).get("metadata")
    assert reply.status == 200
    assert proxy.asked == [f"GET {ehr.base}/metadata"]


async def test_the_proxy_is_shown_who_we_are_and_the_server_is_not(ehr, connect, proxy):
    proxy.login = "us:pass:word"
    await connect(proxy=Proxy(proxy.url, "us", "pass:word")).get("metadata")
    assert "proxy-authorization" not in ehr.asked[0].headers


@pytest.mark.parametrize("given", [("", ""), ("us", "wrong")])
async def test_a_proxy_that_wants_a_login_is_told_as_that(ehr, connect, proxy, given):
    proxy.login = "us:password"
    with pytest.raises(Denied, match="proxy_user") as caught:
        await connect(proxy=Proxy(proxy.url, *given)).get("metadata")
    assert len(proxy.asked) == 1
    assert "wrong" not in str(caught.value)
    assert "wrong" not in repr(Proxy(proxy.url, *given))


async def test_a_proxy_that_is_not_there_is_told_as_that(connect):
    with pytest.raises(Unreachable, match="proxy"):
        await connect(proxy=Proxy("http://127.0.0.1:9"), patience=ONCE).get("metadata")


async def test_a_proxy_may_itself_be_asked_by_tls(serve, ehr, tmp_path):
    key, certificate = self_signed(tmp_path)
    with serve(ehr.app, ssl_keyfile=key, ssl_certfile=certificate) as address:
        way = Proxy(address.replace("127.0.0.1", "localhost"))
        async with Connection("http://ehr.example/fhir", ca_file=certificate, proxy=way, patience=ONCE) as connection:
            reply = await connection.ask_told(connection.told("metadata"), with_token=False, allow={404})
    assert reply.status == 404  # it is no proxy, and has no path that begins with http://; but it was reached, by TLS


def test_what_is_no_proxy_is_a_wrong_setting():
    with pytest.raises(BadSettings, match="proxy"):
        Connection("https://ehr.example/fhir", proxy=Proxy("gopher://127.0.0.1:9"))


async def test_tls_goes_through_a_tunnel_and_the_proxy_sees_no_token(serve, ehr, proxy, tmp_path):
    key, certificate = self_signed(tmp_path)
    proxy.login = "us:password"
    with serve(ehr.app, ssl_keyfile=key, ssl_certfile=certificate) as address:
        url = address.replace("127.0.0.1", "localhost")
        settings = {"ca_file": certificate, "patience": ONCE}
        way = Proxy(proxy.url, "us", "password")
        async with Connection(f"{url}/fhir", "r4", StaticBearer(SECRET), proxy=way, **settings) as connection:
            assert (await connection.get("metadata")).status == 200
        async with Connection(f"{url}/fhir", proxy=Proxy(proxy.url), **settings) as connection:
            with pytest.raises(Denied, match="proxy_user"):
                await connection.get("metadata")
    assert proxy.asked == [f"CONNECT {url.removeprefix('https://')}"] * 2
    assert ehr.tokens() == [f"Bearer {SECRET}"]
    assert SECRET.encode() not in b"".join(proxy.lines)


@pytest.mark.parametrize(
    ("refusal", "fault", "said"),
    [
        ("403 Forbidden", Denied, "allow the server's host"),
        ("502 Bad Gateway", Unreachable, "The proxy cannot reach the server"),
    ],
)
async def test_a_tunnel_that_the_proxy_refuses_is_told_with_the_reason(proxy, refusal, fault, said):
    proxy.closed = refusal
    async with Connection("https://ehr.example/fhir", proxy=Proxy(proxy.url), patience=ONCE) as connection:
        with pytest.raises(fault, match=said) as caught:
            await connection.get("Patient", [("name", "Jane")])
    assert refusal[:3] in str(caught.value)
    assert "Jane" not in str(caught.value)


@contextmanager
def guarded(tmp_path, **versions):
    """Serve TLS as servers in C do: whom they do not know gets an alert, and nothing else."""
    key, certificate = self_signed(tmp_path)
    _, known = self_signed(tmp_path, "client.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(known)
    context.verify_mode = ssl.CERT_REQUIRED
    for name, version in versions.items():
        setattr(context, name, version)

    class Handler(BaseHTTPRequestHandler):
        def setup(self):
            try:
                self.request.do_handshake()
            except ssl.SSLError:
                self.request.recv(65536)  # what came meanwhile, lest the alert be lost with it
            super().setup()

        def do_GET(self):
            server.asked.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        asked: ClassVar[list[str]] = []

        def get_request(self):
            there, address = super().get_request()
            return context.wrap_socket(there, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"https://localhost:{server.server_address[1]}", server
        server.shutdown()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_wants_our_certificate_gets_it(tmp_path, version):
    ours = (tmp_path / "client.example.pem", tmp_path / "client.example.key.pem")
    with guarded(tmp_path, maximum_version=version) as (url, server):
        certificate, key = tmp_path / "localhost.pem", tmp_path / "localhost.key.pem"
        settings = {"ca_file": certificate, "patience": ONCE}
        async with Connection(f"{url}/fhir", client_certificate=ours, **settings) as connection:
            assert (await connection.get("metadata")).status == 200
        for shown in (None, (certificate, key)):
            async with Connection(f"{url}/fhir", client_certificate=shown, **settings) as connection:
                with pytest.raises((Denied, Unreachable)) as caught:
                    await connection.get("metadata")
            # TLS 1.3 has the request on its way when the alert comes, and the socket may be gone before it is read
            assert "client_certificate_file" in caught.value.hint or shown is not None
        assert server.asked == ["/fhir/metadata"]


async def test_our_certificate_is_for_our_server_only(ehr, tmp_path):
    ours = (tmp_path / "client.example.pem", tmp_path / "client.example.key.pem")
    with guarded(tmp_path) as (url, server):
        settings = {"ca_file": tmp_path / "localhost.pem", "client_certificate": ours, "patience": ONCE}
        async with Connection(ehr.base, **settings) as connection:
            with pytest.raises((Denied, Unreachable)):
                await connection.ask_told(connection.told(f"{url}/signed"), with_token=False)
    assert server.asked == []


def test_a_certificate_without_its_key_is_a_wrong_setting(tmp_path):
    key, certificate = self_signed(tmp_path)
    for pair in ((certificate, certificate), (tmp_path / "none.pem", key)):
        with pytest.raises(BadSettings, match="client_certificate_file"):
            Connection("https://ehr.example/fhir", client_certificate=pair)


def test_a_key_with_a_password_is_a_wrong_setting_and_nobody_is_asked_for_it(tmp_path):
    from cryptography.hazmat.primitives import serialization

    key, certificate = self_signed(tmp_path)
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    with pytest.raises(BadSettings, match="password"):
        Connection("https://ehr.example/fhir", client_certificate=(certificate, key))


def test_authorities_are_read_once_and_again_where_the_file_is_new(tmp_path):
    _, certificate = self_signed(tmp_path)
    context = tls_context(certificate)
    assert tls_context(certificate) is context
    assert tls_context() is tls_context() is not context
    _, other = self_signed(tmp_path, "other.example")
    certificate.write_bytes(other.read_bytes())
    assert tls_context(certificate) is not context
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
