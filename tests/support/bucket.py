"""A bucket on a real S3 server, and a way to it that fails as one is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from deploylib.store import s3_client
from tests.support.seaweed import s3_server
from tests.support.store_faults import Proxy, proxy_to


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries as ever, without the long waits between them."""
    monkeypatch.setattr(s3_client, "PAUSE", 0.01)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running server, as the variables with which a client finds it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as variables:
        yield variables


@pytest.fixture
def s3(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the server, with a bucket called ``deploys``."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    deadline = time.monotonic() + 20
    while True:
        try:
            client.create_bucket(Bucket="deploys")
        except ClientError as error:
            if error.response["Error"]["Code"] in {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}:
                return client
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return client


@pytest.fixture
def proxy(s3: Any, server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way to the server for every client that is made from now on."""
    with proxy_to(server["AWS_ENDPOINT_URL_S3"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy
