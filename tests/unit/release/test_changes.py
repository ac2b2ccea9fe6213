"""Which services a commit changes, compared with what each of them serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import deploylib
from deploylib.errors import SettingsError
from deploylib.models import Change, Commit, Kind, Live, PathFilter
from deploylib.release import changes
from deploylib.render import blueprints
from tests.support.fakes import target
from tests.support.repository import Repository

API = "  - {type: web, name: api, runtime: go, startCommand: ./api, rootDir: api}\n"
WEB = "  - {type: web, name: web, runtime: static, staticPublishPath: dist, rootDir: web}\n"
FILES = {"render.yaml": f"services:\n{API}{WEB}", "api/main.go": "1", "web/index.html": "1", "lib/x": "1"}


def decide(
    repository: Repository,
    base: str,
    head: str,
    *,
    shared: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    ignored: tuple[str, ...] = (),
    paths: tuple[str, ...] = ("{}/**",),
    recorded: changes.Recorded = lambda _: (),
) -> dict[str, Change]:
    """Decide about two services that both serve *base*."""
    text = repository.git.read(head, "render.yaml")
    found = changes.detect(
        [
            target(name, filter=PathFilter(paths=tuple(one.format(name) for one in paths), ignored=ignored))
            for name in ("api", "web")
        ],
        {name: Live(service=name, commit=base) for name in ("api", "web")},
        Commit(id=head),
        git=repository.git,
        blueprint=blueprints.parse(text) if text else None,
        blueprint_path="render.yaml",
        shared=shared,
        only=only,
        recorded=recorded,
    )
    return {one.service: one for one in found.services}


def test_a_service_that_serves_nothing_is_deployed(repository: Repository) -> None:
    """The first deploy needs no comparison."""
    found = decide(repository, "", repository.commit(FILES))

    assert [(True, "first deploy")] * 2 == [(one.deploy, one.reason) for one in found.values()]


def test_a_service_that_serves_the_commit_is_left_alone(repository: Repository) -> None:
    """The reason names the commit."""
    head = repository.commit(FILES)

    found = decide(repository, head, head)

    assert [(False, f"serves {head[:7]} already")] * 2 == [(one.deploy, one.reason) for one in found.values()]


def test_only_a_service_whose_files_changed_is_deployed(repository: Repository) -> None:
    """Its folder decides; the reason names the file, or how many and one of them."""
    base = repository.commit(FILES)
    head = repository.commit({"api/main.go": "2"})
    later = repository.commit({"api/go.mod": "2"})

    found = decide(repository, base, head)
    assert (True, "api/main.go changed") == (found["api"].deploy, found["api"].reason)
    assert (False, f"nothing of it changed since {base[:7]}") == (found["web"].deploy, found["web"].reason)
    assert decide(repository, base, later)["api"].reason == "2 files changed, api/go.mod among them"


def test_a_file_that_moved_out_of_a_service_changes_it(repository: Repository) -> None:
    """It is gone from there."""
    base = repository.commit({**FILES, "api/big": "some text\n" * 20})
    repository.run("mv", "api/big", "web/big")
    head = repository.commit()

    assert [True, True] == [one.deploy for one in decide(repository, base, head).values()]


def test_ignored_files_change_nothing(repository: Repository) -> None:
    """What the filter ignores is not part of the service."""
    base = repository.commit(FILES)
    head = repository.commit({"api/README.md": "2"})

    assert not decide(repository, base, head, ignored=("**/*.md",))["api"].deploy
    assert decide(repository, base, head)["api"].deploy


def test_shared_files_change_every_service(repository: Repository) -> None:
    """Where the settings name them."""
    base = repository.commit(FILES)
    head = repository.commit({"lib/x": "2"})

    assert [False, False] == [one.deploy for one in decide(repository, base, head).values()]
    shared = decide(repository, base, head, shared=("lib/**",))
    assert ["lib/x changed (shared)"] * 2 == [one.reason for one in shared.values()]
    assert all(one.deploy for one in shared.values())


def test_a_service_that_is_described_differently_is_deployed(repository: Repository) -> None:
    """A changed start command is a change of that service and of no other."""
    base = repository.commit(FILES)
    head = repository.commit({"render.yaml": FILES["render.yaml"].replace("./api", "./api --fast")})

    found = decide(repository, base, head)

    assert (True, "its settings in render.yaml changed") == (found["api"].deploy, found["api"].reason)
    assert not found["web"].deploy


@pytest.mark.parametrize(
    "more",
    [
        "autoDeploy: false",
        "autoDeployTrigger: off",
        "previews: {generation: automatic}",
        "domains: [api.example.com]",
        "buildFilter: {paths: [api/**]}",
        "ipAllowList: [{source: 10.0.0.0/8}]",
        "maintenanceMode: {enabled: true}",
        "renderSubdomainPolicy: disabled",
        "initialDeployHook: ./seed",
    ],
)
def test_a_setting_that_the_program_does_not_depend_on_deploys_nothing(repository: Repository, more: str) -> None:
    """It is Render's own matter when it deploys and whom it lets in; each way, set and taken away."""
    text = FILES["render.yaml"]
    base = repository.commit(FILES)
    head = repository.commit({"render.yaml": text.replace("rootDir: api", f"rootDir: api, {more}")})
    assert more in (repository.root / "render.yaml").read_text()

    assert [False, False] == [one.deploy for one in decide(repository, base, head).values()]
    back = repository.commit({"render.yaml": text})
    assert [False, False] == [one.deploy for one in decide(repository, head, back).values()]


