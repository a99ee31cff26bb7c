"""Our keys for SMART Backend Services: read from PEM or JWK text, or made new; they sign and never show themselves.

A set is a row: its last key signs, all of them are published. A key that is to come is put before the others, so that
servers know it before it signs anything (SMART App Launch 2.2, "Registering a client", and its caches of JWKS URLs).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, RSAKey

from security.errors import BadSettings, Misuse, UnknownName

__all__ = ["KeySet", "SigningKey", "new_key"]


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
        """Read the private key that signs: PEM, one JWK, or the last private key of a JWK Set. Raises `BadSettings`."""
        return KeySet.read(text).signing

    @classmethod
    def new(cls) -> SigningKey:
        """Make a key on P-384 (ES384), whose kid can be said at a terminal: it does not look like a flag."""
        while True:
            key = cls(ECKey.generate_key("P-384", private=True, auto_kid=True))
            if not key.kid.startswith("-"):
                return key

    def sign(self, claims: Mapping[str, Any], *, jku: str = "") -> str:
        """Return a JWT with these claims; `jku` is the URL of our JWK Set, where a server knows us by it."""
        header = {"alg": self.alg, "kid": self.kid, "typ": "JWT", **({"jku": jku} if jku else {})}
        return jwt.encode(header, dict(claims), self._key, algorithms=[self.alg])

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint (SHA-256), by which two people can tell that they mean the same key."""
        return self._key.thumbprint()

    def public(self) -> dict[str, Any]:
        """Return the public JWK as servers want it."""
        told = {"kid": self.kid, "alg": self.alg, "use": "sig", "key_ops": ["verify"]}
        return {**self._key.as_dict(private=False), **told}

    def private(self) -> dict[str, Any]:
        """Return the private JWK, for `key_file` and nothing else."""
        return {**self._key.as_dict(private=True), "kid": self.kid, "alg": self.alg, "use": "sig"}

    def public_set(self) -> str:
        """Return the JWK Set to register with a server."""
        return KeySet((self,)).public_set()

    def __repr__(self) -> str:
        return f"SigningKey(alg={self.alg!r}, kid={self.kid!r})"


class KeySet:
    """All private keys of one client, in the order of their use: the last one signs, those before it are published.

    Raises `BadSettings` where there is none, or where two have the same `kid`.
    """

    __slots__ = ("keys",)

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        if not keys:
            raise _unusable("The key file holds no private key.")
        if len({key.kid for key in keys}) < len(keys):
            raise _unusable("Two keys of the key file have the same kid.")
        self.keys = tuple(keys)

    @classmethod
    def read(cls, text: str) -> KeySet:
        """Read private keys: PEM, one JWK, or a JWK Set, whose public keys are passed over. Raises `BadSettings`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)
                found = [_pem(text)] if "-----BEGIN" in text else _jwks(json.loads(text))
                return cls([SigningKey(key) for key in found])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # `from None`: the message of a parser may quote what it read, and that is the key
            raise _unusable("The key file holds no key that can be read.") from None

    @property
    def signing(self) -> SigningKey:
        """The key that signs."""
        return self.keys[-1]

    def fitting(self, algorithms: Collection[str]) -> tuple[SigningKey, ...]:
        """Return the keys that a server takes, the one to sign with first.

        `algorithms` is its `token_endpoint_auth_signing_alg_values_supported`. Where it lists none of ours, all are
        tried: servers rarely advertise correctly (Veradigm, in cumulus-fhir-support's auth.py).
        """
        newest_first = self.keys[::-1]
        return tuple(key for key in newest_first if key.alg in algorithms) or newest_first

    def with_next(self, key: SigningKey) -> KeySet:
        """Return the set with a key that is published and does not sign yet."""
        return KeySet((key, *self.keys))

    def signing_with(self, kid: str) -> KeySet:
        """Return the set in which another key signs; raises `UnknownName`."""
        chosen = self._find(kid)
        return KeySet((*(key for key in self.keys if key is not chosen), chosen))

    def without(self, kid: str) -> KeySet:
        """Return the set without a key; raises `UnknownName`, and `Misuse` for the key that signs."""
        chosen = self._find(kid)
        if chosen is self.signing:
            raise Misuse("This is the key that signs.", hint="Let another one sign first: --use KID.")
        return KeySet([key for key in self.keys if key is not chosen])

    def public_set(self) -> str:
        """Return the JWK Set to register with a server, or to publish at our JWKS URL."""
        return json.dumps({"keys": [key.public() for key in self.keys]}, indent=2)

    def private_set(self) -> str:
        """Return the JWK Set for `key_file` and nothing else."""
        return json.dumps({"keys": [key.private() for key in self.keys]}, indent=2)

    def _find(self, kid: str) -> SigningKey:
        found = [key for key in self.keys if kid in (key.kid, key.thumbprint)]
        if not found:
            raise UnknownName("key", kid, [key.kid for key in self.keys])
        return found[0]

    def __repr__(self) -> str:
        return f"KeySet({', '.join(key.kid for key in self.keys)})"


def new_key() -> tuple[str, str]:
    """Make an ES384 key: the private JWK for `key_file`, and the public JWK Set for the server's operator."""
    key = SigningKey.new()
    return json.dumps(key.private(), indent=2), key.public_set()


def _pem(text: str) -> RSAKey | ECKey:
    try:
        return ECKey.import_key(text)
    except JoseError:
        return RSAKey.import_key(text)


def _jwks(told: Any) -> list[RSAKey | ECKey]:
    found = [k for k in told["keys"] if "d" in k and k.get("use", "sig") == "sig"] if "keys" in told else [told]
    return [ECKey.import_key(k) if k["kty"] == "EC" else RSAKey.import_key(k) for k in found]


def _unusable(message: str) -> BadSettings:
    hint = "key_file needs RSA keys of 2048 bits or more, or EC keys on P-384, as PEM, JWK or JWK Set."
    return BadSettings(message, hint=hint)
