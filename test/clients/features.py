"""What test/perl/ClientFeatures.pm asks of client/python; features.mjs is its like.

The first argument names what is to be done.
"""
import datetime
import decimal
import json
import logging
import os
import sys
import time
import types
import uuid

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

import amelia
from amelia import langgraph
from amelia.database import Database

url = os.environ["DATABASE_URL"]
command, *arguments = sys.argv[1:]
other = psycopg.connect(url, autocommit=True)


def run(work, **options):
    amelia.Worker(url, work, lease=36000, **options).run(once=True)


def stored(workflow):
    """How much there is of a workflow."""
    return other.execute(
        """SELECT (SELECT count(*) FROM amelia.workflow_log WHERE workflow_id = %(id)s)
            + (SELECT count(*) FROM amelia.token_usage WHERE workflow_id = %(id)s)
            + (SELECT count(*) FROM amelia.workflow_inbox WHERE workflow_id = %(id)s)
            + (SELECT count(*) FROM notes WHERE id = %(id)s)
            + (SELECT count(*) FROM amelia.workflows WHERE id = %(id)s AND plan_cache IS NOT NULL)""",
        {"id": workflow.id},
    ).fetchone()[0]


def take_away(workflow):
    # After the first heartbeat; the next one comes long after this test.
    while other.execute(
        "SELECT starts_until FROM amelia.workflow_leases WHERE workflow_id = %s", (workflow.id,)
    ).fetchone() != (None,):
        time.sleep(0.01)
    other.execute(
        "UPDATE amelia.workflow_leases SET expires_at = now() WHERE workflow_id = %s", (workflow.id,)
    )
    other.execute("SELECT FROM amelia.claim_workflow('thief')")


