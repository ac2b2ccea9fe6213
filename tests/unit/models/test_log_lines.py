"""A line of a log: when it was received."""

from __future__ import annotations

from deploylib.models import LogLine


def test_a_moment_that_cannot_be_read_is_long_ago() -> None:
    """And a whole second comes before its parts, whatever the texts sort like."""
    told = ["2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00Z", "yesterday", "2026-03-01T13:00:00.25+01:00"]

    ordered = sorted((LogLine(at=at, text="") for at in told), key=lambda line: line.moment)

    assert [line.at for line in ordered] == [told[2], told[1], told[3], told[0]]
