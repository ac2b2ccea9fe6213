"""A bucket whose answers do not end: no store, in little memory, and in time."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from deploylib.errors import Unreachable
from deploylib.store.s3 import Bucket
from tests.support.ends import WAYS, listening
from tests.support.measured import peak_of

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


class Circular:
    """A client whose listing goes on where it has been."""

    def list_objects_v2(self, **_options: Any) -> dict[str, Any]:
        """The same page, again and again."""
        return {"IsTruncated": True, "NextContinuationToken": "again", "Contents": [{"Key": "runs/1"}]}


def test_a_listing_that_goes_in_circles_has_no_end() -> None:
    """It is no complete listing, however much of it has come; a hundred keys are read at most, so that this ends."""
    with pytest.raises(Unreachable, match="lists runs/ without an end"):
        list(islice(Bucket("s3://bucket", Circular()).list("runs/"), 100))


@pytest.mark.parametrize("way", ["endless", "dripping", "dripping_head"])
def test_a_bucket_that_answers_without_an_end_is_not_reached(way: str) -> None:
    """What it says is read up to a few megabytes, and waited for as long as a call may take."""
    imports = """
        from deploylib.store import s3_client as s3client
        from deploylib.errors import Unreachable
        from deploylib.store.s3 import Bucket
    """
    listed = """
        s3client.PATIENCE, s3client.WITHIN = 0, 2
        try:
            list(Bucket("s3://bucket").list("runs/"))
        except Unreachable as found:
            assert "cannot be reached" in str(found)
        else:
            raise SystemExit("that was taken for a listing")
    """
    with listening(lambda to: WAYS[way](to, "application/xml")) as there:
        assert peak_of(listed, imports=imports, env={**KEYS, "AWS_ENDPOINT_URL_S3": there}) < 64 << 20
