"""What scratch servers leave on this machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def left() -> list[Path]:
    """The folders of this process."""
    return [*Path(tempfile.gettempdir()).glob(f"deploylib-scratch-{os.getpid()}-*")]
