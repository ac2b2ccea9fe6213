"""Drills: situations of the runbook, made on purpose, for a person.

`list_drills` tells them, each a `DrillSummary`. `drill` makes one on a local Render of its own, and takes the time; `drill_all`
has a program mend all of them, as a test. `drill_on_site` is done on an environment itself. What comes of them are a
`DrillResult` and `DrillResults`; `choose_drill` is what ``inv drill`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.drills.choice import choose_drill, list_drills
    from deploylib.drills.definition import DrillSummary
    from deploylib.drills.on_site import drill_on_site
    from deploylib.drills.practice import drill, drill_all
    from deploylib.drills.results import DrillResult, DrillResults

__all__ = [
    "DrillResult",
    "DrillResults",
    "DrillSummary",
    "choose_drill",
    "drill",
    "drill_all",
    "drill_on_site",
    "list_drills",
]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "DrillResult": "results",
            "DrillResults": "results",
            "DrillSummary": "definition",
            "choose_drill": "choice",
            "drill": "practice",
            "drill_all": "practice",
            "drill_on_site": "on_site",
            "list_drills": "choice",
        },
    )
