"""What outlives the process: SQLite in WAL mode, one connection behind a lock.

The version of the records is SQLite's `user_version`. Records of an older version are brought up to date when they are
opened, all or nothing.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rs2sam.errors import BusyError, InvalidInputError, words_of

try:
    import fcntl
except ImportError:  # Windows: two services on one folder are then told from each other by nobody
    fcntl = None  # type: ignore[assignment]

VERSION = 2
"""Of the records; 1: jobs of a first kind had no `resumed_at`."""

_TABLES = (
    """CREATE TABLE IF NOT EXISTS images (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, bytes INTEGER NOT NULL,
    received INTEGER NOT NULL, reading TEXT, facts TEXT, error TEXT, created REAL NOT NULL, used REAL NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL, image TEXT NOT NULL, state TEXT NOT NULL, request TEXT NOT NULL,
    repeat_key TEXT UNIQUE, done INTEGER NOT NULL DEFAULT 0, total INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
    resumed_at INTEGER NOT NULL DEFAULT 0, error TEXT, result TEXT, created REAL NOT NULL, started REAL, finished REAL
)""",
)
_ADDED = (("jobs", "resumed_at", "INTEGER NOT NULL DEFAULT 0"),)
"""Columns that older records lack: table, column, and how it is declared."""

_INDEX = "CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, number)"


class Database:
    """Images and jobs.

    Args:
        folder: of the service; locked while it runs.

    Raises:
        BusyError: another service works in the folder.
        InvalidInputError: the folder cannot be used, or a newer version's or another program's records are in it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_file = (folder / "lock").open("ab")
        except OSError as error:
            raise InvalidInputError(
                f"The service needs a folder of its own that it can write to, but {str(folder)!r} is none "
                f"({error.strerror or words_of(error)}). Choose another with --data."
            ) from error
        if fcntl is not None:
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._lock_file.close()
                raise BusyError(
                    f"Another service works in {str(folder)!r}. Stop it, or choose another folder with --data."
                ) from error
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(folder / "serve.sqlite", check_same_thread=False, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
                self._connection.execute(f"PRAGMA {pragma}")
            with self.transaction() as connection:
                _bring_up_to_date(connection, folder)
        except sqlite3.Error as error:
            self._let_go()
            raise InvalidInputError(
                f"The service's own records in {str(folder)!r} cannot be read ({words_of(error)}). Remove that folder, "
                "or choose another with --data."
            ) from error
        except InvalidInputError:
            self._let_go()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several statements, all or none; others wait."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """What a statement finds."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(statement, values)]

    def row(self, statement: str, *values: Any) -> dict[str, Any] | None:
        """The first row that a statement finds."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    def update(self, table: str, key: str, values: Mapping[str, Any]) -> None:
        """Set columns of one row; the names are the program's own."""
        with self._lock:
            columns = ", ".join(f"{name} = ?" for name in values)
            self._connection.execute(f"UPDATE {table} SET {columns} WHERE id = ?", (*values.values(), key))

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        """Close the records, where they were opened, and the lock."""
        if hasattr(self, "_connection"):
            self._connection.close()
        self._lock_file.close()


def _bring_up_to_date(connection: sqlite3.Connection, folder: Path) -> None:
    """Make the tables, or add to those of an older version what they lack; within a transaction.

    Raises:
        InvalidInputError: the records are a newer version's, or nobody's that is known.
    """
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise InvalidInputError(
            f"{str(folder)!r} was written by a newer version of the service (records {found}, known here: up to "
            f"{VERSION}). Use that version, or choose another folder with --data."
        )
    for statement in _TABLES:
        connection.execute(statement)
    for table, column, declared in _ADDED:
        if column not in _columns(connection, table):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declared}")
    with sqlite3.connect(":memory:") as wanted:
        for statement in _TABLES:
            wanted.execute(statement)
        for table in ("images", "jobs"):
            if missing := _columns(wanted, table) - _columns(connection, table):
                raise InvalidInputError(
                    f"The records in {str(folder)!r} lack {', '.join(sorted(missing))} in the table {table!r}: another "
                    "program or a version that is not known wrote them. Choose another folder with --data."
                )
    wanted.close()
    connection.execute(_INDEX)
    connection.execute(f"PRAGMA user_version={VERSION}")


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """Names of a table's columns."""
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def as_json(value: Any) -> str | None:
    """A value for a column of text."""
    return None if value is None else json.dumps(value, ensure_ascii=True)


def from_json(text: str | None) -> Any:
    """A value of a column of text."""
    return None if text is None else json.loads(text)
