"""Signed tokens (JWS, RFC 7515, compact) read strictly: one spelling, pinned algorithms, keys from our own set only.

joserfc checks the signature; here is what it leaves open: base64url that spells the same bytes in several ways, JSON
that says a name twice, headers that bring or point to a key, a key for another algorithm, and tokens without end.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

__all__ = ["LARGEST", "BadToken", "PublicKey", "Signed", "fits", "numeric_date", "open_unverified", "verify"]

LARGEST: Final = 8 * 1024
"""The longest token that is looked at (M1)."""

_SHAPE: Final = re.compile(rb"[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}")
_KINDS: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}
_LAST_DATE: Final = 253_402_300_799  # 9999-12-31
_RSA_BITS: Final = 2048
_DEEPEST: Final = 20

PublicKey = Mapping[str, Any]
"""A public JWK (RFC 7517)."""


class BadToken(ValueError):
    """A token that does not hold; `reason` is a stable code and quotes nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Signed:
    """What a token says: its header and its claims."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def open_unverified(token: str) -> Signed:
    """Read a token whose signature nobody has checked, to see whose key to check it with. Raises `BadToken`."""
    try:
        raw = token.encode("ascii")
    except UnicodeEncodeError:
        raise BadToken("malformed") from None
    if len(raw) > LARGEST:
        raise BadToken("too-large")
    if not _SHAPE.fullmatch(raw):
        raise BadToken("malformed")
    header, claims, _ = (_bytes(part) for part in raw.split(b"."))
    opened = Signed(_object(header), _object(claims))
    if "crit" in opened.header or "b64" in opened.header:
        raise BadToken("header")
    return opened


def verify(
    token: str,
    keys: Iterable[PublicKey],
    algorithms: Collection[str],
    *,
    types: Collection[str] | None = None,
    needs_kid: bool = True,
) -> Signed:
    """Check a token with the one key of `keys` that its `kid` names and that fits its algorithm. Raises `BadToken`.

    What a header says of keys (`jwk`, `jku`, `x5c`, `x5u`) is never used. `types` are the values of `typ` that are
    taken, in lower case and without "application/"; `None` takes any.
    """
    opened = open_unverified(token)
    alg, kid, typ = (opened.header.get(name) for name in ("alg", "kid", "typ"))
    if not isinstance(alg, str) or alg not in algorithms:
        raise BadToken("algorithm")
    if types is not None and (not isinstance(typ, str) or typ.lower().removeprefix("application/") not in types):
        raise BadToken("type")
    if (kid is None and needs_kid) or (kid is not None and not isinstance(kid, str)):
        raise BadToken("kid")
    fitting = [key for key in keys if (kid is None or key.get("kid") == kid) and fits(key, alg)]
    if len(fitting) != 1:
        raise BadToken("key")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            jws.deserialize_compact(token, _imported(fitting[0]), registry=_registry(algorithms))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise BadToken("signature") from None
    return opened


def fits(key: PublicKey, alg: str) -> bool:
    """Say whether a key is one for an algorithm: by its kind, its curve, and what it says of itself (C4)."""
    operations = key.get("key_ops")
    return (
        key.get("kty") == _KINDS.get(alg[:2])
        and (alg not in _CURVES or key.get("crv") == _CURVES[alg])
        and key.get("alg", alg) == alg
        and key.get("use", "sig") == "sig"
        and (operations is None or (isinstance(operations, Sequence) and "verify" in operations))
    )


def numeric_date(claims: Mapping[str, Any], name: str, *, whole: bool = False) -> float:
    """Read an instant in seconds since 1970 (RFC 7519 2: NumericDate). Raises `BadToken` for anything else.

    A string, a boolean, infinity and what no calendar has are none; with `whole`, neither is a fraction.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise BadToken(name)
    if not 0 <= value <= _LAST_DATE:  # also NaN
        raise BadToken(name)
    return float(value)


def _imported(key: PublicKey) -> RSAKey | ECKey | OKPKey:
    told = {name: key[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in key}
    if key["kty"] == "EC":
        return ECKey.import_key(told)
    if key["kty"] == "OKP":
        return OKPKey.import_key(told)
    found = RSAKey.import_key(told)
    if found.raw_value.key_size < _RSA_BITS:
        raise ValueError("the RSA key is too short")
    return found


def _registry(algorithms: Collection[str]) -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
    registry.max_header_length = LARGEST
    return registry


def _bytes(part: bytes) -> bytes:
    try:
        found = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except (ValueError, binascii.Error):
        raise BadToken("malformed") from None
    if base64.urlsafe_b64encode(found).rstrip(b"=") != part:  # another spelling of the same bytes (Wycheproof 367, 370)
        raise BadToken("malformed")
    return found


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
        depth = _depth(found)
    except (ValueError, RecursionError):
        raise BadToken("malformed") from None
    if not isinstance(found, dict) or depth > _DEEPEST:
        raise BadToken("malformed")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError("no number of JSON")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0
