"""The backend works with the schema one revision behind its own and one ahead."""

from tests.sample.product import backend, execute, migrate


def test_the_schema_before_is_served(empty: str) -> None:
    """At 0001 the book reads and writes without moods, and keeps them once 0002 is applied, without a restart."""
    migrate(empty, "0001")
    with backend(empty) as running:
        before = running.write(name="Ada", message="before", mood="happy")
        health = running.get("/api/health").json()
        migrate(empty, "0002")
        after = running.write(name="Ada", message="after", mood="happy")
        page = running.get("/api/entries").json()["entries"]

    assert before.status_code == after.status_code == 201
    assert health["status"] == "pass"
    assert health["checks"]["database:revision"][0]["observedValue"] == "0001"
    assert [(entry["message"], entry["mood"]) for entry in page] == [("after", "happy"), ("before", None)]


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


def test_a_rollback_of_the_schema_is_served(database: str) -> None:
    """When the mood is gone again the book goes on without it."""
    with backend(database) as running:
        running.write(name="Ada", message="before", mood="calm")
        execute(database, "alter table entries drop mood")
        after = running.write(name="Ada", message="after", mood="calm")
        page = running.get("/api/entries").json()["entries"]

    assert after.status_code == 201
    assert [entry["mood"] for entry in page] == [None, None]
