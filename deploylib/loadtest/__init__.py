"""A load test that judges itself before it judges a release.

`assess` has a child process send what a `Workload` says, by the team's own locustfile, and says in an `Assessment` what that
is worth: nothing where the sender did not keep up, else how the `Subject` compares with its `Records` and its objectives.
`measure` only sends: its `Measurement` of the release before is the other half of a pair. A `Trend` looks back at all records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.loadtest.assessment import assess
    from deploylib.loadtest.measurement import Measurement, Workload, measure
    from deploylib.loadtest.records import Records, Subject
    from deploylib.loadtest.report import Assessment, Trend

__all__ = ["Assessment", "Measurement", "Records", "Subject", "Trend", "Workload", "assess", "measure"]

__getattr__ = look_up_in(
    __name__,
    {
        "Assessment": "report",
        "Measurement": "measurement",
        "Records": "records",
        "Subject": "records",
        "Trend": "report",
        "Workload": "measurement",
        "assess": "assessment",
        "measure": "measurement",
    },
)
