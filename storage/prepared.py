"""Statements of the hot path: compiled once, then run on the driver itself.

SQLAlchemy Core builds the SQL and knows the types, once per kind of database. What it does again at
every execution (events, caches, result objects) costs several times what SQLite needs for a small
statement, so that part is left out. Meaning, parameters and errors stay the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Column, Dialect, Select, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlalchemy.types import TypeEngine
from sqlmodel import Session, SQLModel

T = TypeVar("T")
M = TypeVar("M", bound=SQLModel)
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement for one kind of database. `binds`: in the driver's order, with what turns each
    value into the driver's; `constants`: values that stand in the statement itself."""

    sql: str
    binds: Sequence[tuple[str, Convert | None]]
    constants: Mapping[str, Any]
    by_name: bool
    from_driver: Sequence[tuple[int, Convert]]  # columns whose values the driver cannot make
    dialect: Dialect

    def bound(self, values: Mapping[str, Any]) -> Any:
        """The parameters as the driver wants them. Raises KeyError for one that is missing."""
        if self.constants:
            values = {**self.constants, **values}
        if self.by_name:
            return {n: to(values[n]) if to else values[n] for n, to in self.binds}
        return [to(values[n]) if to else values[n] for n, to in self.binds]


class Prepared(Generic[T]):
    """A statement whose rows become `row(*columns)`. Kept by a cached function, never made twice.

    `columns`: the names an INSERT or UPDATE is given values for. Lists that grow with their values
    (`IN`) cannot be prepared.
    """

    def __init__(
        self,
        statement: Select[*tuple[Any, ...]] | UpdateBase,
        row: Callable[..., T],
        *,
        columns: Iterable[str] = (),
    ) -> None:
        self._statement = statement
        self._row = row
        self._columns = list(columns)
        self._compiled: dict[str, _Compiled] = {}

    def first(self, session: Session, values: Mapping[str, Any]) -> T | None:
        """The first row, if there is one."""
        cursor, compiled = self._execute(session, values)
        found = cursor.fetchone()
        cursor.close()
        return None if found is None else self._made(compiled, found)

    def all(self, session: Session, values: Mapping[str, Any]) -> list[T]:
        cursor, compiled = self._execute(session, values)
        found = cursor.fetchall()
        cursor.close()
        return [self._made(compiled, one) for one in found]

    def run(self, session: Session, values: Mapping[str, Any]) -> int:
        """How many rows an INSERT, UPDATE or DELETE touched."""
        cursor, _ = self._execute(session, values)
        count = cursor.rowcount
        cursor.close()
        return count

    def _made(self, compiled: _Compiled, found: Sequence[Any]) -> T:
        if not compiled.from_driver:
            return self._row(*found)
        columns = list(found)
        for place, convert in compiled.from_driver:
            columns[place] = convert(columns[place])
        return self._row(*columns)

    def _execute(self, session: Session, values: Mapping[str, Any]) -> tuple[Any, _Compiled]:
        connection = session.connection()
        compiled = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        cursor = connection.connection.cursor()
        bound = compiled.bound(values)
        try:
            cursor.execute(compiled.sql, bound)
        except _driver_error(compiled.dialect) as error:
            cursor.close()
            raise _wrapped(error, compiled) from error
        return cursor, compiled

    def _compile(self, dialect: Dialect) -> _Compiled:
        made = self._statement.compile(dialect=dialect, column_keys=self._columns or None)
        if made.post_compile_params:
            raise TypeError(f"a list that grows cannot be prepared: {made}")
        names = made.positiontup if made.positional else list(made.bind_names.values())
        compiled = _Compiled(
            sql=made.string,
            binds=[(name, _to_driver(made.binds[name].type, dialect)) for name in names or ()],
            constants=_constants(made),
            by_name=not made.positional,
            from_driver=_from_driver(self._statement, dialect),
            dialect=dialect,
        )
        self._compiled[dialect.name] = compiled
        return compiled


class PreparedObjects(Generic[M]):
    """A prepared SELECT of one mapped class, for rows that the session shall keep track of: what
    their holder changes is written at the next flush."""

    def __init__(self, mapped: type[M], statement: Select[M]) -> None:
        self._mapped = mapped
        self._rows = Prepared(statement, lambda *columns: columns)
        self._names = [str(column.key) for column in statement.selected_columns]

    def first(self, session: Session, values: Mapping[str, Any]) -> M | None:
        """The first object, as it is in the database now, whatever the session knew of it."""
        session.flush()
        found = self._rows.first(session, values)
        if found is None:
            return None
        mapper = inspect(self._mapped)
        named = dict(zip(self._names, found, strict=True))
        own_id = tuple(named[str(column.key)] for column in mapper.primary_key)
        own_key = mapper.identity_key_from_primary_key(own_id)
        known = session.identity_map.get(own_key)
        if known is not None:
            for name, value in named.items():
                set_committed_value(known, name, value)
            return cast("M", known)
        made: M = mapper.class_manager.new_instance()
        vars(made).update(named)
        make_transient_to_detached(made)
        session.add(made)
        return made


def _constants(made: SQLCompiler) -> dict[str, Any]:
    """Values written into the statement, and the defaults of columns that were given none."""
    own = {name: bind.value for bind, name in made.bind_names.items() if not bind.required}
    for column in made.insert_prefetch or ():
        own[column.key] = _default(column)
    return own


def _default(column: Column[Any]) -> Any:
    if not isinstance(column.default, ScalarElementColumnDefault):
        raise TypeError(f"{column}: its default is made anew for each row, so give it a value")
    return column.default.arg


def _to_driver(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _from_driver(
    statement: Select[*tuple[Any, ...]] | UpdateBase, dialect: Dialect
) -> list[tuple[int, Convert]]:
    if not isinstance(statement, Select):
        return []
    found = [
        column.type.dialect_impl(dialect).result_processor(dialect, None)
        for column in statement.selected_columns
    ]
    return [(place, convert) for place, convert in enumerate(found) if convert is not None]


def _driver_error(dialect: Dialect) -> type[Exception]:
    return dialect.loaded_dbapi.Error


def _wrapped(error: Exception, compiled: _Compiled) -> BaseException:
    """The error as SQLAlchemy raises it: callers tell a deadlock from a broken constraint by it.
    Without the values: an error in the log must not hold what a customer wrote."""
    return DBAPIError.instance(
        compiled.sql, None, error, _driver_error(compiled.dialect), hide_parameters=True,
        dialect=compiled.dialect,
    )  # fmt: skip
