"""What must be true before anything is touched: working copy, Blueprint, disk."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deploylib.errors import SettingsError
from deploylib.release import preflight
from deploylib.release.prerequisites import CheckFinding
from deploylib.render import blueprints
from deploylib.settings import ServiceSettings
from tests.support.fakes import write
from tests.support.repository import Repository
from tests.support.two_services import BLUEPRINT, config


def test_no_findings_are_no_refusal() -> None:
    """Nothing found, nothing said."""
    preflight.require_ready([], "staging")


def test_every_finding_is_told_with_its_remedy() -> None:
    """The first leads; the others follow, so that one round is enough."""
    with pytest.raises(SettingsError, match="first") as raised:
        preflight.require_ready([CheckFinding("first", "do a"), CheckFinding("second", "inv check --fix")], "staging")

    assert ("do a", ("second → inv check --environment staging --fix",)) == (raised.value.remedy, raised.value.details)


def test_what_is_checked_out_is_released_when_nothing_differs_from_it(repository: Repository) -> None:
    """A release is a commit: a changed file would silently be left out."""
    head = repository.commit({"a": "1", "b": "1"})
    assert head == preflight.release_commit(repository.git).id

    write(repository.root, {"a": "2"})
    with pytest.raises(SettingsError, match="1 changed file is not committed") as raised:
        preflight.release_commit(repository.git)
    assert raised.value.details == ("a",)
    assert head == preflight.release_commit(repository.git, "main").id


def test_a_folder_without_a_commit_is_refused(repository: Repository, tmp_path: Path) -> None:
    """Neither outside git nor before the first commit."""
    with pytest.raises(SettingsError, match="there is no commit 'HEAD'"):
        preflight.release_commit(repository.git)
    with pytest.raises(SettingsError, match="not in a git repository"):
        preflight.release_commit(type(repository)(tmp_path).git)


def test_the_blueprint_is_read_from_the_commit(repository: Repository) -> None:
    """Not from the folder."""
    commit = repository.git.commit(
        repository.commit({"render.yaml": "services: [{type: pserv, name: a, runtime: docker}]"})
    )
    write(repository.root, {"render.yaml": "services: []"})

    found = preflight.read_blueprint(config(repository.root), repository.git, commit)

    assert found is not None
    assert [one.name for one in found.services] == ["a"]


def test_without_a_blueprint_the_settings_must_name_the_services(repository: Repository) -> None:
    """Something has to say which there are."""
    commit = repository.git.commit(repository.commit())

    assert preflight.read_blueprint(config(repository.root, services={"api": "srv-1"}), repository.git, commit) is None
    with pytest.raises(SettingsError, match=r"has no render\.yaml") as raised:
        preflight.read_blueprint(config(repository.root), repository.git, commit)
    assert "[environments.staging.services]" in raised.value.remedy


@pytest.mark.parametrize("lying", [False, True], ids=["a release", "a check"])
@pytest.mark.parametrize(
    ("path", "message", "remedy"),
    [
        ("linked.yaml", "linked.yaml is a symbolic link to infra/real.yaml", 'blueprint = "infra/real.yaml"'),
        ("infra", "infra is a folder", "name the file"),
        ("", "blueprint is empty", "name the file"),
    ],
)
def test_a_blueprint_is_a_file_and_check_and_release_agree_on_it(
    repository: Repository, path: str, message: str, remedy: str, *, lying: bool
) -> None:
    """A commit has of a link only where it leads: the folder would be read, and the release not."""
    write(repository.root, {"infra/real.yaml": "services: []"})
    (repository.root / "linked.yaml").symlink_to("infra/real.yaml")
    commit = repository.git.commit(repository.commit())
    chosen = config(repository.root)
    chosen = msgspec.structs.replace(chosen, settings=msgspec.structs.replace(chosen.settings, blueprint=path))

    with pytest.raises(SettingsError, match=message) as raised:
        preflight.read_blueprint(chosen, repository.git, commit, lying=lying)
    assert remedy in raised.value.remedy


def test_a_service_of_the_settings_that_there_is_none_of_is_noted(repository: Repository) -> None:
    """With the name that may be meant: a misspelt one says nothing of the right one."""
    described = blueprints.parse("services: [{type: pserv, name: backend, runtime: docker}]")
    chosen = config(repository.root, services={"backend": "srv-1", "nosuch": "srv-2"})
    services = {"backend": ServiceSettings(), "backnd": ServiceSettings()}
    chosen = msgspec.structs.replace(chosen, settings=msgspec.structs.replace(chosen.settings, services=services))

    assert preflight.note_unknown(chosen, described) == (
        "services.backnd: there is no such service; is it backend?",
        "environments.staging.services: nosuch: there is no such service",
    )
    assert preflight.note_unknown(chosen, None) == ("services.backnd: there is no such service; is it backend?",)


def test_files_that_git_does_not_know_are_found_in_the_services(repository: Repository) -> None:
    """Most likely forgotten; those elsewhere, or ignored, are nobody's."""
    repository.commit({".gitignore": "*.log\n"})
    write(repository.root, {"notes": "", "api/x.log": ""})
    assert preflight.find_untracked(repository.git, BLUEPRINT) == []

    write(repository.root, {f"api/{name}": "" for name in "abcde"})
    [found] = preflight.find_untracked(repository.git, BLUEPRINT)
    assert found.text == "not in git, so not in the release: api/a, api/b, api/c and 2 more"


