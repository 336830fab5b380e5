"""Looking into JSON from outside, where anything may be missing or something else."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

Json = Mapping[str, Any]


def inside(value: Json, name: str) -> Json:
    """The object at `name`, empty where there is none."""
    found = value.get(name)
    return cast("Json", found) if isinstance(found, dict) else {}


def many(value: Json, name: str) -> Sequence[Json]:
    """The objects in the list at `name`."""
    found = value.get(name)
    if not isinstance(found, list):
        return ()
    return [cast("Json", one) for one in cast("list[Any]", found) if isinstance(one, dict)]


def word(value: Json, name: str) -> str:
    """The text at `name`, empty where there is none."""
    found = value.get(name)
    return found if isinstance(found, str) else ""
