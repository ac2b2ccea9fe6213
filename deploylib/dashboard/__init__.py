"""The page that says what is live.

It is made of values, and needs nothing once it is made.
A `Site` is the page, with a `Panel` for each environment: what it is `Serving`, each `Fact` that is told of it, each with its
`State`. `figures` measures how a team delivers; `page` makes the files of it all and writes them; `without_private` is what everybody
may read of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.dashboard import figures, page
    from deploylib.dashboard.panel import Fact, Panel, Serving, Site, State, without_private

__all__ = ["Fact", "Panel", "Serving", "Site", "State", "figures", "page", "without_private"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Fact": "panel",
            "Panel": "panel",
            "Serving": "panel",
            "Site": "panel",
            "State": "panel",
            "figures": "figures",
            "page": "page",
            "without_private": "panel",
        },
    )
