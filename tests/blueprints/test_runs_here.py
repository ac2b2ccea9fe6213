"""What of a Blueprint the local Render runs: what can run does, and what cannot is named with its reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from localrender import blueprint, runtimes
from localrender.blueprint import Blueprint
from localrender.endpoint import has_own_postgres
from localrender.errors import LocalRenderError
from localrender.state import State
from tests.support import blueprint_file

SITE = "{type: web, name: site, runtime: static, staticPublishPath: .}"
API = "{type: web, name: api, runtime: python, startCommand: x, envVars: [{key: D, fromDatabase: {name: d, property: host}}]}"
OTHERS = {
    "a workflow": "{type: workflow, name: x, runtime: python, region: ohio, startCommand: x}",
    "runtime docker": "{type: web, name: x, runtime: docker}",
    "runtime image": "{type: pserv, name: x, runtime: image, image: {url: docker.io/a/b}}",
    "a build source": "{type: web, name: x, buildSource: s}",
    "no startCommand": "{type: worker, name: x, runtime: python}",
    "runtime static": "{type: worker, name: x, runtime: static, startCommand: x}",
    "built from https://github.com/other/product": "{type: web, name: x, runtime: static, repo: https://github.com/other/product}",
}


file = blueprint_file.file  # a fixture


def load(file: Path, services: list[str], more: str = "", only: tuple[str, ...] = ()) -> Blueprint:
    """Read a Blueprint of these services."""
    file.write_text("".join(["services:\n", *(f"- {one}\n" for one in services), more]), encoding="utf-8")
    return blueprint.load(file, only=only)


def names(found: Blueprint) -> list[str]:
    """Of the services that run."""
    return [entry.spec.name for entry in found.services]


@pytest.mark.parametrize(("reason", "service"), OTHERS.items(), ids=OTHERS)
def test_what_cannot_run_is_left_out_by_name_with_its_reason(file: Path, reason: str, service: str) -> None:
    """And the rest runs."""
    found = load(file, [SITE, service])

    assert names(found) == ["site"]
    assert [(one.name, reason in one.reason, bool(one.remedy)) for one in found.left_out] == [("x", True, True)]


def test_a_runtime_whose_tool_is_missing_is_left_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what has to be installed."""
    monkeypatch.setitem(runtimes.TOOLS, "go", ("go-that-is-nowhere",))
    found = load(file, [SITE, "{type: worker, name: x, runtime: go, startCommand: x}"])

    assert [(one.name, one.remedy) for one in found.left_out] == [("x", "install go-that-is-nowhere")]


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("pnpm install && pnpm run build", "pnpm"),
        ("cd api && poetry install", "poetry"),
        ("python -m pip install poetry && poetry install", ""),
        ("corepack enable; pnpm install", ""),
        ("./pnpm", ""),
        ("npx pnpm install", ""),
    ],
)
def test_a_service_whose_commands_need_what_is_not_here_is_left_out(
    file: Path, monkeypatch: pytest.MonkeyPatch, line: str, lacks: str
) -> None:
    """A manager of packages that Render has; unless the line itself brings it."""
    monkeypatch.setattr(runtimes, "LENT", ())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(runtimes, "TOOLS", {"static": (), "python": ()})
    found = load(file, [SITE, f"{{type: worker, name: x, runtime: python, buildCommand: '{line}', startCommand: x}}"])

    assert [(one.name, one.remedy) for one in found.left_out] == ([("x", f"install {lacks}")] if lacks else [])


def test_only_the_tools_of_renders_python_are_lent(tmp_path: Path) -> None:
    """What was installed beside the interpreter and comes later is found; its other programs would hide what lacks."""
    home, place = tmp_path / "bin", tmp_path / "tools"
    home.mkdir()
    (home / "uvicorn").touch()
    assert list(Path(runtimes.beside(home, place)).iterdir()) == []
    (home / "uv").touch()
    for _ in range(2):
        assert [file.name for file in Path(runtimes.beside(home, place)).iterdir()] == ["uv"]
    (home / "uv").rename(tmp_path / "uv")
    assert not (place / "uv").exists()


def test_a_repository_is_known_by_any_of_its_addresses(file: Path) -> None:
    """As it is cloned, as a browser shows it, and as a folder."""
    address = ", repo: https://github.com/example/product}"
    folder = f", repo: {file.parent}}}"

    assert names(load(file, [SITE.replace("}", address)])) == ["site"]
    assert names(load(file, [SITE.replace("}", folder)])) == ["site"]


def test_what_is_wanted_and_cannot_run_is_refused(file: Path) -> None:
    """Also where nothing else is left; each with its reason."""
    docker, image = OTHERS["runtime docker"], OTHERS["runtime image"].replace("name: x", "name: y")
    with pytest.raises(
        LocalRenderError, match="x cannot run here: it needs the runtime docker, which the local Render does not run"
    ):
        load(file, [SITE, docker], only=("x",))
    with pytest.raises(LocalRenderError, match="x cannot run here") as raised:
        load(file, [docker, image])

    assert "y: it needs the runtime image" in raised.value.details[0]


def test_a_database_that_is_not_at_hand_is_refused_where_it_is_needed(file: Path) -> None:
    """With the flag that names another server; a service that does not need it is released without."""
    old = "databases: [{name: d, postgresMajorVersion: '12'}, {name: e, postgresMajorVersion: '13'}]"
    with pytest.raises(LocalRenderError, match="Postgres 12 is not at hand here") as raised:
        load(file, [SITE, API], old)
    with pytest.raises(LocalRenderError, match="Postgres 12"):
        load(file, [SITE, API], old, only=("api",))

    assert "up --postgres URL" in raised.value.remedy
    assert "Postgres 13" in raised.value.details[0]
    assert load(file, [SITE, API], old, only=("site",)).databases == []


def test_a_database_without_a_version_is_of_the_newest(file: Path) -> None:
    """As at Render."""
    assert [one.major for one in load(file, [SITE], "databases: [{name: d}]").databases] == ["18"]


def test_databases_may_have_users_and_names_in_common(file: Path) -> None:
    """At Render each has a server of its own; here they are told apart."""
    both = "databases: [{name: d, user: app, databaseName: shop}, {name: e, user: app, databaseName: shop}]"

    assert [(one.user, one.database) for one in load(file, [SITE], both).databases] == [
        ("app", "shop"),
        ("app_e", "shop_e"),
    ]


def test_services_of_projects_and_ungrouped_ones_run(file: Path) -> None:
    """They are services as any other."""
    more = f"ungrouped: {{services: [{SITE.replace('site', 'u')}]}}\n"
    more += f"projects: [{{name: p, environments: [{{name: e, services: [{SITE.replace('site', 'v')}]}}]}}]"

    assert names(load(file, [SITE], more)) == ["site", "u", "v"]


def test_a_server_that_was_named_is_remembered(tmp_path: Path) -> None:
    """So that a look at the Blueprint asks no other Postgres; a state that cannot be read has named none."""
    assert not has_own_postgres(tmp_path)
    state = State(tmp_path)
    assert not has_own_postgres(tmp_path)
    state.set("postgres_server", "postgresql://127.0.0.1/x")
    assert has_own_postgres(tmp_path)
    state.close()
    (tmp_path / "state.sqlite3").write_bytes(b"no database" * 100)
    assert not has_own_postgres(tmp_path)
