"""The certificate that keeps the edge from making one with each change of its routes."""

from __future__ import annotations

import ssl
from pathlib import Path

from localrender.certificate import certificate, private_key
from tests.localrender.product import Local


def test_the_key_is_that_of_the_certificate(tmp_path: Path) -> None:
    """As OpenSSL reads them, which refuses another key."""
    for name, text in (("certificate", certificate()), ("key", private_key())):
        (tmp_path / name).write_text(text)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")


def test_the_edge_takes_it(shared: Local) -> None:
    """It says nothing of it, and what it would say of another one it says of its file."""
    edge = shared.state / "edge"

    assert (edge / "traefik.log").read_text() == ""
    assert (edge / "routes" / "certificate.yml").is_file()
