"""Runs alembic for `deploylib.migrations.upgrade`.

A program of its own, started with the interpreter that the settings name.

It imports nothing of deploylib, because that interpreter need not have it. A request comes as JSON on standard
input, the database's address in ``DATABASE_URL``, the result goes as JSON into the file named by the one argument.
"""

import ast
import contextlib
import importlib
import importlib.util
import inspect
import io
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

WAITING_FOR_A_LOCK = {"55P03", "40P01"}  # lock_not_available, deadlock_detected: the only ones worth another try
BESIDE = Path(__file__).resolve().parent


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Look, upgrade, or rehearse.

    ``status`` looks, ``upgrade`` brings the database to ``target``, ``rehearse`` does so with a copy.
    """
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    knows_toml = "toml_file" in inspect.signature(Config).parameters
    if request.get("toml") and not request["config"] and not knows_toml:
        return {
            "error": "this alembic does not read pyproject.toml, which 1.16 and later do: raise it for migrations.python"
        }
    beside: dict[str, Any] = {"toml_file": request.get("toml") or None} if knows_toml else {}
    config = Config(request["config"] or None, **beside)
    if request["path"]:
        config.set_main_option("script_location", request["path"].replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    heads = effective(script, list(script.get_heads()))
    if forked := fork(script, heads):
        return {
            "error": f"the migrations have {len(heads)} heads, of which {' and '.join(forked)} go on from the same one"
        }
    result: dict[str, Any] = {"target": ",".join(heads), "pending": [], "ahead": False, "applied": []}
    current, result["versions"] = current_heads(config, script)
    result["current"] = ",".join(current)
    known = {revision.revision for revision in script.walk_revisions()}
    if any(revision not in known for revision in current):
        return {**result, "ahead": True}
    had, root = ancestors(script, current), request.get("root", os.curdir)
    oldest_first = list(script.walk_revisions())[::-1]
    result["pending"] = [describe(r, root) for r in oldest_first if r.revision not in had]
    result["had"] = [describe(r, root) for r in oldest_first if r.revision in had]
    if request["command"] != "status":
        return upgrade(config, script, result, request)
    for described_one in result["pending"]:
        described_one.update(offline_sql(config, script, described_one["id"]))
    rendered = all(one["rendered"] for one in result["pending"])
    return {**result, "sql": "".join(one["sql"] for one in result["pending"]) if rendered else ""}


def compile_once() -> None:
    """Keep what Python compiles of alembic, and nothing of the commit's files.

    Those are here for a moment, or in somebody's folder. An installer like uv compiles nothing: without this, each child
    would compile alembic and SQLAlchemy anew, which takes as long as all the rest.
    """
    for name in ("alembic.command", "alembic.config", "sqlalchemy.dialects.postgresql"):
        importlib.import_module(name)
    sys.dont_write_bytecode = True


def describe(revision: Any, root: str) -> dict[str, Any]:
    """Describe a revision for the answer to a request.

    ``tolerates`` is what its file says of older code.
    """
    title = (revision.doc or "").partition("\n")[0].rstrip(".")
    text = Path(revision.path).read_text(encoding="utf-8", errors="replace")
    lines = text.splitlines()
    return {
        "id": revision.revision,
        "title": title,
        "tolerates": getattr(revision.module, "tolerates", ""),
        "path": os.path.relpath(os.path.realpath(revision.path), os.path.realpath(root)),
        "needs": list(revision._all_down_revisions),  # noqa: SLF001 - those of `down_revision` and of `depends_on`
        "reversible": reversible(text),
        "remarks": [line.strip() for line in lines if "deploylib:" in line],
    }


def reversible(text: str) -> bool:
    """Tell whether a revision's ``downgrade`` does anything.

    More than its docstring, ``pass``, or to raise.
    """
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "downgrade":
            idle = (ast.Pass, ast.Raise, ast.Return)
            return any(
                not isinstance(step, idle) and not (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
                for step in statement.body
            )
    return False


def ancestors(script: Any, current: list[str]) -> set[str]:
    """List every revision that *current* includes, by ``depends_on`` too."""
    return {r.revision for head in current for r in script.iterate_revisions(head, "base")}


def effective(script: Any, heads: list[str]) -> list[str]:
    """Keep the revisions that no other one includes.

    Of a branch that another one depends on, alembic's table keeps no row.
    """
    return sorted(one for one in heads if not any(one in ancestors(script, [other]) for other in heads if other != one))


def fork(script: Any, heads: list[str]) -> tuple[str, ...]:
    """Find two heads that nobody has meant.

    They have a beginning in common, and not each a branch label of its own.
    """
    revisions = [script.get_revision(head) for head in heads]
    for number, revision in enumerate(revisions):
        for other in revisions[number + 1 :]:
            mine, theirs = set(revision.branch_labels), set(other.branch_labels)
            together = lineage(script, revision) & lineage(script, other)
            if together and not (mine - theirs and theirs - mine):
                return revision.revision, other.revision
    return ()


def lineage(script: Any, revision: Any) -> set[str]:
    """List a revision and those that it goes on from.

    What it only depends on is another branch's.
    """
    line: set[str] = set()
    left = [revision.revision]
    while left:
        name = left.pop()
        if name not in line:
            line.add(name)
            left += script.get_revision(name)._versioned_down_revisions  # noqa: SLF001 - a tuple, however it was written
    return line


def current_heads(config: Any, script: Any) -> tuple[list[str], str]:
    """Read the database's revisions and their table.

    By the project's own ``env.py``; it changes nothing.
    """
    from alembic.runtime.environment import EnvironmentContext

    heads: list[str] = []
    names: list[str] = []

    def look(revision: Any, context: Any) -> list[Any]:
        heads.extend([revision] if isinstance(revision, str) else revision)
        names[:] = (name for name in (context.version_table_schema, context.version_table) if name)
        return []

    with EnvironmentContext(config, script, fn=look, dont_mutate=True):
        script.run_env()
    return sorted(heads), ".".join('"' + name.replace('"', '""') + '"' for name in names)


def offline_sql(config: Any, script: Any, wanted: str) -> dict[str, Any]:
    """Write the SQL of one revision, after those below it.

    It cannot be said where it must look at data first.
    """
    from alembic.runtime.environment import EnvironmentContext

    below = script.get_revision(wanted).down_revision or "base"
    config.output_buffer = io.StringIO()

    def only(_revision: Any, _context: Any) -> list[Any]:
        steps = script._upgrade_revs(wanted, below)  # noqa: SLF001 - `alembic upgrade a:b --sql` does the same
        return [step for step in steps if step.revision.revision == wanted]

    with contextlib.suppress(Exception):  # a revision that reads data cannot be rendered; that is no failure
        with EnvironmentContext(config, script, fn=only, as_sql=True, starting_rev=below, destination_rev=wanted):
            script.run_env()
        return {"sql": str(config.output_buffer.getvalue()), "rendered": True}
    return {"sql": "", "rendered": False}


def upgrade(config: Any, script: Any, result: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Apply revision after revision, each in a transaction of its own.

    On a copy, write down what each does.
    """
    if result["target"] != request["target"]:
        return {**result, "error": f"the migrations end at {result['target']}, not at {request['target']}"}
    rehearsing = request["command"] == "rehearse"
    listeners, watching = beside("sessions"), beside("blockers")
    watch = watching.Watch(request.get("lock_timeout", 1.0), must_see=rehearsing)
    limits = int(1000 * request.get("lock_timeout", 1.0)), int(1000 * request.get("statement_timeout", 600.0))
    sessions = listeners.Sessions(watch, request.get("patience", 1800.0), limits, result["versions"])
    recorder = None
    if rehearsing:
        allowed = frozenset(request.get("allowed", ()))
        pictures = beside("picture")
        recorder = beside("recorder").Recorder(listeners, watch, pictures, result["versions"], allowed)
    with sessions.listening(), recorder.listening() if recorder else contextlib.nullcontext():
        failed = apply(config, result, sessions, recorder, time.monotonic() + request["within"])
    return {**result, **failed, "current": ",".join(current_heads(config, script)[0])}


