"""Tokens of language models that were spent, by day and by who asked."""

from collections.abc import Mapping
from typing import cast

from sqlalchemy import Table, delete, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from rag import models
from rag.models import TokenUse

EVERYBODY = ""
DAYS_KEPT = 31  # of the sums; who asked is forgotten with the day


def spend(session: Session, day: str, asker: str, tokens: int) -> Mapping[str, int]:
    """Add `tokens` to the day's sum and to the asker's; what both are now, by asker."""
    return {who: _add(session, day, who, tokens) for who in dict.fromkeys((EVERYBODY, asker))}


def spent(session: Session, day: str, asker: str = EVERYBODY) -> int:
    """Tokens of a day: of one asker, or of everybody."""
    row = session.get(models.TokenUse, (day, asker))
    return row.tokens if row else 0


def forget_spent(session: Session, today: str, oldest: str) -> None:
    """Forget who asked on other days, and sums from before `oldest`."""
    past = (col(TokenUse.day) != today) & (col(TokenUse.asker) != EVERYBODY)
    session.exec(delete(TokenUse).where(past | (col(TokenUse.day) < oldest)))


def _add(session: Session, day: str, asker: str, tokens: int) -> int:
    table = cast("Table", inspect(TokenUse).local_table)
    dialect = session.connection().dialect.name
    insert = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    insert = insert.values(day=day, asker=asker, tokens=max(tokens, 0))
    added = insert.on_conflict_do_update(
        index_elements=["day", "asker"], set_={"tokens": table.c.tokens + tokens}
    )
    session.connection().execute(added)
    return session.exec(
        select(TokenUse.tokens).where(TokenUse.day == day, TokenUse.asker == asker)
    ).one()