def writers(workflow):
    """Every method that writes."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {
        "append": lambda: workflow.append("note", "late"),
        "append_all": lambda: workflow.append_all([{"event_type": "note", "message": "late"}]),
        "book": lambda: workflow.book("a", usage, model="m", cost_usd=decimal.Decimal("0.5")) and "booked",
        "transact": lambda: workflow.transact(
            lambda connection: connection.execute("INSERT INTO notes VALUES (%s)", (workflow.id,)).rowcount
        ),
        "set_plan": lambda: workflow.set_plan({"late": True}),
        "link_thread": lambda: workflow.link_thread(f"chat of {workflow.id}"),
        "step": lambda: workflow.step("late", lambda: "done"),
        "messages": lambda: [message.kind for message in workflow.messages()],
        "ask": lambda: workflow.ask("May I?"),
        "release": lambda: workflow.release("completed"),
    }


def lost():
    """Each of them under a lease that is lost: as the first thing that hears of it."""

    def work(workflow):
        take_away(workflow)
        before = stored(workflow)
        name = workflow.issue_id
        try:
            print(name, writers(workflow)[name]())
        except amelia.LeaseLost as error:
            print(
                name,
                "LeaseLost:",
                str(error).replace(str(workflow.id), "ID"),
                stored(workflow) - before,
                "stored",
            )
            # And as the second one.
            try:
                workflow.append("note", "later still")
            except amelia.LeaseLost:
                raise
            print("it went on")

    run(work)


def answers():
    """Each of them, with its first answer lost after the server has done it."""

    def work(workflow):
        database = workflow._database
        run_once, transaction = database.run, database.transaction
        left = 0

        def lose(connection):
            nonlocal left
            left -= 1
            if left == 0:
                connection.close()
                raise psycopg.OperationalError("the answer is lost")

        def run(function, check):
            def call(connection):
                result = function(connection)
                if not database._in_transaction:
                    lose(connection)
                return result

            return run_once(call, check)

        class Transaction:
            def __init__(self, check):
                self.real = transaction(check)

            def __enter__(self):
                self.connection = self.real.__enter__()
                return self.connection

            def __exit__(self, *error):
                result = self.real.__exit__(*error)
                if error[0] is None and left > 0:
                    database._connection = None
                    lose(self.connection)
                return result

        database.run, database.transaction = run, Transaction
        for name, write in writers(workflow).items():
            before = stored(workflow)
            # The first thing that it asks; of a question, the second one.
            left = 2 if name == "ask" else 1
            try:
                result = write()
            except amelia.LeaseLost:
                result = "LeaseLost"
            print(name, json.dumps(result, default=list), stored(workflow) - before)
            if name == "ask":
                break
        raise amelia.LeaseLost("of its own")

    run(work)


def transaction():
    def work(workflow):
        try:
            with workflow.transaction() as connection:
                connection.execute(
                    "DO $$ BEGIN RAISE object_not_in_prerequisite_state USING MESSAGE = 'my own'; END $$"
                )
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            print("55000 of one's own:", error.diag.message_primary)
        try:
            with workflow.transaction() as connection:
                connection.execute("INSERT INTO notes VALUES (%s)", (workflow.id,))
                workflow.append("note", "belongs to it")
                raise ValueError("rolled back")
        except ValueError as error:
            print(error, stored(workflow))
        try:
            with workflow.transaction() as connection:
                connection.execute("INSERT INTO notes VALUES (%s)", (workflow.id,))
                try:
                    connection.execute("SELECT 1 / 0")
                except psycopg.Error:
                    pass
        except RuntimeError as error:
            print("caught:", str("was caught" in str(error)).lower(), stored(workflow))
        with workflow.transaction() as connection:
            connection.execute("INSERT INTO notes VALUES (%s)", (workflow.id,))
            print("event", workflow.append("note", "belongs to it"))

    run(work)


def odd():
    """What an error may have in its text, and what a step may not return."""

    def work(workflow):
        if workflow.issue_id == "nul":
            raise RuntimeError("a\0b")
        if workflow.issue_id == "retry":
            raise amelia.Retry("later", after=-1)
        if workflow.issue_id == "refused":
            return
        if workflow.issue_id == "empty":
            raise RuntimeError
        if workflow.issue_id == "exit":
            try:
                sys.exit(3)
            except Exception:
                print("swallowed")
        workflow.step("odd", lambda: object())

    for name in ("nul", "empty", "json", "retry", "refused"):
        other.execute("SELECT amelia.create_workflow(%s, NULL)", (name,))
        run(work)
    other.execute("SELECT amelia.create_workflow('exit', NULL)")
    try:
        run(work)
    except SystemExit as error:
        print("exit", error.code)


def usage():
    def name_columns(given):
        if given is None:
            return None
        if isinstance(given, dict):
            return types.SimpleNamespace(**{name: name_columns(value) for name, value in given.items()})
        return given

    for given in json.load(open(arguments[0])):
        for form in (given, name_columns(given)):
            try:
                read = amelia.read_usage(form)
                print(
                    json.dumps(
                        {k: v for k, v in vars(read).items() if v is False or v not in (0, None)},
                        sort_keys=True,
                        separators=(",", ":"),
                    )
                )
            except (ValueError, TypeError) as error:
                print(type(error).__name__)


def feed():
    """Follows; prints each change, and how a refused cursor is met."""
    kind, where = arguments[:2]
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cursor = (
        amelia.FileCursor(where)
        if kind in ("file", "standby")
        else amelia.TableCursor("public.feed_cursors", where)
    )
    reader = amelia.Feed(url, cursor, page=7, idle=0.1)
    if "anew" in arguments:
        try:
            list(reader.read(follow=False))
        except amelia.CursorRefused as error:
            print("CursorRefused:", error)
        reader.begin_anew()
        print([event.message for event in reader.events_after(uuid.UUID(arguments[3]))])
    elif kind == "table" and "each" in arguments:

        def handle(connection, changes):
            for change in changes:
                connection.execute(
                    "INSERT INTO seen VALUES (%s, %s, %s)",
                    (change.workflow_id, change.status, change.event and change.event.sequence),
                )

        reader.each(handle, follow="once" not in arguments)
    else:
        number = 0
        mine = Database(url, "reader")
        for change in reader.read(follow="once" not in arguments and kind != "standby"):
            mine.query(
                lambda: None,
                "INSERT INTO seen VALUES (%s, %s, %s) RETURNING 1",
                change.workflow_id,
                change.status,
                change.event and change.event.sequence,
            )
            number += 1
            if "two" in arguments and number == 2:
                break
        print(number)


def callbacks():
    """A cursor that two functions keep."""
    kept = []
    cursor = amelia.Callbacks(lambda: kept[-1] if kept else None, kept.append)
    print(len(list(amelia.Feed(url, cursor).read(follow=False))), len(kept) > 0)
    other.execute("SELECT amelia.create_workflow('C', NULL)")
    print(
        len(list(amelia.Feed(url, cursor).read(follow=False))),
        len(list(amelia.Feed(url, cursor).read(follow=False))),
    )


def saver():
    """LangGraph's statements on a connection that carries the lease."""

    class Saver:
        def __init__(self, conn, pipe=None, serde=None):
            self.conn = conn

        def put(self, thread):
            with self.conn.transaction(), self.conn.cursor(binary=True) as cursor:
                cursor.executemany(
                    "INSERT INTO checkpoint_blobs VALUES (%s, '', 'c', %s, 't', %s)",
                    [(thread, str(uuid.uuid4()), b"blob")],
                )
                cursor.execute(
                    "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES (%s, %s, %s)",
                    (thread, str(uuid.uuid4()), Jsonb({"ts": datetime.datetime.now().isoformat()})),
                )

    # Stands in for the package, which Debian has not.
    for name in ("langgraph", "langgraph.checkpoint", "langgraph.checkpoint.postgres"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["langgraph.checkpoint.postgres"].PostgresSaver = Saver

    def rows():
        return other.execute("SELECT count(*) FROM lg.checkpoints").fetchone()[0]

    def work(workflow):
        with langgraph.saver(workflow, schema="lg") as mine:
            mine.put(str(workflow.id))
            print("in time", rows())
            take_away(workflow)
            try:
                mine.put(str(workflow.id))
            except psycopg.errors.ObjectNotInPrerequisiteState:
                print("late", rows())
                raise

    run(work)


def real_saver():
    """LangGraph's own saver under a lease: used, robbed of its lease, and pruned."""
    from langgraph.checkpoint.base import empty_checkpoint
    from langgraph.checkpoint.postgres import PostgresSaver

    def kept(thread):
        return other.execute(
            """SELECT (SELECT count(*) FROM real.checkpoints WHERE thread_id = %(t)s),
                (SELECT count(*) FROM real.checkpoint_blobs WHERE thread_id = %(t)s),
                (SELECT count(*) FROM real.checkpoint_writes WHERE thread_id = %(t)s)""",
            {"t": thread},
        ).fetchone()

    def put(mine, config, number, values):
        # Of yesterday, for what is younger than an hour is not folded.
        ticks = time.time_ns() // 100 + 122192928000000000 - 864000000000
        parts = (ticks >> 28, ticks >> 12 & 0xFFFF, 0x6000 | ticks & 0xFFF, 0x80, 0, number)
        versions = {name: f"{number:032}.0" for name in ("d", *values)}
        stored = {
            **empty_checkpoint(),
            "v": 4,
            "id": str(uuid.UUID(fields=parts)),
            "channel_values": values,
            "channel_versions": versions,
        }
        metadata = {"step": number, "parents": {}, "counters_since_delta_snapshot": {"d": (number, number)}}
        return mine.put(config, stored, metadata, versions)

    def fill(mine, thread):
        config = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        for number in range(1, 5):
            config = put(mine, config, number, {"list": [number], "inline": number})
            # Tasks at the same time, which end in another order than they are read in.
            mine.put_writes(config, [("d", f"{number} c")], f"c{uuid.uuid4()}")
            mine.put_writes(config, [("d", f"{number} a"), ("d", f"{number} b")], f"a{uuid.uuid4()}")
        return config

    def seen(mine, config):
        newest = mine.get_tuple(config)
        history = mine.get_delta_channel_history(config=newest.config, channels=["d"])["d"]["writes"]
        return newest.checkpoint["channel_values"], newest.pending_writes, [value for _, _, value in history]

    def work(workflow):
        thread = str(workflow.id)
        with langgraph.saver(workflow, schema="real") as mine:
            mine.setup()
            other.execute("SELECT amelia.register_checkpoints('real'), amelia.fence_checkpoints('real')")
            first = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
            fill(mine, thread)
            mine.delete_thread(thread)
            print("deleted", kept(thread))
            config = fill(mine, thread)
            values, pending, history = seen(mine, first)
            print(values, [value for _, _, value in pending])
            print(history)
            print(len(list(mine.list(first))), len(list(mine.list(first, before=config))), kept(thread))
            take_away(workflow)
            before = kept(thread)
            for name, late in {
                "put": lambda: put(mine, config, 5, {"list": [5]}),
                "put_writes": lambda: mine.put_writes(config, [("d", "late")], "d" * 8),
                "upsert": lambda: mine.put_writes(config, [("__error__", "late")], "d" * 8),
                "delete_thread": lambda: mine.delete_thread(thread),
            }.items():
                try:
                    late()
                except psycopg.errors.ObjectNotInPrerequisiteState as error:
                    print(name, error.sqlstate, "lost" in str(error), kept(thread) == before)
            print("reads", seen(mine, first) == (values, pending, history))
            put(mine, config, 6, {"list": [6]})

    run(work)
    thread = other.execute(
        """SELECT l.workflow_id::text FROM amelia.workflow_leases AS l,
            amelia.release_workflow(l.workflow_id, l.lease_token) WHERE l.worker = 'thief' AND l.expires_at > now()"""
    ).fetchone()[0]
    options = "-c search_path=real"
    with psycopg.connect(url, autocommit=True, row_factory=dict_row, options=options) as connection:
        plain = PostgresSaver(connection)
        config = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        before = seen(plain, config)
        for squash in (False, True):
            row = other.execute(
                "SELECT checkpoints, anchors, problem FROM amelia.prune(%s, squash => %s)", ([thread], squash)
            ).fetchone()
            print("pruned", *row, kept(thread), seen(plain, config) == before)



globals()[command]()
