"""Findings about revisions: made, allowed by the revisions themselves, told, refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from deploylib.errors import MigrationFailed
from deploylib.migrations.hazards import BY_RULE, Hazard, list_measured_by
from deploylib.models import Revision
from deploylib.models.findings import Examined, Finding

__all__ = [
    "CONTRACT_STEPS",
    "FAILED",
    "apply_exceptions",
    "list_remarks",
    "make_finding",
    "read_exceptions",
    "require_harmless",
    "require_way_back",
]

# A comment of the language that the file is written in; one that has an end may end after the reason.
COMMENTS = {
    **dict.fromkeys(("sql", "lua", "hs"), ("--", "")),
    **dict.fromkeys(("js", "mjs", "cjs", "ts", "mts", "cts", "go", "java", "kt", "kts", "cs", "fs", "php", "rs", "scala", "swift"), ("//", "")),
    **dict.fromkeys(("xml", "html"), ("<!--", " -->")),
    **dict.fromkeys(("clj", "edn", "ini"), (";", "")),
}  # fmt: skip
MARK = r"(?:#|--|//|/?\*|;|<!--)\s*deploylib:\s*"
ALLOW = re.compile(MARK + r"allow\s+(?P<rule>[\w-]+)\s*:\s*(?P<reason>\S.*?)\s*(?:\*/|-->)?\s*$")
REPAIR = re.compile(MARK + r"repair:\s*[^\s*-]")
FAILED = "rehearsal-failed"
CONTRACT_STEPS = frozenset(("contract-step", *list_measured_by("contract-step")))


def read_exceptions(revision: Revision) -> dict[str, str]:
    """Read the rules that the revision's file takes exception to.

    Each has its reason; without one it does not count.
    """
    exceptions = (ALLOW.search(line) for line in revision.remarks)
    return {one["rule"]: one["reason"].strip() for one in exceptions if one}


def make_finding(
    tool: str, hazard: Hazard, revision: Revision, where: str, *, rule: str = "", about: str = "", level: str = ""
) -> Finding:
    """Make the finding of a hazard that a revision has.

    Args:
        where: the statement.
        rule: the name it is found by, of a hazard that has several.
        about: the table, and how large it is.
        level: how much it matters; by default what the hazard says.
    """
    rule = rule or hazard.rules[0]
    level = level or (hazard.when if hazard.when in {"warn", "note"} else "refuse")
    lock = f"; {hazard.lock}{f' on {about}' if about else ''} blocks {hazard.blocks}"
    return Finding(
        tool=tool,
        rule=rule,
        where=f"{revision.id}: {where}",
        text=hazard.text if hazard.blocks == "nobody" else f"{hazard.text}{lock}",
        remedy=hazard.safe,
        blocks=level == "refuse",
        note=level == "note",
        path=revision.path,
        also=list_measured_by(rule) or (hazard.measured if hazard.when == "contract" else ()),
    )


def require_way_back(revision: Revision) -> tuple[Finding, ...]:
    """Warn of a revision with neither undo nor repair."""
    if revision.reversible is not False or any(REPAIR.search(line) for line in revision.remarks):
        return ()
    return (make_finding("deploylib", BY_RULE["no-way-back"], revision, revision.title or "the revision"),)


def apply_exceptions(examined: Examined, revisions: Sequence[Revision]) -> Examined:
    """Leave only the findings that the revisions' own files do not allow."""
    exceptions = {revision.id: read_exceptions(revision) for revision in revisions}
    stand, accepted = [], []
    for finding in examined.findings:
        allowing = exceptions.get(finding.where.partition(":")[0], {})
        reason = next((allowing[rule] for rule in (finding.rule, *finding.also) if rule in allowing), "")
        if reason:
            accepted.append(f"{finding.where}: {finding.rule} allowed: {reason}")
        else:
            stand.append(finding)
    return msgspec.structs.replace(examined, findings=tuple(stand), accepted=tuple(accepted))


def list_remarks(examined: Examined) -> list[str]:
    """List what is said of migrations that may run.

    Each warning has its safe way; a note has none.
    """
    return [
        f"{finding.where}: {finding.text}" + ("" if finding.note else f" → {finding.remedy}")
        for finding in examined.findings
        if not finding.blocks
    ]


def require_harmless(examined: Examined) -> None:
    """Refuse migrations that a release must not run.

    Raises:
        MigrationFailed: the first finding leads, and each says its safe way.
    """
    if blocking := examined.blocking:
        lines = tuple(f"{one.where} [{one.rule}]: {one.text} → {one.remedy}" for one in blocking)
        first = blocking[0]
        raise MigrationFailed(
            f"the migrations may not run: {first.where} [{first.rule}]",
            details=lines,
            remedy="change the revision as said" + (f"; or, {_how_allowed(first)}" if first.path else ""),
        )


def _how_allowed(finding: Finding) -> str:
    """Say when, and by which comment, its file allows a rule."""
    begin, end = COMMENTS.get(finding.path.rpartition(".")[2].lower(), ("#", ""))
    if finding.rule == FAILED:
        return f"only where the database has what the copy lacks, in its file: {begin} deploylib: allow {FAILED}: <reason>{end}"
    return f"where it is meant, in its file: {begin} deploylib: allow <rule>: <reason>{end}"
