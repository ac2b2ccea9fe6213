"""What commands bring beside the lists: in a Blueprint, an image, a script; none of it is clean because no list has it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import msgspec
import pytest

from deploylib.models.findings import AcceptedFinding, Examined, Verdict
from deploylib.scanners.installs import by_command
from tests.support.packages import examined, npm

PIN = "a==1 # via x\n"


def blueprint(key: str, command: str, more: str = "") -> dict[str, str]:
    """A Blueprint of one service with this command."""
    given = {"buildCommand": "true", "startCommand": "true", key: command}
    keys = ", ".join(f"{name}: {json.dumps(text)}" for name, text in given.items())
    return {"render.yaml": f"services:\n- {{type: web, name: a, runtime: python, {keys}{more}}}\n"}


def named(said: Examined) -> list[str]:
    """The packages that were not examined, without their places."""
    return [gap.what.partition(" (")[0] for gap in said.gaps]


@pytest.mark.parametrize("key", ["buildCommand", "preDeployCommand", "startCommand", "initialDeployHook"])
@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("pip install gunicorn", ["gunicorn"]),
        ("pip install -r requirements.txt && pip3 install 'uvicorn[standard]>=0.30' 2>&1 | tee log", ["uvicorn"]),
        ("python -m pip install -U --index-url https://x.example/simple wheel", ["wheel"]),
        (".venv/bin/pip install $MORE", ["$MORE"]),
        ("pip install git+https://me:s3cr3t@x.example/y", ["git+https://x.example/y"]),
        ("uv pip install --system gunicorn", ["gunicorn"]),
        ("uvx ruff check .", ["ruff"]),
        ("uvx --from httpie http x", ["httpie"]),
        ("uv tool run black .", ["black"]),
        ("uv run --with rich serve.py", ["rich"]),
        ("pipx run black .", ["black"]),
        ("npm i -g pnpm@9 && pnpm i", ["pnpm"]),
        ("npx --yes @scope/tool@1 build", ["@scope/tool"]),
        ("npx -p typescript tsc", ["typescript"]),
        ("npm exec -- cowsay hi; yarn dlx x; pnpm dlx y; bunx z", ["cowsay", "x", "y", "z"]),
        ("corepack prepare pnpm@9 --activate", ["pnpm"]),
        ("bash -c 'apt-get update && apt-get install -y --no-install-recommends curl git'", ["curl", "git"]),
        ("if true; then gem install bundler -v 2.4; fi", ["bundler"]),
        ("go install tool.example/x@latest", ["tool.example/x@latest"]),
    ],
)
def test_a_package_that_a_command_brings_is_not_examined(
    tmp_path: Path, key: str, command: str, found: list[str]
) -> None:
    """Whichever command of a service, and however it is written; the place is told, and never a password."""
    said = examined(tmp_path, {**blueprint(key, command), "requirements.txt": PIN})

    assert found == named(said)
    assert all(gap.what.endswith("(render.yaml:2)") for gap in said.gaps)
    assert "s3cr3t" not in repr(said)


@pytest.mark.parametrize(
    "command",
    [
        "pip install -r requirements.txt",
        "pip install a",
        "pip install . -e ./lib dist/x.whl",
        "npm ci && npm install --prefix client && npm run build",
        "npx --no-install x",
        "uv run serve.py",
        "A=1; echo pip install x",
        "# pip install x",
    ],
)
def test_a_command_that_brings_nothing_of_its_own_is_clean(tmp_path: Path, command: str) -> None:
    """What a list beside it has, too."""
    files = {**blueprint("buildCommand", command), "requirements.txt": PIN}

    assert examined(tmp_path, files).verdict is Verdict.CLEAN


def test_an_exact_version_of_a_command_is_looked_up(tmp_path: Path) -> None:
    """What it brings along is not, which is told."""
    said = examined(tmp_path, blueprint("buildCommand", "pip install gunicorn==23.0.0 && uvx 'ruff==0.9.1' check"))

    assert (said.counted, said.gaps) == ({"package": 2}, ())
    assert [(one.rule, one.where) for one in said.findings] == [("incomplete-lock", "render.yaml")]


def test_a_list_that_a_command_names_is_read(tmp_path: Path) -> None:
    """However it is called, from the folder that the command runs in; one that is not there is not examined."""
    files = {"web/deps.txt": "a==1 # via x\nb\n", **blueprint("buildCommand", "cd web && pip install -r deps.txt")}

    said = examined(tmp_path, files)

    assert (said.counted, [gap.what for gap in said.gaps]) == ({"package": 1}, ["web/deps.txt:2"])
    lacking = examined(tmp_path, blueprint("buildCommand", "pip install -r made/list.txt"))
    assert ["made/list.txt"] == [gap.what for gap in lacking.gaps]


def test_scripts_that_a_command_runs_are_followed(tmp_path: Path) -> None:
    """A shell's, and those of package.json with what runs around them; those that nobody runs are not."""
    scripts = {"prebuild": "npx tailwindcss", "build": "bash ../more.sh", "develop": "npx nodemon"}
    files = {
        **blueprint("buildCommand", "./build.sh", ", rootDir: web"),
        "web/build.sh": "#!/bin/sh\n# pip install x\npip install \\\n  flask\nnpm run build\n./build.sh\n",
        "web/package.json": json.dumps({"scripts": scripts}),
        "more.sh": "apt-get install -y curl\n",
        "other.sh": "pip install y\n",
    }

    assert ["flask (web/build.sh)", "tailwindcss (web/package.json)", "curl (more.sh)"] == [
        gap.what for gap in examined(tmp_path, files).gaps
    ]


