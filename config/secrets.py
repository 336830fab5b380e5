"""Which settings are secret, how they are shown, and which values are no secret at all."""

import re
from typing import Any

_SECRET_NAME = re.compile(r"(^|_)(secret|token|password|key)$")
_URL_PASSWORD = re.compile(r"(?P<start>[a-z][a-z0-9+.-]*://[^:/@\s]*:)(?P<password>[^@/\s]+)@")
_PLACEHOLDER = re.compile(
    r"change[-_ ]?(me|this)|place[-_ ]?holder|your[-_ ]|example|dummy|insert[-_ ]|todo|<.*>|xxxx"
    r"|^(secret|password|token|key|test|admin|default|none|null|tandem|abc123|letmein|qwerty)+\d*$",
    re.IGNORECASE,
)
# A key made by hand is guessed by a machine: 32 characters of `openssl rand -hex 16` are 128 bits.
# What others issue is as long as they made it.
_ISSUED_BY_OTHERS = frozenset({"model.key"})
_CHARS_MIN = {"secret": 32, "key": 32, "token": 20, "password": 12}


def is_secret(key: str) -> bool:
    """Whether the last part of the dotted `key` names a secret (`…token`, `…secret_key`, …)."""
    return _SECRET_NAME.search(key.rsplit(".", 1)[-1]) is not None


def masked(key: str, value: Any) -> Any:
    """`value` fit to be shown: a secret as `***`, a URL without its password."""
    if isinstance(value, str) and value:
        return "***" if is_secret(key) else _URL_PASSWORD.sub(r"\g<start>***@", value)
    return "***" if value and is_secret(key) else value


def weakness(key: str, value: Any) -> str | None:
    """Why `value` must not be used as the secret `key`; None if it may, or is no secret."""
    if not isinstance(value, str) or not value:
        return None
    if not is_secret(key):
        inside = _URL_PASSWORD.search(value)
        placeholder = inside is not None and _PLACEHOLDER.search(inside["password"])
        return "its password is a placeholder" if placeholder else None
    if _PLACEHOLDER.search(value) or (len(value) > 6 and len(set(value)) < 6):
        return "is a placeholder, not a secret: make one with `openssl rand -hex 32`"
    found = _SECRET_NAME.search(key.rsplit(".", 1)[-1])
    chars_min = _CHARS_MIN[found[2]] if found and key not in _ISSUED_BY_OTHERS else 0
    if len(value) < chars_min:
        return f"is too short: {len(value)} characters, at least {chars_min} are needed"
    return None
