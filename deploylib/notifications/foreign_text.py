"""Text of others, made fit for a message of any channel."""

from __future__ import annotations

__all__ = ["BREAK", "break_addresses", "join_words"]

BREAK = "\u200b"  # of no width: a name or an address with it in it is none


def join_words(text: str) -> str:
    """Join the words of a text to one line, whatever parts them."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def break_addresses(text: str) -> str:
    """Break the addresses in a text, so that none is a link."""
    return text.replace("://", f":{BREAK}//")
