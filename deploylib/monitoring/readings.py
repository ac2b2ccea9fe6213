"""A reading is what one look at one signal has shown."""

from __future__ import annotations

from deploylib.models import Value
from deploylib.monitoring.states import Look

__all__ = ["Reading", "make_unknown"]


class Reading(Value, frozen=True):
    """One look at one signal of one subject.

    Attributes:
        signal: a `Signal`, or the name of one of a team's own.
        subject: the service or database; empty: the environment.
        title: what is wrong, where it is bad: ``backend answers 503``.
        text: what was seen, or why nobody could look.
        remedy: what to do where it is bad.
        unanswered: it is bad because nobody answered, which may as well be our own network.
        service: a release of this service may be the cause.
    """

    signal: str
    subject: str
    look: Look
    text: str
    title: str = ""
    remedy: str = ""
    unanswered: bool = False
    service: str = ""

    @property
    def key(self) -> str:
        """The key by which its state is kept."""
        return f"{self.signal}/{self.subject}" if self.subject else str(self.signal)


def make_unknown(signal: str, subject: str, why: str) -> Reading:
    """Make the reading of what could not be looked at."""
    return Reading(signal=signal, subject=subject, look=Look.UNKNOWN, text=why)
