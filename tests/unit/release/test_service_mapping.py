"""Each service maps to exactly one of the platform's, and what does not fit is found with its remedy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploylib.models import Kind, PathFilter, Service, Target
from deploylib.models.smoke import SmokeRequest
from deploylib.release import service_mapping
from deploylib.render import blueprints
from deploylib.settings import Config, ServiceSettings
from tests.support.repository import Repository
from tests.support.two_services import BLUEPRINT, REPO, config, service


def findings(
    repository: Repository, found: list[Service], setup: Config, blueprint: blueprints.Blueprint | None = BLUEPRINT
) -> str:
    """What is said of the service api."""
    return "\n".join(
        one.text for one in service_mapping.map_services(setup, blueprint, ["api"], found, repository.git)[1]
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "api: the account has no service called 'api'"),
        ([service(), service(id="srv-2")], "api: the account has 2 services called 'api'"),
        ([service(kind=Kind.WEB)], "api: web_service at the platform, background_worker in the Blueprint"),
        ([service(repo="")], "api: it is made from an image"),
        ([service(repo="https://github.com/example/other")], "not from this repository"),
        ([service(suspended=True)], "api: it is suspended"),
        ([service(auto_deploy=True)], "api: autodeploy is on"),
    ],
    ids=["none", "several", "type", "image", "repository", "suspended", "autodeploy"],
)
def test_each_service_maps_to_exactly_one_that_fits(repository: Repository, found: list[Service], said: str) -> None:
    """Whatever does not fit is a finding with a remedy."""
    _, told = service_mapping.map_services(config(repository.root), BLUEPRINT, ["api"], found, repository.git)

    assert [True] == [said in one.text and bool(one.remedy) for one in told]


def test_a_smoke_request_needs_an_address(repository: Repository) -> None:
    """A worker has none that anybody could ask."""
    setup = config(repository.root, named={"api": ServiceSettings(smoke=(SmokeRequest(path="/"),))})

    assert findings(repository, [service()], setup) == (
        "api: a background_worker has no public address that a smoke request could be sent to"
    )


def test_a_service_that_fits_has_no_finding(repository: Repository) -> None:
    """By its name, or by the name or id that the settings give it."""
    for setup, found in (
        (config(repository.root), service()),
        (config(repository.root, services={"api": "srv-9"}), service(id="srv-9", name="x")),
        (config(repository.root, services={"api": "api-staging"}), service(name="api-staging")),
    ):
        targets, told = service_mapping.map_services(setup, BLUEPRINT, ["api"], [found, service("web")], repository.git)
        assert ([], [found.id], ["api"]) == (told, [one.service_id for one in targets], [one.name for one in targets])


def test_autodeploy_of_the_local_render_is_no_finding(repository: Repository) -> None:
    """Nobody pushes to it."""
    assert findings(repository, [service(auto_deploy=True)], config(repository.root, "local")) == ""


@pytest.mark.parametrize(
    ("repo", "ours"),
    [
        ("https://github.com/Example/product", True),
        ("https://github.com/example/product.git/", True),
        ("git@github.com:example/product.git", True),
        ("https://token@github.com/example/product", True),
        ("ssh://git@github.com/example/product", True),
        ("https://gitlab.com/example/product", False),
        ("https://github.com/example/product2", False),
    ],
)
def test_an_address_is_ours_however_it_is_written(repository: Repository, repo: str, *, ours: bool) -> None:
    """Scheme, user, ending and case do not matter; host, owner and name do."""
    assert ours == (findings(repository, [service(repo=repo)], config(repository.root)) == "")


def test_the_local_render_builds_from_this_very_folder(repository: Repository, tmp_path: Path) -> None:
    """A path is compared as a folder."""
    repository.commit()
    local = config(repository.root, "local")

    assert findings(repository, [service(repo=str(repository.root / "."))], local) == ""
    assert "not from this repository" in findings(repository, [service(repo=str(tmp_path))], local)


def test_a_target_takes_its_files_from_settings_then_blueprint_then_platform(repository: Repository) -> None:
    """The first that says anything wins."""
    named = {"api": ServiceSettings(paths=("x/**",))}
    filtered = service(build_filter=PathFilter(paths=("y/**",)))
    setup, own = config(repository.root), config(repository.root, named=named)

    def files(setup: Config, blueprint: blueprints.Blueprint | None, found: Service) -> tuple[str, ...]:
        return service_mapping.map_services(setup, blueprint, ["api"], [found], repository.git)[0][0].filter.paths

    assert files(own, BLUEPRINT, filtered) == ("x/**",)
    assert files(setup, BLUEPRINT, filtered) == ("api/**",)
    assert files(setup, None, filtered) == ("y/**",)
    assert files(setup, None, service(root_dir="./z")) == ("z/**",)
    assert files(setup, None, service()) == ()


@pytest.mark.parametrize("found", [service(), service(build_filter=PathFilter(paths=("y/**",), ignored=("y/z",)))])
def test_what_the_settings_only_ignore_comes_on_top(repository: Repository, found: Service) -> None:
    """Or a service would be made of everything else in the repository."""
    named = {"api": ServiceSettings(ignored=("x/tests/**",))}
    [usual], _ = service_mapping.map_services(config(repository.root), BLUEPRINT, ["api"], [found], repository.git)
    [plain], _ = service_mapping.map_services(config(repository.root), None, ["api"], [found], repository.git)

    setup = config(repository.root, named=named)
    [ours], _ = service_mapping.map_services(setup, BLUEPRINT, ["api"], [found], repository.git)
    [theirs], _ = service_mapping.map_services(setup, None, ["api"], [found], repository.git)

    for with_it, without in ((ours, usual), (theirs, plain)):
        assert with_it.filter == PathFilter(paths=without.filter.paths, ignored=(*without.filter.ignored, "x/tests/**"))


def test_a_target_is_asked_where_the_settings_say(repository: Repository) -> None:
    """Else at its health path; a static site always at its page."""
    named = {"api": ServiceSettings(health="/identity", after=("web",)), "web": ServiceSettings(health="/x")}
    setup = config(repository.root, named=named)
    found = [service(url="https://api.example/", health_path="/h"), service("web", url="https://web.example")]

    api, web = service_mapping.map_services(setup, BLUEPRINT, ["api", "web"], found, repository.git)[0]
    plain = service_mapping.map_services(config(repository.root), BLUEPRINT, ["api"], found, repository.git)[0][0]

    assert ("/identity", "/h", ("web",), "https://api.example") == (
        api.identity_path,
        api.health_path,
        api.after,
        api.url,
    )
    assert ("/", "/h") == (web.identity_path, plain.identity_path)


def test_a_web_service_without_a_health_path_is_reminded_of_the_file_to_take_along() -> None:
    """With the folder of its service; a static site has a page, and one that names a path needs no reminder."""
    described = blueprints.parse(
        """services:
  - {type: web, name: api, runtime: node, rootDir: backend, buildCommand: x, startCommand: x}
  - {type: web, name: top, runtime: node, buildCommand: x, startCommand: x}
