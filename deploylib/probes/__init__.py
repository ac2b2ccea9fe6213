"""Requests to the public addresses.

The proof of a deploy, and the downtime that visitors meet.

`verify` proves that one address serves a commit, without a platform; `verify_service` proves a service of a release, with
what is `Expected` of it, at a `Pace`, by a `Probe` that also asks the platform. `address` tells where a service is asked, and
what it answers now; `DowntimeWatch` counts what visitors meet while traffic is switched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.probes import address
    from deploylib.probes.downtime import DowntimeWatch
    from deploylib.probes.expectation import Expected, Pace, Probe
    from deploylib.probes.verification import verify, verify_service

__all__ = ["DowntimeWatch", "Expected", "Pace", "Probe", "address", "verify", "verify_service"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "DowntimeWatch": "downtime",
            "Expected": "expectation",
            "Pace": "expectation",
            "Probe": "expectation",
            "address": "address",
            "verify": "verification",
            "verify_service": "verification",
        },
    )
