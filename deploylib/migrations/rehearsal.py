"""The pending migrations on a copy of the database, before they run in earnest: what they lock, rewrite and take.

A rehearsal sees what no linter does: code that reads data, the real size of each table, the time that it all takes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from deploylib.errors import MigrationFailed
from deploylib.migrations import lock_observer, server_roles
from deploylib.migrations.alembic_child.recorder import LACKED, lacking
from deploylib.migrations.observations import Rehearsed, Report, Step
from deploylib.migrations.rules import REHEARSED, allowed, finding, judged
from deploylib.migrations.tools import alembic, listed, part, run
from deploylib.models import Migration, Revision, Secret
from deploylib.models.findings import Examined, Finding, Gap
from deploylib.models.units import count, seconds
from deploylib.settings import Config, MigrationSettings
from deploylib.system import process

__all__ = ["OtherRevision", "rehearse", "verdict"]

NAME, FAILED = "rehearsal", "rehearsal-failed"
BY_HAND = "rehearse them by hand"
FROM_OUTSIDE = (
    f"each statement by itself; a lock that was held for less than {lock_observer.EVERY * 1000:.0f} ms may have been missed",
)


class OtherRevision(MigrationFailed):
    """A copy has other migrations pending than the database."""


BLOCKED = {
    "ShareLock": "writers",
    "ShareRowExclusiveLock": "writers",
    "ExclusiveLock": "writers",
    "AccessExclusiveLock": "readers and writers",
}


def rehearse(
    config: Config,
    files: Path,
    copy: Secret,
    migration: Migration,
    *,
    runner: process.Runner,
    live: Secret | None = None,
) -> Report:
    """Apply what is pending to a copy that nobody needs afterwards.

    Args:
        copy: the address of the copy: as old as the database, with all its rows.
        live: the database, which is asked whether it has what the copy lacks; None: that is taken for granted.

    Raises:
        OtherRevision: the copy is at another revision than the database.
        MigrationFailed: another tool's command did not open the copy: it may have migrated another database.
    """
    limits = config.settings.migrations
    timeout = 60 + 6 * seconds(limits.statement_timeout) + seconds(limits.patience)
    if limits.command:
        return _commanded(config, files, copy, migration, runner=runner, timeout=timeout, live=live)
    may_fail = [one.id for one in migration.pending if FAILED in allowed(one)]
    request = {"command": "rehearse", "target": migration.target, "within": 10, "allowed": may_fail}
    found = alembic(config, files, copy, request, runner=runner, writes=False, timeout=timeout)
    if "error" in found and "failed" not in found:
        raise MigrationFailed(found["error"], remedy="correct the migrations and commit")
    _require_same(found["pending"], migration)
    revisions = part(found, "revisions", tuple[Rehearsed, ...])
    return Report(
        revisions=_explained(revisions, live),
        failed=found.get("failed", ""),
        error=found.get("error", ""),
        state=found.get("sqlstate") or "",
    )


def _explained(revisions: tuple[Rehearsed, ...], live: Secret | None) -> tuple[Rehearsed, ...]:
    """The same; each step that was passed over with what the copy lacks for it, where the database has that."""
    earlier = ""
    explained = []
    for one in revisions:
        steps = []
        for step in one.statements:
            lacks = _lacks(step.state, step.passed, earlier, live) if step.passed else ""
            earlier += step.text if step.passed else ""
            steps.append(msgspec.structs.replace(step, lacks=lacks))
        explained.append(msgspec.structs.replace(one, statements=tuple(steps)))
    return tuple(explained)


def _lacks(state: str, words: str, earlier: str, live: Secret | None) -> str:
    """What the copy lacks, in the server's words; nothing where the database has no such thing either.

    Args:
        earlier: the statements that were passed over before: they may have made it.
    """
    if not lacking(state, words):
        return ""
    found = LACKED.search(words)
    if found is None or not found["name"]:
        return f"right to that, or not the means: {words}"
    kind, name = found["kind"], found["name"]
    has = name in earlier or live is None or server_roles.there(live, kind, name)
    return f"{kind} {name}" if has else ""


def _commanded(
    config: Config,
    files: Path,
    copy: Secret,
    migration: Migration,
    *,
    runner: process.Runner,
    timeout: float,
    live: Secret | None,
) -> Report:
    """Another tool's command, looked at from outside; not before its other command has shown that it finds the copy."""
    command = config.settings.migrations.command
    name = ", ".join(one.id for one in migration.pending)
    with lock_observer.entered(copy) as entered:
        pending = listed(config, files, copy, runner=runner)
        if not entered():
            return Report(unchecked=(f"{config.settings.migrations.pending} did not open the copy in DATABASE_URL",))
    _require_same([{"id": one.id} for one in pending], migration)

    failed: list[MigrationFailed] = []

    def work() -> None:
        try:
            run(config, files, copy, command, runner=runner, writes=False, timeout=timeout)
        except MigrationFailed as error:
            failed.append(error)

    seen = lock_observer.watched(copy, work, name=name, text=command)
    if failed:
        said = " ".join((failed[0].message, *failed[0].details))
        right = re.search(r"permission denied[^\n]*|must be (?:owner|superuser)[^\n]*", said)
        wanting = LACKED.search(said) or right
        if wanting and (lacks := _lacks("42501" if right else "42704", wanting[0], "", live)):
            return Report(
                unchecked=(*FROM_OUTSIDE, f"{command} did not come to its end, because the copy has no {lacks}")
            )
        words = " ".join((failed[0].message, *failed[0].details[-1:]))
        return Report(failed=name, error=words, unchecked=FROM_OUTSIDE)
    if left := listed(config, files, copy, runner=runner):
        return Report(failed=name, error=f"after {command} {left[0].id} is still pending", unchecked=FROM_OUTSIDE)
    return Report(revisions=(seen,), unchecked=FROM_OUTSIDE)


