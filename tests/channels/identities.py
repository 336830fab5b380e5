"""What a host site does: it signs who its visitor is."""

from datetime import timedelta
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.conftest import TurnedClock

SECRET = "a secret that only the shop and this chat have, long enough for others"
OTHER = "a secret that somebody else has thought up alone"


def claims(clock: TurnedClock, **changed: Any) -> dict[str, Any]:
    """What a shop says of its customer 42, good for an hour; None leaves a claim out."""
    whole = {
        "sub": "42", "aud": "main", "exp": clock() + timedelta(hours=1), "name": "Li Wei", **changed
    }  # fmt: skip
    return {name: value for name, value in whole.items() if value is not None}


def token(
    clock: TurnedClock, *, key: Any = SECRET, algorithm: str = "HS256", **changed: Any
) -> str:
    return jwt.encode(claims(clock, **changed), key, algorithm=algorithm)


@cache
def rsa_key(bits: int = 2_048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


@cache
def curve_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """The public half as settings hold it."""
    form = PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(Encoding.PEM, form).decode()
