"""The shop is a small product that drills break.

It is a site, a program that takes orders, and perhaps a database.

It needs nothing but what the local Render needs: its program runs in the interpreter that runs us, which has the driver.
"""

from __future__ import annotations

import shlex
import sys

__all__ = ["BACKEND", "FRONTEND", "MIGRATION", "SERVER", "write_shop"]

FRONTEND, BACKEND = "shop", "orders"
MIGRATION = "migrations/versions/0002_note.py"
BLUEPRINT = """\
# The shop, a product to practise on: a site, a program that takes orders, a database.
services:
  - type: web
    name: shop
    runtime: static
    rootDir: shop
    buildCommand: sh build.sh
    staticPublishPath: .
    autoDeployTrigger: off
  - type: web
    name: orders
    runtime: python
    plan: starter
    rootDir: orders
    buildCommand: "true"
    startCommand: {python} server.py
    healthCheckPath: /health
    autoDeployTrigger: off
"""
DATABASE = """\
    envVars:
      - key: DATABASE_URL
        fromDatabase:
          name: shop
          property: connectionString
databases:
  - name: shop
    plan: basic-256mb
    postgresMajorVersion: "16"
"""
SETTINGS = "local_time_scale = 300 # Render's long waits are short here\n"
HEALTH = """
[services.orders]
health = "/status" # answers commit and schema; Render itself asks /health
"""
# What is typed here is what a drill takes the time of. It is written down beside the repository, not in it.
TASKS = '''\
"""The tasks of deploylib; each command is noted for the drill."""

import json
import os
import sys
import time

from deploylib.cli import collection

noted = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "commands.jsonl")
if len(sys.argv) > 1:
    with open(noted, "a") as file:
        file.write(json.dumps({"at": time.time(), "words": sys.argv[1:]}) + "\\n")

ns = collection()
'''
BUILD = """\
printf '<!doctype html><title>The shop</title><meta name="release" content="%s">' "$RENDER_GIT_COMMIT" > index.html
"""
IN_MEMORY = """\
taken = []


def take(name):
    taken.append(name)


def orders():
    return taken


def revision():
    return ""
"""
IN_DATABASE = """\
import psycopg


def query(statement, *values):
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def take(name):
    query("insert into orders (name) values (%s)", name)


def orders():
    return [name for (name,) in query("select name from orders order by id")]


def revision():
    return "".join(one for (one,) in query("select version_num from alembic_version"))
"""
HEAD = '''\
"""Takes orders: GET /orders, POST /orders with a name."""

import os
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads

'''
REST = """

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def do_GET(self):
        self.answer(self.read)

    def do_POST(self):
        self.answer(self.write)

    def read(self):
        if self.path == "/orders":
            return orders()
        release = {"status": "pass", "releaseId": os.environ["RENDER_GIT_COMMIT"]}
        if self.path == "/status":
            release["checks"] = {"database:revision": [{"observedValue": revision()}]}
        return release

    def write(self):
        take(loads(self.rfile.read(int(self.headers["Content-Length"])))["name"])
        return "thank you"

    def answer(self, work):
        try:
            status, said = 200, work()
        except Exception:
            traceback.print_exc()
            status, said = 500, "it did not work"
        body = dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler).serve_forever()
"""
SERVER = f"{HEAD}{IN_MEMORY}{REST}"
ENVIRONMENT = '''\
"""How alembic reaches the database."""

import os

from alembic import context
from sqlalchemy import create_engine, pool

address = context.config.get_main_option("sqlalchemy.url") or os.environ["DATABASE_URL"]
scheme, separator, rest = address.partition("://")
if scheme in ("postgres", "postgresql"):
    scheme = "postgresql+psycopg"
if context.is_offline_mode():
    context.configure(url=scheme + separator + rest, literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(scheme + separator + rest, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
'''
ORDERS = '''\
"""The orders."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("create table orders (id bigint generated always as identity primary key, name text not null)")
'''


def write_shop(*, database: bool) -> dict[str, str]:
    """Make the files of the shop, by their path.

    Without a *database* it forgets its orders.
    """
    blueprint = BLUEPRINT.format(python=shlex.quote(sys.executable))
    files = {
        ".gitignore": ".localrender/\n.deploylib/\n__pycache__/\n",
        "render.yaml": blueprint,
        "deploylib.toml": SETTINGS,
        "tasks.py": TASKS,
        "shop/build.sh": BUILD,
        "orders/server.py": SERVER,
    }
    more = {
        "render.yaml": blueprint + DATABASE,
        "deploylib.toml": SETTINGS + HEALTH,
        "orders/server.py": f"{HEAD}{IN_DATABASE}{REST}",
        "migrations/env.py": ENVIRONMENT,
        "migrations/versions/0001_orders.py": ORDERS,
    }
    return {**files, **more} if database else files
