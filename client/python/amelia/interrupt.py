"""Stops the step that runs in the main thread, whatever it waits for.

As Ctrl-C does: a signal's handler raises the exception there, so that a sleep, a
read from a socket and subprocess.run() end at once. What the library itself does
between a statement and its answer is shielded; the exception waits until that is done.
A step in another thread meets it at its next call of the library.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from .errors import StopWork, Stopping

# Sent by a thread of ours to the main thread, which nobody else uses it for.
WAKE = getattr(signal, "SIGRTMIN", signal.SIGUSR1)

# How long a process that shall end waits for a server that is not there.
PATIENCE = 5.0


class Interrupter:
    """why() is an exception when the step is to stop."""

    def __init__(self) -> None:
        self.stop_at: float | None = None  # when it was told to stop
        self.why: Callable[[], StopWork | None] = self._why_stopping
        self._thread: int | None = None  # the one that steps run in
        self._handled = False  # whether signals come there
        self._open = False  # whether the exception may be raised there now

    def _why_stopping(self) -> StopWork | None:
        return Stopping("the worker shall end") if self.stop_at is not None else None

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """While steps run in this thread; takes over SIGTERM and SIGINT in the main one."""
        self._thread = threading.get_ident()
        self._handled = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGTERM, signal.SIGINT, WAKE) if self._handled else ()
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            self._handled = False
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number != WAKE and self.stop_at is None:
            self.stop_at = time.monotonic()
        why = self.why() if self._open else None
        if why is not None:
            self._open = False
            raise why

    def wake(self) -> None:
        """For other threads: something has changed that why() knows."""
        if self._handled and self._thread is not None and threading.get_ident() != self._thread:
            signal.pthread_kill(self._thread, WAKE)

    def stop(self) -> None:
        """As SIGTERM does it."""
        if self.stop_at is None:
            self.stop_at = time.monotonic()
        self.wake()

    def check(self) -> None:
        """Raises what why() says."""
        why = self.why()
        if why is not None:
            raise why

    def lose_patience(self) -> None:
        """Raises once it is too late to wait for a server that is not there."""
        if self.stop_at is not None and time.monotonic() > self.stop_at + PATIENCE:
            raise Stopping("the server is not there, and the worker shall end")

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Around a step, and whatever may be torn apart."""
        self._open = True
        try:
            self.check()
            yield
        finally:
            self._open = False

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Around what may not; the exception is raised behind it."""
        if threading.get_ident() != self._thread:
            yield
            return
        before, self._open = self._open, False
        try:
            yield
        finally:
            self._open = before
        if before:
            self.check()
