"""What is concluded of small repositories of others, and from which file."""

from __future__ import annotations

import os
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploylib import settings
from deploylib.commands import init
from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.health import Language
from deploylib.render import blueprints
from deploylib.scaffold import InitOptions
from tests.support import adopters, foreign

KEYS = ("name", "type", "runtime", "rootDir", "buildCommand", "startCommand", "healthCheckPath", "staticPublishPath")
WANTED: dict[str, list[tuple[str, ...]]] = {
    "express": [("shop", "web", "node", "npm ci", "node server.js", "/healthz")],
    "pnpm": [
        (
            *("api", "web", "node", "pnpm install --frozen-lockfile && pnpm --filter ./apps/api run build"),
            "pnpm --filter ./apps/api start",
        ),
        (
            *("web", "web", "static", "pnpm install --frozen-lockfile && pnpm --filter ./apps/web run build"),
            "apps/web/dist",
        ),
    ],
    "static": [("shop", "web", "static", "true", "public")],
    "fastapi": [
        (
            *("shop", "web", "python", "uv sync --frozen"),
            "uv run uvicorn api.main:app --host 0.0.0.0 --port $PORT --app-dir src",
            "/api/health/live",
        )
    ],
    "django": [
        (
            *("shop", "web", "python", "pip install -r requirements.txt"),
            "gunicorn shop.wsgi:application --bind 0.0.0.0:$PORT",
        )
    ],
    "flask": [
        (
            *("shop", "web", "python", "poetry install --no-interaction"),
            "poetry run gunicorn 'web:create_app()' --bind 0.0.0.0:$PORT",
        )
    ],
    "monorepo": [
        (
            *("backend", "web", "python", "backend", "pip install -r requirements.txt"),
            "flask --app app run --host 0.0.0.0 --port $PORT",
        ),
        ("frontend", "web", "static", "frontend", "npm ci && npm run build", "dist"),
        ("worker", "worker", "python", "worker", "pip install -r requirements.txt", "python worker.py"),
    ],
    "procfile": [
        ("shop", "web", "python", "pip install -r requirements.txt", "python server.py", "/healthz"),
        ("site", "web", "static", "site", "true", "."),
    ],
}
FROM = {  # a conclusion, and the file that says so
    "express": ("shop: packages by npm", "package-lock.json"),
    "pnpm": ("api: packages by pnpm", "pnpm-lock.yaml"),
    "static": ("shop: a static site as it lies there", "public/index.html"),
    "fastapi": ("shop: health at /api/health/live", "src/api/main.py"),
    "django": ("shop: a web service, Django", "manage.py"),
    "flask": ("shop: packages by poetry", "poetry.lock"),
    "monorepo": ("worker: a worker", "worker/worker.py"),
    "procfile": ("shop: a web service", "Procfile"),
}
DATABASES = {"express": "package.json", "fastapi": "pyproject.toml", "django": "requirements.txt"}


def prepared(folder: Path, **asked: bool) -> init.Initialisation:
    """What init would do in a folder."""
    return init.prepare_init(Environment.open("local", folder=folder), InitOptions(**asked))


@pytest.mark.parametrize("name", adopters.ALL)
def test_what_is_concluded_of_a_repository(name: str, tmp_path: Path) -> None:
    """Its services and its database, as a Blueprint that the library itself reads; each from a file that is named."""
    done = prepared(adopters.make_repository(tmp_path / "shop", adopters.ALL[name]))
    services: list[dict[str, Any]] = done.product.document["services"]

    assert [tuple(one[key] for key in KEYS if key in one) for one in services] == WANTED[name]
    assert FROM[name] in [(one.text, one.file) for one in done.product.conclusions]
    assert all(one["autoDeployTrigger"] == "off" for one in services)
    database = [(one.text, one.file) for one in done.product.conclusions if "Postgres" in one.text]
    assert database == [
        ("shop-db: a Postgres, as DATABASE_URL", file) for each, file in DATABASES.items() if each == name
    ]
    written = next(one for one in done.changes if one.path == "render.yaml")
    parsed = blueprints.parse((written.after or b"").decode())
    assert [one.name for one in parsed.deployable] == [one["name"] for one in services]
    assert not parsed.notes


