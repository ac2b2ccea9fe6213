"""Values: immutable, and the same thing as their JSON."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploylib.models import Change, Changes, Commit, DeployStatus, Live, Secret
from deploylib.models.results import StageResult, StageStatus

FAILED = {DeployStatus.BUILD_FAILED, DeployStatus.PRE_DEPLOY_FAILED, DeployStatus.UPDATE_FAILED}
ENDED = FAILED | {DeployStatus.LIVE, DeployStatus.DEACTIVATED, DeployStatus.CANCELED}


@given(st.text(min_size=4))
def test_a_secret_shows_itself_to_nobody(text: str) -> None:
    """No text of it, no format and no JSON has the value; only `reveal` does."""
    secret = Secret(text)

    assert {"Secret(…)"} == {repr(secret), str(secret), f"{secret}", f"{[secret]}"[1:-1]}
    assert text == secret.reveal()
    with pytest.raises(TypeError):
        msgspec.to_builtins(secret)
    with pytest.raises(TypeError):
        vars(secret)


def test_secrets_are_equal_by_value() -> None:
    """So that values that hold one compare."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize("status", DeployStatus)
def test_a_status_has_ended_or_not_and_failed_or_not(status: DeployStatus) -> None:
    """Nothing that failed goes on; canceled and deactivated have ended without failing."""
    assert (status in ENDED, status in FAILED) == (status.terminal, status.failed)


@given(st.text().filter(lambda text: text not in set(DeployStatus)))
def test_any_other_word_is_an_unknown_status(word: str) -> None:
    """From the platform as from a history that a later version wrote."""
    assert DeployStatus.UNKNOWN is DeployStatus(word)
    assert DeployStatus.UNKNOWN is msgspec.convert(word, DeployStatus)


def test_a_value_does_not_change() -> None:
    """What was recorded stays what it was."""
    with pytest.raises(AttributeError):
        Commit(id="a").id = "b"  # type: ignore[misc]


def test_a_value_is_its_json() -> None:
    """Back and forth nothing is lost, and defaults are left out."""
    result = StageResult(stage="check", status=StageStatus.DONE, lines=("a",), data={"x": [1]})
    text = msgspec.json.encode(result)

    assert result == msgspec.json.decode(text, type=StageResult)
    assert b"seconds" not in text


def test_changes_name_the_services_that_are_deployed() -> None:
    """In their order; each decision is found by its service."""
    decided = Changes(
        services=tuple(
            Change(service=name, deploy=deploy, reason="", live=Live(service=name))
            for name, deploy in (("a", True), ("b", False), ("c", True))
        )
    )

    assert decided.deploying == ("a", "c")
    assert decided.of("b").service == "b"
