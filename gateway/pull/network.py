"""What becomes of a fault of the network, of TLS or of a proxy: a `Fault` that says which, and what to do."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from gateway.pull.inflate import DamagedError
from security.errors import Denied, Fault, Unreachable

__all__ = ["NotSent", "TimedOut", "proxy_wants_login", "told_as_faults"]

_LATER = "Try again later."
# What TLS calls it when a server wants our certificate, or does not take the one that we showed.
_OURS = ("CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE_UNKNOWN")


class NotSent(Unreachable):
    """No connection came about: the server has seen nothing of the request, so that any request may be repeated."""


class TimedOut(Unreachable):
    """The server took longer than we wait; it may have understood the request."""


@contextmanager
def told_as_faults(*, by_proxy: bool = False, shows_nothing: bool = False) -> Iterator[None]:
    """Turn what goes wrong inside into `NotSent`, `TimedOut`, `Unreachable`, or `Denied` where a login is missing.

    `by_proxy` says that there is a proxy in between, `shows_nothing` that it is TLS without a certificate of ours:
    mostly a server that wants one just hangs up, and its word for that is lost.
    """
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise NotSent("The server cannot be reached in time.", hint=_LATER, detail=error) from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise TimedOut("The server did not answer in time.", hint=_LATER, detail=error) from error
    except DamagedError as error:
        raise Unreachable("The server's answer broke off.", hint=_LATER, detail=error) from error
    except httpx.ProxyError as error:
        raise _refused_by_proxy(error) from error
    except (httpx.TransportError, ssl.SSLError) as error:  # alerts of TLS 1.3 come later, and httpx lets them through
        raise _fault(error, by_proxy=by_proxy, shows_nothing=shows_nothing) from error


def proxy_wants_login(detail: object = None) -> Denied:
    """Make the fault for a proxy's 407."""
    hint = "Check proxy_user and proxy_password_file."
    return Denied("The proxy does not accept our user and password.", hint=hint, detail=detail)


def _refused_by_proxy(error: httpx.ProxyError) -> Fault:
    said = str(error)  # "407 Proxy Authentication Required": the answer to CONNECT
    if said.startswith("407"):
        return proxy_wants_login(error)
    status = f" (status {said[:3]})" if said[:3].isdecimal() else ""
    if said.startswith("403"):
        hint = "Ask who runs the proxy to allow the server's host and port."
        return Denied(f"The proxy does not let us through to the server{status}.", hint=hint, detail=error)
    hint = "Check proxy and url, or try again later."
    return NotSent(f"The proxy cannot reach the server{status}.", hint=hint, detail=error)


def _fault(error: httpx.TransportError | ssl.SSLError, *, by_proxy: bool, shows_nothing: bool) -> Fault:
    said = str(error).upper()
    if "CERTIFICATE_VERIFY_FAILED" in said:
        hint = "Give the authority's certificate as ca_file, or check the host name in url."
        return NotSent("The server's certificate is not trusted.", hint=hint, detail=error)
    if any(alert in said for alert in _OURS):
        hint = "Set client_certificate_file and client_key_file to what its operator gave you."
        return Denied("The server wants a certificate of ours, or does not accept it.", hint=hint, detail=error)
    if "HANDSHAKE_FAILURE" in said:
        hint = "Set client_certificate_file if the server wants a certificate of ours; it must offer TLS 1.2 or later."
        return NotSent("The server and we do not come to terms in TLS.", hint=hint, detail=error)
    if isinstance(error, httpx.ConnectError):
        if by_proxy:
            return NotSent("The server, or the proxy, cannot be reached.", hint="Check proxy and url.", detail=error)
        return NotSent("The server cannot be reached.", hint="Check url and network.", detail=error)
    hint = (
        f"{_LATER} If the server wants a certificate of ours: set client_certificate_file." if shows_nothing else _LATER
    )
    return Unreachable("The connection broke off.", hint=hint, detail=error)
