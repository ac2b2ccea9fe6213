"""The loopback address at which programs are reached: another one than 127.0.0.1, where the system has another.

A program that listens on a literal 127.0.0.1 is not reached by Render, so it must not be reached here. All of 127.0.0.0/8 is
loopback on Linux; macOS has 127.0.0.1 alone, and there the difference cannot be seen.
"""

from __future__ import annotations

import socket
from functools import cache

PLAIN, OTHER = "127.0.0.1", "127.0.0.2"
UNSEEN = "this system has no loopback address but 127.0.0.1: a program that listens there alone works here, and not at Render"


@cache
def address() -> str:
    """Where a program must answer, and what it is told as HOST."""
    with socket.socket() as probe:
        try:
            probe.bind((OTHER, 0))
        except OSError:
            return PLAIN
    return OTHER
