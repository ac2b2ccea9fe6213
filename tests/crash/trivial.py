"""A product of three trivial services: two static sites and a web service, that name the commit they serve."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.integration.product import TIME_SCALE, Product

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
# It ends so late that everything else is live by then, and has to be put back.
BUILD_THAT_FAILS = """
for each in $(seq 300); do test -e "{up}/$RENDER_GIT_COMMIT" && break; sleep 0.1; done
sleep 1.5
exit 1
"""
SERVER = """
import json, os, pathlib, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = os.environ["RENDER_GIT_COMMIT"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({{"status": "pass", "releaseId": COMMIT}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


time.sleep({start})
server = ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler)
pathlib.Path({up!r}, COMMIT).touch()
server.serve_forever()
"""
SETTINGS = f'[project]\nname = "trivial"\nversion = "1"\n\n[tool.deploylib]\nlocal_time_scale = {TIME_SCALE}\n'


class Trivial(Product):
    """Its repository.

    Args:
        start: seconds that its web service takes to start, also where it is put back: a crash in the meantime leaves
            that on its way.
    """

    def __init__(self, folder: Path, start: float = 0.0) -> None:
        super().__init__(folder, ("tasks.py",))
        up = folder.parent / "up"
        up.mkdir()
        self._failing = BUILD_THAT_FAILS.format(up=up)
        blueprint = "services:" + "".join(SITE.format(name=name).rstrip() for name in SERVICES[:2]) + API.rstrip()
        server = SERVER.format(start=start, up=str(up))
        files = {"alpha/build.sh": BUILD, "api/server.py": server, "pyproject.toml": SETTINGS}
        self.write(".gitignore", ".localrender/\n.deploylib/\n__pycache__/\n")
        self.commit("The product", {"render.yaml": blueprint + "\n", **files})

    def change_all(self, *, fails: bool = False) -> str:
        """A commit that touches every service; with *fails*, one of them cannot be built."""
        note = f"{time.monotonic_ns()}\n"
        notes = {f"{name}/note.txt": note for name in SERVICES}
        return self.commit(f"Note {note}", {**notes, "beta/build.sh": self._failing if fails else BUILD})

    def served(self) -> dict[str, str]:
        """The commit that each address itself names."""
        found = {"api": str(self.get("api").json["releaseId"])}
        for name in SERVICES[:2]:
            page = re.search(r'name="release" content="(\w+)"', self.get(name).body)
            found[name] = page[1] if page else "nothing"
        return found
