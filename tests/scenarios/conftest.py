"""Scenarios run on the same gateway as the gateway's own tests."""

from tests.gateway.conftest import database, empty_sqlite, postgres, world

__all__ = ["database", "empty_sqlite", "postgres", "world"]
