"""What the linter says of a revision before it runs: levels, exceptions, and what it could not read."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from deploylib.errors import MigrationFailed
from deploylib.migrations import lint, lint_revisions, read_catalog, rehearsal
from deploylib.migrations.catalog import Catalog
from deploylib.migrations.hazards import BY_RULE, HAZARDS, MEASURED
from deploylib.migrations.observations import RehearsalReport, Rehearsed, Step
from deploylib.migrations.rules import apply_exceptions, require_harmless
from deploylib.migrations.squawk import widens
from deploylib.models import Revision, Secret, extras
from deploylib.models.findings import Examined, Verdict
from deploylib.settings import MigrationSettings
from deploylib.system import process
from tests.migrations.world import World
from tests.support.fakes import RecordingRunner

PEOPLE = Catalog(
    rows={"people": 2_000_000, "orders": 50_000, "public.orders": 50_000, "small": 300},
    types={"people.name": "character varying(50)"},
    indexes={"orders": (("id",), ("person_id", "id"))},
)
NOT_NULL = "ALTER TABLE people ALTER COLUMN name SET NOT NULL;\n"


def examined(sql: str, known: Catalog = PEOPLE, small: int = 10_000, **more: object) -> Examined:
    """One revision."""
    return lint_revisions([Revision(id="0007", sql=sql, **more)], known, runner=process.SYSTEM, small=small)  # type: ignore[arg-type]


def told(found: Examined) -> list[tuple[str, str]]:
    """Rule and level of each finding."""
    return [(one.rule, one.level) for one in found.findings]


def test_a_finding_tells_rule_revision_statement_lock_whom_it_blocks_and_the_safe_way() -> None:
    """And how large the table is that it was judged by."""
    found = examined(f"BEGIN;\n\n-- Running upgrade 0006 -> 0007\n\n{NOT_NULL}\nCOMMIT;\n", path="migrations/x.py")

    [finding] = found.findings
    assert (finding.tool, finding.rule, finding.level) == ("squawk", "adding-not-nullable-field", "refuse")
    assert finding.where == "0007: ALTER TABLE people ALTER COLUMN name SET NOT NULL"
    assert finding.text == (
        "reads the whole table; ACCESS EXCLUSIVE on people (about 2000000 rows) blocks readers and writers"
    )
    assert "NOT VALID" in finding.remedy
    assert finding.path == "migrations/x.py"
    assert found.verdict is Verdict.FINDINGS
    with pytest.raises(MigrationFailed, match="adding-not-nullable-field") as raised:
        require_harmless(found)
    assert "deploylib: allow <rule>: <reason>" in raised.value.remedy


@pytest.mark.parametrize(
    ("remark", "counts"),
    [
        ("# deploylib: allow adding-not-nullable-field: the site is closed on Sunday", True),
        ("-- deploylib: allow adding-not-nullable-field: the site is closed", True),
        ("# deploylib: allow adding-not-nullable-field:", False),
        ("# deploylib: allow adding-not-nullable-field", False),
        ("# deploylib: allow rewrite: another rule", False),
        ("# squawk-ignore adding-not-nullable-field", False),
    ],
)
def test_an_exception_counts_with_a_reason_only(remark: str, *, counts: bool) -> None:
    """It is told with its reason, in place of the finding."""
    found = examined(f"-- squawk-ignore adding-not-nullable-field\n{NOT_NULL}", remarks=(remark,))

    assert bool(found.accepted) is counts
    assert bool(found.findings) is not counts
    if counts:
        assert "allowed: the site is closed" in found.accepted[0]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (NOT_NULL, [("adding-not-nullable-field", "refuse")]),
        ("ALTER TABLE small ALTER COLUMN n SET NOT NULL;", [("adding-not-nullable-field", "note")]),
        ("CREATE TABLE made (n int);\nALTER TABLE made ALTER COLUMN n SET NOT NULL;", []),
        ("ALTER TABLE people RENAME TO made;\nALTER TABLE made ALTER COLUMN n SET NOT NULL;",
         [("renaming-table", "refuse"), ("adding-not-nullable-field", "refuse")]),
        ("ALTER TABLE people ALTER COLUMN name TYPE VARCHAR(80);", [("changing-column-type", "note")]),
        ("ALTER TABLE people ALTER COLUMN name TYPE VARCHAR(20);", [("changing-column-type", "refuse")]),
        ("ALTER TABLE small DROP COLUMN n;", [("ban-drop-column", "refuse")]),
        ("DROP INDEX orders_by_person;", [("require-concurrent-index-deletion", "note")]),
        ("CREATE INDEX i ON public.orders (amount);", [("require-concurrent-index-creation", "refuse")]),
        ("ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (person_id) REFERENCES people (id) NOT VALID;", []),
        ("ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (other) REFERENCES people (id) NOT VALID;",
         [("foreign-key-without-index", "warn")]),
        ("CREATE TABLE made (id int, p int, FOREIGN KEY(p) REFERENCES people (id));", [("foreign-key-without-index", "warn")]),
        ("CREATE TABLE made (id int, p int, FOREIGN KEY(p) REFERENCES people (id));\nCREATE INDEX i ON made (p, id);", []),
        ("CREATE INDEX CONCURRENTLY i ON people (name);", []),
        ("ALTER TABLE people ADD COLUMN x JSON;", [("json-column", "warn")]),
        ("ALTER TABLE people ADD COLUMN x JSONB;", []),
        ("DROP VIEW people;\nCREATE VIEW people AS SELECT 1;", [("ban-drop-view", "note")]),
        ("BEGIN;\nCREATE INDEX CONCURRENTLY i ON people (name);\nCOMMIT;",
         [("ban-concurrent-index-creation-in-transaction", "refuse")]),
    ],
)  # fmt: skip
def test_the_live_catalog_decides_what_matters(sql: str, expected: list[tuple[str, str]]) -> None:
    """Rows, types, indexes, and what the release itself makes."""
    assert told(examined(f"{sql}\n")) == expected


def test_a_contract_step_says_what_it_tolerates() -> None:
    """Then it is worth a note; the code that needs the column is gone by then."""
    assert told(examined("ALTER TABLE small DROP COLUMN n;\n", tolerates="0006")) == [("ban-drop-column", "note")]


def test_what_cannot_be_read_is_a_gap_and_not_clean() -> None:
    """A revision that looks at data, and a squawk that is not there."""
    assert examined("", rendered=False).verdict is Verdict.NOT_EXAMINED
    absent = lint_revisions([Revision(id="1", sql=NOT_NULL)], PEOPLE, runner=process.SYSTEM, squawk="/nowhere/squawk")
    assert [(gap.reason, gap.remedy) for gap in absent.gaps] == [
        ("squawk is not installed", extras.install_command("postgres"))
    ]


def test_a_configuration_in_the_commit_changes_nothing() -> None:
    """It is given one that is empty, in a folder that is empty."""
    runner = RecordingRunner(answers={"squawk": b"[]"})

    lint_revisions([Revision(id="1", sql=NOT_NULL)], PEOPLE, runner=runner)

    [command] = runner.commands
    assert command.args[1:3] == ["--config", "/dev/null"]
    assert command.cwd is not None
    assert Path(command.cwd) != Path.cwd()


def test_a_rule_that_is_not_known_yet_warns() -> None:
    """In squawk's own words."""
    runner = RecordingRunner(answers={"squawk": b'[{"rule_name": "ban-new", "line": 0, "message": "Something new."}]'})

    found = lint_revisions([Revision(id="1", sql=NOT_NULL)], PEOPLE, runner=runner)

    assert told(found) == [("ban-new", "warn")]
    assert found.findings[0].text.startswith("Something new.")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("character varying(50)", "VARCHAR(50)", True),
        ("character varying(50)", "VARCHAR(51)", True),
        ("character varying(50)", "VARCHAR(49)", False),
        ("character varying", "VARCHAR(49)", False),
        ("character varying(50)[]", "VARCHAR(60)[]", False),
        ("numeric(10,2)", "NUMERIC(12, 2)", True),
        ("numeric(10,2)", "NUMERIC(12, 3)", False),
        ("numeric", "NUMERIC(12, 3)", False),
        ("timestamp(3) with time zone", "TIMESTAMP WITH TIME ZONE", True),
        ("timestamp without time zone", "TIMESTAMP(3) WITH TIME ZONE", False),
        ("time without time zone", "TIME(3) WITHOUT TIME ZONE", False),
        ("bit varying(3)", "BIT VARYING(4)", True),
        ("integer", "BIGINT", False),
        ("cidr", "INET", True),
        ("", "TEXT", False),
    ],
)
def test_a_type_that_only_grows_touches_no_row(old: str, new: str, *, expected: bool) -> None:
    """In a session of UTC; else a timestamp that gains a zone is written anew."""
    assert widens(old, new, utc=True) is expected
    assert not widens("timestamp without time zone", "TIMESTAMP WITH TIME ZONE", utc=False)


