"""A release from its first look to its last word.

- `aims`: brings a run to where a command's `Options` say: forward, back, or to its end
- `record_operation`: records what is asked for beside the releases, under the lease where it needs it
- `database`: where the environment's database is, and whether it is whole
- `preflight`: reads the Blueprint, and finds what a release lacks
- `serving`: what the services serve now; `rollback`: what can be gone back to, and whether it goes with the schema
- `note_undelivered`: says what was not told
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.release import aims, database, preflight, rollback, serving
    from deploylib.release.operation import record_operation
    from deploylib.release.run import Options
    from deploylib.release.telling import note_undelivered

__all__ = ["Options", "aims", "database", "note_undelivered", "preflight", "record_operation", "rollback", "serving"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Options": "run",
            "aims": "aims",
            "database": "database",
            "note_undelivered": "telling",
            "preflight": "preflight",
            "record_operation": "operation",
            "rollback": "rollback",
            "serving": "serving",
        },
    )
