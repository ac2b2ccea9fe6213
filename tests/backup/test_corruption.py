"""Every way in which a backup can be bad is found out, by name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploylib.backups import repository
from deploylib.errors import BackupFailed
from deploylib.models import Backup
from deploylib.store.folder import Folder
from tests.support.servers import Base, Servers, copied

BOOK = """
create table entries (id serial primary key, text text not null);
insert into entries (text) select md5(n::text) from generate_series(1, 60000) n;
create table moods (id int primary key, name text);
insert into moods values (1, 'sad'), (2, 'glad'), (3, 'mad');
create index names on moods (name);
create view glad as select * from moods where name = 'glad';
create function twice(n int) returns int language sql immutable as 'select n * 2';
select lo_from_bytea(4711, 'an object');
"""


@pytest.fixture(scope="module")
def base(servers: Servers) -> Base:
    """A database that stays as it is."""
    base = servers.fresh(16)
    base.run(BOOK)
    return base


@pytest.fixture(scope="module")
def original(base: Base, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Backup]:
    """A good backup of it of more than a piece."""
    store = Folder(tmp_path_factory.mktemp("original"))
    made = base.back_up(store)
    assert made.size > 1 << 20
    return store, made


@pytest.fixture
def bad(original: tuple[Folder, Backup], tmp_path: Path) -> tuple[Folder, Backup]:
    """A copy of it to damage."""
    return copied(original[0], tmp_path / "bad"), original[1]


def truncated(dump: bytearray) -> None:
    """The end is missing."""
    del dump[-100:]


def halved(dump: bytearray) -> None:
    """Half of it is missing."""
    del dump[len(dump) // 2 :]


def emptied(dump: bytearray) -> None:
    """Nothing is left."""
    dump.clear()


def without_a_part(dump: bytearray) -> None:
    """A piece from the middle is missing, as a lost part of an upload."""
    del dump[len(dump) // 3 : len(dump) // 2]


def longer(dump: bytearray) -> None:
    """Something was added."""
    dump.extend(b"x")


def flipped_at(share: float) -> Callable[[bytearray], None]:
    """One bit is different."""

    def flip(dump: bytearray) -> None:
        dump[int((len(dump) - 1) * share)] ^= 1

    return flip


DAMAGE = {
    "truncated": (truncated, "its manifest says"),
    "halved": (halved, "its manifest says"),
    "emptied": (emptied, "its manifest says"),
    "without a part": (without_a_part, "its manifest says"),
    "longer": (longer, "its manifest says"),
    **{f"flipped at {share}": (flipped_at(share), "the checksum is wrong") for share in (0, 0.001, 0.3, 0.7, 0.999, 1)},
}


def sampled(cases: Iterable[str]) -> list[Any]:
    """Each third of them in the ordinary suite; ``nox -s load`` tries the others."""
    return [pytest.param(one, marks=pytest.mark.load if number % 3 else ()) for number, one in enumerate(cases)]


@pytest.mark.parametrize("damage", sampled(DAMAGE))
def test_a_damaged_dump_is_never_restored(
    servers: Servers, base: Base, bad: tuple[Folder, Backup], damage: str
) -> None:
    """Neither as a proof nor for a person, and the proof that is recorded stays the old one."""
    (store, made), (change, said) = bad, DAMAGE[damage]
    path = store.root / made.key
    dump = bytearray(path.read_bytes())
    change(dump)
    path.write_bytes(dump)

    with pytest.raises(BackupFailed, match=said):
        base.prove(made, store)
    with pytest.raises(BackupFailed, match=said):
        servers.fresh(16).restore(made, store)

    assert not [key for key in store.list("") if key.endswith("restored.json")]


@pytest.mark.parametrize("unproven", [False, True], ids=["beside first", "at once"])
def test_a_full_database_is_not_emptied_for_a_damaged_dump(
    servers: Servers, bad: tuple[Folder, Backup], *, unproven: bool
) -> None:
    """Also when somebody insists: the transaction that empties it has no end without the dump's last byte."""
    store, made = bad
    path = store.root / made.key
    path.write_bytes(path.read_bytes()[:-1])
    target = servers.fresh(16)
    target.run("create table precious as select 1 as id")

    with pytest.raises(BackupFailed, match="its manifest says"):
        target.restore(made, store, into="unproven" if unproven else "emptied")

    assert target.one("select id from precious") == 1
    assert target.one("select count(*) from pg_database where datname ~ '^proof'") == 0


def test_a_missing_dump_is_named(base: Base, bad: tuple[Folder, Backup]) -> None:
    """The manifest alone promises nothing."""
    store, made = bad
    (store.root / made.key).unlink()

    with pytest.raises(BackupFailed, match=f"the dump of backup {made.id} is not in the store"):
        base.prove(made, store)


