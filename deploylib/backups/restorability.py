"""Whether a database can be dumped and restored once more, after a migration that it was rehearsed on.

A dump is restored with an empty search_path, table by table: a CHECK by a function that reads another table, or a name
without its schema in a function that an index uses, works every day and fails then. So it is tried on the copy.
"""

from __future__ import annotations

from deploylib.backups import archive, scratch_database
from deploylib.backups.restore_test import PROVE_WITHIN, REFUSED
from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.backups.snapshot import exported
from deploylib.models import Value
from deploylib.models.database import Copy
from deploylib.postgres import connection, sqlstates
from deploylib.postgres.binaries import Client
from deploylib.system import process

__all__ = ["Restorable", "tried"]


class Restorable(Value, frozen=True):
    """What came of a second restore.

    Attributes:
        whole: with the rows; otherwise of the definitions alone.
        size: bytes of the database.
        cause: what it failed with; empty: it did not.
        details: what the program said.
        remedy: the next step, where it failed.
        unknown: why it could not be tried; empty: it was.
    """

    whole: bool
    size: int
    cause: str = ""
    details: tuple[str, ...] = ()
    remedy: str = ""
    unknown: str = ""


def tried(
    copy: Copy, *, client: Client, runner: process.Runner, whole_below: int, within: float = PROVE_WITHIN
) -> Restorable:
    """Dump a copy of a database, and restore that beside it.

    Args:
        whole_below: bytes; of a larger database only the definitions are dumped.
        within: seconds after which it is given up.

    Raises:
        Unreachable: the copy does not answer.
    """
    size = connection.facts(copy).size
    whole = size < whole_below
    try:
        with exported(copy) as snapshot:
            holds = snapshot.around()
        with scratch_database.database(copy.server, holds) as (beside, _):
            archive.through(copy, beside, client=client, runner=runner, whole=whole, within=within)
    except ScratchUnfit as error:
        return Restorable(whole=whole, size=size, unknown=error.message)
    except process.ProgramFailed as error:
        state, line = sqlstates.spoken(error.details)
        if REFUSED.search(line) or state in {"53100", "53200"}:
            return Restorable(whole=whole, size=size, unknown=line)
        return Restorable(
            whole=whole,
            size=size,
            cause=line or error.message,
            details=sqlstates.shown(error.details),
            remedy=sqlstates.restoring(state, line),
        )
    return Restorable(whole=whole, size=size)
