"""Which code goes with which schema.

What must be known before code goes back, or a migration takes something away.

A revision says how old the code may be that goes on working once it is applied, with ``tolerates = "<revision>"`` in its
file: the revision that such code was written for. Where it does not say so, the code that served while it was applied is
known to go with it, because that is the rule of a release without downtime; else the code of the revision before it. Where
its file allows it to take something away all the same, that rule was broken on purpose, and nobody knows.

What is not known is neither of the two: no misfit, which alone keeps code from going back, and no fit, which alone is advised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from deploylib.migrations import rules
from deploylib.models import UNKNOWN, Live, Migration, Revision, Value

__all__ = ["Fit", "apply_pending", "fit"]


class Fit(Value, frozen=True):
    """Whether a release goes with a database.

    Attributes:
        misfits: why it does not.
        unknown: what nobody can say of it.
    """

    misfits: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """It goes with it, and that is known."""
        return not self.misfits and not self.unknown

    @property
    def doubt(self) -> str:
        """What is not known, in one line; empty: all is."""
        more = f", and {len(self.unknown) - 1} more" if len(self.unknown) > 1 else ""
        return f"not known whether it goes with the schema: {self.unknown[0]}{more}" if self.unknown else ""


def apply_pending(migration: Migration) -> Migration:
    """Describe the database as it will be once pending migrations are applied."""
    applied = (*migration.applied, *migration.pending)
    return msgspec.structs.replace(migration, current=migration.target, applied=applied, pending=())


def fit(
    release: Iterable[Live],
    schema: Migration,
    ran: Mapping[str, Collection[tuple[str, str]]],
    *,
    needless: Collection[str] = (),
) -> Fit:
    """Tell whether code of *release* goes with the database as it is.

    Args:
        schema: the database: the revision it is at, and all those that it has.
        ran: of each revision the services, and the schemas of their code, that served when it was applied; a service that
            is empty: any.
        needless: names of the services that need no schema.
    """
    misfits, unknown = [], []
    for live in release:
        if not live.commit or live.service in needless or (live.schema == schema.current and live.schema != UNKNOWN):
            continue
        who = f"{live.service} {live.commit[:7]}"
        if live.schema in {"", UNKNOWN}:
            unknown.append(f"the schema that {who} is written for is not recorded")
            continue
        had = _had(schema, live.schema)
        if had is None:
            if schema.unchecked or schema.ahead:
                unknown.append(f"{who} is written for schema {live.schema}, which nobody here knows")
            else:
                where = schema.current or "nothing"
                misfits.append(f"{who} is written for schema {live.schema}; the database is at {where}")
        elif why := _too_old(schema, had, live.service, ran):
            misfits.append(f"{who} is written for schema {live.schema}, and {why}")
        elif taken := _taken(schema, had):
            unknown.append(f"{who} is written for schema {live.schema}, and {taken}")
    return Fit(tuple(misfits), tuple(unknown))


def _too_old(
    schema: Migration, had: Collection[str], service: str, ran: Mapping[str, Collection[tuple[str, str]]]
) -> str:
    """Find the first revision that code of *had* is too old for.

    Empty: none.
    """
    for number, revision in enumerate(schema.applied):
        if revision.id in had:
            continue
        before = schema.applied[number - 1].id if number else ""
        served = [written for who, written in ran.get(revision.id, ()) if who in {"", service} and written]
        enough = [revision.tolerates] if revision.tolerates else served or [",".join(_needs(revision, before))]
        if not any(set(oldest.split(",")) <= set(had) for oldest in enough):
            return f"{revision.id} goes only with code for {min(enough)} or newer"
    return ""


def _taken(schema: Migration, had: Collection[str]) -> str:
    """Find the first later revision that may take something away.

    Its file allows it, without saying from whom.
    """
    for revision in schema.applied:
        reasons = [reason for rule, reason in rules.read_exceptions(revision).items() if rule in rules.CONTRACT_STEPS]
        if revision.id not in had and not revision.tolerates and reasons:
            return f"{revision.id} took something away ({reasons[0]})"
    return ""


def _needs(revision: Revision, before: str) -> tuple[str, ...]:
    """List what a revision goes on from.

    The one before it in the list where that is not written down.
    """
    return (before,) if revision.needs is None else revision.needs


def _had(schema: Migration, written: str) -> set[str] | None:
    """List the revisions that code for *written* knows.

    Of one branch or of several; None: the database has not all of it.
    """
    below: dict[str, tuple[str, ...]] = {}
    before = ""
    for revision in schema.applied:
        below[revision.id] = _needs(revision, before)
        before = revision.id
    left, had = written.split(","), {""}
    if not below.keys() >= set(left):
        return None
    while left:
        name = left.pop()
        if name not in had:
            had.add(name)
            left += below.get(name, ())
    return had
