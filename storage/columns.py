"""Column types and rules that every table shares."""

import datetime as dt
import re
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

_CAMEL = re.compile(r"(?<!^)(?=[A-Z])")


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware UTC time on both databases (SQLite drops the zone). A naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime")
        return value and value.astimezone(dt.UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)


def table_name(class_name: str) -> str:
    """`InboxEvent` → `inbox_event`."""
    return _CAMEL.sub("_", class_name).lower()
