"""Values that the Blueprint asks for and does not hold: `sync: false`, and references to what is not here.

They are given by `python -m localrender env NAME`, or in a file `.env.local` beside the Blueprint that git does not track.
They are kept in the state, handed to builds and programs, and never shown.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from localrender import environment, source
from localrender.errors import bad_input
from localrender.model import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from localrender.model import EnvVar
    from localrender.state import State

FILE = ".env.local"
GROUP = f"nothing here of a group of variables that the account holds: inv local.env NAME for each it needs, or {FILE}"
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*?)\s*")


def of_file(blueprint: Path) -> dict[str, str]:
    """What `.env.local` beside a Blueprint gives; nothing where there is none.

    Raises:
        LocalRenderError: Git tracks it, or it cannot be read.
    """
    path = blueprint.with_name(FILE)
    if not path.is_file():
        return {}
    if source.is_tracked(path):
        raise bad_input(
            "values_tracked",
            f"git tracks {FILE}, so its values are in every clone",
            f"git rm --cached {FILE}, list it in .gitignore, commit, and change what is secret in it",
        )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise bad_input("values_unreadable", f"{FILE} cannot be read", "write it as UTF-8, readable for you") from error
    return dict(_pair(number, line) for number, line in enumerate(lines, 1) if line.strip() and not _is_remark(line))


def remarks(blueprint: Path) -> list[str]:
    """What is worth a note about the file."""
    path = blueprint.with_name(FILE)
    if not path.is_file() or source.is_ignored(path):
        return []
    return [f"{FILE} is not ignored by git, and the next commit may take it along: list it in .gitignore"]


def _is_remark(line: str) -> bool:
    return line.lstrip().startswith("#")


def _pair(number: int, line: str) -> tuple[str, str]:
    """Name and value of a line, which is not quoted where it is wrong: it may be a secret."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise bad_input("values_unreadable", f"{FILE}:{number}: not NAME=value", f"correct {FILE} at line {number}")
    name, value = found.groups()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return name, value[1:-1] if quoted else value


def give(state: State, name: str, value: str) -> None:
    """Keep a value; an empty one takes it away."""
    known = json.loads(state.setting("values") or "{}")
    state.set("values", json.dumps({key: text for key, text in {**known, name: value}.items() if text}))


def take_given(state: State, other: Path) -> None:
    """Take the values that another state was given; one that is not there was given none."""
    if (other / "state.sqlite3").is_file():
        theirs = type(state)(other)
        try:
            state.set("values", theirs.setting("values") or "{}")
        finally:
            theirs.close()


def take_file(state: State, found: dict[str, str]) -> None:
    """Keep what the file says now."""
    state.set("values_of_file", json.dumps(found))


def missing(variables: list[EnvVar], state: State) -> list[str]:
    """The variables that have no value here."""
    found = environment.resolve(variables, state)
    return [variable.key for variable in variables if variable.key not in {*found, ANY}]


def outside(variables: Iterable[EnvVar], state: State) -> dict[str, str]:
    """The values of those that neither the Blueprint nor a part of it settles: given by a person, or of a Key Value."""
    parts = {service.key for service in state.services()} | {database.spec.name for database in state.databases()}
    lead = ((one, one.service or one.database) for one in variables if one.value is None)
    return environment.resolve([one for one, to in lead if to is None or to[0] not in parts], state)


def lacking(variables: list[EnvVar], state: State) -> str:
    """What is said where a program has failed that had not all of its values; empty where it had them."""
    if names := missing(variables, state):
        return told(names)
    kept = (json.loads(state.setting(name) or "{}") for name in ("values", "values_of_file"))
    return GROUP if ANY in {variable.key for variable in variables} and not any(kept) else ""


def told(names: list[str]) -> str:
    """What is said of variables without a value where a program has failed."""
    which = f"no value here for {', '.join(names)}, which the Blueprint leaves out"
    return f"{which}: inv local.env {names[0]} (python -m localrender env {names[0]}), or {FILE}"