def test_the_catalog_of_a_live_database(world: World) -> None:
    """Sizes also of partitions and of what was never analyzed; who proves what; what is volatile."""
    world.query("create table fresh as select n from generate_series(1, 20000) n")
    world.query("alter table people add constraint k check (age is not null)")

    found = read_catalog(world.url)

    assert (found.major, found.utc, found.size("small"), found.size("public.small")) == (
        int(os.environ.get("TEST_POSTGRES", "16")),
        True,
        300,
        300,
    )
    assert [(found.size(name) or 0) > 10_000 for name in ("events", "fresh", '"people"')] == [True, True, True]
    assert {"fresh", "public.fresh"} <= found.bounded  # its size alone is known
    assert found.bounded.isdisjoint({"people", "small"})
    assert found.size("absent") is None
    assert ("person_id",) in found.indexes["orders"]
    assert found.index_tables["people_name"] in {"people", "public.people"}
    assert found.proven == {"people.age", "public.people.age"}
    assert found.types["people.price"] == "numeric(10,2)"
    assert {"now", "timezone", "upper"} <= found.steady
    assert {"random", "clock_timestamp", "gen_random_uuid", "nextval"} & found.steady == set()


def test_a_failed_rehearsal_is_no_matter_of_what_is_meant() -> None:
    """Its file allows it where only the copy lacks something; a migration without a file allows nothing."""
    failed = RehearsalReport(revisions=(), failed="0007", error="null value in column", state="23502")

    def refusal(path: str) -> str:
        with pytest.raises(MigrationFailed) as raised:
            require_harmless(rehearsal.judge(failed, (Revision(id="0007", path=path),), MigrationSettings()))
        return raised.value.remedy

    assert refusal("") == "change the revision as said"
    assert refusal("migrations/x.sql") == (
        "change the revision as said; or, only where the database has what the copy lacks, in its file: "
        "-- deploylib: allow rehearsal-failed: <reason>"
    )


