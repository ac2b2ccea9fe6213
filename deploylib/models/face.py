"""The face of a room.

Each name is looked up when first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["look_up_in"]


def look_up_in(room: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a room.

    Importing the room then imports nothing of it.

    Args:
        room: the ``__name__`` of its ``__init__``.
        modules: the file of each name; a name that leads to itself is the module.
    """

    def look_up(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        module = importlib.import_module(f"{room}.{modules[name]}")
        return module if modules[name] == name else getattr(module, name)

    return look_up