def _require_same(pending: Sequence[Mapping[str, str]], migration: Migration) -> None:
    if [one["id"] for one in pending] != [one.id for one in migration.pending]:
        raise OtherRevision(
            "the copy of the database is at another revision than the database",
            remedy="somebody may have migrated meanwhile: inv deploy looks again",
        )


def verdict(report: Report, pending: tuple[Revision, ...], settings: MigrationSettings) -> Examined:
    """What the report means for the release; whoever restored the copy may say more."""
    longest, small = seconds(settings.longest_lock), settings.small_table
    if len(pending) > 1:
        pending = (*pending, _together(pending))
    revisions = {revision.id: revision for revision in pending}
    findings: list[Finding] = []
    gaps = [Gap(what="migrations", reason=why, remedy=BY_HAND) for why in report.unchecked]
    for one in report.revisions:
        revision = revisions.get(one.id, Revision(id=one.id))
        for step in one.statements:
            findings += _statement(revision, step, small, heard=one.heard)
        gaps += _passed_over(revision, one)
        findings += _whole(revision, one, longest)
        findings += _little_by_little(revision, one, small)
    if report.failed:
        revision = revisions.get(report.failed, Revision(id=report.failed))
        words = report.error.partition("\n")[0]
        follows = (report.state[:2] == "42" or not report.state) and any(not one.whole for one in report.revisions)
        if follows or FAILED in allowed(revision):
            why = "which may come of what was passed over" if follows else "as it may"
            gaps.append(Gap(what=revision.id, reason=f"{revision.id} to its end: {words}, {why}", remedy=BY_HAND))
        if not follows:
            findings.append(finding(NAME, FAILED, REHEARSED[FAILED], revision, words))
        reached = {name for one in report.revisions for name in one.id.split(", ")} | {report.failed}
        left = [one.id for one in pending if not reached >= set(one.id.split(", "))]
        gaps += [
            Gap(what=one, reason=f"{one}, which was not reached", remedy=BY_HAND) for one in left if ", " not in one
        ]
    whole = [one for one in report.revisions if one.whole and one.id != report.failed]
    counted = {"migration": sum(one.id.count(", ") + 1 for one in whole)}
    if heard := [one for one in report.revisions if one.heard]:
        counted["statement"] = sum(not step.passed for one in heard for step in one.statements)
    took = sum(step.seconds for one in report.revisions for step in one.statements)
    examined = Examined(name=NAME, counted=counted, findings=tuple(findings), gaps=tuple(gaps), seconds=took)
    return judged(examined, pending)