def test_a_blueprint_that_is_there_is_what_counts(tmp_path: Path) -> None:
    """It is neither written nor proposed; its services are in the runbook."""
    text = "services:\n  - {type: web, name: front door, runtime: static, buildCommand: make, staticPublishPath: out}\n"
    done = prepared(adopters.make_repository(tmp_path / "shop", {**adopters.EXPRESS, "render.yaml": text}))
    proposed = {one.path: (one.after or b"").decode() for one in done.changes}

    assert "render.yaml" not in proposed
    assert ("services: front door", "render.yaml") in [(one.text, one.file) for one in done.product.conclusions]
    assert "| front door | web, static |" in proposed["docs/runbook.md"]
    assert not any("New > Blueprint" in step for step in done.steps)


def test_the_first_blueprint_is_created_by_hand_and_that_is_said(tmp_path: Path) -> None:
    """No API makes one."""
    done = prepared(adopters.make_repository(tmp_path / "shop", adopters.STATIC))

    assert any("by hand" in step and "New > Blueprint" in step for step in done.steps)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"README.md": "words\n"}, "no service was recognised"),
        ({"pyproject.toml": "[tool.ruff]\n"}, "no service was recognised"),
        ({"package.json": "{"}, "package.json: "),
        ({"package.json": "[]"}, "package.json: "),
        ({"render.yaml": "services: {"}, "render.yaml is not valid YAML"),
        ({"render.yaml": "services: []\n"}, "has no service that is deployed from a commit"),
    ],
)
def test_what_cannot_be_concluded_is_an_error(files: dict[str, str], told: str, tmp_path: Path) -> None:
    """With what there is, and the next step; nothing is written."""
    folder = adopters.make_repository(tmp_path / "shop", files)
    with pytest.raises(SettingsError, match=told) as error:
        prepared(folder)

    assert error.value.exit_code == 2
    assert {each.name for each in folder.iterdir()} == {".git", *files}


def test_what_was_seen_and_left_out_is_told(tmp_path: Path) -> None:
    """Python that nothing starts is no service, and not passed over in silence."""
    files = {**adopters.STATIC, "tools/requirements.txt": "requests\n"}
    done = prepared(adopters.make_repository(tmp_path / "shop", files))

    assert [one.file for one in done.product.conclusions if "left out" in one.text] == ["tools/requirements.txt"]


def test_staging_has_other_names_and_the_smallest_plans(tmp_path: Path) -> None:
    """Its Blueprint is valid, its settings name its services, and the workflow begins with it."""
    text = adopters.EXPRESS | {
        "render.yaml": "services:\n  - type: web\n    name: api\n    runtime: node\n    plan: pro\n    numInstances: 3\n"
        "    domains: [api.example.com]\n    buildCommand: npm ci\n    startCommand: node server.js\n    envVars:\n"
        "      - {key: DATABASE_URL, fromDatabase: {name: data, property: connectionString}}\n"
        "      - {key: LEVEL, value: 'on'}\n"
        "databases:\n  - {name: data, plan: pro-4gb, postgresMajorVersion: '16'}\n"
    }
    done = prepared(adopters.make_repository(tmp_path / "shop", text), staging=True)
    proposed = {one.path: (one.after or b"").decode() for one in done.changes}
    parsed = blueprints.parse(proposed["render.staging.yaml"])

    (service,) = parsed.services
    assert (service.name, service.settings["plan"]) == ("api-staging", "starter")
    assert not {"numInstances", "domains"} & service.settings.keys()
    assert service.settings["envVars"][0]["fromDatabase"]["name"] == "data-staging"
    assert service.settings["envVars"][1] == {"key": "LEVEL", "value": "on"}
    assert [(one.name, one.plan) for one in parsed.databases] == [("data-staging", "basic-256mb")]
    assert 'services = { api = "api-staging" }\ndatabase = "data-staging"' in proposed["deploylib.toml"]
    assert "inv promote --from staging --to production" in proposed[".github/workflows/deploy-staging-first.yml"]