""",
        "render.yaml",
    )
    web = [Target(name=name, service_id=f"srv-{name}", kind=Kind.WEB) for name in ("api", "top")]
    others = [
        Target(name="live", service_id="srv-1", kind=Kind.WEB, health_path="/live"),
        Target(name="named", service_id="srv-2", kind=Kind.WEB, identity_path="/health"),
        Target(name="site", service_id="srv-3", kind=Kind.STATIC),
        Target(name="jobs", service_id="srv-4", kind=Kind.WORKER),
    ]

    api, top = service_mapping.health_reminders([*web, *others], described)

    assert api.startswith("api has no health path")
    assert "inv local.health --write backend, then name its path (healthCheckPath)" in api
    assert "inv local.health --write ., " in top


def test_services_that_wait_for_each_other_are_found(repository: Repository) -> None:
    """They would wait for ever."""
    named = {"api": ServiceSettings(after=("web",)), "web": ServiceSettings(after=("api",))}
    setup = config(repository.root, named=named)

    _, [found] = service_mapping.map_services(
        setup, BLUEPRINT, ["api", "web"], [service(), service("web")], repository.git
    )

    assert "wait for each other: " in found.text
    assert "api after web" in found.text


def test_two_names_for_one_service_are_found(repository: Repository) -> None:
    """It would be deployed twice at once."""
    setup = config(repository.root, services={"api": "srv-1", "web": "srv-1"})

    _, found = service_mapping.map_services(setup, BLUEPRINT, ["api", "web"], [service(id="srv-1")], repository.git)

    assert "api and web are one service at the platform (srv-1)" in [one.text for one in found]


def test_a_name_to_come_after_that_is_no_service_is_found(repository: Repository) -> None:
    """A slip of the pen would mean that nobody waits."""
    setup = config(repository.root, named={"api": ServiceSettings(after=("wbe",))})

    _, [found] = service_mapping.map_services(setup, BLUEPRINT, ["api"], [service()], repository.git)

    assert found.text == "api is to come after wbe, which is no service"


def test_what_is_made_elsewhere_is_named_with_its_reason(repository: Repository) -> None:
    """As the Blueprint says it: an image, another repository; the rest is ours, whatever address it is written with."""
    repository.commit()
    one = "{{type: worker, name: {0}, {1}}}".format
    rows = [
        one("a", "runtime: image, image: {url: docker.io/a/b}"),
        one("b", "runtime: docker, repo: https://github.com/x/y"),
    ]
    rows.append(one("c", f"runtime: go, startCommand: x, repo: {REPO}"))

    found = service_mapping.elsewhere(blueprints.parse(f"services: [{', '.join(rows)}]"), repository.git)

    assert list(found) == ["a", "b"]
    assert "made from an image" in found["a"]
    assert "https://github.com/x/y, not from this repository" in found["b"]
    assert service_mapping.elsewhere(None, repository.git) == {}


@pytest.mark.parametrize("branch", ["main", "feature"])
def test_a_commit_that_is_not_pushed_is_pushed_by_what_can_be_typed(
    repository: Repository, tmp_path: Path, branch: str
) -> None:
    """Also where no branch here has an upstream, or the commit is on another one than the service is built from."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    repository.run("remote", "set-url", "origin", str(remote))
    repository.run("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    repository.commit({"a": "1"})
    if branch != "main":
        repository.run("switch", "--quiet", "--create", branch)
    head = repository.commit({"a": "2"})
    there = [service("other", branch="trunk"), service(repo=str(remote), branch="main")]

    step, _, fetch = service_mapping.push(repository.git, there).partition("; or ")
    assert not repository.git.is_pushed(head, "main")
    subprocess.run(["sh", "-c", step], check=True, cwd=repository.root, capture_output=True)

    assert repository.git.is_pushed(head, "main")
    assert step.endswith("git push -u origin main")
    assert fetch == "git fetch origin, if it is there already"
