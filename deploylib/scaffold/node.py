"""Conclude what a folder of Node holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deploylib.scaffold.repository import Inference, Tree, path_in
from deploylib.scaffold.services import FolderContent, find_health_path, make_service

__all__ = ["describe_node"]

LOCKS = {"package-lock.json": "npm", "npm-shrinkwrap.json": "npm", "pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}
INSTALLS = {"npm": "npm ci", "pnpm": "pnpm install --frozen-lockfile", "yarn": "yarn install --frozen-lockfile"}
SERVERS = ("express", "fastify", "koa", "hono", "@hapi/hapi", "@nestjs/core", "next", "nuxt", "@remix-run/node")
QUEUES = ("bullmq", "bull", "agenda", "bee-queue", "amqplib", "graphile-worker", "pg-boss")
DRIVERS = ("pg", "postgres", "@prisma/client", "sequelize", "knex", "typeorm", "drizzle-orm")
SITES = {"vite": "dist", "react-scripts": "build", "astro": "dist", "@11ty/eleventy": "_site"}
LISTENS = re.compile(r"\bcreateServer\(|\.listen\(")
EXPORTED = re.compile(r"""\boutput\s*:\s*["']export["']""")
RUNS = re.compile(r"node [\w./-]+\.[cm]?js")  # nothing that a shell would have to read
WORKERS = re.compile(r"worker|jobs|queue|consumer")


def describe_node(tree: Tree, folder: str, label: str) -> FolderContent:
    """Describe a folder of Node: packages, program, tests, driver.

    Raises:
        SettingsError: its package.json is none.
    """
    manifest = path_in(folder, "package.json")
    package = tree.read_package(manifest)
    scripts, needs = _texts(package, "scripts"), _texts(package, "dependencies")
    member = bool(folder) and not tree.first(folder, *LOCKS) and bool(tree.first("", *LOCKS))  # of a workspace
    lock = tree.first("" if member else folder, *LOCKS)
    manager = LOCKS.get(lock.rpartition("/")[2], "npm")
    content = FolderContent(database=manifest if any(name in needs for name in DRIVERS) else "")
    build = " && ".join([INSTALLS[manager] if lock else "npm install", *_builds(manager, scripts, member, folder)])
    where, keys = ("", {"buildFilter": {"paths": [f"{folder}/**", "package.json", lock]}}) if member else (folder, {})
    test = scripts.get("test", "")
    if test and "no test specified" not in test:
        content.tests, content.tests_file = (
            f"sh -c '{INSTALLS[manager] if lock else 'npm install'} && {manager} test'",
            manifest,
        )
    published = _site(tree, folder, needs | _texts(package, "devDependencies"))
    if published:
        path = path_in(folder, published) if member else published
        static = {"buildCommand": build, "staticPublishPath": path}
        content.services.append(make_service("web", label, "static", where, **static, **keys))
        what = "a static site, built"
    else:
        start, main, runs = _start(tree, folder, package, scripts, manager, member=member)
        kind = _kind(tree, label, needs, main) if start else ""
        if not kind:
            if not _is_workspace(tree, folder, package):
                message = "Node, but nothing that serves or starts was recognised; left out"
                content.conclusions.append(Inference(message, manifest))
            return content
        programs = [name for ending in (".js", ".mjs", ".cjs", ".ts") for name in tree.within(folder, ending)]
        health, file = find_health_path(tree, programs) if kind == "web" else ("", "")
        commands = {"buildCommand": build, "startCommand": start, "healthCheckPath": health}
        content.services.append(make_service(kind, label, "node", where, **commands, **keys))
        content.conclusions += [Inference(f"{label}: health at {health}", file)] if file else []
        what = f"{'a web service' if kind == 'web' else 'a worker'}, started by {runs}"
    content.conclusions.insert(0, Inference(f"{label}: {what}", manifest))
    content.conclusions.append(Inference(f"{label}: packages by {manager}", lock or manifest))
    return content


def _texts(package: Mapping[str, Any], key: str) -> dict[str, str]:
    """Read a table of a package.json whose values are texts."""
    table = package.get(key)
    return {name: text for name, text in table.items() if isinstance(text, str)} if isinstance(table, dict) else {}


def _builds(manager: str, scripts: Mapping[str, str], member: bool, folder: str) -> list[str]:  # noqa: FBT001
    if "build" not in scripts:
        return []
    if not member:
        return [f"{manager} run build"]
    return [
        {"npm": f"npm run build --workspace {folder}", "pnpm": f"pnpm --filter ./{folder} run build"}.get(
            manager, f"yarn --cwd {folder} build"
        )
    ]


def _site(tree: Tree, folder: str, needs: Mapping[str, str]) -> str:
    """Find the folder that a static site is built into.

    Empty where a program serves, or none is known.
    """
    if "next" in needs:
        files = [tree.first(folder, f"next.config.{ending}") for ending in ("js", "mjs", "ts")]
        return "out" if any(EXPORTED.search(tree.read(name)) for name in files if name) else ""
    if any(name in needs for name in SERVERS):
        return ""
    return next((place for tool, place in SITES.items() if tool in needs), "")


def _start(
    tree: Tree, folder: str, package: Mapping[str, Any], scripts: Mapping[str, str], manager: str, *, member: bool
) -> tuple[str, str, str]:
    """Find the command that starts it, its file, and what says so.

    By ``node`` itself where that can be: a package manager between keeps SIGTERM from the program.
    """
    inside = f"{folder}/" if member else ""
    script = scripts.get("start", "").strip()
    if RUNS.fullmatch(script):
        file = script.removeprefix("node ").removeprefix("./")
        return f"node {inside}{file}", path_in(folder, file), "its script start"
    if script:
        members = {"npm": f"npm start --workspace {folder}", "pnpm": f"pnpm --filter ./{folder} start"}
        command = members.get(manager, f"yarn --cwd {folder} start") if member else f"{manager} start"
        return command, "", "its script start"
    main = package.get("main") if isinstance(package.get("main"), str) else ""
    for name in (str(main).removeprefix("./"), "server.js", "index.js", "worker.js", "server.mjs", "index.mjs"):
        if name and path_in(folder, name) in tree.names:
            return f"node {inside}{name}", path_in(folder, name), name
    return "", "", ""


def _kind(tree: Tree, label: str, needs: Mapping[str, str], main: str) -> str:
    """Tell a web service from a worker; empty: nothing says which."""
    if any(name in needs for name in SERVERS) or LISTENS.search(tree.read(main)):
        return "web"
    return "worker" if WORKERS.search(label) or any(name in needs for name in QUEUES) else ""


def _is_workspace(tree: Tree, folder: str, package: Mapping[str, Any]) -> bool:
    """Tell whether a package only holds others together."""
    return "workspaces" in package or bool(tree.first(folder, "pnpm-workspace.yaml"))
