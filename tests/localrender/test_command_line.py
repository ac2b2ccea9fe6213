"""The command line: what is wrong is said with the next step, and then nothing has been touched."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest

from localrender import yaml12
from tests.localrender.product import Local, Product, localrender, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CRON = "services: [{type: cron, name: tick, runtime: python, schedule: '* * * * *'}]"

SITE = "services:\n- {type: web, name: s, runtime: static, staticPublishPath: .}"


@pytest.mark.parametrize(
    ("blueprint", "told"),
    [
        ("services: [", "render.yaml:1"),
        ("servces: []", "did you mean services?"),
        ("services:\n  - type: web\n    name: a\n", "render.yaml:2: services[0] (a): runtime is missing"),
        ("services:\n  - {type: web, name: a, runtime: docker}\n", "a cannot run here: it needs the runtime docker"),
        ("services:\n  - type: web\n    name: a\n    runtime: python\n", "a cannot run here: it has no startCommand"),
        (f"{SITE[:-1]}, plan: free}}", "plan does not go with a static site"),
        (
            f"{SITE}\ndatabases:\n- {{name: d, postgresMajorVersion: '12'}}\n",
            "Postgres 12 is not at hand here; 16 and 18 are",
        ),
        (CRON + "\nservices: []", "stands twice"),
        ("databases: [{name: d}, {name: d}]", "two databases are called 'd'"),
    ],
)
def test_a_wrong_blueprint_is_refused_with_its_place(tmp_path: Path, blueprint: str, told: str) -> None:
    """A Blueprint that cannot be run is refused with file, line and path, exit code 2, and nothing is made."""
    product = Product(tmp_path / "product", blueprint)
    done = localrender("up", cwd=product.folder)
    assert (done.code, told in done.err) == (2, True), done.err
    assert "\nnext: " in done.err
    assert not (product.folder / ".localrender").exists()


def test_errors_come_as_json_when_asked(tmp_path: Path) -> None:
    """With --json an error is one object on stdout: a missing Blueprint, a folder that is no repository."""
    missing = localrender("up", "--json", cwd=tmp_path)
    assert missing.code == 2
    assert json.loads(missing.out)["error"]["code"] == "blueprint_missing"
    (tmp_path / "render.yaml").write_text(CRON, encoding="utf-8")
    bare = localrender("check", "--json", cwd=tmp_path)
    assert (bare.code, json.loads(bare.out)["error"]["code"]) == (2, "not_a_repository")
    assert [file.name for file in tmp_path.iterdir()] == ["render.yaml"]


def test_check_changes_nothing(tmp_path: Path) -> None:
    """Check says what a valid Blueprint holds and makes nothing."""
    product = Product(tmp_path / "product")
    done = localrender("check", "--json", cwd=product.folder)
    assert (done.code, json.loads(done.out)["valid"]) == (0, True)
    assert product.git("status", "--porcelain", "--ignored") == ""


def test_a_port_in_use_is_named(fresh: Callable[..., Local]) -> None:
    """A port of another program gives exit code 3, and --new-ports gets round it."""
    local = fresh("services: [{type: web, name: backend, runtime: static, staticPublishPath: front}]")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = local.run("up", "--port", str(port))
        assert (done.code, str(port) in done.err) == (3, True)
        assert not local.state.exists()
    local.up()
    before = local.endpoint
    local.run("down")
    with socket.create_server(("127.0.0.1", int(before["urls"]["backend"].rpartition(":")[2].strip("/")))):
        done = local.run("up")
        assert (done.code, "--new-ports" in done.err) == (3, True)
        local.up("--new-ports")
        assert local.endpoint["urls"]["backend"] != before["urls"]["backend"]
        assert local.endpoint["api_key"] == before["api_key"]


def test_too_little_space_is_told_before_anything_is_made(fresh: Callable[..., Local]) -> None:
    """Less free space than needed gives exit code 4."""
    local = fresh()
    done = local.run("up", "--minimum-free-mb", "999999999")
    assert (done.code, "MB are needed" in done.err) == (4, True)
    assert not local.state.exists()


def test_a_server_that_cannot_be_reached_is_told_first(fresh: Callable[..., Local]) -> None:
    """A wrong --postgres is refused before anything is made, and its password is not shown."""
    local = fresh()
    done = local.run("up", "--postgres", "postgresql://postgres:hidden@127.0.0.1:1/postgres")
    assert (done.code, "no connection" in done.err, "hidden" in done.err) == (2, True, False)
    assert not local.state.exists()


def test_up_again_is_quick_and_takes_what_is_new(fresh: Callable[..., Local]) -> None:
    """A second `up` syncs: new services and variables appear, nothing is deleted, and it takes less than a start."""
    local = fresh(CRON)
    began = time.monotonic()
    first = local.up()
    started = time.monotonic()
    assert local.up()["pid"] == first["pid"]
    assert time.monotonic() - started < started - began, "longer than the start of a server and an edge"
    more = "services: [{type: web, name: site, runtime: static, envVars: [{key: A, value: 1}]}]"
    local.product.write("render.yaml", f"{more}\ndatabases: [{{name: late}}]")
    status = local.up()
    assert set(local.services) == {"tick", "site"}
    assert status["databases"] == {"late": {"version": "18"}}
    assert local.page("site").status_code == 503
    local.live("site")
    until(lambda: local.page("site", "/render.yaml").status_code == 200)
    local.product.write("render.yaml", "services: [{type: nonsense, name: site}]")
    done = local.run("up")
    assert (done.code, "render.yaml:1" in done.err, set(local.services)) == (2, True, {"tick", "site"}), done.err


def test_a_tool_that_comes_later_is_found(fresh: Callable[..., Local]) -> None:
    """What a failed build asks for is installed where only the caller's PATH leads: the next `up` is enough."""
    local = fresh("services: [{type: web, name: site, runtime: static, buildCommand: hammer, staticPublishPath: .}]")
    local.up()
    assert local.ended("site", local.deploy("site")) == "build_failed"
    local.tools.mkdir()
    (local.tools / "hammer").write_text("#!/bin/sh\n", encoding="utf-8")
    (local.tools / "hammer").chmod(0o755)
    local.up()
    local.live("site")


