"""Small repositories of others of which `init` concludes; none runs but the last. Those that are released are in `foreign`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.foreign import PROCFILE

EXPRESS = {
    "package.json": json.dumps(
        {
            "name": "shop",
            "scripts": {"start": "node server.js", "test": "node --test"},
            "dependencies": {"express": "^5.0.0", "pg": "^8.0.0"},
        },
        indent=2,
    ),
    "package-lock.json": "{}\n",
    "server.js": 'const app = require("express")()\napp.get("/healthz", (_, answer) => answer.end("ok"))\napp.listen(process.env.PORT)\n',
}
PNPM = {
    "package.json": '{"name": "all", "private": true}',
    "pnpm-workspace.yaml": "packages: [apps/*]\n",
    "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
    "apps/api/package.json": '{"name": "api", "scripts": {"start": "tsx main.ts", "build": "tsc"}, "dependencies": {"fastify": "5"}}',
    "apps/web/package.json": '{"name": "web", "scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}',
}
STATIC = {"public/index.html": "<!doctype html><title>A page</title>\n"}
FASTAPI = {
    "pyproject.toml": '[project]\nname = "api"\nversion = "1"\ndependencies = ["fastapi", "uvicorn", "asyncpg"]\n'
    '\n[dependency-groups]\ndev = ["pytest"]\n',
    "uv.lock": "version = 1\n",
    "src/api/main.py": 'from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get("/api/health/live")\ndef live(): ...\n',
}
DJANGO = {
    "requirements.txt": "django==5.2\ngunicorn==23.0\npsycopg[binary]==3.2\n",
    "manage.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n',
    "shop/wsgi.py": "application = None\n",
}
FLASK = {
    "pyproject.toml": '[tool.poetry]\nname = "web"\n\n[tool.poetry.dependencies]\nflask = "^3"\ngunicorn = "*"\n',
    "poetry.lock": "# by poetry\n",
    "web/__init__.py": "from flask import Flask\n\n\ndef create_app():\n    return Flask(__name__)\n",
}
MONOREPO = {
    "backend/requirements.txt": "flask\n",
    "backend/app.py": "from flask import Flask\n\napp = Flask(__name__)\n",
    "frontend/package.json": '{"scripts": {"build": "vite build"}, "dependencies": {"vite": "6"}}',
    "frontend/package-lock.json": "{}",
    "worker/requirements.txt": "redis\n",
    "worker/worker.py": "print('working')\n",
}
ALL = {
    "express": EXPRESS,
    "pnpm": PNPM,
    "static": STATIC,
    "fastapi": FASTAPI,
    "django": DJANGO,
    "flask": FLASK,
    "monorepo": MONOREPO,
    "procfile": PROCFILE,
}


def make_repository(folder: Path, files: Mapping[str, str]) -> Path:
    """A repository with these files, on the branch main; nothing of it is committed."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    return folder
