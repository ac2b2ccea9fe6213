"""A tiny product in a git repository of its own, and the local Render that runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from venv import EnvBuilder

import httpx
import msgspec
import psutil

from tests.support.edges import processes_of

APP = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = 500 if SICK or os.path.exists("sick") else 200
        shown = {"commit": os.environ["RENDER_GIT_COMMIT"], "pid": os.getpid(), "env": dict(os.environ)}
        body = json.dumps(shown if self.path == "/env" else {"version": VERSION, **shown, "env": None}).encode()
        if self.path == "/exit":
            os._exit(3)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

VERSION, SICK = "one", False
print("starting", VERSION, flush=True)
print("a warning", file=sys.stderr, flush=True)
#HERE
ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
BLUEPRINT = """
services:
  - type: web
    name: backend
    runtime: python
    rootDir: back
    buildCommand: echo built for $PLAIN; cp app.py built.py
    startCommand: python built.py
    healthCheckPath: /health
    maxShutdownDelaySeconds: 5
    autoDeployTrigger: off
    buildFilter: {paths: [back/**]}
    envVars:
      - {key: PLAIN, value: 1.10}
      - {key: SECRET, generateValue: true}
      - {key: ASKED, sync: false}
      - {key: FRONT, fromService: {type: web, name: frontend, envVarKey: RENDER_EXTERNAL_URL}}
      - {key: DATABASE_URL, fromDatabase: {name: guestbook, property: connectionString}}
      - {fromGroup: shared}
  - type: web
    name: frontend
    runtime: static
    rootDir: front
    buildCommand: echo $RENDER_GIT_COMMIT > public/version.txt
    staticPublishPath: ./public
    headers:
      - {path: /assets/*, name: X-Kind, value: asset}
    routes:
      - {type: redirect, source: /old/:page, destination: /new/:page}
      - {type: rewrite, source: /app/*, destination: /index.html}
  - type: worker
    name: worker
    runtime: python
    startCommand: python -c "import time; print('working', flush=True); time.sleep(999)"
    maxShutdownDelaySeconds: 1
  - type: cron
    name: nightly
    runtime: python
    schedule: "0 3 * * *"
    buildCommand: echo nothing
    startCommand: echo run
  - type: pserv
    name: inner
    runtime: python
    rootDir: back
    startCommand: python app.py
    numInstances: 2
databases:
  - {name: guestbook, postgresMajorVersion: "16"}
envVarGroups:
  - name: shared
    envVars: [{key: SHARED, value: both}]
"""
DRILLED = """
services:
  - type: web
    name: backend
    runtime: python
    rootDir: back
    buildCommand: echo built
    preDeployCommand: echo ready
    startCommand: python app.py
    healthCheckPath: /health
    maxShutdownDelaySeconds: 5
  - {type: web, name: site, runtime: static, rootDir: front, staticPublishPath: public}
  - type: worker
    name: worker
    runtime: python
    startCommand: sleep 999
    maxShutdownDelaySeconds: 1
databases: [{name: guestbook}]
"""


class Product:
    """The repository: what is in it, and its commits."""

    def __init__(self, folder: Path, blueprint: str = BLUEPRINT) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")
        self.write("render.yaml", blueprint)
        self.write("back/app.py", APP)
        self.write("front/public/index.html", "<h1>front</h1>")
        self.write("front/public/sub/index.html", "sub")
        self.write("front/public/assets/a.js", "let a = 1")
        self.first = self.commit("one")

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def change(self, line: str) -> str:
        """A commit whose backend runs this line before it listens."""
        self.write("back/app.py", APP.replace("#HERE", line))
        return self.commit(line)


class Done(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str


def localrender(*arguments: str, cwd: Path, prefix: tuple[str, ...] = (), env: dict[str, str] | None = None) -> Done:
    """Run the command line."""
    command = [*prefix, sys.executable, "-m", "localrender", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300, env=env)
    return Done(done.returncode, done.stdout, done.stderr)


class Local:
    """A local Render for a product."""

    def __init__(self, product: Product, *options: str) -> None:
        self.product = product
        self.options = options
        self.folder = product.folder
        self.services: dict[str, str] = {}

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / ".localrender"

    @property
    def tools(self) -> Path:
        """A folder that is on the caller's PATH from when it is there."""
        return self.folder.parent / "tools"

    @property
    def endpoint(self) -> dict[str, Any]:
        """What `endpoint.json` says."""
        found: dict[str, Any] = json.loads((self.state / "endpoint.json").read_text(encoding="utf-8"))
        return found

    def run(self, *arguments: str) -> Done:
        """Run the command line beside the Blueprint."""
        caller = os.environ | {"AWS_SECRET_ACCESS_KEY": "of the caller"}
        if self.tools.is_dir():
            caller["PATH"] = f"{self.tools}{os.pathsep}{caller['PATH']}"
        return localrender(*arguments, cwd=self.folder, env=caller)

    def up(self, *options: str, pip: bool = False) -> dict[str, Any]:
        """Start it; its builds get copies of an environment without *pip*, which costs more than all the rest of a build."""
        if not (pip or self.state.exists()):
            EnvBuilder(symlinks=True).create(self.state / "cache" / "python" / "venv")
        done = self.run("up", "--json", *self.options, *options)
        assert done.code == 0, (done.out, done.err)
        self.services = {one["service"]["name"]: one["service"]["id"] for one in self.get("/services?limit=100")}
        found: dict[str, Any] = json.loads(done.out)
        return found

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Call the API; names of services in braces stand for their ids."""
        known = self.endpoint
        given = {"Authorization": f"Bearer {known['api_key']}"} | headers
        url = known["api_url"] + path.format(**self.services)
        with httpx.Client(verify=False, trust_env=False, timeout=30) as client:  # noqa: S501 - plain HTTP: loads no certificates
            return client.request(method, url, json=body, headers=given)

    def get(self, path: str) -> Any:
        """GET, and it must work."""
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def page(self, name: str, path: str = "/") -> httpx.Response:
        """Ask a public service."""
        url = self.endpoint["urls"][name].rstrip("/") + path
        with httpx.Client(verify=False, trust_env=False, timeout=10) as client:  # noqa: S501 - as above
            return client.get(url)

    def deploy(self, name: str, **body: Any) -> str:
        """Trigger a deploy; its id."""
        answer = self.call("POST", f"/services/{{{name}}}/deploys", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def status(self, name: str, deploy: str) -> str:
        """The status of a deploy."""
        return str(self.get(f"/services/{{{name}}}/deploys/{deploy}")["status"])

    def ended(self, name: str, deploy: str, patience: float = 120) -> str:
        """Wait for the end of a deploy; its status."""
        active = ("created", "queued", "build_in_progress", "pre_deploy_in_progress", "update_in_progress")
        until(lambda: self.status(name, deploy) not in active, patience)
        return self.status(name, deploy)

    def live(self, name: str, **body: Any) -> str:
        """Deploy and wait until it is live; its id."""
        deploy = self.deploy(name, **body)
        assert self.ended(name, deploy) == "live", self.run("logs", name).out
        return deploy

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        """The details of the events of one type, newest first."""
        return [one["event"]["details"] for one in self.get(f"/services/{{{name}}}/events?type={kind}&limit=100")]

    def fault(self, name: str, **rule: Any) -> dict[str, Any]:
        """Arm a fault; the rule as it is armed."""
        answer = self.call("POST", "/../local/faults", {"fault": name} | rule)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def armed(self) -> list[str]:
        """The names of the faults that are armed."""
        return [one["fault"] for one in self.get("/../local/faults")["rules"]]

    def clear_faults(self) -> None:
        """Disarm all."""
        assert self.call("DELETE", "/../local/faults").json() == {"rules": []}

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this state."""
        return processes_of(self.state)

    def kill_server(self) -> None:
        """`kill -9` of the server alone."""
        server = psutil.Process(self.endpoint["pid"])
        server.kill()
        server.wait(5)

    def clean(self) -> None:
        """Leave nothing behind, whatever the test has done."""
        self.run("reset")
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()


def until(good: Any, patience: float = 60) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + patience
    while not good():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
