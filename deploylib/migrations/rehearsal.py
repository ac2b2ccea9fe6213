"""Pending migrations on a copy of the database.

What they lock, rewrite and take.

A rehearsal sees what no linter does: code that reads data, the real size of each table, the time that it all takes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from deploylib.errors import MigrationFailed
from deploylib.migrations import lock_observer, server_roles
from deploylib.migrations.alembic_child.recorder import LACKED, lacking
from deploylib.migrations.hazards import MEASURED
from deploylib.migrations.observations import RehearsalReport, Rehearsed, Step
from deploylib.migrations.rules import FAILED, apply_exceptions, make_finding, read_exceptions
from deploylib.migrations.tool import Tool, convert_part
from deploylib.models import Migration, Revision, Secret
from deploylib.models.database import Copy
from deploylib.models.findings import Examined, Finding, Gap
from deploylib.models.units import count, seconds
from deploylib.postgres import alter_url, connection
from deploylib.settings import MigrationSettings

__all__ = ["OtherRevision", "RehearsalReport", "bring_surroundings", "judge", "rehearse"]

NAME = "rehearsal"
BY_HAND = "rehearse them by hand"
FROM_OUTSIDE = (
    f"each statement by itself; a lock that was held for less than {lock_observer.EVERY * 1000:.0f} ms may have been missed",
)


UNREACHED = re.compile(
    r"could not connect|connection (?:to server|failed|refused)|can't reach database|connect E[A-Z]+|ECONNREFUSED"
    r"|password authentication failed|could not translate host name|getaddrinfo",
    re.IGNORECASE,
)
WITHOUT_TLS = re.compile(r"does not support (?:SSL|TLS)|SSL is not enabled|rejected SSL upgrade", re.IGNORECASE)
FROM_ADDRESS = (
    "it must take host, port, user, password and name from DATABASE_URL, which names the copy, and from nowhere else "
    "(deploylib's docs/migrations.md)"
)
AS_ADDRESS = (
    "the copy is on this machine, and speaks no TLS: ask for it in the address of the database (?sslmode=require), and not "
    "in the tool's own settings"
)


class OtherRevision(MigrationFailed):
    """A copy has other migrations pending than the database."""


BLOCKED = {
    "ShareLock": "writers",
    "ShareRowExclusiveLock": "writers",
    "ExclusiveLock": "writers",
    "AccessExclusiveLock": "readers and writers",
}


def rehearse(tool: Tool, copy: Secret, migration: Migration, *, live: Secret | None = None) -> RehearsalReport:
    """Apply what is pending to a copy that nobody needs afterwards.

    Args:
        copy: the address of the copy: as old as the database, with all its rows.
        live: the database, which is asked whether it has what the copy lacks; None: that is taken for granted.

    Raises:
        OtherRevision: the copy is at another revision than the database.
        MigrationFailed: another tool's command did not open the copy: it may have migrated another database.
    """
    if tool.settings.command:
        return _rehearse_command(tool, copy, migration, live)
    may_fail = [one.id for one in migration.pending if FAILED in read_exceptions(one)]
    request = {"command": "rehearse", "target": migration.target, "within": 10, "allowed": may_fail}
    answer = tool.run_alembic(copy, request, writes=False, timeout=tool.timeout(0))
    if "error" in answer and "failed" not in answer:
        raise MigrationFailed(answer["error"], remedy="correct the migrations and commit")
    _require_same([one["id"] for one in answer["pending"]], migration)
    return RehearsalReport(
        revisions=_explain(convert_part(answer, "revisions", tuple[Rehearsed, ...]), live),
        failed=answer.get("failed", ""),
        error=answer.get("error", ""),
        state=answer.get("sqlstate") or "",
    )


def bring_surroundings(copy: Copy, live: Secret) -> tuple[Copy, tuple[str, ...]]:
    """Bring roles, rights and settings of the database's server to a copy.

    Returns:
        The copy, with the names that they have there, and what could not be brought.
    """
    return server_roles.bring(copy, server_roles.read_surroundings(live))


def _explain(revisions: tuple[Rehearsed, ...], live: Secret | None) -> tuple[Rehearsed, ...]:
    """Add what the copy lacks to steps that were passed over.

    As far as the database has that.
    """
    earlier = ""
    explained = []
    for revision in revisions:
        steps = []
        for step in revision.statements:
            lacks = _lacks(step.state, step.passed, earlier, live) if step.passed else ""
            earlier += step.text if step.passed else ""
            steps.append(msgspec.structs.replace(step, lacks=lacks))
        explained.append(msgspec.structs.replace(revision, statements=tuple(steps)))
    return tuple(explained)


def _lacks(state: str, words: str, earlier: str, live: Secret | None) -> str:
    """Name what the copy lacks, in the server's words.

    Nothing where the database has no such thing either.

    Args:
        earlier: the statements that were passed over before: they may have made it.
    """
    if not lacking(state, words):
        return ""
    match = LACKED.search(words)
    if match is None or not match["name"]:
        return f"right to that, or not the means: {words}"
    kind, name = match["kind"], match["name"]
    has = name in earlier or live is None or server_roles.server_has(live, kind, name)
    return f"{kind} {name}" if has else ""


def _rehearse_command(tool: Tool, copy: Secret, migration: Migration, live: Secret | None) -> RehearsalReport:
    """Watch another tool's command from outside.

    Not before its other command has shown that it finds the copy.
    """
    command = tool.settings.command
    name = ", ".join(one.id for one in migration.pending)
    given = _address(copy)
    if given is None:
        return RehearsalReport(
            unchecked=("the address of the copy has no single host and port, as each tool reads it",)
        )
    with lock_observer.expect_sessions(copy) as entered:
        with _about_the_copy():
            pending = tool.list_pending(given)
        if not entered():
            return RehearsalReport(unchecked=(f"{tool.settings.pending} did not open the copy in DATABASE_URL",))
    _require_same([one.id for one in pending], migration)

    failed: list[MigrationFailed] = []

    def work() -> None:
        try:
            tool.run_command(given, command, writes=False, timeout=tool.timeout(0))
        except MigrationFailed as error:
            failed.append(error)

    try:
        rehearsed = lock_observer.watch(copy, work, name=name, text=command)
    except MigrationFailed as error:
        details = tuple(line for one in failed for line in (one.message, *one.details))
        raise MigrationFailed(error.message, details=details, remedy=error.remedy) from error
    if failed:
        words = " ".join((failed[0].message, *failed[0].details))
        right = re.search(r"permission denied[^\n]*|must be (?:owner|superuser)[^\n]*", words)
        wanting = LACKED.search(words) or right
        if wanting and (lacks := _lacks("42501" if right else "42704", wanting[0], "", live)):
            return RehearsalReport(
                unchecked=(*FROM_OUTSIDE, f"{command} did not come to its end, because the copy has no {lacks}")
            )
        words = " ".join((failed[0].message, *failed[0].details[-1:]))
        return RehearsalReport(failed=name, error=words, unchecked=FROM_OUTSIDE)
    with _about_the_copy():
        left = tool.list_pending(given)
    if left:
        return RehearsalReport(
            failed=name, error=f"after {command} {left[0].id} is still pending", unchecked=FROM_OUTSIDE
        )
    return RehearsalReport(revisions=(rehearsed,), unchecked=FROM_OUTSIDE)


def _address(copy: Secret) -> Secret | None:
    """Write the copy's address so that every tool finds it.

    It asks for no TLS: some drivers do where an address does not say, and the programs that serve here may lack it.
    None: that cannot be, as where a socket of somebody else's server leads to it.
    """
    if isinstance(copy, Copy) and copy.listens:
        address = alter_url(copy, host=connection.LOOPBACK, sslmode="disable")
        return Copy(address, copy.server, own=copy.own, listens=True)
    return copy if connection.is_plain(copy) else None


@contextmanager
def _about_the_copy() -> Iterator[None]:
    """Tell of a command's failure that it was not about the database.

    Raises:
        MigrationFailed: it failed.
    """
    try:
        yield
    except MigrationFailed as error:
        words = "\n".join((error.message, *error.details))
        remedy = AS_ADDRESS if WITHOUT_TLS.search(words) else FROM_ADDRESS if UNREACHED.search(words) else error.remedy
        raise MigrationFailed(
            f"in the rehearsal, on a copy of the database: {error.message}", details=error.details, remedy=remedy
        ) from error


def _require_same(pending: Sequence[str], migration: Migration) -> None:
    if list(pending) != [one.id for one in migration.pending]:
        raise OtherRevision(
            "the copy of the database is at another revision than the database",
            remedy="somebody may have migrated meanwhile: inv deploy looks again",
        )


def judge(report: RehearsalReport, pending: tuple[Revision, ...], settings: MigrationSettings) -> Examined:
    """Tell what the report means for the release."""
    longest, small = seconds(settings.longest_lock), settings.small_table
    if len(pending) > 1:
        pending = (*pending, _together(pending))
    revisions = {revision.id: revision for revision in pending}
    findings: list[Finding] = []
    gaps = [Gap(what="migrations", reason=why, remedy=BY_HAND) for why in report.unchecked]
    for rehearsed in report.revisions:
        revision = revisions.get(rehearsed.id, Revision(id=rehearsed.id))
        for step in rehearsed.statements:
            findings += _judge_statement(revision, step, small, heard=rehearsed.heard)
        gaps += _passed_over(revision, rehearsed)
        findings += _judge_whole(revision, rehearsed, longest)
        findings += _judge_batches(revision, rehearsed, small)
    if report.failed:
        revision = revisions.get(report.failed, Revision(id=report.failed))
        words = report.error.partition("\n")[0]
        follows = (report.state[:2] == "42" or not report.state) and any(not one.whole for one in report.revisions)
        if follows or FAILED in read_exceptions(revision):
            why = "which may come of what was passed over" if follows else "as it may"
            gaps.append(Gap(what=revision.id, reason=f"{revision.id} to its end: {words}, {why}", remedy=BY_HAND))
        if not follows:
            findings.append(_finding(FAILED, revision, words))
        reached = {name for one in report.revisions for name in one.id.split(", ")} | {report.failed}
        left = [one.id for one in pending if not reached >= set(one.id.split(", "))]
        gaps += [
            Gap(what=name, reason=f"{name}, which was not reached", remedy=BY_HAND) for name in left if ", " not in name
        ]
    whole = [one for one in report.revisions if one.whole and one.id != report.failed]
    counted = {"migration": sum(one.id.count(", ") + 1 for one in whole)}
    if heard := [one for one in report.revisions if one.heard]:
        counted["statement"] = sum(not step.passed for one in heard for step in one.statements)
    took = sum(step.seconds for one in report.revisions for step in one.statements)
    examined = Examined(name=NAME, counted=counted, findings=tuple(findings), gaps=tuple(gaps), seconds=took)
    return apply_exceptions(examined, pending)


def _together(pending: tuple[Revision, ...]) -> Revision:
    """Join all revisions into one, with the exceptions of each.

    Another tool applies them together.
    """
    remarks = tuple(remark for one in pending for remark in one.remarks)
    return Revision(id=", ".join(one.id for one in pending), path=pending[-1].path if pending else "", remarks=remarks)


def _finding(rule: str, revision: Revision, where: str, *, about: str = "", level: str = "", **words: str) -> Finding:
    """Make a finding of a hazard as a rehearsal measures it.

    *words* are its lock and whom it blocks.
    """
    hazard = msgspec.structs.replace(MEASURED[rule], **words)
    return make_finding(NAME, hazard, revision, where, rule=rule, about=about, level=level)


def _passed_over(revision: Revision, rehearsed: Rehearsed) -> Iterator[Gap]:
    """Tell what of a revision was not rehearsed."""
    for step in rehearsed.statements:
        if step.passed:
            why = f"because the copy has no {step.lacks}" if step.lacks else step.passed
            yield Gap(what=revision.id, reason=f"{revision.id}: {step.short}, {why}", remedy=BY_HAND)


def _judge_statement(revision: Revision, step: Step, small: int, *, heard: bool) -> Iterator[Finding]:
    """Tell what one statement did to a table that is not small.

    Or that it failed on a copy that has all it needs.
    """
    if step.passed:
        if not step.lacks:
            yield _finding(FAILED, revision, f"{step.short}: {step.passed}")
        return

    def of(rule: str, table: str, level: str = "", **words: str) -> Finding:
        about = f"{table} ({count(step.rows.get(table, 0), 'row')}, {step.seconds:.1f} s)"
        return _finding(rule, revision, step.short, about=about, level=level, **words)

    large = {table for table, rows in step.rows.items() if rows > small}
    yield from (of("emptied", table) for table in step.emptied if step.rows.get(table, 0))
    yield from (of("rewrite", table) for table in step.rewritten if table in large - {*step.emptied})
    held = {table: mode for table, mode in step.locks.items() if mode in BLOCKED and step.rows.get(table, 0)}
    for table in step.scanned:
        if held and table in large:
            place = table if table in held else next(iter(held))
            blocks = f"{BLOCKED[held[place]]} of {place}"
            yield of("work-under-lock", table, lock=_mode(held[place]), blocks=blocks)
    many = (
        table
        for table, number in step.changed.items()
        if number > small and table not in {*step.rewritten, *step.emptied}
    )
    # What was not heard may have been many transactions.
    yield from (of("bulk-change", table, "refuse" if heard else "warn") for table in many)


def _judge_whole(revision: Revision, rehearsed: Rehearsed, longest: float) -> Iterator[Finding]:
    """Tell what the whole revision did."""
    for held in rehearsed.held:
        if held.rows and held.seconds > longest:
            about = f"{held.table} ({count(held.rows, 'row')}) for {held.seconds:.1f} s"
            words = {"lock": _mode(held.mode), "blocks": BLOCKED[held.mode]}
            yield _finding("long-lock", revision, "the whole revision", about=about, **words)
    several = sorted({held.table for held in rehearsed.held if held.rows and held.mode == "AccessExclusiveLock"})
    if len(several) > 1:
        yield _finding("several-tables", revision, "the whole revision", about=", ".join(several))
    for text in rehearsed.lifted:
        yield _finding("limit-lifted", revision, text)
    if gone := rehearsed.gone:
        names = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
        level = "note" if revision.tolerates else "refuse"
        yield _finding("contract-step", revision, f"takes away {names}", level=level)


def _judge_batches(revision: Revision, rehearsed: Rehearsed, small: int) -> Iterator[Finding]:
    """Add up what the statements changed: batches in one transaction are none."""
    total: Counter[str] = Counter()
    for step in rehearsed.statements:
        if step.transaction and all(number <= small for number in step.changed.values()):
            total.update(step.changed)
    for table, number in total.items():
        if number > small:
            about = f"{table} ({count(number, 'row')} in {count(len(rehearsed.statements), 'statement')})"
            yield _finding("bulk-change", revision, "the whole revision", about=about)


def _mode(mode: str) -> str:
    """Write ``AccessExclusiveLock`` as the documentation does."""
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in mode.removesuffix("Lock"))
    return words.strip().upper()
