"""Conclude what a folder of Python holds."""

from __future__ import annotations

import re

from deploylib.scaffold.repository import Inference, Tree, path_in
from deploylib.scaffold.services import FolderContent, find_health_path, make_service

__all__ = ["describe_python"]

DRIVER = re.compile(r"\b(?:psycopg[23]?|asyncpg|pg8000|dj-database-url)\b", re.IGNORECASE)
LOCKS = ("uv.lock", "poetry.lock", "requirements.txt", "pyproject.toml")
BUILDS = {
    "uv.lock": ("uv", "uv sync --frozen", "uv run "),
    "poetry.lock": ("poetry", "poetry install --no-interaction", "poetry run "),
    "requirements.txt": ("pip", "pip install -r requirements.txt", ""),
    "pyproject.toml": ("pip", "pip install .", ""),
    "": ("no packages", "python --version", ""),
}
PROCESS = re.compile(r"^(web|worker):[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["'],\s*["']([\w.]+)\.settings""")
APPS = {
    "FastAPI": re.compile(r"^(\w+)(?::[^=\n]+)?\s*=\s*FastAPI\(", re.MULTILINE),
    "Flask": re.compile(r"^(\w+)(?::[^=\n]+)?\s*=\s*Flask\(", re.MULTILINE),
    "Flask's factory": re.compile(r"^def (create_app)\(", re.MULTILINE),
}
WORKERS = re.compile(r"worker|jobs|queue|consumer")


def describe_python(tree: Tree, folder: str, label: str) -> FolderContent:
    """Describe a folder of Python: packages, programs, tests, driver."""
    lock = tree.first(folder, *LOCKS)
    manager, build, runs = BUILDS[lock.rpartition("/")[2]]
    named = {
        name: tree.read(name) for each in ("pyproject.toml", "requirements.txt") if (name := path_in(folder, each))
    }
    content = FolderContent(database=next((name for name, text in named.items() if DRIVER.search(text)), ""))
    needs = "\n".join(named.values())
    starts = list(_starts(tree, folder, needs, label))
    for kind, start, file, what in starts:
        name = label if kind == "web" or len(starts) == 1 else f"{label}-worker"
        path, named_in = find_health_path(tree, tree.within(folder, ".py")) if kind == "web" else ("", "")
        runs_by = "" if start.startswith(("uv ", "poetry ")) else runs
        keys = {"buildCommand": build, "startCommand": f"{runs_by}{start}", "healthCheckPath": path}
        content.services.append(make_service(kind, name, "python", folder, **keys))
        content.conclusions.append(Inference(f"{name}: {what}", file))
        content.conclusions += [Inference(f"{name}: packages by {manager}", lock)] if lock else []
        content.conclusions += [Inference(f"{name}: health at {path}", named_in)] if named_in else []
    if not starts:
        message = "Python, but no program was recognised (Django, FastAPI, Flask, a worker, a Procfile); left out"
        content.conclusions.append(Inference(message, tree.first(folder, *LOCKS, "manage.py", "Procfile")))
    if re.search(r"\bpytest\b", needs):
        # What the tests need they install themselves: the tools of a release are apart.
        own = "python3 -m venv .tests && .tests/bin/pip install -q -r requirements.txt && .tests/bin/python -m pytest"
        content.tests = {"uv": "uv run pytest", "poetry": "sh -c 'poetry install && poetry run pytest'"}.get(
            manager, f"sh -c '{own}'" if manager == "pip" and "requirements.txt" in lock else ""
        )
        content.tests_file = next(name for name, text in named.items() if "pytest" in text)
    return content


def _starts(tree: Tree, folder: str, needs: str, label: str) -> list[tuple[str, str, str, str]]:
    """Find each program: kind, command, file that says so, and what."""
    procfile = path_in(folder, "Procfile")
    if processes := PROCESS.findall(tree.read(procfile)):
        kinds = {"web": "a web service", "worker": "a worker"}
        return [(kind, command, procfile, kinds[kind]) for kind, command in processes]
    manage = path_in(folder, "manage.py")
    if manage in tree.names:
        return [("web", _django(tree.read(manage), needs), manage, "a web service, Django")]
    for name in tree.within(folder, ".py"):
        text = tree.read(name)
        for framework, pattern in APPS.items():
            if app := pattern.search(text):
                command = _server(framework, name.removeprefix(f"{folder}/" if folder else ""), app[1], needs)
                return [("web", command, name, f"a web service, {framework}")]
    for name in ("worker.py", "main.py", "app.py"):
        if WORKERS.search(label) and (path := path_in(folder, name)) in tree.names:
            return [("worker", f"python {name}", path, "a worker")]
    return []


def _django(manage: str, needs: str) -> str:
    package = SETTINGS.search(manage)
    if package and re.search(r"\bgunicorn\b", needs):
        return f"gunicorn {package[1]}.wsgi:application --bind 0.0.0.0:$PORT"
    return "python manage.py runserver --noreload 0.0.0.0:$PORT"


def _server(framework: str, file: str, app: str, needs: str) -> str:
    """Find the command that serves an application, by its own packages."""
    source = "src" if file.startswith("src/") else ""
    module = file.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if framework == "FastAPI":
        return f"uvicorn {module}:{app} --host 0.0.0.0 --port $PORT" + (" --app-dir src" if source else "")
    if re.search(r"\bgunicorn\b", needs):
        called = f"'{module}:{app}()'" if app == "create_app" else f"{module}:{app}"
        return f"gunicorn {called} --bind 0.0.0.0:$PORT" + (" --chdir src" if source else "")
    return f"flask --app {file.removesuffix('.py')} run --host 0.0.0.0 --port $PORT"
