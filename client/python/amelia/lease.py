"""The right to a workflow for a while, and the threads that keep it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

import psycopg

from .database import Database, log
from .errors import Cancelled, LeaseLost, StopWork


class Over(Exception):
    """Nobody needs the heartbeat any more."""


class Lease:
    """A thread sends heartbeats on a connection of its own, at once and three times
    per lease, however long a step takes. Another one knows when the lease ends
    should no heartbeat be answered: a server that stands still answers nothing.

    changed() is called from those threads when why() says something new.
    """

    def __init__(
        self,
        url: str,
        name: str,
        workflow_id: uuid.UUID,
        token: int,
        seconds: float,
        claimed: float,
        changed: Callable[[], None],
    ) -> None:
        self.workflow_id = workflow_id
        self.token = token
        self.seconds = seconds
        self.lost: str | None = None  # and why
        self.cancelled = False
        self.budget_message: str | None = None
        self.news = threading.Event()  # set once why() says something
        self._changed = changed
        # By our own clock, from before the question: no later than the server thinks.
        self._ends = claimed + seconds
        self._over = threading.Event()
        self._database = Database(url, f"{name} heartbeat")
        for target in (self._beat, self._watch):
            threading.Thread(target=target, name=f"amelia {target.__name__}", daemon=True).start()

    def why(self) -> StopWork | None:
        """The exception that the work is to end with."""
        # The server would refuse what is written: this only spares the work.
        if self.lost is None and time.monotonic() > self._ends:
            self.lost = "no heartbeat was answered before the lease ran out"
        if self.lost is not None:
            return LeaseLost(self.lost)
        return Cancelled() if self.cancelled else None

    def check(self) -> None:
        """Raises LeaseLost, but not what would only end the work."""
        why = self.why()
        if isinstance(why, LeaseLost):
            raise why

    def lose(self, reason: str) -> None:
        if self.lost is None and not self._over.is_set():
            self.lost = reason
            self._tell()

    def close(self) -> None:
        self._over.set()

    def _tell(self) -> None:
        self.news.set()
        self._changed()

    def _go_on(self) -> None:
        if self._over.is_set() or self.lost is not None:
            raise Over

    def _beat(self) -> None:
        while not self._over.is_set() and self.lost is None:
            sent = time.monotonic()
            try:
                ((cancelled, self.budget_message),) = self._database.query(
                    self._go_on,
                    "SELECT cancel_requested, budget_message FROM amelia.heartbeat(%s, %s, %s * interval '1 s')",
                    self.workflow_id,
                    self.token,
                    self.seconds,
                )
                self._ends = sent + self.seconds
                if cancelled and not self.cancelled:
                    self.cancelled = True
                    self._tell()
            except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.NoDataFound) as error:
                self.lose(error.diag.message_primary or str(error))
            except Over:
                break
            except Exception as error:
                # Another one may be answered; until then the lease goes on running.
                log.warning("%s: no heartbeat: %s", self.workflow_id, error)
            self._over.wait(self.seconds / 3)
        self._database.close()

    def _watch(self) -> None:
        while not self._over.wait(max(0.0, self._ends - time.monotonic()) + 0.01):
            if self.why() is not None and self.lost is not None:
                self._tell()
                break
