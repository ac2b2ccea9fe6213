"""Reports of squawk, weighed against the live database: refuse, warn, note, nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from deploylib.migrations.alembic_child.sessions import BOOKKEEPING
from deploylib.migrations.catalog import Catalog, plain_name
from deploylib.migrations.hazards import BY_RULE, Hazard
from deploylib.migrations.rules import make_finding
from deploylib.models import Revision, Value
from deploylib.models.findings import Finding
from deploylib.models.units import count

__all__ = ["Judge", "Statement", "widens"]

IDENTIFIER = r'(?:"[^"]+"|[\w$]+)'
TABLE = rf"(?P<table>{IDENTIFIER}(?:\.{IDENTIFIER})?)"
FLAGS = re.IGNORECASE | re.DOTALL
ALTERED = rf"\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{TABLE}"
MADE = rf"\bCREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{TABLE}"
TARGETS = (
    ALTERED,
    rf"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s.*?\bON\s+(?:ONLY\s+)?{TABLE}",
    rf"\b(?:DROP\s+(?:TABLE|VIEW|MATERIALIZED\s+VIEW)|REINDEX\s+TABLE)\s+(?:IF\s+EXISTS\s+)?{TABLE}",
    rf"\bTRUNCATE\s+(?:TABLE\s+)?(?:ONLY\s+)?{TABLE}",
)
INDEX = rf"\b(?:DROP|REINDEX|ALTER)\s+INDEX\s+(?:IF\s+EXISTS\s+)?{TABLE}"
DOMAIN = rf"\bALTER\s+DOMAIN\s+{TABLE}"
INDEXED = (
    rf"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s[^;]*?\bON\s+(?:ONLY\s+)?{TABLE}\s*(?:USING\s+\w+\s*)?\((?P<columns>[^)]*)\)"
    r"(?!\s*WHERE)"
)
ALONE = r"\bON\s+ONLY\b|\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?ONLY\b"
KEYS = r"\b(?:PRIMARY\s+KEY|UNIQUE)\s*\((?P<columns>[^)]*)\)"
REFERS = rf"\bFOREIGN\s+KEY\s*\((?P<columns>[^)]*)\)\s*REFERENCES|\bADD\s+COLUMN\s+(?P<column>{IDENTIFIER})\s[^,;]*\bREFERENCES"
CHECKED = rf"CONSTRAINT\s+(?P<name>{IDENTIFIER})\s+CHECK\s*\(+\s*(?P<column>{IDENTIFIER})\s+IS\s+NOT\s+NULL"
# A literal other than nothing is some limit; whether it is a longer one, a rehearsal tells.
LIFTS = re.compile(
    r"\bSET\s+(?:SESSION\s+|LOCAL\s+)?(?:lock_timeout|statement_timeout)\s*(?:=|\bTO\b)\s*(?:'?\s*0+\s*(?:ms|s|min|h|d)?\s*'?(?![\w.])|DEFAULT\b)"
    r"|\bset_config\s*\(\s*'(?:lock_timeout|statement_timeout)'\s*,\s*(?!\s*'[^']*[1-9])[^)]*"
    r"|\bRESET\s+(?:ALL|lock_timeout|statement_timeout)\b|\bDISCARD\s+ALL\b",
    FLAGS,
)
# What a role's or a database's connections begin with, where running code would not bear another value.
BEGINS = re.compile(
    r"\bALTER\s+(?:ROLE|USER|DATABASE)\s+(?:\"[^\"]+\"|%?[\w$]+)\s+(?:IN\s+DATABASE\s+(?:\"[^\"]+\"|%?[\w$]+)\s+)?"
    r"(?:SET\s+(?P<name>\w+)\s*(?:=|\bTO\b|\bFROM\s+CURRENT\b)\s*(?P<value>[^;]*)|RESET\s+(?P<reset>\w+))",
    FLAGS,
)
OPEN = {"search_path", "role"}
HARMFUL = {
    "default_transaction_read_only": {"on", "true", "yes", "1", "t", "y"},
    "row_security": {"off", "false", "no", "0", "f", "n"},
    "session_replication_role": {"replica"},
}
LOGINS = re.compile(
    rf"(?P<shown>\bALTER\s+(?:ROLE|USER|DATABASE)\s+(?P<name>{IDENTIFIER})"
    r"(?:\s+(?!(?:IN|SET|RESET)\b)[^\s;]+)*?\s+(?:NOLOGIN\b|PASSWORD\b|VALID\s+UNTIL\b(?!\s*'infinity')"
    r"|CONNECTION\s+LIMIT\s+0\b|ALLOW_CONNECTIONS\s+(?:=\s*)?(?:false|off|0)\b))",
    FLAGS,
)
CHANGED = re.compile(r"\bTYPE\s+(?P<kind>.*?)(?:\s+USING\b(?P<using>.*))?$", FLAGS)
CASTS = (
    re.compile(rf"\(?\s*(?P<column>{IDENTIFIER})\s*\)?(?:\s*::\s*(?P<kind>[\w\s.(),\[\]]+))?", FLAGS),
    re.compile(rf"CAST\s*\(\s*(?P<column>{IDENTIFIER})\s+AS\s+(?P<kind>[\w\s.(),\[\]]+)\)", FLAGS),
)
# What looks like a call and is none of a function.
SYNTAX = {"array", "cast", "coalesce", "extract", "greatest", "least", "nullif", "numeric", "row", "varchar", "char"}
SPELLINGS = (
    (r"\bcharacter varying\b", "varchar"),
    (r"\bdecimal\b", "numeric"),
    (r"\btimestamp *(\(\d\))? *with time zone\b", r"timestamptz\1"),
    (r"\btimestamp *(\(\d\))? *without time zone\b", r"timestamp\1"),
    (r"\btime *(\(\d\))? *with time zone\b", r"timetz\1"),
    (r"\btime *(\(\d\))? *without time zone\b", r"time\1"),
    (r"\bbit varying\b", "varbit"),
)


class Statement(Value, frozen=True):
    """A statement of SQL, and what stands before it.

    Attributes:
        piece: what of it is spoken of.
        before: what of it stands before that.
    """

    text: str
    piece: str = ""
    before: str = ""

    @property
    def short(self) -> str:
        """The statement in one line."""
        words = " ".join(self.text.split())
        return words if len(words) < 121 else f"{words[:119]} …"


class Judge(msgspec.Struct, frozen=True):
    """Knows one revision and the database that it is meant for.

    Attributes:
        before: the SQL of the pending revisions below it.
        after: its own, and that of those above it.
        small: rows up to which work under a lock is no hazard.
    """

    revision: Revision
    catalog: Catalog
    before: str
    after: str
    small: int

    def weigh(self, rule: str, message: str, statement: Statement) -> Iterator[Finding]:
        """Tell what a report of squawk means here."""
        if BOOKKEEPING.match(statement.text):
            return
        if (hazard := BY_RULE.get(rule)) is None:
            page = "https://squawkhq.com/docs/rules"
            unknown = Hazard(when="warn", lock="none", blocks="nobody", text=message, safe=page, squawk=(rule,))
            yield make_finding("squawk", unknown, self.revision, statement.short)
            return
        if re.search(r"\bEXCLUDE\b", statement.piece, FLAGS):
            hazard = msgspec.structs.replace(hazard, text="builds an index", safe="there is no short way: a new table")
        table = self.table(statement)
        rows = self.rows(statement, table)
        level = self.level(rule, hazard, statement, table, rows)
        most = "at most " if plain_name(table) in self.catalog.bounded else ""
        about = "" if rows is None else f"{table} ({most}about {count(rows, 'row')})"
        if level:
            about, where = about or table, statement.short
            yield make_finding("squawk", hazard, self.revision, where, rule=rule, about=about, level=level)

    def level(self, rule: str, hazard: Hazard, statement: Statement, table: str, rows: int | None) -> str:
        """Tell how much it matters.

        Not at all for a table that is new.
        """
        if hazard.when in {"warn", "note"}:
            return hazard.when
        if hazard.when == "always":
            return "refuse"
        if not self.catalog.known and (table and self.is_made(table)):
            return ""
        if not self.catalog.known and hazard.when != "contract":
            return "warn"  # how large the table is decides, and nobody has looked
        if table and rows is None and self.catalog.known and not self.replain_name(table):
            return ""
        if hazard.when == "contract":
            inner = r"\bRENAME\s+CONSTRAINT\b|\bALTER\s+INDEX\b|\bALTER\s+SEQUENCE\b"
            again = (
                rf"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:MATERIALIZED\s+)?VIEW\s+{re.escape(table)}\b" if table else "(?!)"
            )
            made_again = rule == "ban-drop-view" and re.search(again, self.revision.sql, FLAGS)
            if self.revision.tolerates or made_again or re.search(inner, statement.text, FLAGS):
                return "note"
            return "refuse"
        if hazard.when == "rows":
            return "note" if rows == 0 and self.revision.tolerates else "refuse"
        quick = rows is not None and rows <= self.small
        return "note" if quick or self.catalog_only(rule, statement, table) else "refuse"

    def table(self, statement: Statement) -> str:
        """Find the table that it is about, as written; empty: not known."""
        for pattern in TARGETS:
            if match := re.search(pattern, statement.text, FLAGS):
                return match["table"]
        match = re.search(INDEX, statement.text, FLAGS)
        return self.catalog.index_tables.get(plain_name(match["table"]), "") if match else ""

    def rows(self, statement: Statement, table: str) -> int | None:
        """Tell about how many rows it touches.

        A domain has those of the largest table that uses it.
        """
        if domain := re.search(DOMAIN, statement.text, FLAGS):
            names = {plain_name(domain["table"]), f"{plain_name(domain['table'])}[]"}
            users = (name.rpartition(".")[0] for name, kind in self.catalog.types.items() if kind in names)
            return max((self.catalog.size(user) or 0 for user in users), default=0)
        return self.catalog.size(table) if table else None

    def is_made(self, table: str) -> bool:
        """Tell whether a pending revision makes the table."""
        tables = (match["table"] for match in re.finditer(MADE, self.before + self.revision.sql, FLAGS))
        return plain_name(table) in {plain_name(name) for name in tables}

    def replain_name(self, table: str) -> bool:
        """Tell whether a pending revision names an existing table so."""
        new = re.findall(rf"\bRENAME\s+TO\s+({IDENTIFIER})", self.before + self.after, FLAGS)
        return plain_name(table).rpartition(".")[2] in {plain_name(name) for name in new}

    def catalog_only(self, rule: str, statement: Statement, table: str) -> bool:
        """Tell whether it is short whatever the size.

        Only the catalog can tell.
        """
        piece = statement.piece
        if rule == "changing-column-type":
            return self.type_stays(table, statement)
        if rule == "adding-field-with-default":
            calls = {name.lower() for name in re.findall(r"([\w$]+)\s*\(", piece)}
            return not piece.upper().startswith("GENERATED") and calls <= self.catalog.steady | SYNTAX
        if rule == "adding-foreign-key-constraint":
            inline = re.search(r"\bADD\s+COLUMN\b(?P<rest>.*)$", statement.before, FLAGS)
            return bool(inline) and "DEFAULT" not in statement.text.upper()
        if rule in {"require-concurrent-index-creation", "disallowed-unique-constraint"}:
            # Of a parent of partitions: its index is an empty shell, to which those of the partitions are attached.
            return plain_name(table) in self.catalog.partitioned and bool(re.search(ALONE, statement.text, FLAGS))
        if rule == "adding-not-nullable-field":
            column = re.search(rf"({IDENTIFIER})\s+$", statement.before)
            return column is not None and self.proven(table, plain_name(column[1]))
        if rule == "constraint-missing-not-valid":  # from Postgres 18 on: nothing is read, whatever it says
            return bool(re.search(r"\bNOT\s+ENFORCED\b", piece, FLAGS))
        return rule == "ban-alter-domain-with-add-constraint" and "NOT VALID" in statement.text.upper()

    def type_stays(self, table: str, statement: Statement) -> bool:
        """Tell whether every value fits the new type as it lies.

        Also where the column is cast to it in so many words.
        """
        column = re.search(rf"({IDENTIFIER})\s+(?:SET\s+DATA\s+)?$", statement.before)
        kind = CHANGED.search(statement.piece)
        if not column or not kind or re.search(r"\bCOLLATE\b", statement.text, FLAGS):
            return False
        through = _cast(kind["using"] or column[1], plain_name(column[1]))
        old = self.catalog.types.get(f"{plain_name(table)}.{plain_name(column[1])}", "")
        types = [old, *([through] if through else []), kind["kind"]]
        return through is not None and all(widens(one, new, utc=self.catalog.utc) for one, new in pairwise(types))

    def proven(self, table: str, column: str) -> bool:
        """Tell whether a valid CHECK says "never NULL" of the column."""
        if f"{plain_name(table)}.{column}" in self.catalog.proven:
            return True
        checks = {
            plain_name(match["name"])
            for match in re.finditer(CHECKED, self.before, FLAGS)
            if plain_name(match["column"]) == column
        }
        validated = re.findall(rf"\bVALIDATE\s+CONSTRAINT\s+({IDENTIFIER})", self.before, FLAGS)
        return bool(checks & {plain_name(name) for name in validated})

    def read_sql(self) -> Iterator[Finding]:
        """Find what squawk does not see.

        Columns of json, foreign keys without an index on the child, limits that are lifted, settings of connections.
        """
        yield from self._settings()
        yield from self._logins()
        for match in LIFTS.finditer(self.revision.sql):
            yield self._found("limit-lifted", Statement(text=match[0]).short)
        for match in re.finditer(rf"\bADD\s+(?:COLUMN\s+)?{IDENTIFIER}\s+JSON\b", self.revision.sql, FLAGS):
            yield self._found("json-column", match[0])
        every = self.before + self.after
        for text in re.split(r";\s*(?:\n|$)", self.revision.sql):
            target = re.search(f"{ALTERED}|{MADE.replace('?P<table>', '?P<made>')}", text, FLAGS)
            if not target:
                continue
            table = plain_name(target["table"] or target["made"])
            has = list(self.catalog.indexes.get(table, ()))
            has += [
                _columns(match["columns"])
                for match in re.finditer(INDEXED, every, FLAGS)
                if plain_name(match["table"]) == table
            ]
            has += [_columns(one["columns"]) for one in re.finditer(KEYS, text, FLAGS)]
            for match in re.finditer(REFERS, text, FLAGS):
                wanted = _columns(match["columns"] or match["column"])
                if not any(set(index[: len(wanted)]) == set(wanted) for index in has):
                    about = f"{table} ({', '.join(wanted)})"
                    yield self._found("foreign-key-without-index", Statement(text=text.strip()).short, about=about)

    def _settings(self) -> Iterator[Finding]:
        """Find settings that the next connections begin with.

        Refused where no code bears them, else a rehearsal tells.
        """
        for match in BEGINS.finditer(self.revision.sql):
            where = Statement(text=match[0].strip()).short
            if _harmful(match):
                level = "note" if self.revision.tolerates else "refuse"
                yield self._found("setting-of-connections", where, level=level)
            elif (match["name"] or "").lower() in OPEN or (match["reset"] or "").lower() in {"all", *OPEN, *HARMFUL}:
                yield self._found("search-path", where)

    def _logins(self) -> Iterator[Finding]:
        """Find what code cannot connect with any more.

        No rehearsal sees it, whose copy has the roles without their logins. A password is not shown.
        """
        for match in LOGINS.finditer(self.revision.sql):
            if not re.search(
                rf"\bCREATE\s+(?:ROLE|USER)\s+{re.escape(match['name'])}(?![\w$])", self.revision.sql, FLAGS
            ):
                level = "note" if self.revision.tolerates else "refuse"
                yield self._found("login-of-a-role", " ".join(match["shown"].split()), level=level)

    def _found(self, rule: str, where: str, *, about: str = "", level: str = "") -> Finding:
        return make_finding("deploylib", BY_RULE[rule], self.revision, where, about=about, level=level)


def _harmful(match: re.Match[str]) -> bool:
    value = (match["value"] or "").strip().strip("'").lower()
    return value in HARMFUL.get(match["name"].lower(), ()) if match["name"] else False


def widens(old: str, new: str, *, utc: bool) -> bool:
    """Tell whether every value of the old type fits the new one.

    As it lies there: then no row is touched.
    """
    (kind, size), (wanted, limit) = _type(old), _type(new)
    if not kind:
        return False
    if {kind, wanted} == {"timestamp", "timestamptz"} and not utc:
        return False
    if kind in {"timestamp", "timestamptz", "time", "timetz", "interval"}:
        same = kind == wanted or {kind, wanted} == {"timestamp", "timestamptz"}
        return same and (limit or (6,)) >= (size or (6,))
    if kind == "numeric" == wanted:
        return not limit or (bool(size) and limit[0] >= size[0] and (*limit, 0)[1] == (*size, 0)[1])
    if kind in {"varchar", "text"} and wanted in {"varchar", "text"}:
        return not limit or (bool(size) and limit >= size)
    if kind == "varbit" == wanted:
        return not limit or (bool(size) and limit >= size)
    return (kind, size) == (wanted, limit) or (kind, wanted) == ("cidr", "inet")


def _cast(text: str, column: str) -> str | None:
    """Read the type that an expression casts a column to.

    Empty: it is the column itself; None: it is something else.
    """
    plain = text.strip()
    while plain.startswith("(") and plain.endswith(")"):
        plain = plain[1:-1].strip()
    for pattern in CASTS:
        match = pattern.fullmatch(plain)
        if match and plain_name(match["column"]) == column:
            return match["kind"] or ""
    return None


def _type(text: str) -> tuple[str, tuple[int, ...]]:
    """Split a type from its limits."""
    plain = " ".join(text.lower().split())
    for words, short in SPELLINGS:
        plain = re.sub(words, short, plain)
    match = re.fullmatch(r"([\w. \[\]]+?) ?(?:\(([\d, ]+)\))?", plain)
    if not match:
        return "", ()
    return match[1], tuple(int(number) for number in (match[2] or "").split(",") if number.strip())


def _columns(text: str) -> tuple[str, ...]:
    return tuple(plain_name(part.split()[0]) if part.split() else "" for part in text.split(","))
