"""The build of the frontend."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sample.product import COMMIT, ROOT

API = "https://backend.example"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Give a copy of the frontend's sources."""
    ignored = shutil.ignore_patterns("dist", "__pycache__")
    return shutil.copytree(ROOT / "sample" / "frontend", tmp_path / "frontend", ignore=ignored)


def build(site: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python3 build.py` as Render does, with nothing but the standard library."""
    environment = {"API_URL": API, "RENDER_GIT_COMMIT": COMMIT, **environment}
    command = [sys.executable, "-I", "-S", "build.py"]
    return subprocess.run(command, cwd=site, env=environment, check=False, capture_output=True, text=True)


def files(site: Path) -> dict[str, bytes]:
    """Give everything that would be published."""
    dist = site / "dist"
    return {str(path.relative_to(dist)): path.read_bytes() for path in dist.rglob("*") if path.is_file()}


def test_the_page_names_its_release_and_its_backend(site: Path) -> None:
    """The page carries the full commit, shows the short one, and knows the URL of the backend."""
    assert build(site).returncode == 0

    page = (site / "dist" / "index.html").read_text()
    assert f'<meta name="release" content="{COMMIT}">' in page
    assert f">{COMMIT[:7]}</code>" in page
    assert f'<meta name="api-url" content="{API}">' in page
    assert f"connect-src 'self' {API};" in page
    assert f'<deploy-status health="{API}/api/health" link="">' in page
    assert "{{" not in page


def test_the_version_leads_to_its_commit_where_the_repository_is_known(site: Path) -> None:
    """Render tells it of what it builds from GitHub."""
    build(site, RENDER_GIT_REPO_SLUG="me/shop")

    page = (site / "dist" / "index.html").read_text()
    assert f'link="https://github.com/me/shop/commit/{COMMIT}"' in page


def test_every_asset_of_the_page_exists(site: Path) -> None:
    """Each path the page refers to is published, and the manifest names the same assets."""
    build(site)

    published = files(site)
    page = published["index.html"].decode()
    paths = re.findall(r'(?:src|href)="/([^"]+)"', page)
    manifest = json.loads(published["manifest.json"])
    assert len(paths) == 4
    assert set(paths) <= set(published)
    assert {path.removeprefix("/") for path in manifest.values()} == set(paths) - {"favicon.svg"}
    assert "robots.txt" in published


def test_an_assets_name_follows_its_content(site: Path) -> None:
    """A changed file gets a new name, the others keep theirs, and the old one is not published again."""
    build(site)
    before = json.loads(files(site)["manifest.json"])
    with (site / "src" / "style.css").open("a") as style:
        style.write("/* new */\n")

    build(site)

    after = json.loads(files(site)["manifest.json"])
    assert after["app.js"] == before["app.js"]
    assert after["style.css"] != before["style.css"]
    assert before["style.css"].removeprefix("/") not in files(site)


def test_the_same_input_gives_the_same_bytes(site: Path, tmp_path: Path) -> None:
    """Two builds of the same sources in different folders are equal, byte for byte."""
    copy = shutil.copytree(site, tmp_path / "elsewhere")

    build(site)
    build(copy)

    assert files(site) == files(copy)


def test_a_missing_source_is_refused(site: Path) -> None:
    """Without src/ the build fails with one line that names what is missing."""
    shutil.rmtree(site / "src")

    done = build(site)

    assert done.returncode == 1
    assert re.fullmatch(r"build: .*src/index\.html is missing: there is nothing to build\.\n", done.stderr)


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"API_URL": "", "RENDER": "true"}, "API_URL is not set"),
        ({"API_URL": "backend.example"}, "has to be a whole URL"),
        ({"API_URL": "javascript:alert(1)"}, "has to be a whole URL"),
    ],
)
def test_a_backend_that_cannot_be_is_refused(site: Path, environment: dict[str, str], text: str) -> None:
    """On Render a page is never built without the URL of its backend."""
    done = build(site, **environment)

    assert done.returncode == 1
    assert text in done.stderr
    assert not (site / "dist").exists()


def test_a_placeholder_nobody_fills_is_refused(site: Path) -> None:
    """A misspelt placeholder fails the build instead of reaching visitors."""
    page = site / "src" / "index.html"
    page.write_text(page.read_text().replace("{{ version }}", "{{ no_such_value }}"))

    done = build(site)

    assert done.returncode == 1
    assert "{{ no_such_value }}" in done.stderr


def test_values_are_escaped(site: Path) -> None:
    """What the environment says cannot become markup."""
    build(site, RENDER_GIT_COMMIT='"><script>')

    assert "<script>" not in (site / "dist" / "index.html").read_text()
