"""Static sites: what is published, with the right types, headers and routes, and nothing else."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.localrender.product import Local


@pytest.fixture(scope="module")
def site(shared: Local) -> Local:
    """The shared one, with its site live."""
    shared.live("frontend", commitId=shared.product.first)
    return shared


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/", 200, "text/html"),
        ("/sub/", 200, "text/html"),
        ("/assets/a.js", 200, "text/javascript"),
        ("/version.txt", 200, "text/plain"),
        ("/app/any/where", 200, "text/html"),
        ("/missing", 404, "text/plain"),
        ("/.git/config", 404, "text/plain"),
    ],
)
def test_files_have_their_types(site: Local, path: str, status: int, kind: str) -> None:
    """A file, a folder's index, a rewrite and a missing path answer as they should."""
    answer = site.page("frontend", path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(kind)


def test_the_build_saw_its_commit(site: Local) -> None:
    """The site is what the build command made of the commit."""
    assert site.page("frontend", "/version.txt").text.strip() == site.product.first


def test_headers_and_redirects_are_those_of_the_blueprint(site: Local) -> None:
    """Custom headers apply to their paths only, redirects fill their placeholders, caching is Render's."""
    asset = site.page("frontend", "/assets/a.js")
    assert asset.headers["x-kind"] == "asset"
    assert "x-kind" not in site.page("frontend").headers
    assert asset.headers["cache-control"] == "public, max-age=0, s-maxage=300"
    moved = site.page("frontend", "/old/a")
    assert (moved.status_code, moved.headers["location"]) == (301, "/new/a")
    again = httpx.get(str(asset.url), headers={"If-None-Match": asset.headers["etag"]}, trust_env=False)
    assert again.status_code == 304
    assert httpx.head(str(asset.url), trust_env=False).status_code == 200


@pytest.mark.parametrize(
    "path", ["/../back/app.py", "/%2e%2e/%2e%2e/back/app.py", "//etc/passwd", "/..%2f..%2frender.yaml"]
)
def test_nothing_outside_is_served(site: Local, path: str) -> None:
    """A path that leads out of the published folder finds nothing."""
    port = int(site.endpoint["urls"]["frontend"].rpartition(":")[2].strip("/"))
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert int(answer.split()[1]) in (301, 307, 400, 404)
