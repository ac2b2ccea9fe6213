"""Asking the platform for an export: which one is ours, how long it is waited for, and what is said when there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploylib.backups import Edges, export
from deploylib.errors import BackupFailed, DeployError, SettingsError
from deploylib.models import Backup
from deploylib.models.database import BackupOrder
from deploylib.postgres import binaries
from deploylib.postgres.binaries import Programs
from deploylib.store.folder import Folder
from deploylib.system import http
from tests.support.fakes import KEY, OLD, FakeClock, RecordingRunner
from tests.support.in_memory import Platform

PATH = "/v1/postgres/dpg-1/export"
LINK = "https://backups.example/2026.dir.tar.gz?auth=a-secret-of-the-link"


@pytest.fixture
def exports(platform: Platform) -> list[dict[str, Any]]:
    """What the platform lists, newest first; the next one is finished when it has been looked at twice."""
    there = [{"id": "old", "createdAt": "2026-02-01T00:00:00Z", "url": "https://backups.example/old"}]
    looks = iter([0, 0, 0, 1])

    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/v1/postgres":
            database = {"id": "dpg-1", "name": "book", "version": "16"}
            return httpx.Response(200, json=[{"postgres": database, "cursor": "1"}])
        if request.url.path != PATH:
            return None
        if request.method == "POST":
            there.insert(0, {"id": "new", "createdAt": "2026-03-01T12:00:00Z"})
            return httpx.Response(202)
        if next(looks, 1) and there[0]["id"] == "new":
            there[0]["url"] = LINK
        return httpx.Response(200, json=there)

    platform.also = answer
    return there


@pytest.fixture
def make(
    platform: Platform, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Backup]:
    """Makes one, with this download."""
    monkeypatch.setattr(binaries, "client_for", lambda *_, **__: Programs(Path("/pg/bin"), "16.4"))

    def made(download: Callable[[httpx.Request], httpx.Response]) -> Backup:
        edges = Edges(Folder(tmp_path / "store"), runner=RecordingRunner(), clock=clock)
        order, session = BackupOrder("staging", "run-1", OLD), http.Session(transport=httpx.MockTransport(download))
        return export("book", platform.render(), edges, order, clock.deadline(60), session=session)

    return made


def never(_request: httpx.Request) -> httpx.Response:
    """Nobody downloads."""
    raise AssertionError


class Ours(Exception):
    """The download that was expected."""


def ours(request: httpx.Request) -> httpx.Response:
    """The link as it was told, and no key with it."""
    assert (str(request.url), "authorization" in request.headers) == (LINK, False)
    raise Ours


def test_the_export_that_is_asked_for_is_waited_for(
    exports: list[dict[str, Any]], make: Callable[..., Backup], clock: FakeClock
) -> None:
    """An older one is there, and is not it."""
    with pytest.raises(Ours):
        make(ours)

    assert clock.slept == [5.0, 5.0]


def test_one_whose_answer_was_lost_is_found(
    platform: Platform, exports: list[dict[str, Any]], make: Callable[..., Backup]
) -> None:
    """It is asked for once."""

    def lost(request: httpx.Request) -> httpx.Response:
        exports.insert(0, {"id": "new", "createdAt": "2026-03-01T12:00:00Z"})
        raise httpx.ReadTimeout("", request=request)

    platform.faults.append(("POST", "/export", lost))
    with pytest.raises(Ours):
        make(ours)

    assert [one.method for one in platform.requests].count("POST") == 1


@pytest.mark.parametrize(("status", "said"), [(403, "no exports on the free plan"), (406, "an export is being made")])
def test_a_refusal_is_told_in_the_platforms_words(
    platform: Platform, exports: list[dict[str, Any]], make: Callable[..., Backup], status: int, said: str
) -> None:
    """With what can be done, and without the key."""
    answer = httpx.Response(status, json={"message": f"{said} ({KEY})"})
    platform.faults.append(("POST", "/export", lambda _: answer))

    with pytest.raises(SettingsError, match=said) as raised:
        make(never)

    assert 'backups = "none"' in raised.value.remedy
    assert KEY not in raised.value.message


def test_one_that_is_never_finished_is_given_up(
    platform: Platform, exports: list[dict[str, Any]], make: Callable[..., Backup], clock: FakeClock, tmp_path: Path
) -> None:
    """At the run's deadline; nothing is in the store."""
    inner = platform.also

    def unfinished(request: httpx.Request) -> httpx.Response | None:
        found = inner(request)
        bare = [one | {"url": None} if one["id"] == "new" else one for one in exports]
        return httpx.Response(200, json=bare) if (request.method, request.url.path) == ("GET", PATH) else found

    platform.also = unfinished
    with pytest.raises(BackupFailed, match="not finished"):
        make(never)

    assert 60 <= clock.seconds < 66
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "download",
    [lambda _: httpx.Response(410), lambda request: (_ for _ in ()).throw(httpx.ReadError("", request=request))],
)
def test_a_download_that_fails_leaves_nothing_and_no_link(
    exports: list[dict[str, Any]], make: Callable[..., Backup], tmp_path: Path, download: Callable[..., httpx.Response]
) -> None:
    """After three tries; the address opens the export to whoever reads it."""
    asked = []

    def counted(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return download(request)

    with pytest.raises(DeployError, match="could not be downloaded") as raised:
        make(counted)

    assert len(asked) == 3
    assert "a-secret" not in f"{raised.value}{raised.value.details}{raised.value.remedy}{raised.value.__cause__!r}"
    assert list(Folder(tmp_path / "store").list("")) == []
