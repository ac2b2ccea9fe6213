"""Durations and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploylib.errors import SettingsError
from deploylib.models.units import DURATIONS, SIZES, age, count, seconds, size, volume


@given(st.integers(0, 36_000), st.sampled_from(sorted(DURATIONS)), st.sampled_from(["", " "]))
def test_a_duration_is_a_number_and_a_unit(number: int, unit: str, space: str) -> None:
    """Whatever the unit, with or without a space."""
    assert number * DURATIONS[unit] == seconds(f" {number}{space}{unit} ")


@pytest.mark.parametrize("text", ["36501d", "99999999999999999999h", "9" * 400 + "s"])
def test_no_duration_is_longer_than_a_century(text: str) -> None:
    """So that no moment is beyond what a date can be."""
    assert seconds("36500d") == 36_500 * 86_400
    with pytest.raises(SettingsError, match=r"--since: .* is longer than a century"):
        seconds(text, "--since")


@given(st.integers(0, 10**6), st.sampled_from(sorted(SIZES)))
def test_a_size_is_a_number_and_a_unit(number: int, unit: str) -> None:
    """In decimal units, as disks are sold."""
    assert number * SIZES[unit] == size(f"{number}{unit}")


@pytest.mark.parametrize("text", ["", "5", "m", "five m", "-5m", "5 weeks", "1h30m", "1,5s"])
def test_what_is_no_duration_is_refused_with_how_to_write_it(text: str) -> None:
    """The message names the place and the text."""
    with pytest.raises(SettingsError, match="target: ") as raised:
        seconds(text, "target")

    assert repr(text) in raised.value.message
    assert '"5m"' in raised.value.remedy


@pytest.mark.parametrize("text", ["", "5", "MB", "-1MB", "1.5GB", "5mb", "5 KB"])
def test_what_is_no_size_is_refused_with_how_to_write_it(text: str) -> None:
    """The message names the place and the text."""
    with pytest.raises(SettingsError, match="minimum_free: ") as raised:
        size(text, "minimum_free")

    assert '"200MB"' in raised.value.remedy


@pytest.mark.parametrize(
    ("elapsed", "text"),
    [(-3, "0 s"), (0, "0 s"), (40.4, "40 s"), (60, "1 min"), (720, "12 min"), (3600, "1 h"), (86400 * 2, "2 d")],
)
def test_an_age_is_in_the_largest_unit_that_fits(elapsed: float, text: str) -> None:
    """A clock that went back is no negative age."""
    assert text == age(elapsed)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (3400, "3.4 KB"), (10**6, "1.0 MB"), (2.5e9, "2.5 GB"), (10**13, "10.0 TB")],
)
def test_a_volume_is_in_decimal_units(amount: float, text: str) -> None:
    """As in the settings."""
    assert text == volume(amount)


def test_only_one_thing_is_singular() -> None:
    """None and several are plural."""
    assert ["0 services", "1 service", "2 services"] == [count(number, "service") for number in range(3)]
    assert ["1 day", "1.5 days", "1234567 rows"] == [count(1.0, "day"), count(1.5, "day"), count(1_234_567, "row")]
