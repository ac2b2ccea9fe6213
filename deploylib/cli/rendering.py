"""Render each command's result: as lines, or for ``--json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deploylib.cli import text
from deploylib.environment import Environment

__all__ = ["as_json", "as_lines"]

# What a task names with `show`: lines of its value, of an environment, as it was asked.
RENDERINGS: Mapping[str, Callable[[Any, Environment, Mapping[str, Any]], Iterable[str]]] = {
    "backup": lambda value, env, _: text.format_backups([value], env.clock.now()),
    "backups": lambda value, env, _: text.format_backups(value, env.clock.now(), env.name),
    "copies": lambda value, *_: text.copies(value),
    "dashboard": lambda value, *_: text.format_dashboard(value),
    "drills": lambda value, *_: text.format_drills(value),
    "fitness": lambda value, *_: text.format_fitness(value),
    "held": lambda value, env, _: ("held from now on", *text.format_holds([value], env.clock.now())),
    "history": lambda value, _, asked: text.format_events(value[0]) if asked["run"] else text.format_history(value),
    "lease": lambda value, env, _: text.format_lease(value, env.name),
    "lifted": lambda value, env, _: text.format_lifted(value, env.holds.read(), env.clock.now()),
    "local": lambda value, *_: text.format_local(value),
    "logs": lambda value, *_: text.format_logs(value),
    "restored": lambda value, env, _: text.format_restore(value, env.name),
    "round": lambda value, *_: text.format_round(value),
    "silence": lambda value, *_: text.format_silence(value),
    "status": lambda value, env, _: text.format_status(value, env.clock.now()),
    "told": lambda value, *_: (f"{name} was told" for name in dict.fromkeys(each.channel for each in value)),
    "trend": lambda value, *_: value.lines,
    "words": lambda value, *_: value.splitlines(),
}


def as_lines(value: Any, show: str, env: Environment, asked: Mapping[str, Any]) -> list[str]:
    """Render a result as lines.

    Args:
        show: which of the renderings; empty: words, which are lines already.
        asked: the options of the command.
    """
    return list(RENDERINGS[show or "words"](value, env, asked))


def as_json(value: Any, show: str) -> Any:
    """Choose what ``--json`` prints; logs go by service and kind."""
    return {log.name: log.lines for log in value} if show == "logs" else value