def apply(config: Any, result: dict[str, Any], sessions: Any, recorder: Any, deadline: float) -> dict[str, Any]:
    """Apply what is pending.

    Gives what there is to say of the revision that failed.
    """
    from alembic import command

    result["revisions"] = []
    for revision in result["pending"]:
        began, tries = time.monotonic(), 0
        blockers: dict[str, str] = {}
        sessions.dropped.clear()
        sessions.lifted.clear()
        if recorder:
            recorder.begin(revision["id"])
        while True:
            tries += 1
            sessions.fresh()
            try:
                command.upgrade(config, revision["id"])
                break
            except Exception as error:  # noqa: BLE001 - whatever a migration raises is its failure
                state, words = sessions.explain_error(error)
                blockers.update({one.partition(",")[0]: one for one in sessions.watch.found})
                pause = min(4.0, 0.5 * 2**tries) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                if state in WAITING_FOR_A_LOCK and sessions.once_more() and time.monotonic() + pause < deadline:
                    time.sleep(pause)
                    continue
                if recorder:
                    result["revisions"].append({**recorder.summarize(), "lifted": distinct(sessions.lifted)})
                failed = {"failed": revision["id"], "error": words, "tries": tries, "sqlstate": state}
                return {**failed, "waited_for": list(blockers.values()), "half": sessions.committed}
        blockers.update({one.partition(",")[0]: one for one in sessions.watch.found})
        lifted = distinct(sessions.lifted)
        if recorder:
            result["revisions"].append({**recorder.summarize(), "lifted": lifted})
        entry = {"id": revision["id"], "title": revision["title"], "seconds": time.monotonic() - began, "tries": tries}
        entry |= {"waited_for": list(blockers.values()), "dropped": list(sessions.dropped), "lifted": lifted}
        result["applied"].append(entry)
    return {}


def distinct(texts: list[str]) -> list[str]:
    """Keep each item once, in order."""
    return list(dict.fromkeys(texts))


def beside(name: str) -> Any:
    """Load a module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(f"deploylib_{name}", BESIDE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    # An application's `models` or `git` must not be taken for the file of that name that lies beside this one.
    sys.path[:] = [place for place in sys.path if Path(place).resolve() != BESIDE]
    compile_once()
    answer = main(json.load(sys.stdin))
    Path(sys.argv[1]).write_text(json.dumps(answer))
