"""The examples of a document."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["examples"]


def examples(document: Path, section: str) -> list[str]:
    """The Python of one section of the second level, block by block."""
    text = document.read_text().partition(f"\n## {section}\n")[2]
    assert text, f"{document.name} has no section {section!r}"
    return re.findall(r"```python\n(.*?)```", re.split(r"^## ", text, flags=re.MULTILINE)[0], re.DOTALL)