def test_what_an_image_is_made_with_is_not_examined(tmp_path: Path) -> None:
    """Instructions in either form, over several lines, with the line of each; a list is looked for by its name."""
    text = (
        "FROM python:3.13\n# RUN pip install no\nRUN --mount=type=cache,target=/x pip install \\\n  # why\n  flask a\n"
        'COPY requirements.txt /app/\nRUN ["npm", "install", "-g", "left-pad"]\n'
        "RUN pip install -r /app/requirements.txt\nRUN <<EOF\napt-get install -y curl\nEOF\n"
    )

    said = examined(
        tmp_path, {"api/Dockerfile": text, "api/x.Dockerfile": "RUN pip install y", "requirements.txt": PIN}
    )

    assert [
        "flask (api/Dockerfile:3)",
        "left-pad (api/Dockerfile:7)",
        "curl (api/Dockerfile:10)",
        "y (api/x.Dockerfile:1)",
    ] == [gap.what for gap in said.gaps]


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("# dependencies = ['rich>=13', 'a==1']", ["rich"]),
        ("# dependencies = [\n#   'rich',\n# ]\n#\n# [tool.uv]", ["rich"]),
        ("# dependencies = [", ["its head, which cannot be read"]),
        ("# requires-python = '>=3.11'", []),
    ],
)
def test_the_head_of_a_script_names_packages(tmp_path: Path, head: str, found: list[str]) -> None:
    """By PEP 723; a list beside it says nothing of what the script gets by itself."""
    files = {
        "tool.py": f"#!/usr/bin/env -S uv run\n# /// script\n{head}\n# ///\nimport rich\n",
        "requirements.txt": PIN,
    }

    assert found == named(examined(tmp_path, files))


def test_a_lock_of_npm_speaks_for_the_programs_that_it_has(tmp_path: Path) -> None:
    """By the package's name or the program's; whatever else npx runs comes from the network."""
    packages = {"": {"devDependencies": {"typescript": "5"}}, "node_modules/typescript": {"bin": {"tsc": "bin/tsc"}}}
    answer = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 1}}}
    files = {
        **blueprint("buildCommand", "npx tsc && npx typescript && npx serve", ", rootDir: web"),
        "web/package.json": '{"devDependencies": {"typescript": "5"}}',
        "web/package-lock.json": json.dumps({"lockfileVersion": 3, "packages": packages}),
    }

    assert ["serve"] == named(examined(tmp_path, files, npm(json.dumps(answer).encode())))


@pytest.mark.parametrize("lock", ["yarn.lock", "pnpm-lock.yaml"])
def test_a_member_of_a_workspace_is_named(tmp_path: Path, lock: str) -> None:
    """Beside the lock that nobody reads: whoever leaves that out has not looked at the member."""
    files = {
        lock: "",
        "package.json": '{"workspaces": ["web"], "devDependencies": {"a": "1"}}',
        "pnpm-workspace.yaml": "packages: [web]\ncatalog:\n  b: ^1\n",
        "web/package.json": '{"dependencies": {"b": "catalog:"}}',
        "docs/package.json": "{}",
    }

    said = [gap.what for gap in examined(tmp_path, files).gaps]

    assert {lock, "web/package.json"} <= set(said)
    assert "docs/package.json" not in said
    assert ("pnpm-workspace.yaml" in said) is (lock == "yarn.lock")
    assert {"package.json", "web/package.json"} <= {gap.what for gap in examined(tmp_path, files, ignored=[lock]).gaps}


def test_one_package_that_a_command_brings_can_be_answered_for(tmp_path: Path) -> None:
    """That one alone, in that file, with a reason and until its day."""
    said = examined(tmp_path, blueprint("buildCommand", "npm i -g pnpm && npx serve"))
    accepted = msgspec.convert(
        [{"rule": "brings:pnpm", "reason": "its only tool", "until": "2030-01-31"}], list[AcceptedFinding]
    )

    assert ["serve"] == named(said.judge(accepted, date(2030, 1, 31)))
    assert ["pnpm", "serve"] == named(said.judge(accepted, date(2030, 2, 1)))
    assert ["pnpm (render.yaml:2): not examined, and accepted: its only tool"] == list(
        said.judge(accepted, date(2030, 1, 1)).accepted
    )


def test_a_line_that_no_shell_takes_is_read_as_words() -> None:
    """Rather than not at all."""
    assert ["x", "y"] == [one.name for one in by_command("pip install 'x y")]
