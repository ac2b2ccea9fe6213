"""Small programs of Python and Node: one of each that is fit, and others that are unfit in one way."""

from __future__ import annotations

from dataclasses import dataclass

PYTHON = """
import os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#BEFORE
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE = 1

    def do_GET(self):
        status, body = 200, b"well"
        if self.path == "/slow":
            time.sleep(0.9)
        #ASKED
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

server = Server((WHERE, PORT), Handler)
#HANDLED
server.serve_forever(0.05)
server.server_close()
#LEFT
"""
HANDLED = "signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())"
NODE = """
const http = require("node:http");
//BEFORE
const server = http.createServer((request, answer) => {
  setTimeout(() => answer.end("well"), request.url === "/slow" ? 900 : 0);
});
server.listen(PORT, WHERE);
//HANDLED
"""
CLOSED = 'process.on("SIGTERM", () => server.close(() => process.exit(0)));'
POOLED = """
import psycopg, psycopg_pool
pool = psycopg_pool.ConnectionPool(os.environ["DATABASE_URL"], min_size=SIZE, max_size=SIZE, timeout=3,
    check=psycopg_pool.ConnectionPool.check_connection)
pool.wait()
"""
DEEP = """
        if self.path in PATHS:
            try:
                with pool.connection() as connection:
                    connection.execute("select 1")
            except Exception:
                status, body = 503, b"no database"
"""
SINGLE = """
import psycopg
connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
turn = threading.Lock()
"""
FIFTY = """
others = [psycopg.connect(os.environ["DATABASE_URL"]) for _ in range(50)]
"""
ASKS_SINGLE = """
        if self.path == "/deep":
            try:
                with turn:
                    connection.execute("select 1")
            except Exception:
                status, body = 503, b"no database"
"""
HELD = """
const net = require("node:net");
const [, port] = process.env.DATABASE_URL.match(/:(\\d+)\\//);
const startup = Buffer.from([0, 0, 0, 22, 0, 3, 0, 0, ...Buffer.from("user\\0"), ...Buffer.from("nobody\\0"), 0]);
startup.writeInt32BE(startup.length, 0);
const held = net.connect(Number(port), "127.0.0.1", () => held.write(startup));
held.on("data", () => {});
held.on("close", () => { throw new Error("the connection is lost"); });
"""


@dataclass(frozen=True)
class Program:
    """A service.

    Attributes:
        name: of the service.
        start: its start command.
        files: what it is made of.
        unfit: the one question in which it is unfit; empty: it is fit.
        busy: paths of it that ask the database.
        health: its health path.
    """

    name: str
    start: str
    files: dict[str, str]
    unfit: str = ""
    busy: tuple[str, ...] = ()
    health: str = "/live"

    @property
    def runtime(self) -> str:
        """Its runtime."""
        return "node" if "app.js" in self.files else "python"

    @property
    def blueprint(self) -> str:
        """Its entry in a Blueprint."""
        wanted = "DATABASE_URL" in "".join(self.files.values())
        url = "{key: DATABASE_URL, fromDatabase: {name: store, property: connectionString}}"
        return "\n".join(
            [
                "  - type: web",
                f"    name: {self.name}",
                f"    runtime: {self.runtime}",
                f"    rootDir: {self.name}",
                "    buildCommand: echo built",
                f"    startCommand: {self.start}",
                f"    healthCheckPath: {self.health}",
                "    maxShutdownDelaySeconds: 6",
                *([f"    envVars: [{url}]"] if wanted else []),
            ]
        )


def python(
    name: str,
    unfit: str = "",
    *,
    start: str = "python app.py",
    where: str = '"0.0.0.0"',
    port: str = 'int(os.environ["PORT"])',
    handled: str = HANDLED,
    left: str = "",
    idle: str = "1",
    before: str = "",
    asked: str = "",
    busy: tuple[str, ...] = (),
    health: str = "/live",
) -> Program:
    """A program of Python, which is fit but for what is said."""
    text = PYTHON.replace("#HANDLED", handled).replace("#LEFT", left).replace("IDLE = 1", f"IDLE = {idle}")
    text = text.replace("timeout = IDLE", "IDLE = timeout").replace("#BEFORE", before)
    text = text.replace("        #ASKED\n", asked.lstrip("\n")).replace("WHERE", where).replace("PORT)", f"{port})", 1)
    return Program(name, start, {"app.py": text}, unfit, busy, health)


def node(
    name: str,
    unfit: str = "",
    *,
    start: str = "node app.js",
    where: str = '"0.0.0.0"',
    handled: str = CLOSED,
    before: str = "",
    files: dict[str, str] | None = None,
) -> Program:
    """A program of Node, which is fit but for what is said."""
    text = NODE.replace("//HANDLED", handled).replace("//BEFORE", before)
    text = text.replace("PORT, WHERE", f"process.env.PORT, {where}")
    return Program(name, start, {"app.js": text, **(files or {})}, unfit)


def script(command: str) -> dict[str, str]:
    """A package whose script starts something."""
    return {"package.json": f'{{"name": "one", "scripts": {{"start": "{command}"}}}}'}


FIRST = (
    node("fit-node"),
    python("cuts", "in flight", handled=""),
    python("behind-a-shell", "signal", start="python app.py; echo ended"),
)
LATER = (
    python("fit-python"),
    python("ignores", "exit", handled="signal.signal(signal.SIGTERM, signal.SIG_IGN)"),
    python("ends-with-1", "exit", left="sys.exit(1)"),
    python("waits-for-idle", "idle", idle="None"),
    python("listens-alone", "address", where='"127.0.0.1"'),
    python("listens-elsewhere", "address", port="8123"),
    python("goes-by-host", "address", where='os.environ.get("HOST", "127.0.0.1")'),
    node("leaves-at-once", "in flight", handled='process.on("SIGTERM", () => process.exit(0));'),
    node("behind-npm", "signal", start="npm start", files=script("node app.js; true")),
    node("never-leaves", "exit", handled=f"{CLOSED} setInterval(() => {{}}, 1000);".replace("process.exit(0)", "0")),
    node("alone-in-node", "address", where='"localhost"'),
)
WITH_DATABASE = (
    python("pooled", before=POOLED.replace("SIZE", "3"), asked=DEEP.replace("PATHS", '{"/deep"}'), busy=("/deep",)),
    python(
        "asks-for-its-health",
        "database",
        before=POOLED.replace("SIZE", "3"),
        asked=DEEP.replace("PATHS", '{"/deep"}'),
        busy=("/slow",),
        health="/deep",
    ),
    python("never-connects-again", "database", before=SINGLE, asked=ASKS_SINGLE, busy=("/deep",)),
    python(
        "holds-fifty",
        "connections",
        before=POOLED.replace("SIZE", "3") + FIFTY,
        asked=DEEP.replace("PATHS", '{"/deep"}'),
        busy=("/deep",),
    ),
    node("ends-with-its-database", "database", before=HELD),
)  # fmt: skip


def blueprint(programs: tuple[Program, ...]) -> str:
    """The Blueprint of some of them."""
    wanted = any("DATABASE_URL" in one.blueprint for one in programs)
    databases = "\ndatabases: [{name: store, plan: basic-256mb}]" if wanted else ""
    return "services:\n" + "\n".join(one.blueprint for one in programs) + databases + "\n"


def settings(programs: tuple[Program, ...]) -> str:
    """The settings that go with it."""
    tables = [f'[services.{one.name}]\nslow = "/slow"\nbusy = {list(one.busy)}\n' for one in programs]
    return "local_time_scale = 60\n\n" + "\n".join(tables)
