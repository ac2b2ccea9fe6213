"""Runs alembic for `deploylib.migrate`: a program of its own, started with the interpreter that the settings name.

It imports nothing of deploylib, because that interpreter need not have it. A request comes as JSON on standard
input, the database's address in ``DATABASE_URL``, the result goes as JSON into the file named by the one argument.
"""

import contextlib
import io
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

WAITING_FOR_A_LOCK = {"55P03", "40P01"}  # lock_not_available, deadlock_detected: the only ones worth another try


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Look (``status``) or bring the database to ``target`` (``upgrade``)."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(request["config"] or None)
    if request["path"]:
        config.set_main_option("script_location", request["path"].replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    heads = list(script.get_heads())
    if len(heads) > 1:
        return {"error": f"the migrations have {len(heads)} heads ({', '.join(heads)}): alembic merge heads"}
    result: dict[str, Any] = {"target": heads[0] if heads else "", "pending": [], "ahead": False, "applied": []}
    current = current_heads(config, script)
    result["current"] = ",".join(current)
    known = {revision.revision for revision in script.walk_revisions()}
    if any(revision not in known for revision in current):
        return {**result, "ahead": True}
    had = ancestors(script, current)
    oldest_first = list(script.walk_revisions())[::-1]
    result["pending"] = [described(r) for r in oldest_first if r.revision not in had]
    result["had"] = [described(r) for r in oldest_first if r.revision in had]
    if request["command"] == "upgrade":
        return upgrade(config, script, result, request)
    return {**result, "sql": offline_sql(config, result)}


def described(revision: Any) -> dict[str, str]:
    """A revision as a request's answer tells it; ``tolerates`` is what its file says of older code."""
    title = (revision.doc or "").partition("\n")[0].rstrip(".")
    return {"id": revision.revision, "title": title, "tolerates": getattr(revision.module, "tolerates", "")}


def ancestors(script: Any, current: list[str]) -> set[str]:
    """Every revision that *current* includes."""
    return {r.revision for head in current for r in script.iterate_revisions(head, "base")}


def current_heads(config: Any, script: Any) -> list[str]:
    """The database's revisions, read through the project's own ``env.py``; changes nothing."""
    from alembic.runtime.environment import EnvironmentContext

    found: list[str] = []

    def look(revision: Any, _context: Any) -> list[Any]:
        found.extend([revision] if isinstance(revision, str) else revision)
        return []

    with EnvironmentContext(config, script, fn=look, dont_mutate=True):
        script.run_env()
    return found


def offline_sql(config: Any, result: dict[str, Any]) -> str:
    """What the pending revisions would execute; empty where one of them must look at data first."""
    from alembic import command

    if not result["pending"]:
        return ""
    config.output_buffer = io.StringIO()
    config.stdout = io.StringIO()
    with contextlib.suppress(Exception):  # a revision that reads data cannot be rendered; that is no failure
        command.upgrade(config, f"{result['current'] or 'base'}:{result['target']}", sql=True)
        return str(config.output_buffer.getvalue())
    return ""


def upgrade(config: Any, script: Any, result: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Apply revision after revision, each in a transaction of its own."""
    from alembic import command

    if result["target"] != request["target"]:
        return {**result, "error": f"the migrations end at {result['target']}, not at {request['target']}"}
    deadline = time.monotonic() + request["within"]
    for revision in result["pending"]:
        began, tries = time.monotonic(), 0
        while True:
            tries += 1
            try:
                command.upgrade(config, revision["id"])
                break
            except Exception as error:  # noqa: BLE001 - whatever a migration raises is its failure
                state = getattr(getattr(error, "orig", None), "sqlstate", None)
                pause = min(4.0, 0.5 * 2**tries) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                if state not in WAITING_FOR_A_LOCK or time.monotonic() + pause > deadline:
                    words = str(getattr(error, "orig", None) or error).strip()
                    failed = {"failed": revision["id"], "error": words, "tries": tries, "sqlstate": state}
                    return {**result, **failed, "current": ",".join(current_heads(config, script))}
                time.sleep(pause)
        seconds = time.monotonic() - began
        told = {"id": revision["id"], "title": revision["title"]}
        result["applied"].append({**told, "seconds": seconds, "tries": tries})
    return {**result, "current": ",".join(current_heads(config, script))}


if __name__ == "__main__":
    answer = main(json.load(sys.stdin))
    Path(sys.argv[1]).write_text(json.dumps(answer))
