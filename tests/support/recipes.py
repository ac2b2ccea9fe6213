"""The lines of documents and workflows that install something, and a clone and a foreign repository to type them in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.support.edges import environment

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))
INSTALLS = re.compile(
    r"\bpip3? (?:install|wheel|download)\b|\bpip\" |\buvx\b|\buv (?:run|sync|tool)\b|\bapt(?:-get)? install\b|\bnpm ci\b"
)
TAG = "v0.0.1"


def block(document: str, mark: str) -> str:
    """The commands of a document under ``<!-- mark -->``."""
    found = re.search(rf"<!-- {mark} -->\n *```sh\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    assert found is not None, f"{document} has no block {mark!r}"
    return "\n".join(line.strip() for line in found[1].splitlines()) + "\n"


def documented() -> set[str]:
    """Every line of a document that installs something: of blocks, and between backquotes."""
    found = set[str]()
    for document in DOCUMENTS:
        text = document.read_text()
        fenced = re.compile(r"^ *```\w*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
        lines = [line.strip() for body in fenced.findall(text) for line in body.splitlines()]
        rest = fenced.sub("", text)
        lines += re.findall(r"^ {4,}(\S.*)", rest, re.MULTILINE)
        lines += re.findall(r"`([^`\n]+)`", rest)
        found |= {line for line in lines if INSTALLS.search(line)}
    return found


def scripts(node: Any) -> Iterator[str]:
    """What the steps of a workflow or an action run."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "run" and isinstance(value, str):
            yield value
        else:
            yield from scripts(value)
    for value in node if isinstance(node, list) else ():
        yield from scripts(value)


def automated() -> dict[str, set[str]]:
    """Every script of a workflow or an action that installs something, by file."""
    read = {path.relative_to(ROOT).as_posix(): set(scripts(yaml.safe_load(path.read_text()))) for path in WORKFLOWS}
    return {name: found for name, all_ in read.items() if (found := {text for text in all_ if INSTALLS.search(text)})}


def clone(folder: Path) -> Path:
    """A clone of the project as it lies here, at a tag."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    committed(folder)
    git(folder, "tag", TAG)
    return folder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a clone, on loopback; pip takes none of a folder before its version 24."""
    git(folder, "update-server-info")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/.git"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def committed(folder: Path) -> None:
    """Make a repository of a folder, or the next commit of one."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=As it lies there")


def git(folder: Path, *args: str) -> str:
    """Run git there."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    return typed(folder, "git " + " ".join(f"'{word}'" for word in (*identity, *args)))


def typed(folder: Path, text: str, **more: str) -> str:
    """Type lines into a shell there, which stops at the first that fails, on a machine that has this Python and pip.

    Returns:
        What they said.
    """
    own = folder / ".git" / "typed"
    own.mkdir(parents=True, exist_ok=True)
    (own / "python3").unlink(missing_ok=True)
    (own / "python3").write_text(f'#!/bin/sh\nexec "{Path(sys.base_prefix) / "bin" / "python3"}" "$@"\n')
    (own / "python3").chmod(0o755)
    variables = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("UV_INDEX", "UV_DEFAULT_INDEX", "UV_FIND"))
    }
    path = f"{own}{os.pathsep}{os.environ['PATH']}"
    env = {**environment(**variables), "PATH": path, **more}
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
    done = subprocess.run(
        shell, cwd=folder, env=env, check=False, capture_output=True, text=True, timeout=500, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout
