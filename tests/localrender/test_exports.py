"""Logical exports: made by pg_dump beside everything else, listed, downloaded by a link, and gone after a week."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import psycopg
import pytest
from render.public_api.api.postgres import create_postgres_export, list_postgres_export
from render.public_api.client import AuthenticatedClient

from localrender import runtimes
from localrender.errors import LocalRenderError
from localrender.exports import pg_dump
from tests.localrender.databases import setting, superuser, url
from tests.localrender.product import Local, Product, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIXTEEN = "postgresMajorVersion: '16'"  # whose programs are used here
STORES = f"databases: [{{name: guestbook, databaseName: book, {SIXTEEN}}}, {{name: small, plan: free, {SIXTEEN}}}]"


@pytest.fixture(scope="module")
def exporting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A local Render that has two databases only; one has a table."""
    local = Local(Product(tmp_path_factory.mktemp("exporting") / "product", STORES))
    try:
        local.up()
        with psycopg.connect(url(local, "guestbook"), autocommit=True) as connection:
            connection.execute("create table entry (name text)")
            connection.execute("insert into entry values ('Ada')")
        yield local
    finally:
        local.clean()


def place(local: Local, name: str = "guestbook") -> str:
    """The path of the exports of a database."""
    found = {one["postgres"]["name"]: one["postgres"]["id"] for one in local.get("/postgres")}
    return f"/postgres/{found[name]}/export"


def exported(local: Local, name: str = "guestbook") -> dict[str, Any]:
    """Make an export and wait until it can be downloaded; how it is listed."""
    path = place(local, name)
    assert local.call("POST", path).status_code == 202
    identifier = local.get(path)[0]["id"]
    until(lambda: "url" in local.get(path)[0])
    newest: dict[str, Any] = local.get(path)[0]
    assert newest["id"] == identifier
    return newest


@contextmanager
def held(local: Local) -> Iterator[None]:
    """A lock on the table, for which pg_dump waits."""
    with psycopg.connect(url(local, "guestbook")) as connection:
        connection.execute("lock table entry in access exclusive mode")
        yield


def download(link: str) -> httpx.Response:
    """GET without a key."""
    with httpx.Client(verify=False, trust_env=False, timeout=10) as client:  # noqa: S501 - plain HTTP on loopback
        return client.get(link)


def tables(archive: bytes, folder: Path, major: str = "16") -> tuple[str, str]:
    """Unpack an archive; the folder in it, and what pg_restore lists."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xz", "-C", folder], input=archive, check=True)
    (table,) = folder.glob("*/*/toc.dat")
    program = runtimes.postgres_folder(major) / "bin" / "pg_restore"
    done = subprocess.run([program, "--list", table.parent], check=True, capture_output=True, text=True)
    return str(table.parent.relative_to(folder)), done.stdout


def dumps(local: Local) -> list[psutil.Process]:
    """The pg_dump that runs, if one does."""
    return [one for one in local.processes() if one.name() == "pg_dump"]


def test_an_export_is_a_dump_in_directory_format_behind_a_link(exporting: Local, tmp_path: Path) -> None:
    """The link needs no key; behind it is an archive of `<stamp>/<database>` that pg_restore reads."""
    export = exported(exporting)
    assert set(export) == {"id", "createdAt", "url"}
    stamp = f"{export['createdAt'][:16]}Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", stamp)
    answer = download(export["url"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/gzip")
    assert export["url"].startswith("http://127.0.0.1:")
    assert export["url"].endswith(f"/{stamp.replace(':', '_')}.dir.tar.gz")
    folder, listed = tables(answer.content, tmp_path)
    assert folder == f"{stamp}/book"
    assert "TABLE DATA public entry guestbook_user" in listed
    assert len(list((tmp_path / folder).glob("*.dat.gz"))) == 1


def test_the_post_answers_202_without_a_body_while_the_export_is_made(exporting: Local) -> None:
    """It is listed at once and first, and gets its url when it is finished; a second one meanwhile is refused.

    No argument of pg_dump has the password in it, which others could see.
    """
    earlier = exported(exporting)
    path = place(exporting)
    with held(exporting):
        answer = exporting.call("POST", path)
        assert (answer.status_code, answer.content) == (202, b"")
        newest, *others = exporting.get(path)
        assert set(newest) == {"id", "createdAt"}
        assert earlier in others
        second = exporting.call("POST", path)
        assert (second.status_code, "guestbook is being made" in second.json()["message"]) == (406, True)
        until(lambda: dumps(exporting))
        assert setting(exporting)["postgres_password_16"] not in " ".join(dumps(exporting)[0].cmdline())
        assert exporting.get(path)[0] == newest
    until(lambda: "url" in exporting.get(path)[0])
    assert exporting.get(path)[0]["id"] == newest["id"]


def test_renders_own_sdk_makes_and_lists_exports(exporting: Local) -> None:
    """Render's Python SDK asks for an export and reads the list."""
    known, identifier = exporting.endpoint, place(exporting).split("/")[2]
    with AuthenticatedClient(
        base_url=known["api_url"], token=known["api_key"], raise_on_unexpected_status=True
    ) as client:
        assert create_postgres_export.sync_detailed(identifier, client=client).status_code == 202
        until(lambda: "url" in exporting.get(place(exporting))[0])
        listed: Any = list_postgres_export.sync(identifier, client=client)
        assert listed[0].url == exporting.get(place(exporting))[0]["url"]