def test_staging_has_variables_of_its_own(tmp_path: Path) -> None:
    """A group of two Blueprints would be one: staging had production's secrets. One of the Dashboard's stays as it is."""
    variables = "[{fromGroup: shop}, {fromGroup: dashboard}]"
    service = f"{{type: web, name: api, runtime: node, startCommand: node server.js, envVars: {variables}}}"
    group = "envVarGroups: [{name: shop, envVars: [{key: SESSION_KEY, generateValue: true}]}]"
    text = adopters.EXPRESS | {"render.yaml": f"{group}\nservices: [{service}]\n"}
    done = prepared(adopters.make_repository(tmp_path / "shop", text), staging=True)
    staging = next((one.after or b"").decode() for one in done.changes if one.path == "render.staging.yaml")

    assert [one["name"] for one in yaml.safe_load(staging)["envVarGroups"]] == ["shop-staging"]
    (api,) = blueprints.parse(staging).services
    assert api.settings["envVars"] == [{"fromGroup": "shop-staging"}, {"fromGroup": "dashboard"}]


def test_a_file_that_was_deleted_says_nothing(tmp_path: Path) -> None:
    """Git still lists it until that is committed."""
    folder = adopters.make_repository(tmp_path / "shop", {**adopters.STATIC, "package.json": "{"})
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    (folder / "package.json").unlink()

    assert [one.name for one in prepared(folder).product.blueprint.services] == ["shop"]


def test_the_migrations_of_prisma_are_taken_over(tmp_path: Path) -> None:
    """By the settings and the script of the page about other tools; in whatever folder it is."""
    files = {f"api/{name}": text for name, text in foreign.PRISMA.items()}
    done = prepared(adopters.make_repository(tmp_path / "shop", files))
    proposed = {one.path: (one.after or b"").decode() for one in done.changes}
    page = (Path(__file__).parents[2] / "docs/migrations.md").read_text()

    assert (
        "migrations: Prisma's, by npx prisma migrate deploy",
        "api/prisma/migrations/20260101_one/migration.sql",
    ) in [(one.text, one.file) for one in done.product.conclusions]
    assert proposed["pending.py"] == page.partition("```python pending.py\n")[2].partition("```")[0]
    folder = tmp_path / "read"
    folder.mkdir()
    (folder / "deploylib.toml").write_text(proposed["deploylib.toml"])
    found = settings.load(folder, "production", {}, looking=True).settings.migrations
    said = tomllib.loads(page.partition("## Prisma")[2].partition("```toml\n")[2].partition("```")[0])["migrations"]
    assert {name: getattr(found, name) for name in said} == said


IN_ONE_PLACE = """\
services:
  - {type: web, name: api, runtime: node, buildCommand: "cd services/api && npm ci", startCommand: node services/api/main.js}
  - {type: web, name: shop, runtime: python, buildCommand: pip install -r shop/requirements.txt,
     startCommand: "gunicorn --chdir . main:app", buildFilter: {paths: [shop/**, shared/**]}}
  - {type: web, name: image, runtime: docker, dockerContext: ./image, dockerfilePath: ./image/Dockerfile}
  - {type: web, name: both, runtime: docker, rootDir: mixed}
  - {type: web, name: ruby, runtime: ruby, rootDir: old, buildCommand: bundle, startCommand: rackup}
  - {type: worker, name: jobs, runtime: python, rootDir: jobs, buildCommand: "true", startCommand: python a.py}
"""
HERE = {
    "render.yaml": IN_ONE_PLACE,
    "package.json": "{}",
    "requirements.txt": "\n",
    "services/api/package.json": "{}",
    "services/api/main.js": "",
    "shop/requirements.txt": "flask\n",
    "shared/requirements.py": "",
    "image/requirements.txt": "flask\n",
    "mixed/requirements.txt": "flask\n",
    "mixed/package.json": "{}",
    "old/Gemfile": "",
    "jobs/a.py": "",
}


