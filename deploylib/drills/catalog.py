"""The drills there are: first what one meets most often."""

from __future__ import annotations

from deploylib.drills.bad_releases import BAD_RELEASE, CRASH, PARTIAL_FAILURE
from deploylib.drills.data import BAD_MIGRATION, RESTORE
from deploylib.drills.definition import Drill
from deploylib.drills.lost_contact import LOST_ANSWER, PLATFORM_DOWN
from deploylib.drills.others import DEPLOYED_BESIDE, HELD, STUCK_LEASE
from deploylib.errors import SettingsError

__all__ = ["DRILLS", "find_practice"]

DRILLS: tuple[Drill, ...] = (
    BAD_RELEASE,
    CRASH,
    HELD,
    STUCK_LEASE,
    DEPLOYED_BESIDE,
    BAD_MIGRATION,
    LOST_ANSWER,
    PLATFORM_DOWN,
    PARTIAL_FAILURE,
    RESTORE,
)


def find_practice(name: str, *others: str) -> Drill:
    """Find a drill by its name.

    Args:
        others: names that are drills as well, of another kind.

    Raises:
        SettingsError: there is none of that name.
    """
    for drill in DRILLS:
        if drill.name == name:
            return drill
    message = f"there is no drill {name!r}" if name else "no drill is named"
    raise SettingsError(
        message, details=(*(drill.name for drill in DRILLS), *others), remedy="inv drill tells all of them"
    )