def test_a_value_that_the_file_gives_later_reaches_what_runs(fresh: Callable[..., Local]) -> None:
    """As one does that is given by the command; a second `up` without a change starts nothing anew."""
    start = "python -c \"import os, time; print('key', os.environ.get('KEY'), flush=True); time.sleep(99)\""
    job = {"type": "worker", "name": "job", "runtime": "python", "startCommand": start, "maxShutdownDelaySeconds": 1}
    local = fresh(json.dumps({"services": [{**job, "envVars": [{"key": "KEY", "sync": False}]}]}))
    local.up()
    local.live("job")
    until(lambda: "key None" in local.run("logs", "job").out)
    local.product.write(".env.local", "KEY=given")
    local.up()
    until(lambda: "key given" in local.run("logs", "job").out)
    local.up()
    local.product.write(".env.local", "KEY=again")
    local.up()
    until(lambda: "key again" in local.run("logs", "job").out and len(local.events("job", "server_restarted")) > 1)
    assert len(local.events("job", "server_restarted")) == 2


def test_status_shows_no_secret(fresh: Callable[..., Local]) -> None:
    """Neither `up` nor `status` prints the key; both name the live commit of each service."""
    local = fresh(CRON)
    started = local.up()
    local.live("tick")
    status = json.loads(local.run("status", "--json").out)
    assert status["services"]["tick"]["live_commit"] == local.product.first
    assert "api_key" not in started | status
    key = local.endpoint["api_key"]
    assert key not in local.run("status").out
    assert key not in (local.state / "server.log").read_text(encoding="utf-8")


def test_yaml_is_read_as_render_reads_it() -> None:
    """Words of YAML 1.1 stay words: off, yes, 10:30, a date; the written form of a number is kept."""
    found = yaml12.load_yaml("{a: off, b: yes, c: 10:30, d: 2026-01-01, e: true, f: 1.10, g: 7}", "x.yaml")
    assert found.data == {"a": "off", "b": "yes", "c": "10:30", "d": "2026-01-01", "e": True, "f": 1.1, "g": 7}
    assert found.written[("f",)] == "1.10"
