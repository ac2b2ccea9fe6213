"""What a dump costs on its way into a bucket: memory that does not grow with it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploylib.store.s3 import Bucket

ROOT = Path(__file__).parents[2]
MOST = 150 * 10**6  # bytes, less than either object: the interpreter with boto3, and two parts of 16 MiB


@pytest.mark.parametrize(
    "megabytes", [170, pytest.param(3000, marks=[pytest.mark.load, pytest.mark.timeout(900)])], ids=["170 MB", "3 GB"]
)
def test_memory_is_flat_whatever_the_size(s3: Any, tmp_path: Path, megabytes: int) -> None:
    """Measured in a process of its own, and every byte is there."""
    address = f"s3://deploys/{tmp_path.name}"
    args = [sys.executable, "-m", "tests.stores.uploading", address, "backups/x/dump", str(megabytes)]
    said = subprocess.run(args, cwd=ROOT, capture_output=True, text=True, check=True, timeout=800)

    cost = json.loads(said.stdout)
    print(
        f"{megabytes} MB in {cost['seconds']:.1f} s, {megabytes / cost['seconds']:.0f} MB/s, "
        f"peak {cost['peak'] / 1e6:.0f} MB"
    )
    bucket, digest, size = Bucket(address), hashlib.sha256(), 0
    for piece in bucket.read("backups/x/dump"):
        digest.update(piece)
        size += len(piece)
    bucket.delete("backups/x/dump")
    assert cost["peak"] < MOST
    assert (megabytes * 10**6, cost["sha256"]) == (size, digest.hexdigest())
