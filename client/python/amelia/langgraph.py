"""A saver of LangGraph's whose writes carry the lease.

Needs langgraph-checkpoint-postgres; the rest of this package does without. Fence
LangGraph's tables once: amelia.fence_checkpoints().
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from .workflow import Workflow

if TYPE_CHECKING:
    from langgraph.checkpoint.postgres import PostgresSaver


def connect(workflow: Workflow, schema: str | None = None) -> psycopg.Connection[DictRow]:
    """A connection of one's own for whoever commits by himself: what is written to
    the workflow's threads through it is written under the lease, or refused with
    SQLSTATE 55000. schema: where LangGraph's tables are; None: as the search path of
    the role says. A direct one: a pooler in transaction mode would hand the lease on."""
    options = [
        str(conninfo_to_dict(workflow.url).get("options") or ""),
        f"-c amelia.lease={workflow.id}\\ {workflow.lease_token}",
        # A process that stops in the middle of a put() holds the workflow's row.
        f"-c idle_in_transaction_session_timeout={max(1, round(workflow.lease.seconds * 1000))}",
    ]
    connection = psycopg.connect(
        workflow.url,
        options=" ".join(filter(None, options)),
        autocommit=True,
        prepare_threshold=0,
        row_factory=dict_row,
    )
    if schema is not None:
        connection.execute(
            "SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident(%s), false)", (schema,)
        )
    return connection


@contextlib.contextmanager
def saver(workflow: Workflow, schema: str | None = None, serde: Any = None) -> Iterator[PostgresSaver]:
    """A PostgresSaver for this attempt, on such a connection; thread_id is
    str(workflow.id), or one that link_thread() has linked. Run the graph with
    durability="sync", so that it learns at its next step that the lease is lost."""
    from langgraph.checkpoint.postgres import PostgresSaver

    with contextlib.closing(connect(workflow, schema)) as connection:
        yield PostgresSaver(connection, serde=serde)
