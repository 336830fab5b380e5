"""Who the host site says its visitor is: a signed token, checked against one pinned algorithm.

Pure but for the key. Whatever is wrong with a token, there is no identity: nothing is taken from
one that does not hold entirely.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from rag.types import Language
from storage.text import UnstorableText, clean_text

Algorithm = Literal["HS256", "RS256", "ES256"]

VALID_MAX = timedelta(hours=24)  # how far ahead `exp` may be
SKEW_MAX = timedelta(seconds=60)  # how far the host's clock may be ahead of ours
SECRET_BYTES_MIN = 32
RSA_BITS_MIN = 2_048
SUBJECT_CHARS_MAX = 200
NAME_CHARS_MAX = 200
EMAIL_CHARS_MAX = 254


class BadIdentity(Exception):
    """The token does not hold. The text is for the log: it names a rule, never what was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIdentity:
    """Whom the host site vouches for. `email` only if the host has verified it."""

    subject: str
    name: str = ""
    email: str = ""
    language: Language | None = None


@dataclass(frozen=True, slots=True)
class HostKey:
    """What the host signs with. No other algorithm is accepted, whatever a token says of itself."""

    algorithm: Algorithm
    key: str

    def identity(self, token: str, *, account: str, now: datetime) -> HostIdentity:
        """Raises BadIdentity."""
        claims = self._claims(token, account)
        _check_times(claims, now)
        subject = _text(claims, "sub", SUBJECT_CHARS_MAX)
        if not subject:
            raise BadIdentity("sub is empty or too long")
        verified = claims.get("email_verified") is True
        return HostIdentity(
            subject=subject, name=_text(claims, "name", NAME_CHARS_MAX),
            email=_text(claims, "email", EMAIL_CHARS_MAX) if verified else "",
            language=_language(claims.get("language")),
        )  # fmt: skip

    def _claims(self, token: str, account: str) -> dict[str, Any]:
        import jwt

        try:
            return jwt.decode(
                token, self.key, algorithms=[self.algorithm], audience=account,
                options={
                    "require": ["exp", "aud", "sub"], "strict_aud": True,
                    # Times are checked below, by our clock.
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                },
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise BadIdentity(type(error).__name__) from None


def check_key(algorithm: Algorithm, key: str) -> None:
    """Raises ValueError saying why `key` cannot be used with `algorithm`."""
    if algorithm == "HS256":
        if len(key.encode()) < SECRET_BYTES_MIN:
            raise ValueError(f"needs at least {SECRET_BYTES_MIN} bytes")
        return
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        found = load_pem_public_key(key.encode())
    except ValueError:
        raise ValueError("is not a public key in PEM form") from None
    if algorithm == "RS256" and not (
        isinstance(found, rsa.RSAPublicKey) and found.key_size >= RSA_BITS_MIN
    ):
        raise ValueError(f"RS256 needs an RSA key of at least {RSA_BITS_MIN} bits")
    if algorithm == "ES256" and not (
        isinstance(found, ec.EllipticCurvePublicKey) and isinstance(found.curve, ec.SECP256R1)
    ):
        raise ValueError("ES256 needs a key on the curve P-256")


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    expires = _time(claims, "exp")
    if expires is None or expires <= now.timestamp():
        raise BadIdentity("exp has passed")
    if expires > (now + VALID_MAX).timestamp():
        raise BadIdentity("exp is too far ahead")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and begins > (now + SKEW_MAX).timestamp():
            raise BadIdentity(f"{name} has not come")


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadIdentity(f"{name} is not a number")
    return value


def _text(claims: dict[str, Any], name: str, chars_max: int) -> str:
    """A claim as it may be stored; "" for one that is missing, no text, or too long."""
    value = claims.get(name)
    if not isinstance(value, str) or len(value) > chars_max:
        return ""
    try:
        return clean_text(value).strip()
    except UnstorableText:
        return ""


def _language(tag: object) -> Language | None:
    if not isinstance(tag, str) or not tag:
        return None
    return "zh" if tag.lower().partition("-")[0] == "zh" else "en"
