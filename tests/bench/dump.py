"""What a backup costs, against what one would use instead: part of ``nox -s bench``; its name is ``backup``.

A database of 1.5 GB or more, dumped into a real S3 server: ours with its checksum, against ``pg_dump -Fc`` piped to boto3's
own uploader. COPY alone is the floor; the exact hashes are told by themselves. It tells ratios, and fails only when a
backup does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import psycopg

from deploylib.backups import Edges, create, restore, scratch_server, snapshot
from deploylib.models import Secret
from deploylib.models.database import BackupOrder
from deploylib.postgres import binaries
from deploylib.postgres import connection as postgres_connection
from deploylib.store.s3 import Bucket
from deploylib.system import process
from tests.support.seaweed import s3_server

MAJOR, LEAST = 16, 1_500_000_000
WORDS = "array['paging','backend','mood','guest','lorem','ipsum','dolor','order','ledger','release','commit','lease']"
DATA = (
    (
        "create table accounts as select n as id, n % 100 as branch, (random() * 1e6)::int as balance, "
        "repeat(' ', 84) as filler from generate_series(1, 5000000) n"
    ),
    "alter table accounts add primary key (id)",
    (
        "create table events as select n as id, now() - n * interval '1 second' as at, jsonb_build_object('kind', "  # noqa: S608
        f"({WORDS})[1 + n % 12], 'user', n % 5000, 'id', md5(n::text)) as body from generate_series(1, 1700000) n"
    ),
    "alter table events add primary key (id)",
    "create index on events using gin (body jsonb_path_ops)",
    (
        f"create table articles as select n as id, (select string_agg(({WORDS})[(1 + (n * k * 7919 + k) % 12)::int] || "  # noqa: S608
        "substr(md5((n * k)::text), 1, 2), ' ') from generate_series(1, 90) k) as body from generate_series(1, 800000::bigint) n"
    ),
    "alter table articles add primary key (id)",
    "create index on articles (left(body, 20))",
)
TABLES = ("accounts", "events", "articles")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    began = time.monotonic()
    made = work()
    return time.monotonic() - began, made


def high_water() -> float:
    """Megabytes that this process has used at most, without the programs that it started."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def main() -> int:
    """Measure, and tell."""
    client = binaries.client_for(MAJOR, "", runner=process.SYSTEM)
    served = binaries.server_for(MAJOR, client, runner=process.SYSTEM)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        scratch_server.server(served, runner=process.SYSTEM) as server,
    ):
        url = _filled(server)
        with s3_server(Path(folder)) as variables:
            os.environ |= variables
            _measured(url, server, client, Path(folder))
    return 0


def _filled(server: Secret) -> Secret:
    with psycopg.connect(server.reveal(), autocommit=True) as connection:
        connection.execute("create database big")
    url = postgres_connection.alter_url(server, dbname="big")
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        for statement in DATA:
            connection.execute(statement.encode())
        connection.execute("analyze")
    assert postgres_connection.facts(url).size >= LEAST
    return url


def _measured(url: Secret, server: Secret, client: binaries.Programs, folder: Path) -> None:
    facts, hidden = postgres_connection.facts(url), postgres_connection.child_environment(url)
    _tell("database", f"{facts.size / 1e9:.2f} GB, Postgres {facts.version}, pg_dump {client.version}")
    floor, _ = timed(lambda: _copied(url))
    _tell("COPY of every table, thrown away", f"{floor:.1f} s")
    s3 = _client()

    def ours() -> Any:
        order = BackupOrder("bench", "r", "c" * 40, facts=facts, proof="checksum", hashes_below=0)
        return create(url, Edges(Bucket("s3://deploys/ours"), client), order)

    before = high_water()
    _, made = timed(ours)
    memory = high_water()
    plain, size = timed(lambda: _as_one_would(s3, client, hidden))
    _tell("pg_dump -Fc to boto3's uploader", f"{plain:.1f} s, {size / 1e6:.0f} MB")
    _tell("ours, with checksum", f"{made.dump_seconds:.1f} s, {made.size / 1e6:.0f} MB, {made.format}")
    _tell("times less wall time", f"{plain / made.dump_seconds:.2f} (wanted: 2.5), size {made.size / size:.2f}")
    _tell("of the floor", f"{made.dump_seconds / floor:.2f}")
    _tell("memory of our process at most", f"{memory:.0f} MB ({before:.0f} before; wanted: below 150)")
    with snapshot.take_snapshot(url) as seen:
        hashing, _ = timed(lambda: seen.look(hashes=True))
    _tell("exact hashes of it all", f"{hashing:.1f} s")
    whole, proven = timed(lambda: _proven(url, client))
    _tell("dump, hashes, restore and comparison", f"{whole:.1f} s, proof: {proven.proof}")
    fresh = _fresh(server, "again")
    into, _ = timed(lambda: restore(fresh, made, Edges(Bucket("s3://deploys/ours"), client)))
    other = _fresh(server, "other")
    s3.download_file("deploys", "plain/dump", str(folder / "plain"))
    by_hand, _ = timed(lambda: _restored_by_hand(client, other, folder / "plain"))
    _tell(
        "restore, with checksum and comparison",
        f"{into:.1f} s; pg_restore -j1 of a file: {by_hand:.1f} s ({into / by_hand:.2f})",
    )


def _copied(url: Secret) -> None:
    with psycopg.connect(url.reveal()) as connection, connection.cursor() as cursor:
        for table in TABLES:
            with cursor.copy(f"copy {table} to stdout".encode()) as rows:
                for _ in rows:
                    """Thrown away."""


def _as_one_would(s3: Any, client: binaries.Programs, hidden: dict[str, str]) -> int:
    words = [client.program("pg_dump"), "--format=custom", "--no-password"]
    with subprocess.Popen(words, env={**os.environ, **hidden}, stdout=subprocess.PIPE) as running:
        s3.upload_fileobj(running.stdout, "deploys", "plain/dump")
        assert running.wait() == 0
    return int(s3.head_object(Bucket="deploys", Key="plain/dump")["ContentLength"])


def _proven(url: Secret, client: binaries.Programs) -> Any:
    return create(url, Edges(Bucket("s3://deploys/proven"), client), BackupOrder("bench", "r", "c" * 40))


def _restored_by_hand(client: binaries.Programs, into: Secret, dump: Path) -> None:
    there = postgres_connection.child_environment(into)
    words = [
        client.program("pg_restore"),
        "--no-owner",
        "--exit-on-error",
        f"--dbname={there['PGDATABASE']}",
        str(dump),
    ]
    subprocess.run(words, env={**os.environ, **there}, check=True)


def _fresh(server: Secret, name: str) -> Secret:
    with psycopg.connect(server.reveal(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return postgres_connection.alter_url(server, dbname=name)


def _client() -> Any:
    s3 = boto3.client("s3")
    for _ in range(50):
        try:
            s3.create_bucket(Bucket="deploys")
        except Exception:  # noqa: BLE001 - it has only just started
            time.sleep(0.3)
        else:
            return s3
    raise RuntimeError("the S3 server makes no bucket")


def _tell(what: str, text: str) -> None:
    print(f"  {what:<38} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