def _together(pending: tuple[Revision, ...]) -> Revision:
    """All of them as one, with the exceptions of each: another tool applies them together."""
    remarks = tuple(remark for one in pending for remark in one.remarks)
    return Revision(id=", ".join(one.id for one in pending), path=pending[-1].path if pending else "", remarks=remarks)


def _passed_over(revision: Revision, one: Rehearsed) -> Iterator[Gap]:
    """What of a revision was not rehearsed."""
    for step in one.statements:
        if step.passed:
            why = f"because the copy has no {step.lacks}" if step.lacks else step.passed
            yield Gap(what=revision.id, reason=f"{revision.id}: {step.short}, {why}", remedy=BY_HAND)


def _statement(revision: Revision, step: Step, small: int, *, heard: bool) -> Iterator[Finding]:
    """What one statement did to a table that is not small, or that it failed on a copy that has all it needs."""
    if step.passed:
        if not step.lacks:
            yield finding(NAME, FAILED, REHEARSED[FAILED], revision, f"{step.short}: {step.passed}")
        return

    def about(table: str) -> str:
        return f"{table} ({count(step.rows.get(table, 0), 'row')}, {step.seconds:.1f} s)"

    def found(rule: str, table: str, level: str = "refuse") -> Finding:
        return finding(NAME, rule, REHEARSED[rule], revision, step.short, about=about(table), level=level)

    large = {table for table, rows in step.rows.items() if rows > small}
    yield from (found("emptied", table) for table in step.emptied if step.rows.get(table, 0))
    yield from (found("rewrite", table) for table in step.rewritten if table in large - {*step.emptied})
    held = {table: mode for table, mode in step.locks.items() if mode in BLOCKED and step.rows.get(table, 0)}
    for table in step.scanned:
        if held and table in large:
            place = table if table in held else next(iter(held))
            blocks = f"{BLOCKED[held[place]]} of {place}"
            lock = msgspec.structs.replace(REHEARSED["work-under-lock"], lock=_mode(held[place]), blocks=blocks)
            yield finding(NAME, "work-under-lock", lock, revision, step.short, about=about(table))
    many = (
        table
        for table, number in step.changed.items()
        if number > small and table not in {*step.rewritten, *step.emptied}
    )
    # What was not heard may have been many transactions.
    yield from (found("bulk-change", table, "refuse" if heard else "warn") for table in many)


def _whole(revision: Revision, one: Rehearsed, longest: float) -> Iterator[Finding]:
    """What the whole revision did."""
    for held in one.held:
        if held.rows and held.seconds > longest:
            lock = msgspec.structs.replace(REHEARSED["long-lock"], lock=_mode(held.mode), blocks=BLOCKED[held.mode])
            about = f"{held.table} ({count(held.rows, 'row')}) for {held.seconds:.1f} s"
            yield finding(NAME, "long-lock", lock, revision, "the whole revision", about=about)
    several = sorted({held.table for held in one.held if held.rows and held.mode == "AccessExclusiveLock"})
    if len(several) > 1:
        rule = "several-tables"
        names = ", ".join(several)
        yield finding(NAME, rule, REHEARSED[rule], revision, "the whole revision", about=names, level="warn")
    for text in one.lifted:
        yield finding(NAME, "limit-lifted", REHEARSED["limit-lifted"], revision, text, level="warn")
    if one.gone:
        rule = "contract-step"
        names = ", ".join(one.gone[:5]) + (f" and {len(one.gone) - 5} more" if len(one.gone) > 5 else "")
        level = "note" if revision.tolerates else "refuse"
        yield finding(NAME, rule, REHEARSED[rule], revision, f"takes away {names}", level=level)


def _little_by_little(revision: Revision, one: Rehearsed, small: int) -> Iterator[Finding]:
    """Batches in one transaction are none."""
    total: Counter[str] = Counter()
    for step in one.statements:
        if step.transaction and all(number <= small for number in step.changed.values()):
            total.update(step.changed)
    for table, number in total.items():
        if number > small:
            about = f"{table} ({count(number, 'row')} in {count(len(one.statements), 'statement')})"
            yield finding(NAME, "bulk-change", REHEARSED["bulk-change"], revision, "the whole revision", about=about)


def _mode(mode: str) -> str:
    """``AccessExclusiveLock`` as the documentation writes it."""
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in mode.removesuffix("Lock"))
    return words.strip().upper()
