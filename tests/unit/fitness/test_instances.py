"""What the local Render says of its instances, read or told."""

from __future__ import annotations

import httpx
import pytest

from deploylib.errors import NotExamined, Unreachable
from deploylib.fitness.instances import Instance, Instances, NotStarted
from deploylib.models import Secret
from deploylib.system import http

ONE = Instance(id="srv-1-abc", pid=7, host="127.0.0.2", port=12345)


def instances(status: int, body: bytes) -> Instances:
    """Those of a local Render that answers everything so."""
    found = Instances("http://127.0.0.1:1/v1", Secret("key"))
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    vars(found)["session"] = http.Session("http://127.0.0.1:1", transport=transport)
    return found


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"id": 7}', b"<html>", b'{"id": "srv-1-abc", "pid": 7'])
def test_an_answer_that_is_none_is_unreachable(body: bytes) -> None:
    """And never taken for an instance that listens nowhere."""
    with pytest.raises(Unreachable, match="no answer that can be read"):
        instances(200, body).look(ONE)


def test_nobody_there_is_unreachable() -> None:
    """By its own words."""
    with pytest.raises(Unreachable, match="does not answer"):
        Instances("http://127.0.0.1:1/v1", Secret("key")).look(ONE)


def test_what_does_not_start_is_told_in_its_words() -> None:
    """Which is a result, and no failure of the measurement; another refusal is one."""
    with pytest.raises(NotStarted, match="exited with code 3"):
        instances(400, b'{"message": "exited with code 3"}').start("backend")
    with pytest.raises(NotExamined, match="not found: srv-1-abc"):
        instances(404, b'{"message": "not found: srv-1-abc"}').look(ONE)
