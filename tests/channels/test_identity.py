"""Who may say who a visitor is: the host site, by a signature, and nobody else."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from pydantic import ValidationError

from channels.web.identity import BadIdentity, HostIdentity, HostKey
from channels.web.settings import Settings
from tests.channels.identities import OTHER, SECRET, claims, curve_key, public, rsa_key, token
from tests.conftest import TurnedClock

KEY = HostKey("HS256", SECRET)


def read(text: str, clock: TurnedClock, key: HostKey = KEY) -> HostIdentity:
    return key.identity(text, account="main", now=clock())


def unsigned(clock: TurnedClock, algorithm: str = "none", signature: bytes = b"") -> str:
    """A token put together by hand, past what a library would sign."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value, default=str).encode()).rstrip(b"=")

    whole = claims(clock) | {"exp": int((clock() + timedelta(hours=1)).timestamp())}
    body = part({"alg": algorithm, "typ": "JWT"}) + b"." + part(whole)
    return (body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_a_signed_identity_names_the_person(clock: TurnedClock) -> None:
    """Subject, name and language; the e-mail only because the host has verified it."""
    text = token(clock, email="Li@Example.com", email_verified=True, language="zh-CN")

    assert read(text, clock) == HostIdentity(
        subject="42", name="Li Wei", email="Li@Example.com", language="zh"
    )


@pytest.mark.parametrize("verified", [None, False, "true", 1])
def test_an_unverified_email_is_none(clock: TurnedClock, verified: object) -> None:
    """Only the word true counts: an e-mail may join two people."""
    assert read(token(clock, email="li@example.com", email_verified=verified), clock).email == ""


WRONG: dict[str, Callable[[TurnedClock], str]] = {
    "another key": lambda clock: token(clock, key=OTHER),
    "another algorithm of the same secret": lambda clock: token(clock, algorithm="HS512"),
    "no signature": unsigned,
    "no signature, written otherwise": lambda clock: unsigned(clock, "NoNe"),
    "an empty signature": lambda clock: unsigned(clock, "HS256"),
    "a part missing": lambda clock: token(clock).rpartition(".")[0],
    "no token at all": lambda clock: "token",
    "another widget's": lambda clock: token(clock, aud="other"),
    "for several widgets": lambda clock: token(clock, aud=["main", "other"]),
    "for no widget": lambda clock: token(clock, aud=None),
    "no end": lambda clock: token(clock, exp=None),
    "ended just now": lambda clock: token(clock, exp=clock()),
    "an end that is true": lambda clock: token(clock, exp=True),
    "an end too far": lambda clock: token(clock, exp=clock() + timedelta(hours=24, seconds=1)),
    "not begun": lambda clock: token(clock, nbf=clock() + timedelta(seconds=61)),
    "made in the future": lambda clock: token(clock, iat=clock() + timedelta(seconds=61)),
    "nobody": lambda clock: token(clock, sub=None),
    "an empty name for somebody": lambda clock: token(clock, sub=" "),
    "a name too long for somebody": lambda clock: token(clock, sub="x" * 201),
    "a name that cannot be stored": lambda clock: token(clock, sub="a\x00b"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_token_that_does_not_hold_entirely_names_nobody(what: str, clock: TurnedClock) -> None:
    """Forged, foreign, expired, confused: each is refused."""
    with pytest.raises(BadIdentity):
        read(WRONG[what](clock), clock)


def test_the_longest_validity_is_a_day(clock: TurnedClock) -> None:
    """Up to the very second."""
    assert read(token(clock, exp=clock() + timedelta(hours=24)), clock).subject == "42"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_key_pair_works_and_its_public_half_is_no_secret(
    algorithm: Any, clock: TurnedClock
) -> None:
    """Who signs with the public key as if it were the secret is refused."""
    pair = rsa_key() if algorithm == "RS256" else curve_key()
    key = HostKey(algorithm, public(pair))
    body, _, _ = unsigned(clock, "HS256").rpartition(".")
    signature = hmac.new(public(pair).encode(), body.encode(), hashlib.sha256).digest()
    confused = body + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()

    assert read(token(clock, key=pair, algorithm=algorithm), clock, key).subject == "42"
    for text in (confused, token(clock), unsigned(clock)):
        with pytest.raises(BadIdentity):
            read(text, clock, key)


@pytest.mark.parametrize(
    "section",
    [
        {"identity_secret": "x" * 31},
        {"identity_algorithm": "none", "identity_secret": SECRET},
        {"identity_algorithm": "RS256", "identity_secret": SECRET},
        {"identity_algorithm": "HS256", "identity_public_key": public(rsa_key())},
        {"identity_algorithm": "RS256", "identity_public_key": "no key"},
        {"identity_algorithm": "RS256", "identity_public_key": public(rsa_key(1_024))},
        {"identity_algorithm": "RS256", "identity_public_key": public(curve_key())},
        {"identity_algorithm": "ES256", "identity_public_key": public(rsa_key())},
    ],
)
def test_a_key_that_cannot_protect_anybody_is_refused_at_start(section: dict[str, Any]) -> None:
    """Too short, of another algorithm, or no key at all."""
    with pytest.raises(ValidationError):
        Settings(**section)


def test_the_shortest_secret_is_enough_and_without_one_nobody_is_vouched_for() -> None:
    """32 bytes; the default is none."""
    assert Settings(identity_secret="0123456789abcdef" * 2).host_key is not None
    assert Settings().host_key is None


def test_the_example_in_the_manual_signs_what_we_accept(clock: TurnedClock) -> None:
    """The lines of docs/identity.md, run as they stand there."""
    page = (Path(__file__).parents[2] / "docs/identity.md").read_text("utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {"SECRET": SECRET}
    exec(compile(example, "docs/identity.md", "exec"), names)
    text = names["identity_of"]("42", "Li Wei", now=int(clock().timestamp()))

    assert read(text, clock) == HostIdentity(subject="42", name="Li Wei")
    assert jwt.get_unverified_header(text)["alg"] == "HS256"