@pytest.mark.parametrize(
    ("folder", "files", "lost"),
    [
        ("nowhere", ["api/a"], True),
        ("api", ["api/a"], False),
        ("./api/", ["api/a"], False),
        ("/api/inner", ["api/inner/deep/a"], False),
        ("ap", ["api/a"], True),
        ("", [], False),
        (".", ["a"], False),
        ("sub/inner", ["sub"], False),
    ],
    ids=["nowhere", "there", "with dots", "deep", "half a name", "the top", "a dot", "of a submodule"],
)
def test_a_root_dir_that_the_commit_does_not_have_is_found(folder: str, files: list[str], *, lost: bool) -> None:
    """Before a build fails for it; what another repository has, or a submodule, is not known."""
    text = "services: [{{type: pserv, name: a, runtime: docker, rootDir: '{}'{}}}]"
    described = blueprints.parse(text.format(folder, ""))

    found = preflight.find_lost_folders(described, files)

    assert [one.text for one in found] == [f"rootDir {folder} of a is not in the commit"] * lost
    assert preflight.find_lost_folders(described, files, ["b"]) == []
    assert (
        preflight.find_lost_folders(blueprints.parse(text.format(folder, ", repo: 'https://x.example/y'")), files) == []
    )


def test_a_full_disk_is_found_before_it_matters(tmp_path: Path) -> None:
    """Where the store is or will be."""
    assert preflight.disk(tmp_path / "not" / "yet", "1MB") == []
    [found] = preflight.disk(tmp_path / "not" / "yet", "9000000TB")
    assert f"{tmp_path} has" in found.text
    assert "minimum_free" in found.remedy


def test_a_service_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """Those that do are named: of the Blueprint, else of the settings."""
    setup = config(tmp_path, services={"only": "srv-1"})

    assert preflight.services(setup, BLUEPRINT, ["web"]) == ("api", "web")
    assert preflight.services(setup, None, []) == ("only",)
    with pytest.raises(SettingsError, match="no service 'apy'; there are: api, web"):
        preflight.services(setup, BLUEPRINT, ["api", "apy"])


def test_a_blueprint_of_which_nothing_is_deployed_is_told_with_its_notes(repository: Repository) -> None:
    """A misspelt key leaves nothing to release, and is the likeliest reason."""
    with pytest.raises(SettingsError, match="no services that are deployed from a commit") as raised:
        preflight.services(config(repository.root), blueprints.parse("servces: []"), ())

    assert "did you mean services?" in raised.value.details[0]
