"""Hazards in pending SQL: squawk reads it, the live catalog weighs it.

Squawk knows a file and nothing else: a table of three hundred rows, a varchar that only grows, or a default that is
computed once are hazards to it. What a rehearsal would see is not looked for here. https://squawkhq.com/docs/rules
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from deploylib.migrations.catalog import Catalog
from deploylib.migrations.rules import apply_exceptions, require_way_back
from deploylib.migrations.squawk import Judge, Statement
from deploylib.models import Revision
from deploylib.models.extras import install_command
from deploylib.models.findings import Examined, Finding, Gap
from deploylib.system import files, process

__all__ = ["lint_revisions"]

NAME = "migration lint"
# Style, and what the runner makes needless. Left out here and not by squawk, which refuses a name that it does not know.
LEFT_OUT = frozenset(
    (
        "ban-char-field", "ban-create-domain-with-constraint", "ban-uncommitted-transaction", "prefer-bigint-over-int",
        "prefer-bigint-over-smallint", "prefer-identity", "prefer-repack", "prefer-robust-stmts", "prefer-text-field",
        "prefer-timestamp-tz", "require-enum-value-ordering", "require-lock-timeout", "require-statement-timeout",
        "require-timeout-settings", "transaction-nesting", "unused-ignore",
    )
)  # fmt: skip
# Two names for one thing: where the first is said of a statement, the second is not.
SAME = {
    "disallowed-unique-constraint": "constraint-missing-not-valid",
    "adding-foreign-key-constraint": "constraint-missing-not-valid",
    "adding-serial-primary-key-field": "constraint-missing-not-valid",
}


class _Report(msgspec.Struct, frozen=True):
    """One report of squawk; lines and columns begin at 0."""

    rule_name: str
    line: int
    message: str
    column: int = 0
    line_end: int = 0
    column_end: int = 0
    help: str | None = None


def lint_revisions(
    pending: Sequence[Revision],
    catalog: Catalog | None,
    *,
    runner: process.Runner,
    small: int = 10_000,
    squawk: str = "",
) -> Examined:
    """Look at each pending revision on its own, oldest first.

    Args:
        catalog: the database that they will run in, as it is now; None: nobody has looked, so that what hangs on the
            size or the type of something is a warning.
        small: rows up to which work under a lock is no hazard (``migrations.small_table``).
        squawk: the program; default: the one beside this interpreter, else the one on the path.
    """
    catalog = catalog or Catalog(known=False)
    program = squawk or _program()
    findings: list[Finding] = []
    gaps: list[Gap] = []
    for number, revision in enumerate(pending):
        findings += require_way_back(revision)
        if not revision.rendered:
            why = "its SQL depends on the data, or is not known before it runs"
            gaps.append(Gap(what=revision.id, reason=why, remedy="only a rehearsal sees what it does"))
            continue
        if not revision.sql.strip():
            continue
        before = "".join(one.sql for one in pending[:number])
        after = "".join(one.sql for one in pending[number:])
        try:
            reports = _ask_squawk(program, revision.sql, catalog.major, runner)
        except process.Unanswered as unanswered:
            remedy = install_command("postgres") if unanswered.missing else "squawk says more by hand"
            gaps.append(Gap(what=revision.id, reason=unanswered.reason, remedy=remedy))
            continue
        judge = Judge(revision, catalog, before, after, small)
        findings += [finding for report in reports for finding in judge.weigh(*report)]
        findings += judge.read_sql()
    examined = Examined(
        name=NAME, counted={"migration": len(pending) - len(gaps)}, findings=tuple(findings), gaps=tuple(gaps)
    )
    return apply_exceptions(examined, pending)


def _program() -> str:
    beside = Path(sys.executable).parent / "squawk"
    return str(beside) if beside.exists() else "squawk"


def _ask_squawk(program: str, sql: str, major: int, runner: process.Runner) -> Iterator[tuple[str, str, Statement]]:
    """Ask squawk about the SQL of one revision: rule, message, statement."""
    with files.temporary_folder() as folder:
        file = folder / "revision.sql"
        lines = sql.replace("squawk-ignore", "squawk ignore").splitlines()
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        # A configuration in the commit could switch it off: it gets one that is empty.
        args = [program, "--config", "/dev/null", "--reporter", "json", f"--pg-version={major}.0", file.name]
        command = process.Command(args, cwd=folder, check=False, timeout=60)
        reports = process.ask_program(command, list[_Report], "squawk", runner=runner)
    kept = [(one.rule_name, one.message, _statement(lines, one)) for one in reports if one.rule_name not in LEFT_OUT]
    there = {(rule, statement.text) for rule, _message, statement in kept}
    same = {(SAME[rule], text) for rule, text in there if rule in SAME}
    return (one for one in kept if (one[0], one[2].text) not in same)


def _statement(lines: Sequence[str], report: _Report) -> Statement:
    """Find the statement at a place.

    Statements end with a semicolon at the end of a line, as alembic writes them.
    """
    first = report.line
    while first and not lines[first - 1].rstrip().endswith(";"):
        first -= 1
    last = min(report.line, len(lines) - 1)
    while last < len(lines) - 1 and not lines[last].rstrip().endswith(";"):
        last += 1
    words = [line for line in lines[first : last + 1] if not line.lstrip().startswith("--")]
    columns = slice(report.column, report.column_end if report.line_end == report.line else None)
    before = " ".join([*lines[first : report.line], lines[report.line][: report.column]])
    more = lines[report.line + 1 : report.line_end + 1] if report.line_end > report.line else []
    return Statement(
        text="\n".join(words).strip().rstrip(";"), piece=" ".join([lines[report.line][columns], *more]), before=before
    )
