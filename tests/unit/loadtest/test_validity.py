"""The instrument judges itself."""

from __future__ import annotations

from typing import Any

import pytest

from deploylib.loadtest.measurement import Request
from deploylib.loadtest.validity import find_faults
from tests.support.measurements import measured


def test_a_sender_that_kept_up_is_valid() -> None:
    """At each of its limits, too."""
    edge = measured(processor=0.70, slips=(0.1,) * 98 + (20.0,) * 2, busiest=80, skipped=10, broken=10, planned=1000)

    assert find_faults(measured()) == ()
    assert find_faults(edge) == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"processor": 0.71}, "71% of a processor"),
        ({"slips": (0.1,) * 98 + (21.0,) * 2}, "21 ms too late"),
        ({"busiest": 81}, "81 of 100 users"),
        ({"skipped": 11}, "1.1% of the arrivals"),
        ({"requests": ()}, "nothing was measured"),
        (
            {"requests": (Request("newest", 1.0, 5.0, 5.0, "ConnectionRefusedError"),) * 9},
            "nobody answered (ConnectionRefusedError)",
        ),
        ({"broken": 11, "trouble": "KeyError: 'id'"}, "broke off in the locustfile itself (KeyError: 'id')"),
    ],
)
def test_each_limit_makes_a_run_invalid_by_itself(changes: dict[str, Any], why: str) -> None:
    """It says which one."""
    (fault,) = find_faults(measured(**changes))

    assert why in fault
