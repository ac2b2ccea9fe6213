"""What an environment remembers in its store.

Its runs, who may change it, and what it refuses.
`History` is the append-only record of runs and operations, and `RunState` what the events of one add up to; a `Journal`
writes one run while it is worked on. `Leases` are those of one environment: a command acquires its `Lease`, and
`LeaseState` is the newest one as the store has it. `Holds` are what an environment refuses, each of them a `Hold`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.state.history import History
    from deploylib.state.holds import Hold, Holds
    from deploylib.state.journal import Journal
    from deploylib.state.lease import Lease, Leases, LeaseState
    from deploylib.state.run_state import RunState

__all__ = ["History", "Hold", "Holds", "Journal", "Lease", "LeaseState", "Leases", "RunState"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "History": "history",
            "Hold": "holds",
            "Holds": "holds",
            "Journal": "journal",
            "Lease": "lease",
            "LeaseState": "lease",
            "Leases": "lease",
            "RunState": "run_state",
        },
    )
