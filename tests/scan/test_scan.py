"""The whole scan of a small product, with the real tools side by side."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from deploylib.models.findings import AcceptedFinding, Scanned, Verdict
from deploylib.scanners import Services, scan
from deploylib.settings import ScanSettings, Variable
from deploylib.system import Clock, process
from tests.scan.corpus import planted
from tests.support.answerer import answering
from tests.support.documents import examples
from tests.support.fakes import write

PRODUCT = {
    "requirements.txt": "# via hand\njinja2==3.1.6\n",
    "app.py": "print('hello')\n",
    "render.yaml": "services:\n  - {type: web, name: web, runtime: static, staticPublishPath: dist, autoDeployTrigger: off}\n",
}
DECLARED = (Variable(name="DATABASE_URL", kind="postgres-url"),)


class Hasty(Clock):
    """Real time, but nobody waits for a second try."""

    def sleep(self, seconds: float) -> None:
        """Do not."""


def scanned(
    root: Path,
    files: dict[str, str],
    how: str | int = "right",
    url: str = "postgres://app@db/shop",
    accepted: tuple[AcceptedFinding, ...] = (),
) -> Scanned:
    """What is said of a product with these files, these variables and this advisory service."""
    write(root, {**PRODUCT, **files})
    with answering(how) as service:
        settings = ScanSettings(osv_url=f"{service.url}/v1/query", within="60s", accepted=accepted)
        values = {"web": {"DATABASE_URL": url}}
        return scan(root, settings, Services(DECLARED, values), runner=process.SYSTEM, clock=Hasty())


def test_a_sound_product_is_clean_in_one_line(tmp_path: Path) -> None:
    """Every examiner has looked, and the line says at how much."""
    said = scanned(tmp_path, {})

    assert (Verdict.CLEAN, "1 package, 3 files, 1 variable: clean") == (said.verdict, said.line)
    assert {path.name for path in tmp_path.iterdir()} == set(PRODUCT)


@pytest.mark.parametrize(
    ("file", "text", "tool"),
    [
        ("requirements.txt", "jinja2==2.11.2 # via x\n", "pip-audit"),
        ("run.py", "import subprocess\nsubprocess.run(input(), shell=True)\n", "bandit"),
        (*planted("github-classic", 0), "kingfisher"),
        ("render.yaml", PRODUCT["render.yaml"].replace("autoDeployTrigger: off", "branch: main"), "blueprint"),
    ],
)
def test_one_finding_of_one_examiner_is_enough(tmp_path: Path, file: str, text: str, tool: str) -> None:
    """The others' good word does not outweigh it."""
    said = scanned(tmp_path, {file: text})

    assert (Verdict.FINDINGS, {tool}) == (said.verdict, {finding.tool for finding in said.blocking})


def test_the_settings_accept_findings_of_every_examiner(tmp_path: Path) -> None:
    """By one table; each is told with its reason."""
    name, secret = planted("github-classic", 0)
    files = {
        "requirements.txt": "jinja2==2.11.2 # via x\n",
        "run.py": "import subprocess\nsubprocess.run(input(), shell=True)\n",
        name: secret,
        "render.yaml": PRODUCT["render.yaml"].replace("autoDeployTrigger: off", "branch: main"),
    }
    found = scanned(tmp_path, files, url="changeme").blocking

    said = scanned(
        tmp_path,
        files,
        url="changeme",
        accepted=tuple(AcceptedFinding(rule=one.rule, reason="ours", until=date(2999, 1, 1)) for one in found),
    )

    assert {"pip-audit", "bandit", "kingfisher", "deploylib", "blueprint"} == {one.tool for one in found}
    assert (Verdict.CLEAN, [1, 1, 1, 1, 1]) == (said.verdict, [len(one.accepted) for one in said.examined])


def test_an_examiner_that_cannot_look_keeps_it_from_being_clean(tmp_path: Path) -> None:
    """But a finding elsewhere is said first."""
    blind = scanned(tmp_path, {}, 503)
    found = scanned(tmp_path, {}, 503, url="changeme")

    assert (Verdict.NOT_EXAMINED, Verdict.FINDINGS) == (blind.verdict, found.verdict)
    assert "not examined: dependencies" in blind.line
    assert ["the service osv answered 503"] == [gap.reason for gap in found.gaps]


def test_a_folder_is_scanned_in_a_script(tmp_path: Path) -> None:
    """The example of the documents as it stands, without settings."""
    write(tmp_path, {"run.py": "import subprocess\nsubprocess.run(input(), shell=True)\n", "yarn.lock": "\n"})
    [script] = examples(Path(__file__).parents[2] / "docs" / "library.md", "Scanning")

    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    verdict, finding, *gaps = done.stdout.splitlines()
    assert (verdict, finding.partition(" ")[0]) == ("findings", "run.py:2")
    assert [line.partition(" nothing here")[0] for line in gaps] == ["not examined: yarn.lock"]
    assert len(script.strip().splitlines()) <= 10