def test_a_size_that_bounds_the_rows_is_told_as_a_bound() -> None:
    """A page of three rows could hold two hundred."""
    known = Catalog(rows={"parcels": 204}, bounded=frozenset({"parcels"}))
    [finding] = examined("DROP TABLE parcels;\n", known).findings

    assert "parcels (at most about 204 rows)" in finding.text


def test_an_exception_holds_for_the_rehearsal_too() -> None:
    """The same words, for its rules."""
    step = Step(text="ALTER TABLE t …", seconds=0.1, rewritten=("t",), rows={"t": 50_000})
    report = RehearsalReport(revisions=(Rehearsed(id="1", statements=(step,)),))
    allowing = Revision(id="1", remarks=("# deploylib: allow rewrite: half a second, measured",))
    settings = World(Secret(""), Path()).config.settings.migrations

    linted = Revision(id="1", remarks=("# deploylib: allow changing-column-type: it is half a second",))

    assert [one.rule for one in rehearsal.judge(report, (Revision(id="1"),), settings).blocking] == ["rewrite"]
    assert rehearsal.judge(report, (allowing,), settings).verdict is Verdict.CLEAN
    assert rehearsal.judge(report, (linted,), settings).verdict is Verdict.CLEAN, "what the linter saw is seen again"


def test_every_rule_says_how_it_is_done_safely() -> None:
    """No rule without a way."""
    assert [hazard.rules for hazard in HAZARDS if not (hazard.safe and hazard.text)] == []
    assert apply_exceptions(Examined(name="x"), ()).verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("reversible", "remarks", "told_of"),
    [
        (None, (), []),
        (True, (), []),
        (False, (), [("no-way-back", "warn")]),
        (False, ("# deploylib: repair:",), [("no-way-back", "warn")]),
        (False, ("# deploylib: repair: add the column again, it is filled every night",), []),
        (False, ("-- deploylib: repair: from the backup before it",), []),
        (False, ("# deploylib: allow no-way-back: a new table",), []),
    ],
)
def test_a_revision_says_how_it_is_undone_or_repaired(
    *, reversible: bool | None, remarks: tuple[str, ...], told_of: list[tuple[str, str]]
) -> None:
    """A warning: with a backup at hand, nobody is stopped for it."""
    assert told(examined("SELECT 1;\n", reversible=reversible, remarks=remarks)) == told_of


