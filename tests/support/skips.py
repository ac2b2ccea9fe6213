"""Which tests may be skipped."""

from __future__ import annotations

import re
from pathlib import Path


def expected(file: Path) -> re.Pattern[str]:
    """A pattern of every reason that *file* allows; lines that begin with # are remarks."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return re.compile("|".join(f"(?:{line})" for line in lines) or r"(?!)")
