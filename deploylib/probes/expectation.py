"""What services are verified against, with what, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from deploylib.models import Secret
from deploylib.models.smoke import SmokeRequest
from deploylib.render import Client
from deploylib.system import Clock, http

__all__ = ["PATIENT", "Expected", "Pace", "Probe"]


class Pace(msgspec.Struct, frozen=True):
    """The pace of verification.

    Attributes:
        times: good answers in a row that count as proof.
        every: seconds between two requests.
        within: seconds after which it has failed.
        grace: seconds in which bad answers are forgiven: traffic is being switched.
        settle: seconds without a failed instance, where there is no address to ask.
        bake: seconds for which a web service goes on being asked once it has proven itself: a program that is well at
            first and ends a moment later is as bad as one that never was.
        cold: seconds in which a service of the free plan may be waking up: Render puts it to sleep, and says "up to a
            minute". No answer, and 502 to 504 without a health answer, are forgiven then, and nothing else is.
    """

    times: int = 5
    every: float = 1.0
    within: float = 90.0
    grace: float = 5.0
    settle: float = 15.0
    bake: float = 0.0
    cold: float = 75.0


PATIENT = Pace()


class Expected(msgspec.Struct, frozen=True):
    """What a service should serve.

    Attributes:
        commit: the full id.
        previous: the commit before; an answer from it means "not yet".
        revision: of the schema, where the answer names one; empty: whatever it is.
        misnamed: the release before named a commit that it was not, so that a wrong name proves nothing now either.
        before: the status that the address gave before this release; 0: none, or nobody looked.
        loaded: the files that the page of the release before named.
        smoke: the requests that it must answer.
        back: it was served before, and is gone back to: the requests were declared for another release, and only warn.
    """

    commit: str
    previous: str = ""
    revision: str = ""
    misnamed: bool = False
    before: int = 0
    loaded: tuple[str, ...] = ()
    smoke: tuple[SmokeRequest, ...] = ()
    back: bool = False


@dataclass(frozen=True)
class Probe:
    """What services are verified with.

    Attributes:
        client: the platform, which is asked what is live; None: only the address is believed.
        progress: is told service and state, again and again; what it raises ends the verification.
        session: asks the address, and is closed; default: one with connections of its own.
        secret: gives the value of a variable that a smoke request names; None where it is not set.
    """

    client: Client | None = None
    clock: Clock = Clock()
    pace: Pace = PATIENT
    progress: Callable[[str, str], None] = lambda _service, _text: None
    session: http.Session | None = None
    secret: Callable[[str], Secret | None] = lambda _name: None
