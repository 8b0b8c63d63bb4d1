"""A claimed workflow, as the work sees it: what it reads, and what it writes under its lease."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from .database import Connection, Database
from .errors import LeaseLost, StopWork, WaitsForPerson
from .interrupt import Interrupter
from .lease import Lease
from .usage import Usage, read_usage

T = TypeVar("T")

COLUMNS = "id, lease_token, issue_id, worktree_path, workflow_type, profile_id, issue_cache, plan_cache, failures, max_failures"


@dataclass(frozen=True)
class Decision:
    """What a person said to a question; true when they agreed."""

    approved: bool
    comment: str
    question: int  # the sequence of the event that asked

    def __bool__(self) -> bool:
        return self.approved


@dataclass(frozen=True)
class Message:
    """What somebody sent with send_to_workflow(); the kinds are yours to agree upon."""

    id: int
    kind: str
    data: Any
    sent_at: datetime


def jsonb(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)


class Workflow:
    """A workflow under a lease. Every method that writes does it under the lease, sends
    it again when the connection is lost, and raises LeaseLost when the lease is:
    nothing is stored then. The attributes are as they were when it was claimed.

    id, issue_id, worktree_path, workflow_type, profile_id: as in amelia.workflows
    issue, plan: issue_cache and plan_cache, decoded
    failures, max_failures: how many attempts have failed, and may
    worker: the name that it was claimed under
    """

    def __init__(
        self, row: Sequence[Any], worker: str, lease: Lease, database: Database, interrupter: Interrupter
    ) -> None:
        self.id: uuid.UUID
        self.lease_token: int
        self.issue_id: str
        self.worktree_path: str | None
        self.workflow_type: str
        self.profile_id: str | None
        self.issue: Any
        self.plan: Any
        self.failures: int
        self.max_failures: int
        (
            self.id,
            self.lease_token,
            self.issue_id,
            self.worktree_path,
            self.workflow_type,
            self.profile_id,
            self.issue,
            self.plan,
            self.failures,
            self.max_failures,
        ) = row
        self.worker = worker
        self.lease = lease
        self._database = database
        self._interrupter = interrupter
        self._results: dict[str, Any] | None = None

    @property
    def url(self) -> str:
        """The connection string of the worker."""
        return self._database.url

    @property
    def budget_message(self) -> str | None:
        """Which block budget is spent that the workflow comes under, as the last
        heartbeat said it; None when none is. Going on is allowed: it is yours to end
        the work, or to take a cheaper model."""
        return self.lease.budget_message

    def why(self) -> StopWork | None:
        return self.lease.why() or self._interrupter._why_stopping()

    def check(self) -> None:
        """Raises what the work is to end with: LeaseLost, Cancelled or Stopping. In the
        main thread it is raised by itself, wherever the work is; in others, and in
        long loops of C code, call this now and then."""
        why = self.why()
        if why is not None:
            raise why

    def sleep(self, seconds: float) -> None:
        """Sleeps, and raises what check() does as soon as there is a reason."""
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            # A worker that shall end wakes only its main thread.
            self.lease.news.wait(min(left, 0.5))
            self.check()

    # What is sent again.

    def _patience(self) -> None:
        self.lease.check()
        self._interrupter.lose_patience()

    def _run(self, function: Callable[[Connection], T]) -> T:
        with self._interrupter.shield():
            self.lease.check()
            try:
                return self._database.run(function, self._patience)
            except psycopg.errors.ObjectNotInPrerequisiteState as error:
                raise self._lost(error) from error

    def _query(self, statement: str, *parameters: Any) -> list[Any]:
        return self._run(lambda connection: connection.execute(statement, parameters).fetchall())

    def _lost(self, error: psycopg.Error) -> LeaseLost:
        reason = error.diag.message_primary or str(error)
        self.lease.lose(reason)
        return LeaseLost(reason)

    def append(
        self,
        event_type: str,
        message: str,
        *,
        data: Any = None,
        agent: str | None = None,
        level: str | None = None,
        tool_name: str | None = None,
        tool_input: Any = None,
        correlation_id: str | None = None,
        parent_id: uuid.UUID | None = None,
        id: uuid.UUID | None = None,
    ) -> int | None:
        """Appends an event, and returns its sequence; None when the operator has switched
        its type off. data, tool_input: a dict or a list. id: give one of your own when
        the event shall be stored once though the work is done twice."""
        ((sequence,),) = self._query(
            """SELECT amelia.append_event(%s, %s, %s, level => %s, agent => %s, data => %s, tool_name => %s,
                tool_input => %s, correlation_id => %s, parent_id => %s, id => %s, lease_token => %s)""",
            self.id,
            event_type,
            message,
            level,
            agent,
            jsonb(data),
            tool_name,
            jsonb(tool_input),
            correlation_id,
            parent_id,
            id or uuid.uuid4(),
            self.lease_token,
        )
        return None if sequence is None else int(sequence)

    def append_all(self, events: Sequence[Mapping[str, Any]]) -> range:
        """Appends events, all or none, in one round trip: dicts whose keys are the
        arguments of append_event(). Returns the range of their sequences."""
        given = [{"id": str(uuid.uuid4()), **event} for event in events]
        ((first, end),) = self._query(
            "SELECT COALESCE(lower(r), 0), COALESCE(upper(r), 0) FROM amelia.append_events(%s, %s, %s) AS r",
            self.id,
            Jsonb(given),
            self.lease_token,
        )
        return range(first, end)

    def book(
        self,
        agent: str,
        used: Any,
        *,
        model: str | None = None,
        cost_usd: float | Decimal | None = None,
        duration_ms: int = 0,
        num_turns: int = 1,
        id: uuid.UUID | None = None,
    ) -> uuid.UUID:
        """Books what a call of a model used, and returns the row's id. used: what
        read_usage() takes, an answer of OpenAI's or Anthropic's, or its usage. model:
        as the answer has it, unless it is given. cost_usd: US dollars; None: by the
        price of the model. Raises ValueError where there is no usage or no model,
        psycopg.errors.NoDataFound (P0002) where the model has no price."""
        usage = used if isinstance(used, Usage) else read_usage(used)
        model = model or usage.model
        if model is None:
            raise ValueError("a usage without a model: give model=")
        ((booked,),) = self._query(
            """SELECT amelia.record_usage(%s, %s, %s, %s, %s, %s, %s, cost_usd => %s, duration_ms => %s,
                num_turns => %s, id => %s, lease_token => %s, cache_creation_1h_tokens => %s,
                reasoning_tokens => %s, input_audio_tokens => %s, output_audio_tokens => %s,
                service_tier => %s, input_includes_cached => %s)""",
            self.id,
            agent,
            model,
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_creation_tokens,
            cost_usd,
            duration_ms,
            num_turns,
            id or uuid.uuid4(),
            self.lease_token,
            usage.cache_creation_1h_tokens,
            usage.reasoning_tokens,
            usage.input_audio_tokens,
            usage.output_audio_tokens,
            usage.service_tier,
            usage.input_includes_cached,
        )
        assert isinstance(booked, uuid.UUID)
        return booked

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction for statements of your own, which says the lease: set_worker().
        What it writes to the workflow is stored under the lease, or not at all. It
        holds the workflow's row: keep it short. Tried once; see transact()."""
        with self._interrupter.shield():
            self.lease.check()
            try:
                with self._database.transaction(self._patience) as connection:
                    connection.execute("SELECT amelia.set_worker(%s, %s)", (self.id, self.lease_token))
                    yield connection
            except psycopg.errors.ObjectNotInPrerequisiteState as error:
                # The statements' own 55000, or the lease's?
                self.lease.check()
                self._query(
                    "SELECT FROM amelia.heartbeat(%s, %s, %s * interval '1 s')",
                    self.id,
                    self.lease_token,
                    self.lease.seconds,
                )
                raise error

    def transact(self, function: Callable[[Connection], T]) -> T:
        """Returns function(connection), called in such a transaction, and once more when
        the connection is lost: nobody knows then whether it was committed, so it must
        write what may be written twice (ON CONFLICT, ids of its own)."""
        while True:
            try:
                with self.transaction() as connection:
                    return function(connection)
            except psycopg.OperationalError as error:
                if self._database.is_connected() and error.sqlstate not in ("40001", "40P01"):
                    raise
                self._patience()

    def set_plan(self, plan: Any) -> None:
        """Stores plan_cache; plan: a dict or a list, None removes it."""
        self.transact(
            lambda connection: connection.execute(
                "SELECT amelia.set_plan_cache(%s, %s)", (self.id, jsonb(plan))
            )
        )
        self.plan = plan

    def link_thread(self, thread_id: str) -> None:
        """Says that a thread of LangGraph's belongs to the workflow, besides the one
        that is named like its id."""
        self.transact(
            lambda connection: connection.execute("SELECT amelia.link_thread(%s, %s)", (self.id, thread_id))
        )

    # Steps, questions, messages.

    def results(self) -> dict[str, Any]:
        """The steps that are done, by this worker or one before, with their results."""
        if self._results is None:
            self._results = {
                step: result
                for step, result in self._query(
                    """SELECT e.data ->> 'step', e.data -> 'result' FROM amelia.workflow_log AS e
                    WHERE e.workflow_id = %s AND e.event_type = 'task_completed' AND e.data ? 'step'
                    ORDER BY e.sequence""",
                    self.id,
                )
            }
        return self._results

    def step(self, name: str, function: Callable[..., T], *arguments: Any, agent: str | None = None) -> T:
        """Returns function(*arguments), or what it returned in an attempt before this
        one: the result stands in the log, as a task_completed event, and must be what
        JSON can say. A step is done a second time when the worker is killed before it
        is in the log. Its name is its own in the workflow."""
        results = self.results()
        if name not in results:
            self.check()
            # As it will come back in another attempt: a tuple as a list.
            result = json.loads(json.dumps(function(*arguments)))
            if (
                self.append("task_completed", name, data={"step": name, "result": result}, agent=agent)
                is None
            ):
                raise RuntimeError(
                    "event_types says that task_completed is not stored: no step can be remembered"
                )
            results[name] = result
        stored: T = results[name]
        return stored

    def ask(
        self, question: str, *, data: Mapping[str, Any] | None = None, step: str | None = None
    ) -> Decision:
        """Returns what a person said to the question in an attempt before this one. When
        nobody was asked, asks: the workflow is blocked, the lease ends, and
        WaitsForPerson ends the attempt; decide() makes it claimable again. step: what
        tells this question from others with the same words."""
        step = step or question
        rows = self._query(
            """SELECT a.event_type = 'approval_granted', a.message, q.sequence
            FROM amelia.workflow_log AS q
            JOIN amelia.workflow_log AS a ON a.workflow_id = q.workflow_id AND a.sequence > q.sequence
                AND a.event_type IN ('approval_granted', 'approval_rejected')
                AND a.data -> 'question' = to_jsonb(q.sequence)
            WHERE q.workflow_id = %s AND q.event_type = 'approval_required' AND q.data ->> 'step' = %s
            ORDER BY q.sequence DESC LIMIT 1""",
            self.id,
            step,
        )
        if rows:
            return Decision(*rows[0])
        with self._interrupter.shield():
            self._query(
                "SELECT FROM amelia.request_approval(%s, %s, %s, %s)",
                self.id,
                self.lease_token,
                question,
                Jsonb({**(data or {}), "step": step}),
            )
            self.lease.close()
            raise WaitsForPerson(question)

    def messages(self) -> list[Message]:
        """What was sent to the workflow since the last look. Each is given out once, and
        stands in the log from then on, as a message_read event."""
        batch = str(uuid.uuid4())
        tries = 0

        def take(connection: Connection) -> list[Message]:
            nonlocal tries
            tries += 1
            with connection.transaction():
                if tries > 1:
                    # The answer was lost, perhaps with messages that were taken.
                    rows = connection.execute(
                        """SELECT (e.data -> 'message')::bigint, e.message, e.data -> 'data', (e.data ->> 'sent_at')::timestamptz
                        FROM amelia.workflow_log AS e
                        WHERE e.workflow_id = %s AND e.event_type = 'message_read' AND e.data ->> 'batch' = %s
                        ORDER BY e.sequence""",
                        (self.id, batch),
                    ).fetchall()
                    if rows:
                        return [Message(*row) for row in rows]
                taken = [
                    Message(*row)
                    for row in connection.execute(
                        "SELECT id, kind, data, sent_at FROM amelia.take_inbox(%s, %s)",
                        (self.id, self.lease_token),
                    )
                ]
                for message in taken:
                    connection.execute(
                        "SELECT amelia.append_event(%s, 'message_read', %s, data => %s, lease_token => %s)",
                        (
                            self.id,
                            message.kind,
                            Jsonb(
                                {
                                    "message": message.id,
                                    "data": message.data,
                                    "sent_at": message.sent_at.isoformat(),
                                    "batch": batch,
                                }
                            ),
                            self.lease_token,
                        ),
                    )
                return taken

        return self._run(take)

    # The end of the attempt.

    def release(
        self, status: str | None = None, reason: str | None = None, after: float | None = None
    ) -> None:
        """Ends the attempt; the worker calls it. Without a status the lease is given back."""
        # PostgreSQL has no character for it, and an error's text may have anything.
        text = (
            None
            if reason is None
            else reason.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
        )
        self._query(
            "SELECT FROM amelia.release_workflow(%s, %s, %s, %s, %s * interval '1 s')",
            self.id,
            self.lease_token,
            status,
            text,
            after,
        )
