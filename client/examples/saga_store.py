#!/usr/bin/python3
"""A storage class for conversations that moves from SQLite to PostgreSQL.

    apt-get install python3-psycopg
    store = MessageStore("saga.db", "postgresql://host/db", step=2)

step 1: the old file alone. 2: both are written, the old one is read. 3: both are
written, PostgreSQL is read and the old file is what it falls back on. 4: PostgreSQL
alone, and the old file may be archived. docs/saga.md has the whole move.
"""
import json
import sqlite3
import uuid
from datetime import datetime, timezone

import psycopg
from psycopg.types.json import Jsonb

COLUMNS = "id, provider, role, content, tags, timestamp, metadata, session_id"


class MessageStore:
    def __init__(self, path, url, step=2):
        self.old = sqlite3.connect(path, timeout=30) if step < 4 else None
        self.url, self.step = url, step
        self.new = None
        self.missed = 0     # messages that only the old file has, until amelia-import brings them

    def postgres(self):
        if self.new is None or self.new.closed:
            self.new = psycopg.connect(self.url, autocommit=True, prepare_threshold=None)
        return self.new

    def save(self, provider, role, content, tags=(), metadata=None, session_id=None, id=None):
        """Saves a message and returns its id. With the same id it can be saved again."""
        id = id or str(uuid.uuid4())
        stored = said = datetime.now(timezone.utc).isoformat()
        # PostgreSQL first: what is in the old file is then in both. Both have the times
        # from here, so that they are the same where an answer was lost on its way.
        if self.step > 1:
            try:
                self.postgres().execute(
                    f"INSERT INTO amelia_saga.messages ({COLUMNS}, created_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
                    (id, provider, role, content, Jsonb(list(tags)), said, Jsonb(metadata or {}), session_id, stored))
            except psycopg.OperationalError:
                if self.step == 4:
                    raise
                self.missed += 1
        if self.step < 4:
            with self.old:
                added = self.old.execute(
                    f"INSERT INTO messages ({COLUMNS}, created_at) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING",
                    (id, provider, role, content, json.dumps(list(tags)), said, json.dumps(metadata or {}), session_id, stored))
                if added.rowcount:
                    self.old.execute("INSERT INTO messages_fts (id, content, tags) VALUES (?,?,?)",
                                     (id, content, " ".join(tags)))
        return id

    def read(self, new, old):
        """The rows of one query of two: of PostgreSQL's where it is its turn, and it has all and answers."""
        if self.step > 2 and not self.missed:
            try:
                return self.postgres().execute(*new).fetchall()
            except psycopg.OperationalError:
                if self.step == 4:
                    raise
        return self.old.execute(*old).fetchall()

    def session(self, session_id):
        """(id, role, content) of a session, oldest first."""
        return self.read(("SELECT id, role, content FROM amelia_saga.get_session(%s)", (session_id,)),
                         ("SELECT id, role, content FROM messages WHERE session_id = ? ORDER BY julianday(timestamp), rowid", (session_id,)))

    def search(self, query, limit=50):
        """(id, snippet) of what is found, best first; the query is in FTS5's language in both."""
        return self.read(("SELECT id, snippet FROM amelia_saga.search_messages(%s, row_limit => %s)", (query, limit)),
                         ("SELECT id, snippet(messages_fts, 1, '**', '**', '…', 32) FROM messages_fts"
                          " WHERE messages_fts MATCH ? ORDER BY rank LIMIT ?", (query, limit)))
