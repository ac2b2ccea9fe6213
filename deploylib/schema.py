"""Which code goes with which schema: what must be known before code goes back, or a migration takes something away.

A revision says how old the code may be that goes on working once it is applied, with ``tolerates = "<revision>"`` in its
file: the revision that such code was written for. Where it does not say so, the code that served while it was applied is
known to go with it, because that is the rule of a release without downtime; else the code of the revision before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from deploylib.ledger import RunState
from deploylib.models import Live, Migration, Revision

__all__ = ["after", "gaps", "served"]


def after(migration: Migration) -> Migration:
    """The database as it will be once what is pending is applied."""
    applied = (*migration.applied, *migration.pending)
    return msgspec.structs.replace(migration, current=migration.target, applied=applied, pending=())


def served(history: Iterable[RunState]) -> dict[str, str]:
    """For each revision that a run has applied, the schema that the code was written for which served meanwhile."""
    found: dict[str, str] = {}
    for state in history:
        planned = state.stages.get("changes")
        migration = (planned.data if planned else {}).get("migration", {})
        if state.done("migrate"):
            for revision in migration.get("pending", ()):
                found.setdefault(revision["id"], migration.get("current", ""))
    return found


def gaps(release: Iterable[Live], schema: Migration, ran: Mapping[str, str]) -> list[str]:
    """Why code of *release* does not go with the database as it is; empty when all of it does.

    Args:
        schema: the database: the revision it is at, and all those that it has.
        ran: see `served`.
    """
    found = []
    for one in release:
        if not one.schema or one.schema == schema.current:
            continue
        had = _had(schema, one.schema)
        if had is None:
            where = schema.current or "nothing"
            found.append(
                f"{one.service} {one.commit[:7]} is written for schema {one.schema}; the database is at {where}"
            )
            continue
        for number, revision in enumerate(schema.applied):
            if revision.id in had:
                continue
            before = schema.applied[number - 1].id if number else ""
            oldest = revision.tolerates or ran.get(revision.id) or ",".join(_needs(revision, before))
            if not set(oldest.split(",")) <= had:
                needs = f"{one.service} {one.commit[:7]} is written for schema {one.schema}"
                found.append(f"{needs}, and {revision.id} goes only with code for {oldest} or newer")
                break
    return found


def _needs(revision: Revision, before: str) -> tuple[str, ...]:
    """What a revision goes on from; the one before it in the list where that is not written down."""
    return (before,) if revision.needs is None else revision.needs


def _had(schema: Migration, written: str) -> set[str] | None:
    """The revisions that code for *written* knows of, of one branch or of several; None: the database has not all of it."""
    below: dict[str, tuple[str, ...]] = {}
    before = ""
    for revision in schema.applied:
        below[revision.id] = _needs(revision, before)
        before = revision.id
    left, had = written.split(","), {""}
    if not below.keys() >= set(left):
        return None
    while left:
        one = left.pop()
        if one not in had:
            had.add(one)
            left += below.get(one, ())
    return had
