"""A product of three trivial services: two static sites and a web service, that name the commit they serve."""

from __future__ import annotations

import re
import time
from pathlib import Path
from venv import EnvBuilder

from tests.support.product import TIME_SCALE, Product

SERVICES = ("alpha", "beta", "api")
SITE = """
  - type: web
    name: {name}
    runtime: static
    rootDir: {name}
    buildCommand: sh build.sh
    staticPublishPath: .
    autoDeployTrigger: off
"""
API = """
  - type: web
    name: api
    runtime: python
    rootDir: api
    buildCommand: "true"
    startCommand: python server.py
    healthCheckPath: /health
    autoDeployTrigger: off
"""
BUILD = """
printf '<!doctype html><title>A site</title><meta name="release" content="%s">' "$RENDER_GIT_COMMIT" > index.html
"""
SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "pass", "releaseId": os.environ["RENDER_GIT_COMMIT"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler).serve_forever()
"""
# It ends so late that both sites are live by then, and have to be put back.
ENDS_AT_ITS_START = "import sys, time\ntime.sleep(1.5)\nsys.exit(3)\n"
# Render's own check is content, its public answer is not.
ANSWER = "send_response(200 if 'Render' in self.headers.get('User-Agent', '') else {status})"
UNFIT = SERVER.replace("send_response(200)", ANSWER.format(status=500))
SETTINGS = f'[project]\nname = "trivial"\nversion = "1"\n\n[tool.deploylib]\nlocal_time_scale = {TIME_SCALE}\n'


class Trivial(Product):
    """Its repository."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ("tasks.py",))
        # Nothing is ever installed in it, and an empty one with pip costs more than the rest of a build.
        EnvBuilder(symlinks=True).create(self.kept() / "venv")
        blueprint = "services:" + "".join(SITE.format(name=name).rstrip() for name in SERVICES[:2]) + API.rstrip()
        builds = {f"{name}/build.sh": BUILD for name in SERVICES[:2]}
        files = {"render.yaml": blueprint + "\n", "pyproject.toml": SETTINGS, "api/server.py": SERVER, **builds}
        self.write(".gitignore", ".localrender/\n.deploylib/\n__pycache__/\n")
        self.commit("The product", files)

    def change_all(self, server: str = SERVER) -> str:
        """A commit that touches every service."""
        note = f"{time.monotonic_ns()}\n"
        files = {f"{name}/note.txt": note for name in SERVICES} | {f"{name}/build.sh": BUILD for name in SERVICES[:2]}
        return self.commit(f"Note {note}", {**files, "api/server.py": server})

    def release_twice(self) -> None:
        """Two releases, on a local Render that can be told to misbehave."""
        self.ok("local.up", "--faults")
        for _ in range(2):
            self.change_all()
            self.ok("deploy")

    def mend(self) -> None:
        """Have nothing fail or refuse any more, and all services serve one commit: one command must do that."""
        assert self.ask("/local/faults", method="DELETE").status == 200
        self.lift_all()
        if len(set(self.served().values())) > 1:
            commit = self.change_all()
            self.ok("deploy")
            assert self.one_commit == commit

    def served(self) -> dict[str, str]:
        """The commit that each address itself names."""
        found = {"api": str(self.get("api").json["releaseId"])}
        for name in SERVICES[:2]:
            page = re.search(r'name="release" content="(\w+)"', self.get(name).body)
            found[name] = page[1] if page else "nothing"
        return found

    @property
    def one_commit(self) -> str:
        """The commit that every service serves, which must be the same."""
        (commit,) = set(self.served().values())
        return commit
