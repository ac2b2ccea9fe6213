"""Build the frontend: `python3 build.py` fills dist/ from src/ and public/, with the standard library alone.

- Every file of src/ but index.html becomes assets/<name>.<hash of its content>.<suffix>: browsers may keep
  it for ever. manifest.json says which name became which.
- index.html gets the names of the assets, the backend's URL (API_URL) and the commit (RENDER_GIT_COMMIT).
- public/ is copied as it is.

The same input gives the same bytes.
"""

import hashlib
import html
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
PLACEHOLDER = re.compile(r"\{\{ ([\w.-]+) \}\}")
SHORT = 7


class BuildError(Exception):
    """The frontend cannot be built; the text says what is missing."""


def build(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Build `folder`/dist anew and give the manifest."""
    source, public, output = folder / "src", folder / "public", folder / "dist"
    page = source / "index.html"
    if not page.is_file():
        raise BuildError(f"{page} is missing: there is nothing to build.")
    api_url = _api_url(environ)
    release = environ.get("RENDER_GIT_COMMIT") or "unknown"
    slug = environ.get("RENDER_GIT_REPO_SLUG", "")  # owner/name, of what Render builds from GitHub

    shutil.rmtree(output, ignore_errors=True)
    if public.is_dir():
        shutil.copytree(public, output)
    manifest = _assets(source, output)
    values = {
        **manifest,
        "api_url": api_url,
        "api_origin": "{0.scheme}://{0.netloc}".format(urlsplit(api_url)),
        "release": release,
        "version": release[:SHORT],
        "commit_url": f"https://github.com/{slug}/commit/{release}" if "/" in slug else "",
    }
    (output / "index.html").write_text(_fill(page.read_text("utf-8"), values), "utf-8")
    (output / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    return manifest


def _api_url(environ: Mapping[str, str]) -> str:
    url = environ.get("API_URL", "").rstrip("/")
    if not url and environ.get("RENDER"):
        raise BuildError("API_URL is not set: the page would not know its backend. render.yaml sets it.")
    url = url or "http://127.0.0.1:10000"  # by hand: the backend's own default
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise BuildError(f"API_URL is {url!r}, but has to be a whole URL, as in https://api.example.com.")
    return url


def _assets(source: Path, output: Path) -> dict[str, str]:
    (output / "assets").mkdir(parents=True)
    manifest = {}
    for path in sorted(source.iterdir()):
        if path.name == "index.html":
            continue
        content = path.read_bytes()
        name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
        (output / "assets" / name).write_bytes(content)
        manifest[path.name] = f"/assets/{name}"
    return manifest


def _fill(template: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise BuildError(f"index.html asks for {match[0]}, which the build does not know.")
        return html.escape(values[match[1]])

    return PLACEHOLDER.sub(value, template)


def main() -> int:
    """Build what is beside this file; the result is the exit code."""
    try:
        manifest = build(HERE, os.environ)
    except BuildError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    for name, path in manifest.items():
        print(f"{name} -> {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
