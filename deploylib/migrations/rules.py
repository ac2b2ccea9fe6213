"""What a change of a schema can do to those who use it: the rules' names, locks and safe ways, and what was said of them.

Locks and rewrites of each were measured on Postgres 14 to 18; they are those of
https://www.postgresql.org/docs/16/explicit-locking.html and https://www.postgresql.org/docs/16/sql-altertable.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from deploylib.errors import MigrationFailed
from deploylib.models import Revision, Value
from deploylib.models.findings import Examined, Finding

__all__ = ["ALSO", "LINTED", "REHEARSED", "Hazard", "allowed", "finding", "judged", "remarked", "require", "way_back"]

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
EXCLUSIVE, SHARE = "ACCESS EXCLUSIVE", "SHARE"
BOTH, WRITES = "readers and writers", "writers"


class Hazard(Value, frozen=True):
    """One rule.

    Attributes:
        when: what makes it refuse: ``work`` on a table that is not small, any ``rows``, a ``contract`` step whose
            revision does not say what it tolerates, ``always``; else it only warns or notes.
        text: what happens.
        safe: the way without the hazard.
    """

    when: Literal["work", "rows", "contract", "always", "warn", "note"]
    lock: str
    blocks: str
    text: str
    safe: str


BATCHES = "add the column without it, set the default, fill in batches in a later revision"
NEW_COLUMN = "add a new column, write both, fill in batches, read the new one, drop the old one a release later"
NOT_VALID = "add it NOT VALID, and VALIDATE it in the next revision"
CONTRACT = (
    "release the code that does without it first; then say in the revision which code it goes with: "
    'tolerates = "<revision>"'
)
CONCURRENTLY = "with op.get_context().autocommit_block(): … postgresql_concurrently=True, in a revision of its own"

LINTED: dict[str, Hazard] = {
    "adding-field-with-default": Hazard(
        when="work", lock=EXCLUSIVE, blocks=BOTH, text="writes the whole table anew", safe=BATCHES
    ),
    "adding-foreign-key-constraint": Hazard(
        when="work", lock="SHARE ROW EXCLUSIVE", blocks="writers of both tables", text="reads the table", safe=NOT_VALID
    ),
    "adding-not-nullable-field": Hazard(
        when="work", lock=EXCLUSIVE, blocks=BOTH, text="reads the whole table",
        safe="CHECK (column IS NOT NULL) NOT VALID; VALIDATE in the next revision; then SET NOT NULL, then drop the check",
    ),
    "adding-required-field": Hazard(
        when="rows", lock=EXCLUSIVE, blocks=BOTH, text="fails on a table that has rows",
        safe="add it nullable or with a server default, fill it, then SET NOT NULL",
    ),
    "adding-serial-primary-key-field": Hazard(
        when="work", lock=EXCLUSIVE, blocks=BOTH, text="builds an index", safe="build the unique index concurrently, then ADD PRIMARY KEY USING INDEX",
    ),
    "constraint-missing-not-valid": Hazard(when="work", lock=EXCLUSIVE, blocks=BOTH, text="reads the whole table", safe=NOT_VALID),
    "disallowed-unique-constraint": Hazard(
        when="work", lock=EXCLUSIVE, blocks=BOTH, text="builds an index",
        safe="build a unique index concurrently, then ADD CONSTRAINT … UNIQUE USING INDEX",
    ),
    "changing-column-type": Hazard(when="work", lock=EXCLUSIVE, blocks=BOTH, text="writes the whole table anew", safe=NEW_COLUMN),
    "require-concurrent-index-creation": Hazard(when="work", lock=SHARE, blocks=WRITES, text="builds an index", safe=CONCURRENTLY),
    "require-concurrent-reindex": Hazard(
        when="work", lock=f"{SHARE}, and {EXCLUSIVE} on the index", blocks=BOTH, text="builds an index anew", safe="REINDEX … CONCURRENTLY in an autocommit_block",
    ),
    "ban-alter-domain-with-add-constraint": Hazard(
        when="work", lock=f"{SHARE} on every table that uses it", blocks=WRITES, text="reads those tables", safe=NOT_VALID
    ),
    "ban-concurrent-index-creation-in-transaction": Hazard(
        when="always", lock="none", blocks="nobody", text="fails: it cannot run inside a transaction", safe=CONCURRENTLY
    ),
    "ban-truncate-cascade": Hazard(
        when="always", lock=EXCLUSIVE, blocks=BOTH, text="empties every table that refers to it, too", safe="name each table; delete in batches",
    ),
    "ban-drop-database": Hazard(when="always", lock="all", blocks="everybody", text="destroys the database", safe="by hand, if ever"),
    "ban-drop-column": Hazard(when="contract", lock=EXCLUSIVE, blocks=BOTH, text="code that names the column fails", safe=CONTRACT),
    "ban-drop-table": Hazard(when="contract", lock=EXCLUSIVE, blocks=BOTH, text="code that names the table fails", safe=CONTRACT),
    "ban-drop-view": Hazard(when="contract", lock=EXCLUSIVE, blocks=BOTH, text="code that names the view fails", safe=CONTRACT),
    "renaming-column": Hazard(when="contract", lock=EXCLUSIVE, blocks=BOTH, text="code that uses the old name fails", safe=NEW_COLUMN),
    "renaming-table": Hazard(
        when="contract", lock=EXCLUSIVE, blocks=BOTH, text="code that uses the old name fails", safe="leave a view with the old name; or the contract step: " + CONTRACT,
    ),
    "renaming-object": Hazard(when="contract", lock=EXCLUSIVE, blocks=BOTH, text="code that uses the old name fails", safe=CONTRACT),
    "ban-set-schema": Hazard(when="contract", lock=EXCLUSIVE, blocks=BOTH, text="code does not find it any more", safe=CONTRACT),
    "ban-drop-not-null": Hazard(
        when="warn", lock=EXCLUSIVE, blocks=BOTH, text="code that takes a value for granted may meet none", safe="see that the code copes with NULL",
    ),
    "require-concurrent-partition-detach": Hazard(
        when="warn", lock=EXCLUSIVE, blocks=BOTH, text="waits for every user of the parent", safe="DETACH PARTITION … CONCURRENTLY in an autocommit_block",
    ),
    "foreign-key-without-index": Hazard(
        when="warn", lock="row locks", blocks="deleters of the parent", text="each DELETE of a parent reads the whole child", safe="build an index on the columns first, concurrently",
    ),
    **dict.fromkeys(
        ("ban-drop-function", "ban-drop-type", "ban-drop-domain", "ban-drop-sequence", "ban-drop-schema", "ban-drop-extension"),
        Hazard(when="warn", lock="none", blocks="nobody", text="code that uses it fails; which may, a rehearsal shows", safe=CONTRACT),
    ),
    **dict.fromkeys(
        ("ban-drop-default", "ban-drop-generated-expression", "ban-alter-identity"),
        Hazard(
            when="warn", lock=EXCLUSIVE, blocks=BOTH, text="is short; an INSERT that leaves the column out, or gives it, may fail",
            safe=CONTRACT,
        ),
    ),
    "identifier-too-long": Hazard(
        when="warn", lock="none", blocks="nobody", text="is cut to 63 bytes", safe="a shorter name",
    ),
    "json-column": Hazard(
        when="warn", lock="none", blocks="nobody", text="SELECT DISTINCT and GROUP BY of all columns fail: json knows no equality",
        safe="jsonb",
    ),
    "setting-of-connections": Hazard(
        when="contract", lock="none", blocks="nobody", text="code that relies on what was fails at its next connection",
        safe="let the code set it on its own connections, or a role of its own; else the contract step: " + CONTRACT,
    ),
    "search-path": Hazard(
        when="warn", lock="none", blocks="nobody",
        text="plain names may mean other things, or nothing, at the next connection; which, a rehearsal shows",
        safe="let the code name the schema first; then say in the revision which code it goes with",
    ),
    "limit-lifted": Hazard(
        when="warn", lock="none", blocks="nobody",
        text="takes away the limit for locks; it is set again, for another tool only as far as its driver lets us",
        safe="leave it to migrations.lock_timeout, or set a shorter one",
    ),
    "no-way-back": Hazard(
        when="warn", lock="none", blocks="nobody", text="says neither how it is undone nor how it is repaired",
        safe="write its downgrade(), or in its file: # deploylib: repair: <what to do when it was wrong>",
    ),
    "ban-drop-constraint": Hazard(
        when="note", lock=EXCLUSIVE, blocks=BOTH, text="is short; a foreign key locks its parent too", safe="one constraint in a revision"
    ),
    "require-concurrent-index-deletion": Hazard(
        when="note", lock=EXCLUSIVE, blocks=BOTH, text="is short, once the lock is granted", safe=CONCURRENTLY
    ),
}  # fmt: skip

REHEARSED: dict[str, Hazard] = {
    "rehearsal-failed": Hazard(when="always", lock="none", blocks="nobody", text="fails on a copy of the data", safe="correct the revision"),
    "long-lock": Hazard(
        when="always", lock="", blocks=BOTH, text="is held too long", safe="short statements under the lock, long ones in a revision without it"
    ),
    "rewrite": Hazard(when="always", lock=EXCLUSIVE, blocks=BOTH, text="writes the whole table anew", safe=NEW_COLUMN),
    "emptied": Hazard(when="always", lock=EXCLUSIVE, blocks=BOTH, text="empties the table", safe="delete in batches, once no code reads it"),
    "work-under-lock": Hazard(
        when="always", lock="", blocks="", text="reads the whole table while the lock is held",
        safe="NOT VALID first and VALIDATE in the next revision; indexes concurrently",
    ),
    "bulk-change": Hazard(
        when="always", lock="ROW EXCLUSIVE, and each row", blocks="writers of these rows",
        text="changes many rows in one transaction", safe="batches of some thousand rows, each in a transaction of its own",
    ),
    "contract-step": Hazard(when="contract", lock=EXCLUSIVE, blocks=BOTH, text="code that relies on it fails", safe=CONTRACT),
    "limit-lifted": Hazard(
        when="warn", lock="none", blocks="nobody", text="takes away the limit for locks; it was set again",
        safe="leave it to migrations.lock_timeout, or set a shorter one",
    ),
    "several-tables": Hazard(
        when="warn", lock=EXCLUSIVE, blocks=BOTH, text="several tables are locked together", safe="one table in a revision"
    ),
}  # fmt: skip

WORK = tuple(rule for rule, hazard in LINTED.items() if hazard.when == "work")
# Who allows the one has allowed the other: the rehearsal sees again what the linter has seen.
ALSO = {
    "contract-step": tuple(rule for rule, hazard in LINTED.items() if hazard.when == "contract"),
    "rewrite": WORK,
    "work-under-lock": WORK,
}


def allowed(revision: Revision) -> dict[str, str]:
    """The rules that the revision's own file takes exception to, each with its reason; without one it does not count."""
    found = (ALLOW.search(line) for line in revision.remarks)
    return {one["rule"]: one["reason"].strip() for one in found if one}


