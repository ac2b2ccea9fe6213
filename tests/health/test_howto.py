"""Every program of docs/health.md: started as it says, asked, and ended with a request in flight."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from deploylib.health import Language, write_copy
from deploylib.models import Proof
from deploylib.probes import verify
from tests.health.running import COMMIT, HERE, ROOT, Database, answer_on, program

PAGE = (ROOT / "docs" / "health.md").read_text()
FILES = re.findall(r"<!-- health: (\S+)(?: · ([^\n]+?))? -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
PROGRAMS = {name: command for name, command, _ in FILES if command}
NODE_MODULES = HERE / "node" / "node_modules"


def test_the_page_shows_the_five_frameworks() -> None:
    """And every block of a program is marked, so that it is run."""
    assert set(PROGRAMS) == {
        "fastapi_app.py", "flask_app.py", "django_app.py", "express_app.mjs", "fastify_app.mjs"
    }  # fmt: skip
    assert len(FILES) == len(re.findall(r"^```(?:python|js)$", PAGE, re.MULTILINE))


def test_the_page_has_every_code() -> None:
    """Of both files, which have the same."""
    from deploylib.health.health import CODES

    told = re.findall(r"^\| `(\w+)` \|", PAGE.partition("| code |")[2].partition("\n\n")[0], re.MULTILINE)
    causes = re.search(r"const CAUSES = .*?\n\}\);", Language.NODE.file.read_text(), re.DOTALL)
    assert causes is not None

    assert sorted(told) == sorted(CODES)
    assert {*re.findall(r"^  (\w+):", causes[0], re.MULTILINE), "slow", "stopping", "other"} == set(CODES)


@pytest.mark.load
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_page_is_well_and_ends_well(name: str, database: Database, tmp_path: Path) -> None:
    """It proves its commit and schema; a refused database is a code; a request in flight is answered, and the end is 0."""
    if name.endswith(".mjs") and not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not on PATH")
    for file, _, text in FILES:
        (tmp_path / file).write_text(text)
    for language in Language:
        write_copy(tmp_path / language.file.name, language)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    parts = psycopg.conninfo.conninfo_to_dict(database.url)
    url = f"postgresql://postgres:{parts['password']}@/{parts['dbname']}?host={quote(str(parts['host']), safe='')}"
    secret = "p%40ss%2Fw0rd"

    with program(shlex.split(PROGRAMS[name]), f"postgresql://shop:{secret}@127.0.0.1:1/shop", tmp_path) as started:
        assert started.get("/api/health/live").status_code == 200  # a worker of gunicorn listens before it has begun
        began = time.monotonic()
        refused = started.get("/api/health")
        assert (refused.status_code, time.monotonic() - began < 2) == (503, True)
        assert refused.json()["checks"]["database:responseTime"][0]["code"] == "refused"
        assert "w0rd" not in refused.text

    with (
        program(shlex.split(PROGRAMS[name]), url, tmp_path) as started,
        started.connected() as busy,
        ThreadPoolExecutor(1) as other,
    ):
        proven = verify(f"http://127.0.0.1:{started.port}/api/health", commit=COMMIT)
        live = started.get("/api/health/live")
        slow = other.submit(answer_on, busy, "/slow")
        time.sleep(0.4)
        started.process.send_signal(signal.SIGTERM)
        answer, code = slow.result(), started.process.wait(timeout=20)

    assert (proven.proof, proven.text) == (Proof.COMMIT, f"answers {COMMIT[:7]} 5/5 · schema 0002")
    assert (live.status_code, live.json()["version"]) == (200, "1.4.0")
    assert (answer.status, code) == (200, 0)
