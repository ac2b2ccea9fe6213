"""Pending migrations, tried on a copy that was just restored."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from deploylib.backups import Edges, restore_test
from deploylib.errors import MigrationFailed
from deploylib.migrations import Tool, rehearsal, rules
from deploylib.models.database import Copy
from deploylib.models.units import count, size, volume
from deploylib.release.run import Run

__all__ = ["Rehearsal", "edges_for_rehearsal", "judge_rehearsal"]


def edges_for_rehearsal(run: Run) -> Edges:
    """Give what a backup is made with, whose copy the tool finds.

    Alembic's child finds a socket; another tool is given a host and a port.
    """
    edges = run.env.backup_edges
    listens = bool(run.planned.migration.pending and run.env.config.settings.migrations.command)
    return replace(edges, place=msgspec.structs.replace(edges.place, listens=listens))


class Rehearsal:
    """A trial of the migrations on a restored copy."""

    def __init__(self) -> None:
        self.reports: list[rehearsal.RehearsalReport] = []
        self.lacking: list[str] = []
        self.restored: list[restore_test.Restorable] = []

    def on(self, run: Run, copy: Copy) -> None:
        """Apply the pending migrations, and restore the outcome again."""
        migration = run.planned.migration
        if not migration.pending:
            return
        if run.database is not None:
            copy, lacking = rehearsal.bring_surroundings(copy, run.database)
            self.lacking += lacking
        with run.env.git.export(run.commit.id) as files:
            tool = Tool(files, run.env.config, run.env.writer)
            report = rehearsal.rehearse(tool, copy, migration, live=run.database)
        self.reports.append(report)
        if report.revisions and not report.failed:
            edges = replace(run.env.backup_edges, runner=run.env.writer)
            whole_below = size(run.env.config.settings.migrations.restored_whole)
            self.restored.append(restore_test.try_again(copy, edges, whole_below=whole_below))


def judge_rehearsal(run: Run, rehearsed: Rehearsal) -> list[str]:
    """Judge what the rehearsal says of migrations that may run.

    Raises:
        MigrationFailed: they may not.
    """
    pending, lines = run.planned.migration.pending, []
    if pending and not rehearsed.reports:
        lines.append("not rehearsed: the backup was not restored")
    for report in rehearsed.reports:
        examined = rehearsal.judge(report, pending, run.env.config.settings.migrations)
        rules.require_harmless(examined)
        if any(examined.counted.values()):
            whole = examined.counted["migration"] == len(pending)
            done = " · ".join(count(number, what) for what, number in examined.counted.items())
            part = "" if whole else f" in part, of {count(len(pending), 'migration')}"
            lines.append(f"rehearsed on the restored copy{part}: {done}, {examined.seconds:.1f} s")
        lines += rules.list_remarks(examined)
        lines += [f"not rehearsed: {gap.reason}" for gap in examined.gaps]
        lines += examined.accepted
    if rehearsed.reports and not rehearsed.restored:
        lines.append("not known whether a backup can be restored after it: the rehearsal did not come to its end")
    lines += [f"the copy had no {one}" for one in rehearsed.lacking]
    for tried in rehearsed.restored:
        lines.append(_restorable(tried, run.env.config.settings.migrations.restored_whole))
    return lines


def _restorable(tried: restore_test.Restorable, limit: str) -> str:
    """Judge what the second restore says of the migrations.

    Raises:
        MigrationFailed: it is not possible after them: there would be no backup any more.
    """
    if tried.cause:
        raise MigrationFailed(
            f"after the migrations the database could not be restored from a backup: {tried.cause}",
            details=tried.details,
            remedy=tried.remedy,
        )
    if tried.unknown:
        return f"not known whether a backup can be restored after it: {tried.unknown}"
    if tried.whole:
        return "after it the copy was dumped and restored once more"
    return (
        f"after it the copy's definitions were dumped and restored once more, without its rows: {volume(tried.size)} are "
        f"more than migrations.restored_whole, {limit}"
    )