def test_a_wrong_link_leads_nowhere(exporting: Local) -> None:
    """Without the very token, or with another name, the answer is 404; the list itself needs the key."""
    link = exported(exporting)["url"]
    base, token, name = link.rsplit("/", 2)
    wrong = [f"{base}/{token[:-1]}~/{name}", f"{base}/{token}/export.json", f"{base}/{token}/..%2fexport.json"]
    assert [download(one).status_code for one in wrong] == [404] * 3
    unknown = exporting.call("GET", place(exporting), Authorization="Bearer wrong")
    assert unknown.status_code == 401
    assert token not in (exporting.state / "requests.jsonl").read_text(encoding="utf-8")


def test_the_free_plan_has_no_exports(exporting: Local) -> None:
    """A database on plan `free` is refused with 403, and its list is empty."""
    answer = exporting.call("POST", place(exporting, "small"))
    assert (answer.status_code, "free plan" in answer.json()["message"]) == (403, True)
    assert exporting.get(place(exporting, "small")) == []


def test_an_unknown_database_has_no_exports(exporting: Local) -> None:
    """Both requests answer 404 as the other ones of a database do."""
    answers = [exporting.call(method, "/postgres/dpg-none-a/export") for method in ("GET", "POST")]
    assert [(one.status_code, one.json()) for one in answers] == [(404, {"message": "not found: dpg-none-a"})] * 2


def test_a_failed_export_leaves_the_list_and_a_line_in_the_log(exporting: Local) -> None:
    """When pg_dump ends with an error its export is no longer listed, and the database's log says why."""
    path = place(exporting)
    before = exporting.get(path)
    with held(exporting), psycopg.connect(superuser(exporting), autocommit=True) as connection:
        exporting.call("POST", path)
        ours = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg_dump'"
        until(lambda: connection.execute(ours).fetchone())
        until(lambda: exporting.get(path) == before)
    query = f"ownerId={exporting.endpoint['owner_id']}&resource={path.split('/')[2]}&level=error"
    assert "pg_dump ended with code 1" in exporting.get(f"/logs?{query}")["logs"][0]["message"]


def test_exports_survive_a_restart_except_the_unfinished(exporting: Local) -> None:
    """After kill -9 the finished ones are there with the same links; one that was being made is gone, and its pg_dump."""
    exported(exporting)
    path = place(exporting)
    before = exporting.get(path)
    with held(exporting):
        exporting.call("POST", path)
        until(lambda: dumps(exporting))
        exporting.kill_server()
        exporting.up()
        assert not dumps(exporting)
    assert exporting.get(path) == before
    assert download(before[0]["url"]).status_code == 200
    assert sorted(one.name for one in (exporting.state / "exports").iterdir()) == sorted(one["id"] for one in before)


def test_down_ends_an_export_that_is_being_made(exporting: Local) -> None:
    """No pg_dump is left, and after the next start nothing of it is listed."""
    path = place(exporting)
    before = exporting.get(path)
    with suppress(psycopg.errors.AdminShutdown), held(exporting):
        exporting.call("POST", path)
        until(lambda: dumps(exporting))
        assert exporting.run("down").code == 0
    assert exporting.processes() == []
    exporting.up()
    assert exporting.get(path) == before


def test_an_export_is_kept_for_seven_days(exporting: Local) -> None:
    """After that it is no longer listed, its link is dead and its file removed."""
    export = exported(exporting)
    folder = exporting.state / "exports" / export["id"]
    note = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    note["created_at"] = "2026-01-01T10:07:00.000000Z"
    (folder / "export.json").write_text(json.dumps(note), encoding="utf-8")
    assert export["id"] not in {one["id"] for one in exporting.get(place(exporting))}
    assert download(export["url"]).status_code == 404
    assert not folder.exists()


def test_a_named_server_is_exported_too(exporting: Local, fresh: Callable[..., Local], tmp_path: Path) -> None:
    """With --postgres the dump is of the database on that server."""
    own = fresh(f"databases: [{{name: elsewhere, {SIXTEEN}}}]", "--postgres", superuser(exporting))
    own.up()
    with psycopg.connect(url(own, "elsewhere"), autocommit=True) as connection:
        connection.execute("create table there ()")
    folder, listed = tables(download(exported(own, "elsewhere")["url"]).content, tmp_path / "unpacked")
    assert folder.endswith("/elsewhere")
    assert "TABLE public there elsewhere_user" in listed


@pytest.mark.parametrize(("server", "program"), [("13", "16"), ("16", "16"), ("17", "18"), ("18", "18")])
def test_pg_dump_is_as_new_as_the_server(server: str, program: str) -> None:
    """The oldest pg_dump at hand that is not older than the server."""
    assert pg_dump(server) == runtimes.postgres_folder(program) / "bin" / "pg_dump"


def test_a_server_that_is_too_new_is_told() -> None:
    """Where no pg_dump reads the server, the error names both versions and what to do."""
    with pytest.raises(LocalRenderError, match="Postgres 19: the newest is 18") as caught:
        pg_dump("19")
    assert caught.value.remedy
