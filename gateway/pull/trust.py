"""Whom we trust in TLS, and the certificate that we show: read from disk once, for all connections of a process."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path

import httpx

from security.errors import BadSettings

__all__ = ["tls_context"]


def tls_context(ca_file: Path | None = None, client_certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Return the TLS settings: version 1.2 at least, certificates and host names always checked.

    Parameters
    ----------
    ca_file
        Certificates (PEM) of a private authority, trusted beside the usual ones.
    client_certificate
        Our own certificate and its key (PEM), for servers that ask for one.
    """
    files = [ca_file, *(client_certificate or ())]
    return _loaded(ca_file, client_certificate, tuple(_stamp(file) for file in files))


def _stamp(file: Path | None) -> int:
    """Return when a file was written: one that was renewed is read again."""
    try:
        return file.stat().st_mtime_ns if file else 0
    except OSError:
        return 0


@lru_cache(maxsize=32)  # reading the usual authorities takes 50 ms, and each connection needs them
def _loaded(ca_file: Path | None, ours: tuple[Path, Path] | None, _stamps: tuple[int, ...]) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadSettings(
                "ca_file does not hold certificates (PEM).", hint="Check ca_file.", detail=error
            ) from error
    if ours is not None:
        try:
            context.load_cert_chain(*ours, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise BadSettings(
                "client_certificate_file and client_key_file do not hold a certificate (PEM) and its key.",
                hint="Check both; the key must not need a password.",
                detail=error,
            ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key needs a password")  # OpenSSL would ask for it at the terminal
