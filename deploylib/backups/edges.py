"""What backups and restores work with; it always travels together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from deploylib.backups.snapshot import Exporter, take_snapshot
from deploylib.models import Secret
from deploylib.postgres import Programs, binaries
from deploylib.store import Store, format_version
from deploylib.system import Clock, process

__all__ = ["Edges", "Place", "edges_of"]


class Place(msgspec.Struct, frozen=True):
    """Where backups are restored to prove them.

    Attributes:
        server: a URL of a server on which a database may be made; None: one of our own is started.
        folder: where our own one lies; None: the folder for temporary files.
        listens: our own one does so on 127.0.0.1 too, for a program that cannot find a socket.
    """

    server: Secret | None = None
    folder: Path | None = None
    listens: bool = False


@dataclass(frozen=True, slots=True)
class Edges:
    """What a backup or a restore works with.

    Attributes:
        programs: of Postgres, or the folder that the settings name; empty: those that fit the server are looked for.
        progress: told the bytes of each piece, and those of all of them; 0: nobody knows.
        place: where copies are restored to prove a backup.
        exporter: takes a snapshot of a database.
        fence: asked right before anything is removed: whether the environment is still ours to change.
    """

    store: Store
    programs: Programs | str = ""
    runner: process.Runner = process.SYSTEM
    clock: Clock = Clock()
    progress: Callable[[int, int], None] | None = None
    place: Place = field(default_factory=Place)
    exporter: Exporter = take_snapshot
    fence: Callable[[], None] = lambda: None

    @property
    def client(self) -> Programs:
        """The programs, once they were chosen for a server."""
        if isinstance(self.programs, str):
            raise TypeError("programs were not chosen: Edges.for_server")
        return self.programs

    def for_server(self, major: int) -> Edges:
        """Choose the programs for a server, unless they are chosen.

        Raises:
            SettingsError: none fits.
        """
        if isinstance(self.programs, Programs):
            return self
        return dataclasses.replace(self, programs=binaries.client_for(major, self.programs, runner=self.runner))

    def without_progress(self) -> Edges:
        """Make the same edges without a view of the progress."""
        return dataclasses.replace(self, progress=None)


def edges_of(store: Store | Edges) -> Edges:
    """Make edges of a store; edges stay as they are.

    They are those of this machine, and the format of the store is named then.
    """
    if isinstance(store, Edges):
        return store
    format_version.write_format(store)
    return Edges(store)
