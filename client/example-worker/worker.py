#!/usr/bin/python3
"""A worker for Amelia, to read and to begin from.

    apt-get install python3-psycopg
    DATABASE_URL=postgresql://host/db client/example-worker/worker.py

Start as many as you like, on any machine. Each claims a workflow, does its
steps, and goes on to the next one. Killed, it loses its lease within LEASE
seconds; another one takes the workflow over and goes on behind the last step
that is in the log. SIGTERM: it gives back what it holds, and ends.

The steps of a workflow are the strings in its issue_cache -> 'steps'; "approve:
QUESTION" asks a person first. What a step does is in do_step(): that is yours.
"""
import argparse
import os
import random
import signal
import socket
import sys
import threading
import time
import uuid

import psycopg
from psycopg.types.json import Jsonb

stopping = threading.Event()


class LeaseLost(Exception):
    """The workflow is somebody else's by now, or nobody's: leave it alone."""


class Stopped(Exception):
    """Somebody wants us to stop in the middle of a workflow."""


def say(text):
    print(text, file=sys.stderr, flush=True)


class Database:
    """A connection that comes back when it was lost."""

    def __init__(self, url):
        self.url = url
        self.connection = None

    def connect(self):
        delay = 0.1
        while True:
            try:
                # Behind PgBouncer the next statement may go to another server
                # process, which does not know what was prepared in this one.
                self.connection = psycopg.connect(self.url, autocommit=True, prepare_threshold=None)
                return
            except psycopg.OperationalError as error:
                say(f"cannot connect: {error}")
                if stopping.is_set() and delay == 5:
                    raise SystemExit(1) from error  # what it holds runs out
                time.sleep(delay * random.uniform(0.5, 1))
                delay = min(delay * 2, 5)

    def close(self):
        if self.connection is not None:
            self.connection.close()

    def again(self, function):
        """Runs what may be sent twice: when the connection is lost, nobody
        knows whether it was committed, so it is sent again."""
        while True:
            if self.connection is None:
                self.connect()
            try:
                return function(self.connection)
            except psycopg.errors.ObjectNotInPrerequisiteState as error:
                raise LeaseLost(error.diag.message_primary) from error
            except psycopg.OperationalError as error:
                if not self.connection.broken and not self.connection.closed:
                    raise
                say(f"lost the connection: {error}")
                self.connection = None

    def query(self, statement, *parameters):
        return self.again(lambda connection: connection.execute(statement, parameters).fetchall())


class Lease:
    """A workflow that is ours for a while, and the thread that keeps it so."""

    def __init__(self, url, seconds, row):
        self.id, self.token, self.steps = row
        self.seconds = seconds
        self.database = Database(url)  # of its own: the worker's may be busy
        self.ends = time.monotonic() + seconds
        self.over = threading.Event()
        self.lost = False
        self.cancelled = False
        self.thread = threading.Thread(target=self.beat, daemon=True)
        self.thread.start()

    def beat(self):
        """At once, because a worker that does not begin is taken for dead, and
        three times per lease: says that we are there, and hears whether
        somebody wants the workflow to end."""
        while not self.over.is_set():
            sent = time.monotonic()
            try:
                [[self.cancelled]] = self.database.query(
                    "SELECT cancel_requested FROM amelia.heartbeat(%s, %s, %s * interval '1 s')",
                    self.id, self.token, self.seconds)
                self.ends = sent + self.seconds
            except (LeaseLost, psycopg.Error) as error:
                if not self.over.is_set():
                    say(f"no heartbeat: {error}")
                    self.lost = True
                break
            self.over.wait(self.seconds / 3)
        self.database.close()

    def check(self):
        """Raises when we are not to go on."""
        # The server would refuse what we write: this only spares the work.
        if self.lost or time.monotonic() > self.ends:
            raise LeaseLost("it ran out")
        if self.cancelled or stopping.is_set():
            raise Stopped()

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            time.sleep(min(0.1, seconds))

    def close(self):
        self.over.set()


class Worker:
    def __init__(self, url, name, seconds, step_seconds):
        self.url = url
        self.name = name
        self.seconds = seconds
        self.step_seconds = step_seconds
        self.database = Database(url)

    def append(self, lease, event_type, message, **data):
        # With an id of our own: sent twice, it is stored once.
        self.database.query(
            "SELECT amelia.append_event(%s, %s, %s, agent => %s, data => %s, id => %s, lease_token => %s)",
            lease.id, event_type, message, self.name, Jsonb(data), uuid.uuid4(), lease.token)

    def release(self, lease, status=None, reason=None, retry_after=None):
        self.database.query(
            "SELECT amelia.release_workflow(%s, %s, %s, %s, %s * interval '1 s')",
            lease.id, lease.token, status, reason, retry_after)

    def steps_done(self, lease):
        """What this workflow's workers before us have done."""
        [[done]] = self.database.query(
            "SELECT count(*) FROM amelia.workflow_log WHERE workflow_id = %s AND event_type = 'task_completed'",
            lease.id)
        return done

    def answer(self, lease, number):
        """What a person said to the question of this step; None: not asked."""
        rows = self.database.query(
            """SELECT a.event_type = 'approval_granted', a.message
            FROM amelia.workflow_log AS q
            JOIN amelia.workflow_log AS a ON a.workflow_id = q.workflow_id AND a.sequence > q.sequence
                AND a.event_type IN ('approval_granted', 'approval_rejected')
            WHERE q.workflow_id = %s AND q.event_type = 'approval_required' AND q.data ->> 'step' = %s
            ORDER BY q.sequence DESC, a.sequence LIMIT 1""",
            lease.id, str(number))
        return rows[0] if rows else None

    def read_inbox(self, lease):
        """Messages to us. Each is given out once: so in one transaction with
        what tells of it in the log."""

        def take(connection):
            with connection.transaction():
                messages = connection.execute(
                    "SELECT id, kind, data FROM amelia.take_inbox(%s, %s)", (lease.id, lease.token)).fetchall()
                for number, kind, data in messages:
                    connection.execute(
                        "SELECT amelia.append_event(%s, 'message_read', %s, data => %s)",
                        (lease.id, kind, Jsonb({"message": number, "data": data})))
                return messages

        return [kind for _, kind, _ in self.database.again(take)]

    def do_step(self, lease, step):
        """The work itself: here it only takes its time. It must look at the
        lease now and then, and may be done a second time by another worker,
        if we are killed before it is in the log."""
        if step == "fail":
            raise RuntimeError("this step always fails")
        lease.wait(self.step_seconds)

    def run_steps(self, lease):
        """True when the workflow is done; False when it waits for a person."""
        for number in range(self.steps_done(lease), len(lease.steps)):
            step = lease.steps[number]
            lease.check()
            paused = False
            while True:
                for kind in self.read_inbox(lease):
                    say(f"{lease.id}: message {kind}")
                    paused = {"pause": True, "resume": False}.get(kind, paused)
                if not paused:
                    break
                lease.wait(0.5)
            if step.startswith("approve:"):
                answer = self.answer(lease, number)
                if answer is None:
                    # Ends the lease. decide() makes the workflow claimable again.
                    self.database.query(
                        "SELECT amelia.request_approval(%s, %s, %s, %s)",
                        lease.id, lease.token, step[len("approve:"):].strip(), Jsonb({"step": number}))
                    return False
                granted, comment = answer
                if not granted:
                    lease.cancelled = True
                    raise Stopped(comment)
            else:
                self.do_step(lease, step)
                self.database.query(
                    """SELECT amelia.record_usage(%s, %s, 'example', 100, 10, cost_usd => 0.001,
                    id => %s, lease_token => %s)""",
                    lease.id, self.name, uuid.uuid4(), lease.token)
            self.append(lease, "task_completed", step, step=number)
            say(f"{lease.id}: did {step}")
        return True

    def work_on(self, lease):
        say(f"{lease.id}: claimed under {lease.token}")
        try:
            try:
                if self.run_steps(lease):
                    self.release(lease, "completed")
                    say(f"{lease.id}: completed")
            except Stopped as error:
                if lease.cancelled:
                    self.release(lease, "cancelled", str(error) or None)
                else:
                    self.release(lease)  # without a status: it is claimable at once
                say(f"{lease.id}: stopped")
            except (psycopg.Error, LeaseLost):
                raise
            except Exception as error:  # the work's own: another attempt is due later
                self.release(lease, "failed", str(error))
                say(f"{lease.id}: failed: {error}")
        except LeaseLost as error:
            # Also when a release was sent twice, and done the first time.
            say(f"{lease.id}: stopped: {error}")
        finally:
            lease.close()

    def run(self, once, idle):
        while not stopping.is_set():
            # Sent twice, it may claim two: the first one's lease runs out unused.
            try:
                rows = self.database.query(
                    """SELECT id, lease_token, COALESCE(issue_cache -> 'steps', '["look", "edit", "test"]')
                    FROM amelia.claim_workflow(%s, %s * interval '1 s')""",
                    self.name, self.seconds)
            except psycopg.errors.ConfigurationLimitExceeded as error:
                say(error.diag.message_primary)  # a budget is spent
                rows = []
            if rows:
                self.work_on(Lease(self.url, self.seconds, rows[0]))
            elif once:
                return
            else:
                stopping.wait(idle * random.uniform(0.5, 1.5))


def main():
    parser = argparse.ArgumentParser(description="works on Amelia's workflows")
    parser.add_argument("--name", default=f"{socket.gethostname()}-{os.getpid()}")
    parser.add_argument("--lease", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--step", type=float, default=1, metavar="SECONDS", help="how long a step takes")
    parser.add_argument("--idle", type=float, default=1, metavar="SECONDS", help="between looks at an empty queue")
    parser.add_argument("--once", action="store_true", help="end when there is nothing to claim")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    worker = Worker(os.environ.get("DATABASE_URL", ""), arguments.name, arguments.lease, arguments.step)
    worker.run(arguments.once, arguments.idle)


if __name__ == "__main__":
    main()
