"""Products that know nothing of the tool: released at the level of proof that they allow."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import foreign
from tests.support.edges import environment
from tests.support.product import Product
from tests.support.trivial import SERVER

NODE = """
const http = require("node:http")
const server = http.createServer((request, response) => {
  response.setHeader("content-type", "application/json")
  response.end('{"status":"ok"}')
})
process.on("SIGTERM", () => server.close(() => process.exit(0)))
server.listen(process.env.PORT, process.env.HOST)
"""
NODE_BLUEPRINT = """
services:
  - type: web
    name: api
    runtime: node
    rootDir: api
    buildCommand: node --version
    startCommand: node server.js
    autoDeployTrigger: off
  - type: web
    name: site
    runtime: static
    rootDir: site
    buildCommand: echo built
    staticPublishPath: .
    autoDeployTrigger: off
"""
WORKER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("working", flush=True)
#HERE
while True:
    time.sleep(0.1)
"""
WORKER_BLUEPRINT = """
services:
  - type: worker
    name: mailer
    runtime: python
    buildCommand: python --version
    startCommand: python worker.py
    autoDeployTrigger: off
  - type: cron
    name: nightly
    runtime: python
    schedule: "0 3 * * *"
    buildCommand: python --version
    startCommand: echo done
    autoDeployTrigger: off
"""
SERVER_BLUEPRINT = """
services:
  - type: web
    name: api
    runtime: python
    buildCommand: python --version
    startCommand: python server.py
    healthCheckPath: /health
    autoDeployTrigger: off
databases:
  - {name: shop, postgresMajorVersion: "16", ipAllowList: []}
"""
needs_node = pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")), reason="node and npm are not on PATH"
)


@pytest.fixture
def node(fresh: Callable[..., Product]) -> Product:
    """A Node web service and a static site that names no commit; no settings, no database, no migrations."""
    product = fresh(parts=("tasks.py",))
    page = "<!doctype html><title>Site</title><h1>Hello</h1>"
    product.commit("One", {"render.yaml": NODE_BLUEPRINT, "api/server.js": NODE, "site/index.html": page})
    return product


@pytest.fixture
def worker(fresh: Callable[..., Product]) -> Product:
    """A background worker and a cron job: nothing to ask from outside."""
    product = fresh(parts=("tasks.py",))
    product.commit(
        "One", {"render.yaml": WORKER_BLUEPRINT, "worker.py": WORKER, "deploylib.toml": "local_time_scale = 300\n"}
    )
    return product


@pytest.mark.load
@needs_node
def test_what_names_no_commit_is_released_as_reachable(node: Product) -> None:
    """It is verified as far as it lets itself be, told how to be proven, and not rolled back for that."""
    done = node.ok("deploy")
    assert node.get("api", "/any/path").json == {"status": "ok"}
    assert "<h1>Hello</h1>" in node.get("site").body
    for service in ("api", "site"):
        proven = rf"{service:<4}  answers well; the platform says {node.head[:7]} is live.*  \(proof: reachable\)"
        assert re.search(proven, done.err), done.err
    assert '"releaseId": <the variable RENDER_GIT_COMMIT>' in done.err
    assert '<meta name="release"' in done.err
    assert "skipped: the product has no database" in done.err

    for name in ("api/server.js", "site/index.html"):
        node.write(name, node.read(name) + "\n")
    commit = node.commit("Two")
    report = node.ok("deploy", "--json").json
    (verified,) = (one["data"]["verified"] for one in report["stages"] if one["stage"] == "verify")
    assert {one["service"]: one["proof"] for one in verified} == {"api": "reachable", "site": "reachable"}
    assert {one["commit"] for one in report["live"]} == {commit}
    assert not report.get("put_back")
    assert report["visitors"]["requests"] > 0
    assert not report["visitors"].get("failed")


@needs_node
def test_a_foreign_service_that_ends_at_its_start_is_told_with_its_last_words(node: Product) -> None:
    """A failure is told as well as that of a product that knows the tool."""
    node.ok("deploy")
    before = node.head
    node.commit("A crash", {"api/server.js": "require('node:fs').readFileSync('/no/such/file')\n"})
    done = node.inv("deploy")
    assert done.code == 11, done.said
    assert "ENOENT: no such file or directory" in done.err
    assert node.get("api").json == {"status": "ok"}
    assert f"api {before[:7]}" in done.out


def test_a_repository_that_was_initialised_is_released_without_a_hand(fresh: Callable[..., Product]) -> None:
    """What `deploylib init` has concluded and written is enough: a program of Python and a site, verified."""
    product = fresh(parts=())
    product.commit("One", foreign.PROCFILE)
    script = [sys.executable, "-c", "from deploylib.cli.script import main; main()", "init", "--yes"]
    subprocess.run(script, cwd=product.folder, env=environment(), check=True, capture_output=True)
    product.git("add", "--all")
    commit = product.commit("Release with deploylib")
    report = product.ok("deploy", "--json").json

    assert report["outcome"] == "succeeded"
    assert {one["commit"] for one in report["live"]} == {commit}
    assert product.get("site").body.startswith("<!doctype html>")


@pytest.mark.load
def test_a_worker_is_proven_by_the_platform(worker: Product) -> None:
    """The platform's word over a while is the proof, and named so; one that ends in that while is put back."""
    report = worker.ok("deploy", "--json").json
    (verified,) = (one["data"]["verified"] for one in report["stages"] if one["stage"] == "verify")
    assert {one["service"]: one["proof"] for one in verified} == {"mailer": "platform", "nightly": "platform"}
    told = worker.ok("history", "--run", report["run"][-4:]).out
    assert f"mailer   live at {worker.head[:7]}; no failure for 2 s  (proof: platform)" in told

    before = worker.head
    crash = 'time.sleep(1.5); sys.exit("no mail server")'
    worker.commit("Short of breath", {"worker.py": WORKER.replace("#HERE", crash)})
    done = worker.inv("deploy")
    assert done.code == 14, done.said
    assert "its program failed" in done.out
    assert [one["commit"]["id"] for one in worker.deploys("mailer") if one["status"] == "live"] == [before]


@pytest.mark.load
@pytest.mark.parametrize("shared", [False, True], ids=["on a laptop", "as jobs that share a run"])
def test_the_commands_typed_one_by_one(fresh: Callable[..., Product], *, shared: bool) -> None:
    """The first release and the second one: each command goes on where the one before has stopped, in a process of its own."""
    product = fresh(parts=("tasks.py",))
    for number in (1, 2):
        files = {"render.yaml": SERVER_BLUEPRINT, "server.py": f"{SERVER}# {number}\n"}
        commit = product.commit(f"Release {number}", files)
        run: dict[str, Any] = {"DEPLOYLIB_RUN": f"release-{number}"} if shared else {}
        outcomes = {}
        for words in (("scan",), ("backup",), ("migrate",), ("deploy", "--until", "deploy"), ("verify",)):
            done = product.inv(*words, **run)
            assert done.code == 0, done.said
            outcomes[words[0]] = done.out
        assert f"api  answers {commit[:7]} 5/5" in done.err
        assert "DONE" in outcomes["backup"] or shared
        if shared:
            assert "PAUSED" in outcomes["verify"]
            outcomes["verify"] = product.inv("finish", **run).out
        assert "SUCCEEDED" in outcomes["verify"]
        assert product.get("api").json["releaseId"] == commit
    kinds = [line.split()[3] for line in product.ok("history").out.splitlines()]
    assert kinds == (["deploy"] * 2 if shared else ["deploy", "backup"] * 2)
