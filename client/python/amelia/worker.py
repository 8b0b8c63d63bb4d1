"""Claims workflows, one after the other, and does the work."""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from .database import Database, log
from .errors import Cancelled, LeaseLost, Retry, Stopping, StopWork, WaitsForPerson
from .interrupt import Interrupter
from .lease import Lease
from .workflow import COLUMNS, Workflow


class Worker:
    """A worker of one process. Start as many processes as you like, on any machine.

    url: a connection string or URL of libpq's, for a role with the rights of
        grant_worker(). Behind PgBouncer in transaction mode it works as well.
    work: called with each Workflow that is claimed. When it returns, the workflow is
        completed. Cancelled ends it as cancelled; Retry and any other exception fail
        the attempt, and the next one is due later; StopWork is to be let through.
    name: for people, in the log and in workflow_leases
    lease: seconds that a workflow stands still for when its worker is killed; should be
        longer than anything through which a worker lives
    idle: seconds between looks at an empty queue
    profile_id, workflow_types: what is claimed, as claim_workflow() says; None: anything
    """

    def __init__(
        self,
        url: str,
        work: Callable[[Workflow], object],
        *,
        name: str | None = None,
        lease: float = 60.0,
        idle: float = 1.0,
        profile_id: str | None = None,
        workflow_types: Sequence[str] | None = None,
    ) -> None:
        self.work = work
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self.lease = lease
        self.idle = idle
        self.profile_id = profile_id
        self.workflow_types = None if workflow_types is None else list(workflow_types)
        self._database = Database(url, self.name)
        self._interrupter = Interrupter()

    def stop(self) -> None:
        """As SIGTERM: ends the step, gives the workflow back, and run() returns. From any thread."""
        self._interrupter.stop()

    def run(self, once: bool = False) -> None:
        """Works until SIGTERM, SIGINT or stop(); with once until there is nothing to claim.
        In the main thread it handles the signals itself, and puts the old handlers
        back. Errors of the database that trying again does not mend are raised: no
        such extension, no right to claim, a lease longer than the server allows."""
        interrupter = self._interrupter
        with interrupter.signals():
            try:
                while interrupter.stop_at is None:
                    claimed = time.monotonic()
                    row = self._claim()
                    if row is not None:
                        self._work_on(row, claimed)
                    elif once:
                        break
                    else:
                        self._sleep(self.idle)
            except Stopping as error:
                log.info("stopped: %s", error)
            finally:
                self._database.close()

    def _sleep(self, seconds: float) -> None:
        """A little more or less, so that many workers do not ask at once."""
        end = time.monotonic() + seconds * random.uniform(0.5, 1.5)
        with self._interrupter.open():
            while (left := end - time.monotonic()) > 0:
                time.sleep(min(left, 0.5))
                self._interrupter.check()

    def _claim(self) -> Sequence[Any] | None:
        # Sent twice, it may claim two: the first one's lease runs out unused.
        try:
            rows = self._database.query(
                self._interrupter.check,
                f"SELECT {COLUMNS} FROM amelia.claim_workflow(%s, %s * interval '1 s', %s, %s)",
                self.name,
                self.lease,
                self.profile_id,
                self.workflow_types,
            )
        except psycopg.OperationalError as error:
            # A budget is spent, a disk is full, a timeout of the role's: it may pass.
            log.warning("nothing is claimed: %s", error.diag.message_primary or error)
            return None
        return rows[0] if rows else None

    def _work_on(self, row: Sequence[Any], claimed: float) -> None:
        interrupter = self._interrupter
        url = self._database.url
        lease = Lease(url, self.name, row[0], row[1], self.lease, claimed, interrupter.wake)
        workflow = Workflow(row, self.name, lease, self._database, interrupter)
        log.info("%s: claimed under %s", workflow.id, workflow.lease_token)
        interrupter.why = workflow.why
        try:
            self._attempt(workflow)
        except (LeaseLost, WaitsForPerson) as error:
            # Also when a release was sent twice, and done the first time.
            log.info("%s: stopped: %s", workflow.id, error)
        finally:
            interrupter.why = interrupter._why_stopping
            lease.close()

    def _attempt(self, workflow: Workflow) -> None:
        """One attempt, and how it ends."""
        try:
            with self._interrupter.open():
                self.work(workflow)
        except (LeaseLost, WaitsForPerson):
            raise
        except Cancelled as error:
            self._release(workflow, "cancelled", str(error) or None)
        except StopWork:
            self._release(workflow)  # without a status: it is claimable at once
        except Retry as error:
            self._release(workflow, "failed", str(error), error.after)
        except Exception as error:
            # An error of the database's may be the loss of the lease: then this says so.
            self._release(workflow, "failed", str(error) or type(error).__name__, raised=error)
        except BaseException:
            self._release(workflow)  # sys.exit() in the work
            raise
        else:
            self._release(workflow, "completed")

    def _release(
        self,
        workflow: Workflow,
        status: str | None = None,
        reason: str | None = None,
        after: float | None = None,
        raised: Exception | None = None,
    ) -> None:
        """Whatever refuses the end of one workflow, a trigger or a number out of range, does
        not end the worker: then the attempt has failed."""
        try:
            workflow.release(status, reason, after)
        except psycopg.Error as error:
            refused = f"cannot be released as {status}: {error.diag.message_primary or error}"
            log.error("%s: %s", workflow.id, refused)
            if status != "failed" or after is not None:
                self._release(workflow, "failed", refused, raised=raised)
            # Else its lease runs out.
        else:
            level = logging.WARNING if raised else logging.INFO
            words = ": ".join(filter(None, (status or "given back", reason)))
            log.log(level, "%s: %s", workflow.id, words, exc_info=raised)
