"""The example of the dashboard's page runs as it stands there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploylib.store.folder import Folder
from tests.support.fakes import START, FakeClock
from tests.support.told_runs import Teller

ROOT = Path(__file__).resolve().parents[2]


def test_the_script_of_the_dashboard_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It makes the page of a store, and reads it as a program does."""
    script = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "dashboard.md").read_text(), re.DOTALL)
    assert script is not None
    an_hour_ago = (datetime.now(UTC) - START).total_seconds() - 3600
    teller = Teller(Folder(tmp_path / ".deploylib"), FakeClock(an_hour_ago), environment="local")
    for kind in ("released", "put back", "released"):
        teller.tell(kind, "abcdef0" + "0" * 33)
    monkeypatch.chdir(tmp_path)

    exec(compile(script[1], "docs/dashboard.md", "exec"), {})  # noqa: S102 - our own document

    said = capsys.readouterr().out
    assert ".deploylib/site/index.html" in said
    assert "local unknown abcdef0" in said
    assert "Change failure rate None 3" in said
