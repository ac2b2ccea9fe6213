"""What two databases are compared by."""

from __future__ import annotations

import msgspec
import pytest

from deploylib.backups.fingerprint import Contents, Counter, Objects, Table, definitions, differences, remarks

SCHEMA = r"""--
-- PostgreSQL database dump
--

\restrict {key}

-- Dumped from database version {version}

SET statement_timeout = 0;

--
-- Name: mood; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.mood AS ENUM (
    'sad'
);


SET default_table_access_method = heap;

--
-- Name: Großer Name; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."Großer Name" (
    id integer{more}
);


--
-- PostgreSQL database dump complete
--

\unrestrict {key}

"""


def schema(key: str = "abc", version: str = "16.1", more: str = "") -> dict[str, str]:
    """The definitions in the text of a pg_dump."""
    return definitions(SCHEMA.replace("{key}", key).replace("{version}", version).replace("{more}", more))


def test_definitions_have_names_and_no_random_key() -> None:
    """Two dumps of the same database are the same, whatever key and version they carry."""
    assert ["type public.mood", "table public.Großer Name"] == [*schema()]
    assert schema() == schema("xyz", "16.9")
    assert definitions("") == {}
    other = schema(more=" NOT NULL")
    assert (True, False) == tuple(schema()[name] == other[name] for name in other)


def counter(last: int, until: int | None = None, *, called: bool = True, until_called: bool = True) -> Counter:
    """A sequence."""
    until = last if until is None else until
    return Counter(name="s", last=last, called=called, until=until, until_called=until_called)


@pytest.mark.parametrize(
    ("before_and_after", "dumped", "admitted"),
    [
        (counter(5), counter(5), True),
        (counter(5), counter(4), False),
        (counter(5), counter(6), False),
        (counter(5), counter(5, called=False), False),
        (counter(1, called=False, until_called=False), counter(1, called=False), True),
        (counter(1, called=False, until_called=True), counter(1, called=False), True),
        (counter(1, called=False, until_called=True), counter(1), True),
        (counter(5, 9), counter(5), True),
        (counter(5, 9), counter(7), True),
        (counter(5, 9), counter(9), True),
        (counter(5, 9), counter(10), False),
        (counter(5, 9), counter(4), False),
        (counter(-5, -9), counter(-7), True),
        (counter(-5, -9), counter(-4), False),
    ],
)
def test_a_sequence_may_move_between_its_two_readings(
    before_and_after: Counter, dumped: Counter, *, admitted: bool
) -> None:
    """Sequences obey no snapshot: the dump read it in between, forwards or backwards."""
    assert admitted == before_and_after.admits(dumped)


FULL = Contents(
    tables=(
        Table(name="public.a", rows=3, hash="1", how="record"),
        Table(name="public.v", rows=2, hash="2", how="record", derived=True),
    ),
    sequences=(counter(5),),
    objects=Objects(number=1, size=3, hash="7"),
    extensions={"plpgsql": "1.0"},
    schema={"table public.a": "x"},
    schema_by="16.1",
    unvalidated=("c on a",),
)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, ()),
        ({"tables": ()}, ("table public.a is missing", "table public.v is missing")),
        ({"sequences": ()}, ("sequence s is missing",)),
        ({"sequences": (counter(6),)}, ("sequence s: at 6 (given out), the backup has 5 (given out)",)),
        ({"objects": Objects(number=1, size=3, hash="8")}, ("large objects: other bytes",)),
        (
            {"objects": Objects()},
            ("large objects: 0 large objects of 0 bytes, the backup has 1 large object of 3 bytes",),
        ),
        ({"extensions": {}}, ("extension plpgsql is missing",)),
        ({"extensions": {"plpgsql": "1.1", "more": "1"}}, ()),
        ({"schema": {}}, ()),
        ({"schema": {"table public.a": "y"}}, ("table public.a is defined otherwise",)),
        ({"schema": {"table public.a": "y"}, "schema_by": "16.2"}, ()),
        ({"schema": {"table public.b": "x"}}, ("table public.a is missing", "table public.b is not in the backup")),
        ({"invalid": ("i",)}, ("index i is not valid",)),
        ({"unvalidated": ()}, ("constraint c on a: is validated, in the backup not",)),
        ({"unvalidated": ("c on a", "d")}, ("constraint d: is not validated, in the backup it is",)),
    ],
)
def test_a_difference_is_told_by_name(other: dict[str, object], said: tuple[str, ...]) -> None:
    """What is missing, what is more, and what is otherwise."""
    assert said == differences(FULL, msgspec.structs.replace(FULL, **other))


def test_many_differences_are_not_all_told() -> None:
    """The first twenty, and how many more."""
    many = Contents(tables=tuple(Table(name=f"t{n}", rows=1) for n in range(25)))

    said = differences(many, Contents())

    assert (21, "and 5 more") == (len(said), said[-1])


def test_what_is_no_fault_of_a_backup_is_remarked() -> None:
    """What a dump does not hold by its nature."""
    backed = Contents(
        tables=(Table(name="v", rows=2, derived=True),),
        invalid=("i",),
        extensions={"e": "1", "same": "2"},
        schema={"a": "x"},
        schema_by="16.1",
    )
    found = Contents(
        tables=(Table(name="v", rows=3, derived=True),), extensions={"e": "1.1", "same": "2"}, schema_by="16.2"
    )

    assert differences(backed, found) == ()
    assert remarks(backed, found) == (
        "materialized view v was not fresh: a restore fills it anew",
        "index i was not valid, and is not in the dump",
        "extension e was 1, a restore gave 1.1",
        "definitions were not compared: pg_dump was 16.1, is 16.2",
        "rows were counted, not hashed",
    )


def test_the_order_of_a_policy_s_roles_is_nobody_s_wish() -> None:
    """pg_dump writes them as it finds them; who is named counts all the same."""
    head = "--\n-- Name: t p; Type: POLICY; Schema: public; Owner: o\n--\n\n"

    def told(roles: str, using: str = "(n > 1)") -> dict[str, str]:
        return definitions(f"{head}CREATE POLICY p ON public.t FOR SELECT TO {roles} USING ({using});\n")

    assert told('plain, "the app"') == told('"the app", plain')
    assert told("plain") != told('plain, "the app"')
    assert told("a, b", "x = 'TO c, d'") != told("a, b", "x = 'TO d, c'")