def test_the_dump_of_another_backup_is_no_substitute(base: Base, bad: tuple[Folder, Backup], tmp_path: Path) -> None:
    """Of the same database, a moment later."""
    store, made = bad
    other = base.back_up(Folder(tmp_path / "other"), run="other", proof="decoded")
    (store.root / made.key).write_bytes((tmp_path / "other" / other.key).read_bytes())

    with pytest.raises(BackupFailed, match=r"its manifest says|the checksum is wrong"):
        base.prove(made, store)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("contents", "tables", 1, "rows"), 2, r"table public\.moods: 3 rows, the backup has 2"),
        (("contents", "tables", 1, "hash"), "1", r"table public\.moods: 3 rows in both, with other contents"),
        (("contents", "tables", 1, "name"), "public.ghosts", r"table public\.ghosts is missing"),
        (("contents", "sequences", 0, "last"), 60001, r"sequence public\.entries_id_seq: at 60000 \(given out\)"),
        (("contents", "objects", "hash"), "1", "large objects: other bytes"),
        (("contents", "extensions", "plpgsql"), None, ""),
        (("contents", "schema", "view public.glad"), "0", r"view public\.glad is defined otherwise"),
        (("contents", "unvalidated"), ["c on t"], "constraint c on t: is validated, in the backup not"),
        (("sha256",), "0" * 64, "the checksum is wrong"),
        (("size",), 3, "its manifest says 3"),
        (("key",), "backups/test/other/dump", "the manifest beside backup .* is that of"),
        (("contents",), None, "does not say what it holds"),
    ],
)
def test_a_wrong_manifest_is_found_out(
    base: Base, bad: tuple[Folder, Backup], path: tuple[Any, ...], value: object, said: str
) -> None:
    """Whatever it claims that the dump does not hold."""
    store, made = bad
    file = store.root / made.key.replace("/dump", "/manifest.json")
    inside = everything = json.loads(file.read_text())
    for step in path[:-1]:
        inside = inside[step]
    if value is None:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    if path[-1] == "last":
        inside["until"] = value
    file.write_text(json.dumps(everything))

    if said:
        with pytest.raises(BackupFailed, match=said):
            base.prove(made, store)
    else:
        assert base.prove(made, store).proof == "restored"  # more than it claims is told by the definitions


TAMPERED = {
    "update moods set name = 'good' where id = 2": r"table public\.moods: 3 rows in both, with other contents",
    "delete from entries where id > 30000": r"table public\.entries: 30000 rows, the backup has 60000",
    "insert into moods values (4, 'new')": r"table public\.moods: 4 rows, the backup has 3",
    "update entries set text = text || ' ' where id = 59999": r"table public\.entries: 60000 rows in both",
    "drop view glad": r"view public\.glad is missing",
    "drop index names": r"index public\.names is missing",
    "create index more on moods (id, name)": r"index public\.more is not in the backup",
    "alter table moods drop constraint moods_pkey": r"constraint public\.moods moods_pkey is missing",
    "alter table moods alter name set default 'x'": r"table public\.moods is defined otherwise",
    "create or replace function twice(n int) returns int language sql immutable as 'select n * 3'": (
        r"function public\.twice\(integer\) is defined otherwise"
    ),
    "select setval('entries_id_seq', 59999)": r"sequence public\.entries_id_seq: at 59999 \(given out\)",
    "select setval('entries_id_seq', 60000, false)": r"at 60000 \(not given out\), the backup has 60000 \(given out\)",
    "select lo_unlink(4711)": "large objects: 0 large objects of 0 bytes, the backup has 1 large object of 9 bytes",
    "select lo_put(4711, 0, 'AN')": "large objects: other bytes",
    "drop table moods cascade": r"table public\.moods is missing",
    "create table extra (id int)": r"table public\.extra is not in the backup",
    "alter table moods add constraint later check (id > 0) not valid": (
        r"constraint later on public\.moods: is not validated, in the backup it is"
    ),
}


@pytest.mark.parametrize("change", sampled(TAMPERED))
def test_a_dump_of_something_else_is_found_out_by_name(
    servers: Servers, bad: tuple[Folder, Backup], tmp_path: Path, change: str
) -> None:
    """A whole dump with the right checksum, that restores without an error, of a database with one difference."""
    store, made = bad
    other = servers.fresh(16)
    other.run(BOOK, change)
    wrong = other.back_up(Folder(tmp_path / "other"), proof="checksum")
    dump = (tmp_path / "other" / wrong.key).read_bytes()
    (store.root / made.key).write_bytes(dump)
    file = store.root / made.key.replace("/dump", "/manifest.json")
    claimed = json.loads(file.read_text()) | {"size": len(dump), "sha256": hashlib.sha256(dump).hexdigest()}
    file.write_text(json.dumps(claimed))

    with pytest.raises(BackupFailed) as raised:
        other.prove(made, store)

    wanted = TAMPERED[change]
    assert any(re.search(wanted, line) for line in raised.value.details), raised.value.details


def test_a_store_that_damages_what_it_is_given_gets_no_backup(base: Base, tmp_path: Path) -> None:
    """It is found out while the backup is made: nothing is left that could be taken for one."""

    class Rotten(Folder):
        def read(self, key: str) -> Iterator[bytes]:
            """One bit is different at the end."""
            pieces = [*super().read(key)]
            yield from pieces[:-1]
            yield pieces[-1][:-1] + bytes([pieces[-1][-1] ^ 1])

    store = Rotten(tmp_path)

    for wanted in ("restored", "decoded", "checksum"):
        with pytest.raises(BackupFailed, match="the checksum is wrong"):
            base.back_up(store, proof=wanted)
    assert list(store.list("")) == []


def test_a_database_that_is_not_empty_is_refused(servers: Servers, bad: tuple[Folder, Backup]) -> None:
    """By the name of what is in it; who insists gets a copy of the backup and nothing else."""
    store, made = bad
    target = servers.fresh(16)
    for statement, name in {
        "create table t (id int)": "public.t",
        "drop table t; create schema s": "the schema s",
        "drop schema s; create function f() returns int language sql as 'select 1'": "f()",
        "drop function f(); create type mood as enum ('sad')": "the type mood",
        "drop type mood; select lo_from_bytea(12, 'x')": "the large object 12",
        "create table alembic_version (id int); create schema s; create table s.t (id int)": "alembic_version",
    }.items():
        target.run(statement)
        with pytest.raises(Exception, match="the database is not empty") as raised:
            target.restore(made, store)
        assert name in str(raised.value)

    assert target.restore(made, store, into="emptied").notes == ()
    assert repository.read_manifest(made, store=store).contents.objects.number == target.one(
        "select count(*) from pg_largeobject_metadata"
    )
    assert repository.latest(store, "test") == made
