"""Ten repositories of others, as a team may have them, each small and real enough to be released."""

from __future__ import annotations

import json

SERVER_JS = """
const server = require("node:http").createServer((request, answer) => {
  answer.writeHead(request.url === "/healthz" ? 200 : 404).end("ok")
})
server.listen(process.env.PORT, "0.0.0.0")
process.on("SIGTERM", () => server.close(() => process.exit(0)))
"""
WORKER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(0.1)
"""
PYTHON_SERVER = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answers).serve_forever()
"""
PAGE = "<!doctype html><title>A page</title><h1>A page</h1>\n"

EXPRESS = {
    "package.json": json.dumps(
        {
            "name": "shop",
            "private": True,
            "scripts": {"start": "node server.js", "test": "node --test"},
            "dependencies": {"express": "^5.1.0"},
        },
        indent=2,
    ),
    "server.js": """
const app = require("express")()
app.get("/healthz", (_, answer) => answer.send("ok"))
const server = app.listen(process.env.PORT)
process.on("SIGTERM", () => server.close(() => process.exit(0)))
""",
}
PNPM = {
    "package.json": '{"name": "all", "private": true}\n',
    "pnpm-workspace.yaml": "packages: [apps/*]\n",
    "pnpm-lock.yaml": "lockfileVersion: '9.0'\n\nimporters:\n  .: {}\n  apps/api: {}\n",
    "apps/api/package.json": '{"name": "api", "private": true, "scripts": {"start": "node server.js"}}\n',
    "apps/api/server.js": SERVER_JS,
}
STATIC = {"public/index.html": PAGE}
FASTAPI = {
    "pyproject.toml": '[project]\nname = "api"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["fastapi", "uvicorn"]\n',
    "api/__init__.py": "",
    "api/main.py": """
from fastapi import FastAPI

app = FastAPI()


@app.get("/api/health")
def health():
    return {"status": "pass"}
""",
}
DJANGO = {
    "requirements.txt": "django>=5.2,<7\ngunicorn\n",
    "manage.py": """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "shop/__init__.py": "",
    "shop/settings.py": """
import os
SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-a-laptop")
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = []
""",
    "shop/urls.py": """
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("healthz", lambda request: HttpResponse("ok"))]
HEALTH = "/healthz"
""",
    "shop/wsgi.py": """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
""",
}
FLASK = {
    "pyproject.toml": '[tool.poetry]\nname = "web"\nversion = "1"\ndescription = ""\nauthors = []\n\n'
    '[tool.poetry.dependencies]\npython = "^3.11"\nflask = "^3"\ngunicorn = "*"\n',
    "poetry.lock": "# by poetry\n",
    "web/__init__.py": "from flask import Flask\n\n\ndef create_app():\n    return Flask(__name__)\n",
}
MONOREPO = {
    "api/requirements.txt": "# nothing beside Python\n",
    "api/Procfile": "web: python server.py\n",
    "api/server.py": PYTHON_SERVER,
    "web/package.json": '{"name": "web", "private": true, "scripts": {"start": "node server.js"}}\n',
    "web/server.js": SERVER_JS,
    "docs-site/index.html": PAGE,
    "worker/requirements.txt": "# nothing beside Python\n",
    "worker/worker.py": WORKER,
}
PRISMA = {
    "package.json": json.dumps(
        {
            "name": "shop",
            "private": True,
            "scripts": {"start": "node server.js"},
            "dependencies": {"@prisma/client": "^6"},
            "devDependencies": {"prisma": "^6"},
        },
        indent=2,
    ),
    "server.js": SERVER_JS,
    "prisma/schema.prisma": 'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n',
    "prisma/migrations/migration_lock.toml": 'provider = "postgresql"\n',
    "prisma/migrations/20260101_one/migration.sql": 'CREATE TABLE "orders" ("id" INTEGER PRIMARY KEY);\n',
}
CRON = {
    "render.yaml": "services:\n  - type: cron\n    name: nightly\n    runtime: python\n    plan: starter\n    schedule: '0 3 * * *'\n"
    "    buildCommand: python --version\n    startCommand: python nightly.py\n    autoDeployTrigger: off\n",
    "nightly.py": "print('done')\n",
}
PROCFILE = {
    "requirements.txt": "# nothing beside Python\n",
    "Procfile": "web: python server.py\n",
    "server.py": PYTHON_SERVER,
    "site/index.html": PAGE,
}
ALL = {
    "express": EXPRESS,
    "pnpm": PNPM,
    "static": STATIC,
    "fastapi": FASTAPI,
    "django": DJANGO,
    "flask": FLASK,
    "monorepo": MONOREPO,
    "prisma": PRISMA,
    "cron": CRON,
    "procfile": PROCFILE,
}
LOCKS = {  # the lock that their team has made, by the tool that makes it
    "express": (["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"],),
    "prisma": (["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"],),
    "fastapi": (["uv", "lock", "--quiet"],),
}
