"""Words of others in a message are one line, and none of them is a link."""

from __future__ import annotations

from deploylib.notifications.foreign_text import break_addresses, join_words


def test_what_is_no_letter_only_parts_words() -> None:
    """Line ends, controls and marks of direction among them."""
    assert join_words("  deploy\r\n\x1b[2J of\u202eapi\t\tdone ") == "deploy [2J of api done"


def test_an_address_is_broken_wherever_it_stands() -> None:
    """It can still be read, and copied by hand."""
    assert break_addresses("see http://a and https://b") == "see http:\u200b//a and https:\u200b//b"