@pytest.mark.parametrize(
    ("statement", "told_of"),
    [
        ("ALTER ROLE shop SET search_path = app, public", [("search-path", "warn")]),
        ('ALTER DATABASE "My shop" RESET search_path', [("search-path", "warn")]),
        (
            "ALTER USER shop IN DATABASE shop SET default_transaction_read_only TO 'on'",
            [("setting-of-connections", "refuse")],
        ),
        ("ALTER DATABASE shop SET session_replication_role = replica", [("setting-of-connections", "refuse")]),
        ("ALTER ROLE ALL SET row_security = off", [("setting-of-connections", "refuse")]),
        ("ALTER DATABASE shop SET default_transaction_read_only = off", []),
        ("ALTER ROLE shop SET work_mem = '8MB'", []),
    ],
)
def test_what_the_next_connections_begin_with_is_judged(statement: str, told_of: list[tuple[str, str]]) -> None:
    """Refused where no running code bears it; which plain names mean another thing, only a rehearsal knows."""
    assert told(examined(f"{statement};\n")) == told_of


@pytest.mark.parametrize(
    ("statement", "told_of"),
    [
        ("ALTER ROLE shop NOLOGIN", [("login-of-a-role", "refuse")]),
        ("ALTER USER \"My shop\" WITH LOGIN PASSWORD 'hunter2'", [("login-of-a-role", "refuse")]),
        ("ALTER ROLE shop VALID UNTIL '2001-01-01'", [("login-of-a-role", "refuse")]),
        ("ALTER ROLE shop CONNECTION LIMIT 0", [("login-of-a-role", "refuse")]),
        ("ALTER DATABASE shop ALLOW_CONNECTIONS false", [("login-of-a-role", "refuse")]),
        ("ALTER DATABASE shop WITH CONNECTION LIMIT 0", [("login-of-a-role", "refuse")]),
        ("ALTER ROLE shop CONNECTION LIMIT 50", []),
        ("ALTER ROLE shop VALID UNTIL 'infinity'", []),
        ("ALTER ROLE shop SET application_name = 'no password'", []),
        ("CREATE ROLE reader NOLOGIN; ALTER ROLE reader PASSWORD 'x'", []),
    ],
)
def test_code_that_cannot_connect_any_more_is_told(statement: str, told_of: list[tuple[str, str]]) -> None:
    """A rehearsal does not see it: its copy has the roles without their logins."""
    found = examined(f"{statement};\n")
    assert told(found) == told_of
    assert "hunter2" not in repr(found)


PROVOKING = """
ALTER TABLE people ADD COLUMN a int NOT NULL, ADD COLUMN b timestamp DEFAULT clock_timestamp(), ADD COLUMN c serial PRIMARY KEY;
ALTER TABLE people ALTER COLUMN name SET NOT NULL, ALTER COLUMN name TYPE text, ALTER COLUMN name DROP NOT NULL;
ALTER TABLE people ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES orders (id);
ALTER TABLE people ADD CONSTRAINT u UNIQUE (a);
ALTER TABLE people ADD CONSTRAINT k CHECK (a > 1);
ALTER TABLE people DROP CONSTRAINT k, DROP COLUMN a, ALTER b DROP DEFAULT, ALTER c DROP EXPRESSION;
ALTER TABLE people ALTER c ADD GENERATED ALWAYS AS IDENTITY;
ALTER TABLE people RENAME COLUMN a TO b;
ALTER TABLE people RENAME TO others;
ALTER TABLE people SET SCHEMA other;
ALTER TABLE events DETACH PARTITION events_a;
ALTER TYPE mood RENAME TO moods;
ALTER TYPE mood ADD VALUE 'x';
ALTER DOMAIN positive ADD CONSTRAINT k CHECK (value > 0);
CREATE DOMAIN d AS int CHECK (value > 0);
CREATE INDEX i ON people (a);
DROP INDEX i;
REINDEX TABLE people;
VACUUM FULL people;
DROP FUNCTION f(int);
DROP TYPE t;
DROP DOMAIN d;
DROP SCHEMA s;
DROP SEQUENCE q;
DROP EXTENSION e;
DROP DATABASE d;
DROP TABLE people;
DROP VIEW names;
TRUNCATE people CASCADE;
CREATE TABLE made (a char(5), b timestamp, c int PRIMARY KEY, d serial, e varchar(3), f smallint);
CREATE TABLE x_123456789_123456789_123456789_123456789_123456789_123456789_123456789 (a int);
BEGIN;
CREATE INDEX CONCURRENTLY i ON people (b);
BEGIN;
COMMIT;
BEGIN;
"""
# What squawk accepts as a name and never says under it, or only of its own comments.
SILENT = {"unused-ignore", "require-timeout-settings"}