@pytest.mark.parametrize(
    ("files", "places"),
    [
        (adopters.MONOREPO, ["backend/health.py"]),
        (adopters.PNPM, ["apps/api/health.mjs"]),
        (adopters.FASTAPI, ["health.py"]),
        (adopters.STATIC, []),
        (HERE, ["services/api/health.mjs", "shop/health.py", "image/health.py"]),
    ],
    ids=["rootDir", "workspace", "one service", "a site", "a Blueprint of its own"],
)
def test_each_web_service_is_offered_its_health_file(files: dict[str, str], places: list[str], tmp_path: Path) -> None:
    """In its own folder and language, also where it is built from the top; written where it is asked for, after a diff."""
    folder = adopters.make_repository(tmp_path / "shop", files)
    steps = [step for step in prepared(folder).steps if "--health" in step]
    assert [step.partition(": ")[2] for step in steps] == [", ".join(places)][: bool(places)]

    asked = {one.path: one for one in prepared(folder, health=True).changes if "health." in one.path}
    assert list(asked) == places
    assert all(one.state.value == "new" and one.diff for one in asked.values())
    then = prepared(folder, health=True).steps
    assert not any("--health" in step for step in then)
    uses = [step.removeprefix("use ").partition(" in your program")[0] for step in then if step.startswith("use ")]
    assert uses == [", ".join(places)][: bool(places)]


def test_a_health_file_that_is_there_is_neither_moved_nor_written_over(tmp_path: Path) -> None:
    """Ours where the team has put it is that; a file of their own is kept, and the difference shown."""
    ours = Language.PYTHON.file.read_text()
    moved = {**adopters.MONOREPO, "backend/shop/health.py": ours, "backend/routes/health.py": "mine = 1\n"}
    folder = adopters.make_repository(tmp_path / "moved", moved)
    assert not any("--health" in step for step in prepared(folder).steps)
    (copy,) = [one for one in prepared(folder, health=True).changes if "health." in one.path]
    assert (copy.path, copy.state.value) == ("backend/shop/health.py", "as it is proposed")

    folder = adopters.make_repository(tmp_path / "own", {**adopters.MONOREPO, "backend/health.py": "mine = 1\n"})
    (own,) = [one for one in prepared(folder, health=True).changes if "health." in one.path]
    assert (own.path, own.state.value, own.after) == ("backend/health.py", "kept as it is", None)
    assert "-mine = 1" in own.diff


def test_the_element_of_a_page_belongs_into_the_site_of_a_workspace(tmp_path: Path) -> None:
    """And not to the top, from where it is built."""
    folder = adopters.make_repository(tmp_path / "shop", {**adopters.PNPM, "apps/web/public/robots.txt": ""})

    assert [one.path for one in prepared(folder, status=True).changes if "deploy-status.js" in one.path] == [
        "apps/web/public/deploy-status.js"
    ]


def test_production_is_watched_longer_at_first(tmp_path: Path) -> None:
    """By a line that says until when, and not on this machine."""
    folder = adopters.make_repository(tmp_path / "shop", foreign.STATIC)
    env = Environment.open("local", folder=folder)
    init.write_init(env, init.prepare_init(env, InitOptions()))

    assert "after the first weeks" in (folder / "deploylib.toml").read_text()
    assert settings.load(folder, "production", {}, looking=True).environment.bake == "60s"
    assert settings.load(folder, "local", {}).environment.bake == ""


def test_what_is_no_text_is_passed_over(tmp_path: Path) -> None:
    """Bytes, a name that is none, links that lead nowhere, in circles and out, a pipe, and what is far too large."""
    folder = adopters.make_repository(tmp_path / "shop", foreign.PROCFILE)
    (folder / "binary.py").write_bytes(bytes(range(256)) * 100)
    (folder / "large.py").write_bytes(b"x = 1\n" * 4_000_000)
    with suppress(OSError):  # a file system may refuse such a name
        (folder / os.fsdecode(b"x\xe9.py")).write_text("x = 1\n")
    for name, target in {
        "circle.py": "circle.py",
        "nowhere.py": "no/such",
        "out.py": "/etc/hostname",
        "up": ".",
    }.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.py")

    assert [one["name"] for one in prepared(folder).product.document["services"]] == ["shop", "site"]
