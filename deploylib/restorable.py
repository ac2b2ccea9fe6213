"""Whether a database can be dumped and restored once more, after a migration that it was rehearsed on.

A dump is restored with an empty search_path, table by table: a CHECK by a function that reads another table, or a name
without its schema in a function that an index uses, works every day and fails then. So it is tried on the copy.
"""

from __future__ import annotations

from deploylib import archive, postgres, sqlstates, vessel
from deploylib.models import Value
from deploylib.process import ProgramFailed, Runner
from deploylib.programs import Client
from deploylib.proof import PROVE_WITHIN, REFUSED, Copy
from deploylib.scratch import ScratchUnfit
from deploylib.snapshot import exported

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


def tried(copy: Copy, *, client: Client, runner: Runner, whole_below: int, within: float = PROVE_WITHIN) -> Restorable:
    """Dump a copy of a database, and restore that beside it.

    Args:
        whole_below: bytes; of a larger database only the definitions are dumped.
        within: seconds after which it is given up.

    Raises:
        Unreachable: the copy does not answer.
    """
    size = postgres.facts(copy).size
    whole = size < whole_below
    try:
        with exported(copy) as snapshot:
            holds = snapshot.around()
        with vessel.database(copy.server, holds) as (beside, _):
            archive.through(copy, beside, client=client, runner=runner, whole=whole, within=within)
    except ScratchUnfit as error:
        return Restorable(whole=whole, size=size, unknown=error.message)
    except ProgramFailed as error:
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