def test_the_names_of_rules_are_those_that_squawk_says(tmp_path: Path) -> None:
    """Else a matter of style is taken for a hazard that nobody knows yet; old names are still taken, and never said."""
    file = tmp_path / "all.sql"
    file.write_text(PROVOKING)
    said = set()
    for major in (16, 19):
        args = [
            str(Path(sys.executable).parent / "squawk"),
            "--config",
            os.devnull,
            "--reporter",
            "json",
            f"--pg-version={major}.0",
            str(file),
        ]
        done = process.SYSTEM.run(process.Command(args, check=False))
        said |= {one["rule_name"] for one in json.loads(done.stdout)}

    known = (
        {rule for hazard in HAZARDS for rule in hazard.squawk}
        | lint.LEFT_OUT
        | set(lint.SAME)
        | set(lint.SAME.values())
    )
    assert said - known == set()
    assert known - said - SILENT == set()


def test_one_hazard_is_one_entry_that_linter_and_rehearsal_read() -> None:
    """No rule stands twice, each entry has a name, and what is measured is an entry itself."""
    rules = [rule for hazard in HAZARDS for rule in hazard.rules]

    assert len(rules) == len(set(rules)) == len(BY_RULE)
    assert [hazard for hazard in HAZARDS if bool(hazard.name) == bool(hazard.squawk)] == []
    assert {rule for hazard in HAZARDS for rule in hazard.measured} == set(MEASURED)
    assert {BY_RULE[rule].name for rule in MEASURED} == set(MEASURED)


def test_a_time_without_a_zone_is_nobody_s_concern() -> None:
    """It takes no lock that others notice; a rule that is not known claims none either."""
    assert told(examined("ALTER TABLE small ADD COLUMN x TIMESTAMP WITHOUT TIME ZONE;\n")) == []


@pytest.mark.parametrize(
    ("sql", "level"),
    [
        ("TYPE varchar(80) USING name::varchar(80)", "note"),
        ("TYPE text USING (name)::text", "note"),
        ('TYPE text USING cast("name" as text)', "note"),
        ("SET DATA TYPE text USING name", "note"),
        ("TYPE text USING name::varchar(10)", "refuse"),
        ("TYPE text USING other::text", "refuse"),
        ("TYPE text USING upper(name)", "refuse"),
        ("TYPE text USING name || ''", "refuse"),
        ("TYPE text USING (name) || (name)", "refuse"),
    ],
)
def test_a_cast_in_so_many_words_is_judged_like_the_type(sql: str, level: str) -> None:
    """Only a cast of the column itself; anything else is computed for each row."""
    assert told(examined(f"ALTER TABLE people ALTER COLUMN name {sql};\n")) == [("changing-column-type", level)]


@pytest.mark.parametrize(
    ("sql", "level"),
    [
        ("CREATE INDEX i ON ONLY people (name);", "note"),
        ("CREATE INDEX i ON people (name);", "refuse"),
        ("CREATE INDEX i ON ONLY orders (person_id);", "refuse"),
    ],
)
def test_an_index_of_a_parent_of_partitions_alone_is_an_empty_shell(sql: str, level: str) -> None:
    """Of a table that has rows of its own, ONLY leaves nothing out."""
    known = Catalog(rows=PEOPLE.rows, partitioned=frozenset({"people"}))
    assert told(examined(f"{sql}\n", known)) == [("require-concurrent-index-creation", level)]


def test_a_required_column_on_an_empty_table_says_which_code_gives_it() -> None:
    """Nothing fails there but the INSERT of code that does not know it."""
    empty = Catalog(rows={"small": 0})
    sql = "ALTER TABLE small ADD COLUMN x INTEGER NOT NULL;\n"

    assert told(examined(sql, empty)) == [("adding-required-field", "refuse")]
    assert told(examined(sql, empty, tolerates="0006")) == [("adding-required-field", "note")]