def comment(path: str, text: str) -> str:
    """A comment in the language of the file."""
    begin, end = COMMENTS.get(path.rpartition(".")[2].lower(), ("#", ""))
    return f"{begin} {text}{end}"


def way_back(revision: Revision) -> tuple[Finding, ...]:
    """What is to be said of a revision that nobody can undo, and whose file does not say how it is repaired instead."""
    if revision.reversible is not False or any(REPAIR.search(line) for line in revision.remarks):
        return ()
    rule = "no-way-back"
    return (finding("deploylib", rule, LINTED[rule], revision, revision.title or "the revision", level="warn"),)


def finding(
    tool: str, rule: str, hazard: Hazard, revision: Revision, where: str, *, about: str = "", level: str = "refuse"
) -> Finding:
    """A hazard that a revision has.

    Args:
        where: the statement.
        about: the table, and how large it is.
    """
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
        also=ALSO.get(rule, ()) or (("contract-step",) if hazard.when == "contract" else ()),
    )


def judged(examined: Examined, revisions: Sequence[Revision]) -> Examined:
    """The same with only the findings that the revisions' own files do not allow."""
    exceptions = {revision.id: allowed(revision) for revision in revisions}
    stand, told = [], []
    for one in examined.findings:
        allowing = exceptions.get(one.where.partition(":")[0], {})
        reason = next((allowing[rule] for rule in (one.rule, *one.also) if rule in allowing), "")
        if reason:
            told.append(f"{one.where}: {one.rule} allowed: {reason}")
        else:
            stand.append(one)
    return Examined(
        name=examined.name,
        counted=examined.counted,
        findings=tuple(stand),
        gaps=examined.gaps,
        accepted=tuple(told),
        seconds=examined.seconds,
    )


def remarked(examined: Examined) -> list[str]:
    """What is said of migrations that may run: each warning with its safe way, each note without."""
    return [
        f"{one.where}: {one.text}" + ("" if one.note else f" → {one.remedy}")
        for one in examined.findings
        if not one.blocks
    ]


def require(*examined: Examined) -> None:
    """Refuse when something was found that a release waits for.

    Raises:
        MigrationFailed: the first finding leads, and each says its safe way.
    """
    blocking = [one for each in examined for one in each.blocking]
    if blocking:
        lines = tuple(f"{one.where} [{one.rule}]: {one.text} → {one.remedy}" for one in blocking)
        raise MigrationFailed(
            f"the migrations may not run: {blocking[0].where} [{blocking[0].rule}]",
            details=lines,
            remedy="change the revision as said; or, where it is meant, in its file: "
            + comment(blocking[0].path, "deploylib: allow <rule>: <reason>"),
        )
