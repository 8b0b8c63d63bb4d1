"""Follows what happens in all workflows, and misses nothing over restarts."""

from __future__ import annotations

import os
import pathlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import psycopg
from psycopg import sql

from .database import Connection, Database, log
from .errors import CursorRefused

# A cursor that stands still grows too old, too: seconds until it is stored anew.
SAVE_EVERY = 60.0

EVENT = """e.id, e.workflow_id, e.sequence, e.event_type, e.message, e.level, e.agent, e.data, e.is_error,
    CASE WHEN isfinite(e.timestamp) THEN e.timestamp END, e.correlation_id, e.tool_name, e.tool_input,
    e.trace_id, e.parent_id"""
EVENT_OF_FEED = EVENT.replace("e.", "(event).")


@dataclass(frozen=True)
class Event:
    """A row of workflow_log. timestamp is None where it is infinite."""

    id: uuid.UUID
    workflow_id: uuid.UUID
    sequence: int
    event_type: str
    message: str
    level: str
    agent: str | None
    data: Any
    is_error: bool
    timestamp: datetime | None
    correlation_id: str | None
    tool_name: str | None
    tool_input: Any
    trace_id: str | None
    parent_id: uuid.UUID | None


@dataclass(frozen=True)
class Change:
    """Something that happened in a workflow: a new status, or an event, or both. cursor
    is where to go on behind it."""

    workflow_id: uuid.UUID
    status: str | None
    event: Event | None
    written_at: datetime
    cursor: str


class Cursor(Protocol):
    """Where a reader keeps how far it has come. connection is the feed's, in autocommit
    mode or in the transaction of Feed.each()."""

    def load(self, connection: Connection) -> str | None:
        """None: there is none yet."""

    def save(self, connection: Connection, cursor: str, before: str | None) -> None:
        """before: what it goes on from."""


class Callbacks:
    """A cursor that is kept by two functions of yours."""

    def __init__(self, load: Callable[[], str | None], save: Callable[[str], object]) -> None:
        self._load = load
        self._save = save

    def load(self, connection: Connection) -> str | None:
        return self._load()

    def save(self, connection: Connection, cursor: str, before: str | None) -> None:
        self._save(cursor)