@pytest.mark.parametrize(
    "more",
    [
        "plan: pro",
        "region: ohio",
        "branch: next",
        "buildCommand: make",
        "preDeployCommand: ./migrate",
        "healthCheckPath: /health",
        "envVars: [{key: A, value: b}]",
        "numInstances: 2",
        "maxShutdownDelaySeconds: 60",
        "disk: {name: d, mountPath: /d}",
    ],
)
def test_every_other_setting_deploys(repository: Repository, more: str) -> None:
    """What may reach the build or the program is a change of the service."""
    base = repository.commit(FILES)
    head = repository.commit({"render.yaml": FILES["render.yaml"].replace("rootDir: api", f"rootDir: api, {more}")})

    found = decide(repository, base, head)

    assert (found["api"].deploy, found["web"].deploy) == (True, False)


def test_settings_that_deploy_nothing_are_keys_of_the_schema() -> None:
    """One that is misspelt would deploy."""
    schema = (Path(str(deploylib.__file__)).with_name("render") / "blueprint.schema.json").read_text(encoding="utf-8")
    shapes = json.loads(schema)["$defs"]
    known = {key for name in ("server", "static", "cron") for key in shapes[name]["properties"]}

    assert known >= blueprints.APART


def test_a_comment_in_the_blueprint_changes_nothing(repository: Repository) -> None:
    """What it says is compared, not how."""
    base = repository.commit(FILES)
    head = repository.commit({"render.yaml": f"# a comment\n{FILES['render.yaml']}"})

    assert [False, False] == [one.deploy for one in decide(repository, base, head).values()]


@pytest.mark.parametrize("text", ["services: [}", ""], ids=["broken", "empty"])
def test_a_blueprint_that_could_not_be_read_then_deploys(repository: Repository, text: str) -> None:
    """What cannot be compared is deployed."""
    base = repository.commit({**FILES, "render.yaml": text})
    head = repository.commit(FILES)

    assert [True, True] == [one.deploy for one in decide(repository, base, head).values()]


def test_a_base_that_this_clone_does_not_have_deploys(repository: Repository) -> None:
    """Somebody's unpushed commit, or a branch that was rebased: deployed, and the reason says why."""
    head = repository.commit(FILES)

    found = decide(repository, "f" * 40, head)["api"]

    assert (True, "serves fffffff, which this clone does not have") == (found.deploy, found.reason)


def test_a_base_on_another_line_of_history_deploys(repository: Repository) -> None:
    """A rebased branch: deployed, and the reason says why."""
    first = repository.commit(FILES)
    base = repository.commit({"lib/x": "2"})
    repository.run("checkout", "--quiet", "-b", "other", first)
    head = repository.commit({"lib/x": "3"})

    found = decide(repository, base, head)["api"]

    assert (True, f"serves {base[:7]}, which is not in the history of {head[:7]}") == (found.deploy, found.reason)


def test_a_commit_that_is_older_than_what_is_live_is_refused(repository: Repository) -> None:
    """Going back is a command of its own, and the remedy names it."""
    head = repository.commit(FILES)
    live = repository.commit({"lib/x": "2"})

    with pytest.raises(SettingsError, match=f"api serves {live[:7]}, which is newer than {head[:7]}") as raised:
        decide(repository, live, head)

    assert f"inv rollback --to {head[:7]}" in raised.value.remedy


def test_what_the_history_of_runs_knows_to_be_newer_is_newer(repository: Repository) -> None:
    """A laptop that has not fetched for a week does not put its older commit over the newer one."""
    head = repository.commit(FILES)

    with pytest.raises(SettingsError, match=f"api serves fffffff, which is newer than {head[:7]}"):
        decide(repository, "f" * 40, head, recorded=lambda commit: (head,) if commit == "f" * 40 else ())


