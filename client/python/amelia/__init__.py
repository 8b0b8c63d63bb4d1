"""Clients of the PostgreSQL extension Amelia: workers, feed readers, usage booking.

README.md has an example of each; docs/workers.md of Amelia has how a worker behaves.
"""

from .errors import Cancelled, CursorRefused, LeaseLost, Retry, Stopping, StopWork, WaitsForPerson
from .feed import Callbacks, Change, Cursor, Event, Feed, FileCursor, TableCursor
from .usage import Usage, read_usage
from .worker import Worker
from .workflow import Decision, Message, Workflow

__all__ = [
    "Callbacks",
    "Cancelled",
    "Change",
    "Cursor",
    "CursorRefused",
    "Decision",
    "Event",
    "Feed",
    "FileCursor",
    "LeaseLost",
    "Message",
    "Retry",
    "StopWork",
    "Stopping",
    "TableCursor",
    "Usage",
    "WaitsForPerson",
    "Worker",
    "Workflow",
    "read_usage",
]
