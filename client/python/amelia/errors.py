"""What ends an attempt, and what a feed says when it cannot go on.

What tells a step to stop derives from BaseException, as KeyboardInterrupt does:
"except Exception" around a call of a model, and whoever tries that again, must not
take it for a fault of the call.
"""

from __future__ import annotations


class StopWork(BaseException):
    """The attempt ends here. Let it pass: the worker knows what to do."""


class LeaseLost(StopWork):
    """The workflow is somebody else's by now, or nobody's. Nothing more is written to it."""


class Cancelled(StopWork):
    """Somebody asked for the end of the workflow. Raised by a step, it ends the
    workflow as cancelled, with what is said here as the reason."""


class Stopping(StopWork):
    """The process shall end (SIGTERM): the workflow is given back, which is no failure."""


class WaitsForPerson(StopWork):
    """A question was asked, and the lease has ended: another attempt has the answer."""


class Retry(Exception):
    """Raised by a step: the attempt has failed. The next one is due after so many
    seconds; without a number, after what retry_delay() says in the server. Any other
    exception says the same without a number."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class CursorRefused(Exception):
    """The feed cannot go on from that cursor: what follows it has been pruned, or it is
    from before a restore or a failover. Feed.begin_anew() says what to do."""
