"""A connection that comes back when it was lost."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

log = logging.getLogger("amelia")

T = TypeVar("T")
Connection = psycopg.Connection[Any]

# SQLSTATEs after which a transaction is sent again: serialization failure, deadlock.
AGAIN = ("40001", "40P01")
# The server has become a standby, or the name leads to one.
READ_ONLY = "25006"


def defaults(url: str, **settings: Any) -> str:
    """A connection string with settings that it does not have itself."""
    given = conninfo_to_dict(url)
    return make_conninfo(url, **{name: value for name, value in settings.items() if name not in given})


class Database:
    """One connection, for the threads of one process, one after the other.

    url: a connection string or URL of libpq's. name: application_name, for people.
    """

    def __init__(self, url: str, name: str) -> None:
        # A network that is gone is noticed within seconds, not within hours.
        self.url = defaults(
            url, application_name=name, connect_timeout=10, keepalives_idle=20, tcp_user_timeout=15000
        )
        self._connection: Connection | None = None
        self._lock = threading.RLock()
        self._in_transaction = False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(self, function: Callable[[Connection], T], check: Callable[[], None]) -> T:
        """Returns function(connection), in autocommit mode. When the connection is lost
        nobody knows whether it was committed, so it is called again on a new one: it
        must be what may be sent twice. check() is called before each try after the
        first one, and raises when there shall be none."""
        with self._lock:
            if self._in_transaction:
                return function(self._connected(check))
            while True:
                connection = self._connected(check)
                try:
                    return function(connection)
                except psycopg.Error as error:
                    if not self._is_passing(connection, error):
                        raise
                check()

    def query(self, check: Callable[[], None], statement: str, *parameters: Any) -> list[Any]:
        """The rows of a statement that may be sent twice."""
        return self.run(lambda connection: connection.execute(statement, parameters).fetchall(), check)

    @contextlib.contextmanager
    def transaction(self, check: Callable[[], None]) -> Iterator[Connection]:
        """A transaction, tried once. What run() is called with inside of it is part of it."""
        with self._lock:
            if self._in_transaction:
                raise RuntimeError("a transaction is open already")
            connection = self._connected(check)
            self._in_transaction = True
            try:
                with connection.transaction():
                    yield connection
                    if connection.info.transaction_status == TransactionStatus.INERROR:
                        # Its COMMIT would be a ROLLBACK without a word.
                        raise RuntimeError("the transaction is rolled back: an error in it was caught")
            except psycopg.Error as error:
                self._is_passing(connection, error)
                raise
            finally:
                self._in_transaction = False

    def is_connected(self) -> bool:
        """False once the connection was lost, until the next use."""
        return self._connection is not None

    def _connected(self, check: Callable[[], None]) -> Connection:
        delay = 0.1
        while self._connection is None:
            try:
                # Behind PgBouncer the next statement may go to another server process,
                # which does not know what was prepared in this one.
                self._connection = psycopg.connect(self.url, autocommit=True, prepare_threshold=None)
            except psycopg.OperationalError as error:
                log.warning("cannot connect: %s", str(error).strip())
                check()
                time.sleep(delay * random.uniform(0.5, 1))
                delay = min(delay * 2, 5)
        return self._connection

    def _is_passing(self, connection: Connection, error: psycopg.Error) -> bool:
        """Whether it may go better the next time."""
        if error.sqlstate == READ_ONLY:
            log.warning("the server is read-only: %s", error)
            connection.close()
            time.sleep(random.uniform(0.5, 1))
        elif connection.broken or connection.closed:
            log.warning("lost the connection: %s", str(error).strip())
            connection.close()
        else:
            return error.sqlstate in AGAIN
        self._connection = None
        return True
