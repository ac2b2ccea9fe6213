"""Lines of logs that come over a websocket."""

from __future__ import annotations

import pytest

from deploylib.models import LogLine
from deploylib.render import decode

LINE = '{"id": "1", "message": "hello", "timestamp": "2026-03-01T12:00:00Z", "labels": [{"name": "resource", "value": "srv-api"}]}'


def test_a_message_is_a_line() -> None:
    """Whose it is stands among its labels."""
    at = "2026-03-01T12:00:00Z"

    assert decode.read_log_message(LINE, {"srv-api"}) == LogLine(at=at, text="hello", service="srv-api", id="1")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"message": 1}', LINE.replace("srv-api", "srv-other")])
def test_what_is_no_line_is_unreadable(text: str) -> None:
    """Half a document, another type, another service's line."""
    with pytest.raises(decode.Unreadable):
        decode.read_log_message(text, {"srv-api"})
