"""The backend works with a schema that is ahead of its own; one that is behind it is told, and stops nothing else."""

from tests.sample.product import backend, execute, migrate


def test_a_schema_behind_is_told(empty: str) -> None:
    """At 0001 the book cannot be read, and says so; once 0002 is applied it can, without a restart."""
    migrate(empty, "0001")
    with backend(empty) as running:
        before, lives = running.get("/api/entries"), running.get("/api/health/live")
        named = running.get("/api/health").json()["checks"]["database:revision"][0]["observedValue"]
        migrate(empty, "0002")
        after = running.write(name="Ada", message="after", mood="happy")

    assert (before.status_code, lives.status_code, named) == (503, 200, "0001")
    assert (after.status_code, after.json()["mood"]) == (201, "happy")


def test_the_schema_after_is_served(database: str) -> None:
    """A next revision that adds columns, null or with a default, while the book runs changes nothing for it."""
    with backend(database) as running:
        for _ in range(8):  # often enough for the driver to prepare its statements
            assert running.write(name="Ada", message="before", mood="calm").status_code == 201
            assert running.get("/api/entries").status_code == 200
        execute(database, "alter table entries add country text, add likes integer not null default 0")
        execute(database, "update alembic_version set version_num = '0003'")

        assert running.write(name="Ada", message="after", mood="calm").status_code == 201
        assert len(running.get("/api/entries").json()["entries"]) == 9
        assert running.get("/api/health").json()["status"] == "pass"
