"""The message of a run that changes while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from deploylib.errors import DeployError
from deploylib.notifications.interface import Delivery, Message
from deploylib.system import threads

__all__ = ["EDIT_EVERY", "LiveMessage"]

EDIT_EVERY = 3.0  # seconds between two changes, at least: Slack takes fifty a minute


class LiveMessage:
    """Shows the newest of what it is given, now and then.

    Nobody waits for that, and what fails is not told again but by the next.

    Args:
        send: tells one message.
        every: seconds between two of them.
    """

    def __init__(self, send: Callable[[Message], Delivery], every: float = EDIT_EVERY) -> None:
        self._send, self._every = send, every
        self._changed = threading.Condition()
        self._newest: Callable[[], Message] | None = None
        self._over = self._hurried = self._sending = False
        self._running: Future[None] | None = None

    def show(self, write: Callable[[], Message]) -> None:
        """Show a message soon, or a newer one in its place.

        It is written when it is sent.
        """
        with self._changed:
            if self._over:
                return
            self._newest = write
            if self._running is None:
                try:
                    self._running = threads.start(self._run, "message")
                except threads.NoThread:  # no thread can be started: the outcome is told all the same
                    self._over = True
            self._changed.notify_all()

    def stop(self, within: float, *, flush: bool = False) -> bool:
        """Send nothing more, and wait for what is being sent.

        Args:
            within: seconds to wait at most.
            flush: first send the newest, for a job that ends before its run does.

        Returns:
            whether the wait was long enough: nothing is on its way any more.
        """
        with self._changed:
            self._hurried = True
            self._over = self._over or not flush or self._newest is None
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._sending and (self._over or self._newest is None), within)
            self._over = True
            answered = not self._sending
            self._changed.notify_all()
        if self._running is not None and self._running.done():
            self._running.result()  # a mistake of ours is no trouble of the channel's
        return answered

    def _run(self) -> None:
        while (write := self._next()) is not None:
            sent = Delivery(delivered=False)
            try:
                sent = self._send(write())
            except DeployError:  # what it is made of could not be read: the next one may be
                pass
            finally:
                with self._changed:
                    self._sending = False
                    self._over = self._over or sent.final
                    self._changed.notify_all()
            with self._changed:
                self._changed.wait_for(lambda: self._over or self._hurried, max(self._every, sent.after))

    def _next(self) -> Callable[[], Message] | None:
        """Wait for what is to be shown; None: nothing more."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._newest is not None)
            if self._over:
                return None
            write, self._newest, self._sending = self._newest, None, True
            return write
