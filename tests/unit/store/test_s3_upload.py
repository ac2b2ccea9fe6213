"""How an object is cut into parts."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploylib.errors import SettingsError
from deploylib.store.s3_upload import parts, sizes

MIB, GIB = 1 << 20, 1 << 30


def test_a_terabyte_fits_in_ten_thousand_parts() -> None:
    """Though nobody said beforehand how much it would be; no part is larger than 128 MiB."""
    lengths = list(sizes())

    assert (10_000, 16 * MIB, 128 * MIB) == (len(lengths), lengths[0], max(lengths))
    assert sum(lengths) >= 1.1e12


@pytest.mark.parametrize(
    ("expected", "length"),
    [(GIB, 16), (125 * GIB, 16), (200 * GIB, 26), (10**12, 120), (5 * 10**12, 128)],
    ids=["1 GiB", "125 GiB", "200 GiB", "1 TB", "5 TB"],
)
def test_what_is_expected_fits_in_parts_of_one_length(expected: int, length: int) -> None:
    """Some servers want that; and there is room for twice as much, but for what cannot be had at all."""
    lengths = list(sizes(expected))
    even = list(islice(lengths, -(-min(expected, 10_000 * 128 * MIB) // (length * MIB))))

    assert (10_000, {length * MIB}) == (len(lengths), set(even))
    assert sum(lengths) >= min(2 * expected, 1.2e12)


@given(st.lists(st.binary(max_size=9), max_size=9), st.lists(st.integers(1, 7), min_size=90, max_size=90))
def test_pieces_are_cut_at_these_lengths(pieces: list[bytes], lengths: list[int]) -> None:
    """All bytes in order, each part but the last full, and at least one part."""
    cut = [bytes(part) for part in parts(pieces, iter(lengths))]

    assert b"".join(pieces) == b"".join(cut)
    assert [len(part) for part in cut[:-1]] == lengths[: len(cut) - 1]
    assert len(cut[-1]) <= lengths[len(cut) - 1]
    assert len(cut) == 1 or cut[-1]


def test_more_than_the_parts_hold_is_refused() -> None:
    """With another way."""
    cut = parts([b"12345", b"67"], iter([3, 3]))

    with pytest.raises(SettingsError, match="longer than the store can hold"):
        list(cut)
