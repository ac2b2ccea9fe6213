"""Hazards of a change of the schema.

One table, which the linter and the rehearsal read.

Locks and rewrites of each were measured on Postgres 14 to 18; they are those of
https://www.postgresql.org/docs/16/explicit-locking.html and https://www.postgresql.org/docs/16/sql-altertable.html.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from deploylib.models import Value

__all__ = ["BY_RULE", "HAZARDS", "MEASURED", "Hazard", "list_measured_by"]

EXCLUSIVE, SHARE = "ACCESS EXCLUSIVE", "SHARE"
BOTH, WRITES = "readers and writers", "writers"


class Hazard(Value, frozen=True):
    """One hazard: its words, when it counts, and who sees it.

    Attributes:
        when: what makes it refuse: ``work`` on a table that is not small, any ``rows``, a ``contract`` step whose
            revision does not say what it tolerates, ``always``; else it only warns or notes.
        text: what happens.
        safe: the way without the hazard.
        name: its rule, where squawk has none for it.
        squawk: squawk's rules for it; findings and exceptions bear their names.
        measured: the rules by which a rehearsal tells of it; who allows it has allowed those.
        rehearsed: what happens, in a rehearsal that knows more of it.
    """

    when: Literal["work", "rows", "contract", "always", "warn", "note"]
    text: str
    safe: str
    lock: str = EXCLUSIVE
    blocks: str = BOTH
    name: str = ""
    squawk: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    rehearsed: str = ""

    @property
    def rules(self) -> tuple[str, ...]:
        """The names that it is found and allowed by."""
        return self.squawk or (self.name,)


BATCHES = "add the column without it, set the default, fill in batches in a later revision"
NEW_COLUMN = "add a new column, write both, fill in batches, read the new one, drop the old one a release later"
NOT_VALID = "add it NOT VALID, and VALIDATE it in the next revision"
CONTRACT = (
    "release the code that does without it first; then say in the revision which code it goes with: "
    'tolerates = "<revision>"'
)
CONCURRENTLY = "with op.get_context().autocommit_block(): … postgresql_concurrently=True, in a revision of its own"

WORK, LOSS = ("rewrite", "work-under-lock"), ("contract-step",)

HAZARDS: tuple[Hazard, ...] = (
    Hazard(squawk=("adding-field-with-default",), when="work", measured=WORK, text="writes the whole table anew",
           safe=BATCHES),
    Hazard(squawk=("adding-foreign-key-constraint",), when="work", lock="SHARE ROW EXCLUSIVE",
           blocks="writers of both tables", measured=WORK, text="reads the table", safe=NOT_VALID),
    Hazard(squawk=("adding-not-nullable-field",), when="work", measured=WORK, text="reads the whole table",
           safe="CHECK (column IS NOT NULL) NOT VALID; VALIDATE in the next revision; then SET NOT NULL, then drop the check"),
    Hazard(squawk=("adding-required-field",), when="rows", text="fails on a table that has rows",
           safe="add it nullable or with a server default, fill it, then SET NOT NULL"),
    Hazard(squawk=("adding-serial-primary-key-field",), when="work", measured=WORK, text="builds an index",
           safe="build the unique index concurrently, then ADD PRIMARY KEY USING INDEX"),
    Hazard(squawk=("constraint-missing-not-valid",), when="work", measured=WORK, text="reads the whole table",
           safe=NOT_VALID),
    Hazard(squawk=("disallowed-unique-constraint",), when="work", measured=WORK, text="builds an index",
           safe="build a unique index concurrently, then ADD CONSTRAINT … UNIQUE USING INDEX"),
    Hazard(squawk=("changing-column-type",), when="work", measured=WORK, text="writes the whole table anew",
           safe=NEW_COLUMN),
    Hazard(squawk=("require-concurrent-index-creation",), when="work", lock=SHARE, blocks=WRITES, measured=WORK,
           text="builds an index", safe=CONCURRENTLY),
    Hazard(squawk=("require-concurrent-reindex",), when="work", lock=f"{SHARE}, and {EXCLUSIVE} on the index",
           measured=WORK, text="builds an index anew", safe="REINDEX … CONCURRENTLY in an autocommit_block"),
    Hazard(squawk=("ban-alter-domain-with-add-constraint",), when="work", lock=f"{SHARE} on every table that uses it",
           blocks=WRITES, measured=WORK, text="reads those tables", safe=NOT_VALID),
    Hazard(squawk=("ban-concurrent-index-creation-in-transaction",), when="always", lock="none", blocks="nobody",
           text="fails: it cannot run inside a transaction", safe=CONCURRENTLY),
    Hazard(squawk=("ban-truncate-cascade",), when="always", text="empties every table that refers to it, too",
           safe="name each table; delete in batches"),
    Hazard(squawk=("ban-drop-database",), when="always", lock="all", blocks="everybody", text="destroys the database",
           safe="by hand, if ever"),
    Hazard(squawk=("ban-drop-column",), when="contract", measured=LOSS, text="code that names the column fails",
           safe=CONTRACT),
    Hazard(squawk=("ban-drop-table",), when="contract", measured=LOSS, text="code that names the table fails",
           safe=CONTRACT),
    Hazard(squawk=("ban-drop-view",), when="contract", measured=LOSS, text="code that names the view fails",
           safe=CONTRACT),
    Hazard(squawk=("renaming-column",), when="contract", measured=LOSS, text="code that uses the old name fails",
           safe=NEW_COLUMN),
    Hazard(squawk=("renaming-table",), when="contract", measured=LOSS, text="code that uses the old name fails",
           safe="leave a view with the old name; or the contract step: " + CONTRACT),
    Hazard(squawk=("renaming-object",), when="contract", measured=LOSS, text="code that uses the old name fails",
           safe=CONTRACT),
    Hazard(squawk=("ban-set-schema",), when="contract", measured=LOSS, text="code does not find it any more",
           safe=CONTRACT),
    Hazard(squawk=("ban-drop-not-null",), when="warn", text="code that takes a value for granted may meet none",
           safe="see that the code copes with NULL"),
    Hazard(squawk=("require-concurrent-partition-detach",), when="warn", text="waits for every user of the parent",
           safe="DETACH PARTITION … CONCURRENTLY in an autocommit_block"),
    Hazard(name="foreign-key-without-index", when="warn", lock="row locks", blocks="deleters of the parent",
           text="each DELETE of a parent reads the whole child",
           safe="build an index on the columns first, concurrently"),
    Hazard(squawk=("ban-drop-function", "ban-drop-type", "ban-drop-domain", "ban-drop-sequence", "ban-drop-schema", "ban-drop-extension"),
           when="warn", lock="none", blocks="nobody", text="code that uses it fails; which may, a rehearsal shows",
           safe=CONTRACT),
    Hazard(squawk=("ban-drop-default", "ban-drop-generated-expression", "ban-alter-identity"), when="warn",
           text="is short; an INSERT that leaves the column out, or gives it, may fail", safe=CONTRACT),
    Hazard(squawk=("identifier-too-long",), when="warn", lock="none", blocks="nobody", text="is cut to 63 bytes",
           safe="a shorter name"),
    Hazard(name="json-column", when="warn", lock="none", blocks="nobody",
           text="SELECT DISTINCT and GROUP BY of all columns fail: json knows no equality", safe="jsonb"),
    Hazard(name="setting-of-connections", when="contract", lock="none", blocks="nobody", measured=LOSS,
           text="code that relies on what was fails at its next connection",
           safe="let the code set it on its own connections, or a role of its own; else the contract step: " + CONTRACT),
    Hazard(name="login-of-a-role", when="contract", lock="none", blocks="nobody",
           text="code that connects so cannot at its next connection",
           safe="make another role or password, release the code that uses it, and only then take the old one away; "
           "or the contract step: " + CONTRACT),
    Hazard(name="search-path", when="warn", lock="none", blocks="nobody",
           text="plain names may mean other things, or nothing, at the next connection; which, a rehearsal shows",
           safe="let the code name the schema first; then say in the revision which code it goes with"),
    Hazard(name="limit-lifted", when="warn", lock="none", blocks="nobody", measured=("limit-lifted",),
           text="takes away the limit for locks; it is set again, for another tool only as far as its driver lets us",
           safe="leave it to migrations.lock_timeout, or set a shorter one",
           rehearsed="takes away the limit for locks; it was set again"),
    Hazard(name="no-way-back", when="warn", lock="none", blocks="nobody",
           text="says neither how it is undone nor how it is repaired",
           safe="write its downgrade(), or in its file: # deploylib: repair: <what to do when it was wrong>"),
    Hazard(squawk=("ban-drop-constraint",), when="note", text="is short; a foreign key locks its parent too",
           safe="one constraint in a revision"),
    Hazard(squawk=("require-concurrent-index-deletion",), when="note", text="is short, once the lock is granted",
           safe=CONCURRENTLY),
    Hazard(name="rehearsal-failed", when="always", lock="none", blocks="nobody", measured=("rehearsal-failed",),
           text="fails on a copy of the data", safe="correct the revision"),
    Hazard(name="long-lock", when="always", lock="", measured=("long-lock",), text="is held too long",
           safe="short statements under the lock, long ones in a revision without it"),
    Hazard(name="rewrite", when="always", measured=("rewrite",), text="writes the whole table anew", safe=NEW_COLUMN),
    Hazard(name="emptied", when="always", measured=("emptied",), text="empties the table",
           safe="delete in batches, once no code reads it"),
    Hazard(name="work-under-lock", when="always", lock="", blocks="", measured=("work-under-lock",),
           text="reads the whole table while the lock is held",
           safe="NOT VALID first and VALIDATE in the next revision; indexes concurrently"),
    Hazard(name="bulk-change", when="always", lock="ROW EXCLUSIVE, and each row", blocks="writers of these rows",
           measured=("bulk-change",), text="changes many rows in one transaction",
           safe="batches of some thousand rows, each in a transaction of its own"),
    Hazard(name="contract-step", when="contract", measured=LOSS, text="code that relies on it fails", safe=CONTRACT),
    Hazard(name="several-tables", when="warn", measured=("several-tables",), text="several tables are locked together",
           safe="one table in a revision"),
)  # fmt: skip
BY_RULE = {rule: hazard for hazard in HAZARDS for rule in hazard.rules}
# As a rehearsal tells of them.
MEASURED = {
    rule: msgspec.structs.replace(hazard, text=hazard.rehearsed or hazard.text)
    for rule, hazard in BY_RULE.items()
    if rule in hazard.measured
}


def list_measured_by(rule: str) -> tuple[str, ...]:
    """List the other rules of which a rehearsal tells by this one."""
    return tuple(other for other, hazard in BY_RULE.items() if rule in hazard.measured and other != rule)
