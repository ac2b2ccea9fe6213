"""A choice of ``inv drill``: the list, one drill, or all."""

from __future__ import annotations

from deploylib.drills.catalog import DRILLS, find_practice
from deploylib.drills.definition import DrillSummary
from deploylib.drills.on_site import THERE_AND_BACK, drill_on_site
from deploylib.drills.practice import drill, drill_all, end_leftovers
from deploylib.drills.results import DrillResult, DrillResults
from deploylib.environment import Environment
from deploylib.errors import SettingsError

__all__ = ["choose_drill", "list_drills"]


def list_drills(env: Environment) -> tuple[DrillSummary, ...]:
    """List the drills; what killed ones have left is cleaned up."""
    end_leftovers(env)
    return (*(each.summary for each in DRILLS), THERE_AND_BACK)


def choose_drill(
    env: Environment,
    *,
    name: str = "",
    every: bool = False,
    within: str = "30m",
    unattended: bool = False,
    confirm: str = "",
    watched: bool = True,
) -> tuple[DrillSummary, ...] | DrillResult | DrillResults:
    """List the drills, or do one, or all.

    Args:
        every: all of them, unattended.
        confirm: see `drill_on_site`.
        watched: somebody sees what is told.

    Raises:
        SettingsError: there is no such drill, or it needs a person, and nobody would see what is told.
    """
    if every and name:
        raise SettingsError("--all is all of them, and one is named", remedy="inv drill --all, or inv drill NAME")
    if every:
        return drill_all(env, within=within)
    if not name:
        return list_drills(env)
    if name == THERE_AND_BACK.name:
        return drill_on_site(env, confirm=confirm)
    find_practice(name, THERE_AND_BACK.name)
    if not unattended and not watched:
        raise SettingsError(
            "a drill is for a person, who reads what happens, and this is no terminal",
            remedy=f"inv drill {name} --unattended types the right commands itself",
        )
    return drill(env, name=name, within=within, unattended=unattended)
