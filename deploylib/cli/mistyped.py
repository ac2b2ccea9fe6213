"""Words that no task understands: what is near, what to type.

invoke 3.0 says the word alone, and ends with the exit code 1, which is a bug's here. Read only once something is mistyped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from deploylib.errors import SettingsError

__all__ = ["usage"]

UNKNOWN = re.compile(r"No idea what (['\"])(?P<word>.*)\1 is!(?: (?P<why>.*))?", re.DOTALL)
NO_VALUE = re.compile(r"Flag <\w+: (?P<flag>\S+).*> needed value")
MISSING = re.compile(r"'.*' did not receive required positional arguments: (?P<names>.*)")
GROUP = re.compile(r"Sub-collection '(?P<word>.*)' not found!", re.DOTALL)


def usage(error: ParseError | Exit, program: Program) -> Exit:
    """Make the end of a program of which something was mistyped."""
    mistake = _read(str(error), getattr(error, "context", None), program)
    return Exit(mistake.diagnostics(), code=mistake.exit_code)


def _read(words: str, context: Any, program: Program) -> SettingsError:
    typed, tasks = list(program.core.unparsed), program.parser.contexts
    task = (context.name or "") if context is not None else next((word for word in typed if word in tasks), "")
    if task:
        remedy = f"inv {task} --help tells its flags, inv --list the tasks"
    else:
        remedy = "inv --list tells the tasks, inv TASK --help the flags of one, which are typed behind its name"
    if match := NO_VALUE.search(words):
        return SettingsError(f"{f'inv {task}: ' if task else ''}--{match['flag']} needs a value", remedy=remedy)
    if match := MISSING.match(words):
        names = match["names"].replace("'", "")
        return SettingsError(f"inv {task} needs {names}", remedy=remedy)
    if match := GROUP.match(words):
        return SettingsError(f"there is no group of tasks {match['word']!r}", remedy="inv --list tells all of them")
    if not (match := UNKNOWN.match(words)):
        return SettingsError(words, remedy=remedy)
    word = match["word"]
    if given := next((each for each in typed if each.startswith("-") and each.endswith(f"={word}")), ""):
        return SettingsError(f"{given.partition('=')[0]} takes no value", remedy=remedy)
    if word.startswith("-"):
        known = (
            [*tasks[task].flags, *tasks[task].inverse_flags] if task in tasks else list(program.initial_context.flags)
        )
        text = f"inv {task}".rstrip() + f" has no flag {word}"
        why = f"; {match['why']}" if match["why"] else ""
        return SettingsError(text + (_near(word, known) or why), remedy=remedy)
    after = f"; {task} takes no such word" if task else ""
    return SettingsError(f"there is no task {word!r}{_near(word, [*tasks, *tasks.aliases]) or after}", remedy=remedy)


def _near(word: str, known: Iterable[str]) -> str:
    """Ask whether the nearest was meant, also a task's last part."""
    names = {part.strip("-"): name for name in known for part in (name.rpartition(".")[2], name)}
    bare = word.strip("-")
    near = get_close_matches(bare, names, cutoff=0.65)
    nearest = max(near, key=lambda name: sorted(name) == sorted(bare), default="")  # of equals, letters changed about
    return f"; did you mean {names[nearest]}?" if nearest else ""