class FileCursor:
    """A cursor in a file, which has either the old one or the new one whenever the
    machine stops. One reader for each file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)

    def load(self, connection: Connection) -> str | None:
        try:
            return self.path.read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None

    def save(self, connection: Connection, cursor: str, before: str | None) -> None:
        new = self.path.with_name(self.path.name + ".new")
        with open(new, "w", encoding="ascii") as file:
            file.write(cursor + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class TableCursor:
    """A cursor in a table of yours, in the database of the feed, a row for each reader:

        CREATE TABLE public.feed_cursors (reader text PRIMARY KEY, cursor text NOT NULL)

    Raises RuntimeError when another process reads under the same name."""

    def __init__(self, table: str, reader: str) -> None:
        self.table = sql.Identifier(*table.split("."))
        self.reader = reader

    def load(self, connection: Connection) -> str | None:
        query = sql.SQL("SELECT cursor FROM {} WHERE reader = %s FOR UPDATE").format(self.table)
        row = connection.execute(query, (self.reader,)).fetchone()
        return None if row is None else str(row[0])

    def save(self, connection: Connection, cursor: str, before: str | None) -> None:
        query = sql.SQL(
            """INSERT INTO {table} AS t (reader, cursor) VALUES (%s, %s)
            ON CONFLICT (reader) DO UPDATE SET cursor = excluded.cursor WHERE t.cursor IN (%s, excluded.cursor)"""
        ).format(table=self.table)
        # The same one again: when the answer to the first time was lost.
        if connection.execute(query, (self.reader, cursor, before)).rowcount != 1:
            raise RuntimeError(f"another process reads the feed as {self.reader}")


class Feed:
    """Reads the feed of a database from a cursor on.

    url: a connection string or URL of libpq's, for a role with grant_reader()
    cursor: where it is kept: FileCursor, TableCursor, Callbacks, or a Cursor of yours.
        Where there is none yet the feed begins now, and that is stored before anything
        is read.
    workflow_ids: only these; None: all
    page: changes that are read at once, and after which the cursor is stored
    idle: seconds between looks when nothing is new
    name: application_name, for people
    """

    def __init__(
        self,
        url: str,
        cursor: Cursor,
        *,
        workflow_ids: Sequence[uuid.UUID | str] | None = None,
        page: int = 1000,
        idle: float = 1.0,
        name: str = "amelia feed",
    ) -> None:
        self.cursor = cursor
        self.workflow_ids = None if workflow_ids is None else list(workflow_ids)
        self.page = page
        self.idle = idle
        self._database = Database(url, name)
        self._stopped = False

    def stop(self) -> None:
        """Ends what reads, at its next look. From any thread, or a signal's handler."""
        self._stopped = True

    def close(self) -> None:
        self._database.close()

    def __iter__(self) -> Iterator[Change]:
        return self.read()

    def read(self, follow: bool = True) -> Iterator[Change]:
        """The changes, one after the other, for ever; without follow, up to now. Each
        comes at least once: asking for the next one says that this one is done, and
        the cursor is stored behind each page, and where the loop is left. A process
        that is killed sees the changes since then again; workflow and sequence tell."""
        before = self._begin()
        done = before
        try:
            for changes, end in self._pages(before, follow):
                for change in changes:
                    yield change
                    done = change.cursor
                done = end
                before = self._save(done, before)
        finally:
            if done != before:
                self._save(done, before)

    def each(self, handle: Callable[[Connection, list[Change]], object], follow: bool = True) -> None:
        """Calls handle(connection, changes) for each page, in a transaction on that
        connection which also stores the cursor: what it writes there is written once
        for each change, whatever is killed when. The cursor must be a TableCursor. An
        exception of handle's ends it; nothing of that page is stored then."""
        if not isinstance(self.cursor, TableCursor):
            raise TypeError("each() needs a TableCursor")
        before = self._begin()
        for changes, end in self._pages(before, follow):
            if changes:
                self._database.run(
                    lambda connection: self._handle(connection, handle, changes, end, before), self._check
                )
                before = end
            else:
                before = self._save(end, before)

    def begin_anew(self) -> None:
        """After CursorRefused: stores a cursor of now. What happened before it is read
        with events_after(), then, for each workflow from the last sequence that was
        seen; some of it may come twice."""
        self._database.run(
            lambda connection: self._store_first(connection, self.cursor.load(connection)), self._check
        )

    def events_after(self, workflow_id: uuid.UUID, sequence: int = 0) -> Iterator[Event]:
        """The events of one workflow behind a sequence, up to now."""
        while True:
            rows = self._database.query(
                self._check,
                f"SELECT {EVENT} FROM amelia.events_after(%s, %s, %s) AS e",
                workflow_id,
                sequence,
                self.page,
            )
            for row in rows:
                yield Event(*row)
            if len(rows) < self.page:
                return
            sequence = rows[-1][2]

    def _check(self) -> None:
        if self._stopped:
            raise psycopg.OperationalError("stopped while the server was not there")

    def _begin(self) -> str:
        def load(connection: Connection) -> str:
            return self.cursor.load(connection) or self._store_first(connection, None)

        return self._database.run(load, self._check)

    def _store_first(self, connection: Connection, before: str | None) -> str:
        row = connection.execute("SELECT next_cursor FROM amelia.feed_after()").fetchone()
        assert row is not None
        self.cursor.save(connection, row[0], before)
        return str(row[0])

    def _save(self, cursor: str, before: str) -> str:
        if cursor != before:
            self._database.run(lambda connection: self.cursor.save(connection, cursor, before), self._check)
        return cursor

    def _handle(
        self,
        connection: Connection,
        handle: Callable[[Connection, list[Change]], object],
        changes: list[Change],
        end: str,
        before: str,
    ) -> None:
        with connection.transaction():
            stored = self.cursor.load(connection)
            # The answer to the first COMMIT was lost: it is done.
            if stored != end:
                # First, so that another process that reads as this one has done nothing yet.
                self.cursor.save(connection, end, before)
                handle(connection, changes)

    def _pages(self, cursor: str, follow: bool) -> Iterator[tuple[list[Change], str]]:
        """Pages that are not empty, with the cursor behind each, and an empty one now and
        then, so that the cursor does not grow old."""
        saved = time.monotonic()
        ended = False
        while not self._stopped:
            rows = self._read(cursor)
            changes = [
                Change(row[2], row[3], Event(*row[4:]) if row[4] is not None else None, row[1], row[0])
                for row in rows
                if row[2] is not None
            ]
            cursor = rows[-1][0] if rows else cursor
            if changes or not follow or time.monotonic() > saved + SAVE_EVERY:
                yield changes, cursor
                saved = time.monotonic()
            if len(changes) < self.page:
                # It is the end as it was at the first page of those that go on from each
                # other, which may have been before a restart: the next one is of now.
                if not follow and ended:
                    return
                ended = True
                if follow:
                    time.sleep(self.idle)

    def _read(self, cursor: str) -> list[Any]:
        while True:
            try:
                return self._database.query(
                    self._check,
                    f"SELECT next_cursor, written_at, workflow_id, status, {EVENT_OF_FEED} FROM amelia.feed_after(%s, %s, %s::uuid[])",
                    cursor,
                    self.page,
                    self.workflow_ids,
                )
            except psycopg.errors.InvalidParameterValue as error:
                raise CursorRefused(error.diag.message_primary) from error
            except psycopg.errors.ObjectNotInPrerequisiteState as error:
                # A standby may not have come as far as a cursor of its primary's.
                if not (error.diag.message_hint or "").startswith("Ask again"):
                    raise CursorRefused(error.diag.message_primary) from error
                log.info("%s", error.diag.message_primary)
            self._check()
            time.sleep(self.idle)