@pytest.mark.parametrize("beside", [False, True], ids=["not there", "there, and cut off"])
def test_a_shallow_clone_does_not_take_absence_for_evidence(
    repository: Repository, tmp_path: Path, *, beside: bool
) -> None:
    """What is live may be newer than what is checked out: refused, with what the checkout needs."""
    head = repository.commit(FILES)
    live = repository.commit({"api/main.go": "2"})
    root = tmp_path / "clone"
    root.mkdir()
    clone = Repository(root)
    clone.run("init", "--quiet")
    for commit in (head, *((live,) if beside else ())):
        clone.run("fetch", "--quiet", "--depth=1", f"file://{repository.root}", commit)
    repository.run("checkout", "--quiet", head)
    for serves, wanted in ((live, head), *(((head, live),) if beside else ())):
        with pytest.raises(SettingsError, match="too shallow to tell") as raised:
            decide(clone, serves, wanted)
        assert "fetch-depth: 0" in raised.value.remedy
    with pytest.raises(SettingsError, match="which is newer than") as raised:
        decide(clone, "f" * 40, head, recorded=lambda _: (head,))
    assert "fetch-depth: 0" in raised.value.remedy
    with pytest.raises(SettingsError, match="too shallow to tell"):
        changes.decide_promotion(
            [target("api")], {"api": Live(service="api", commit=live)}, {"api": head}, git=clone.git, source="staging"
        )


def test_a_shallow_clone_that_holds_what_is_live_is_deep_enough(repository: Repository, tmp_path: Path) -> None:
    """It shows what came after it."""
    repository.commit(FILES)
    base = repository.commit({"lib/x": "2"})
    head = repository.commit({"api/main.go": "2"})
    clone = Repository(tmp_path / "clone")
    repository.run("clone", "--quiet", "--depth=2", f"file://{repository.root}", str(clone.root))

    assert [True, False] == [one.deploy for one in decide(clone, base, head).values()]


@pytest.mark.parametrize(
    ("paths", "deployed"),
    [
        (("libs/shared/**",), True),
        (("libs/shared",), True),
        (("**/*.go",), True),
        (("libs/*/src/a.go",), True),
        (("libs/s*/**",), True),
        (("libs/other/**",), False),
        (("libs",), False),
        (("{}/**",), False),
    ],
)
def test_a_changed_submodule_belongs_to_whatever_could_match_in_it(
    repository: Repository, paths: tuple[str, ...], *, deployed: bool
) -> None:
    """Nobody sees which of its files changed; also where ``.gitmodules`` says that it is to be ignored."""
    modules = '[submodule "libs/shared"]\npath = libs/shared\nurl = x\nignore = all\n'
    first = repository.commit({**FILES, ".gitmodules": modules})
    for commit in ("1" * 40, "2" * 40):
        repository.run("update-index", "--add", "--cacheinfo", f"160000,{commit},libs/shared")
        repository.run("-c", "diff.ignoreSubmodules=none", "commit", "--quiet", "--message", "library")
    base, head = repository.run("rev-parse", "HEAD~", "HEAD").split()
    assert first

    assert {deployed} == {one.deploy for one in decide(repository, base, head, paths=paths).values()}
    assert not decide(repository, base, head, paths=paths, ignored=("libs/**",))["api"].deploy
    assert deployed is decide(repository, base, head, paths=paths, ignored=("**/*.md",))["api"].deploy


def test_a_service_that_was_not_asked_for_is_left_out(repository: Repository) -> None:
    """``--service`` limits the run, whatever changed."""
    base = repository.commit(FILES)
    head = repository.commit({"api/main.go": "2", "web/index.html": "2"})

    found = decide(repository, base, head, only=("web",))

    assert (False, "not asked for") == (found["api"].deploy, found["api"].reason)
    assert found["web"].deploy


def test_a_failed_run_leaves_a_service_to_be_deployed(repository: Repository) -> None:
    """The base is what is live, not the push before: a change of two pushes ago still counts."""
    base = repository.commit(FILES)
    repository.commit({"api/main.go": "2"})
    head = repository.commit({"web/index.html": "2"})

    assert [True, True] == [one.deploy for one in decide(repository, base, head).values()]


def test_the_tip_of_a_branch_is_as_good_for_a_cron_job_whose_files_it_has(repository: Repository) -> None:
    """It is never built from anything else; what it serves by then is no newer release, and is not asked for again."""
    first = repository.commit(FILES)
    tip = repository.commit({"api/main.go": "2"})
    cron, api = (
        target(name, kind, filter=PathFilter(paths=(f"{folder}/**",)))
        for name, kind, folder in (("nightly", Kind.CRON, "web"), ("api", Kind.WEB, "api"))
    )
    assert changes.as_good(cron, first, git=repository.git) == (tip,)
    assert changes.as_good(cron, first, git=repository.git, shared=("api/*",)) == ()
    assert changes.as_good(api, first, git=repository.git) == ()

    live = {"nightly": Live(service="nightly", commit=tip)}
    (found,) = changes.decide_promotion([cron], live, {"nightly": first}, git=repository.git, source="staging").services
    assert (found.deploy, "the tip of its branch" in found.reason) == (False, True)
    with pytest.raises(SettingsError, match="newer"):
        changes.decide_promotion(
            [cron], live, {"nightly": first}, git=repository.git, source="staging", shared=("api/main.go",)
        )
