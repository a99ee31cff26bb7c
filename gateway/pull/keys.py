"""Our key for SMART Backend Services: read from PEM or JWK text, or made new; it signs and never shows itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, RSAKey

from security.errors import BadSettings

__all__ = ["SigningKey", "new_key"]


class SigningKey:
    """A private key that SMART servers must accept: RSA (RS384) or EC on P-384 (ES384).

    SMART App Launch 2.2, "Client authentication: asymmetric". `kid` is the key's own, else its RFC 7638 thumbprint.
    """

    __slots__ = ("_key", "alg", "kid")

    def __init__(self, key: RSAKey | ECKey) -> None:
        if not key.is_private:
            raise _unusable("The key is a public one.")
        if isinstance(key, ECKey) and key.curve_name != "P-384":
            raise _unusable("The key is on another curve than P-384.")
        if isinstance(key, RSAKey) and key.raw_value.key_size < 2048:
            raise _unusable("The RSA key has less than 2048 bits.")
        self._key = key
        self.alg = "RS384" if isinstance(key, RSAKey) else "ES384"
        self.kid = key.kid or key.thumbprint()

    @classmethod
    def read(cls, text: str) -> SigningKey:
        """Read a private key: PEM, one JWK, or a JWK Set with one private signing key. Raises `BadSettings`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)
                return cls(_pem(text) if "-----BEGIN" in text else _jwk(json.loads(text)))
        except (JoseError, ValueError, TypeError, KeyError):
            # `from None`: the message of a parser may quote what it read, and that is the key
            raise _unusable("The key file holds no key that can be read.") from None

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a JWT with these claims."""
        header = {"alg": self.alg, "kid": self.kid, "typ": "JWT"}
        return jwt.encode(header, dict(claims), self._key, algorithms=[self.alg])

    def public_set(self) -> str:
        """Return the JWK Set to register with a server."""
        public = {
            **self._key.as_dict(private=False),
            "kid": self.kid,
            "alg": self.alg,
            "use": "sig",
            "key_ops": ["verify"],
        }
        return json.dumps({"keys": [public]}, indent=2)

    def __repr__(self) -> str:
        return f"SigningKey(alg={self.alg!r}, kid={self.kid!r})"


def new_key() -> tuple[str, str]:
    """Make an ES384 key: the private JWK for `key_file`, and the public JWK Set for the server's operator."""
    key = ECKey.generate_key("P-384", private=True, auto_kid=True)
    private = json.dumps({**key.as_dict(private=True), "alg": "ES384", "use": "sig"}, indent=2)
    return private, SigningKey(key).public_set()


def _pem(text: str) -> RSAKey | ECKey:
    try:
        return ECKey.import_key(text)
    except JoseError:
        return RSAKey.import_key(text)


def _jwk(told: Any) -> RSAKey | ECKey:
    found = [k for k in told["keys"] if "d" in k] if "keys" in told else [told]
    if len(found) != 1:
        raise ValueError("not one private key")
    return ECKey.import_key(found[0]) if found[0]["kty"] == "EC" else RSAKey.import_key(found[0])


def _unusable(message: str) -> BadSettings:
    hint = "key_file needs an RSA key of 2048 bits or more, or an EC key on P-384, as PEM or JWK."
    return BadSettings(message, hint=hint)
