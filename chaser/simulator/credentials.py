"""Who calls: the App by its JWT, an installation by its token.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

import secrets
import time
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chaser.simulator.world import Installation, World

_LONGEST = 600
"""Seconds from now at which a JWT may at most expire."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The App's keys, as PEM."""

    private: str
    public: str

    def __repr__(self) -> str:
        return "KeyPair(…)"


def new_key_pair() -> KeyPair:
    return _pair(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def key_pair(private_pem: str) -> KeyPair:
    key = load_pem_private_key(private_pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a GitHub App's key is an RSA key")
    return _pair(key)


def _pair(key: rsa.RSAPrivateKey) -> KeyPair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(private.decode(), public.decode())


def app_fault(world: World, authorization: str) -> str | None:
    """Why this `Authorization` is not the App's, in GitHub's words; none: it is."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return "A JSON web token could not be decoded"
    try:
        claims = jwt.decode(
            token,
            world.public_key,
            algorithms=["RS256"],
            options={"require": ["iat", "exp", "iss"], "verify_iat": True, "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        return "'Expiration time' claim ('exp') must be a numeric value representing the future time"
    except jwt.ImmatureSignatureError:
        return (
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        )
    except jwt.PyJWTError:
        return "A JSON web token could not be decoded"
    if claims["exp"] > time.time() + _LONGEST:
        return "'Expiration time' claim ('exp') is too far in the future"
    return None if str(claims["iss"]) == str(world.app_id) else "Integration not found"


def given_token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() in {"bearer", "token"} else ""


def installation_token(world: World, installation: Installation) -> str:
    """A token as GitHub makes them since 2026: `ghs_<app id>_<JWT>`, some 500 characters."""
    body = jwt.encode(
        {"iss": "simulator", "sub": str(installation.id), "jti": secrets.token_hex(120)},
        secrets.token_hex(32),
        algorithm="HS256",
    )
    token = f"ghs_{world.app_id}_{body}"
    world.new_token(installation, token)
    return token
