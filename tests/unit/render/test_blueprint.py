"""Render's Blueprint: read as Render reads it, and refused where Render would refuse it."""

from __future__ import annotations

import pytest

from deploylib.errors import SettingsError
from deploylib.models import Kind, PathFilter
from deploylib.render import blueprints

WHOLE = """
version: "1"
previews: {generation: automatic, expireAfterDays: 5}
services:
  - type: web
    name: api
    runtime: node
    plan: starter
    region: frankfurt
    repo: https://github.com/example/product
    branch: main
    rootDir: api
    buildCommand: npm ci
    startCommand: npm start
    preDeployCommand: npm run migrate
    healthCheckPath: /health
    maxShutdownDelaySeconds: 60
    scaling: {minInstances: 1, maxInstances: 3, targetMemoryPercent: 60, targetCPUPercent: 60}
    disk: {name: data, mountPath: /data, sizeGB: 10}
    domains: [api.example.com]
    autoDeployTrigger: checksPass
    envVars:
      - {key: PORT, value: 3000}
      - {key: SECRET, generateValue: true}
      - {key: TOKEN, sync: false}
      - {key: DATABASE_URL, fromDatabase: {name: book, property: connectionString}}
      - {key: HOST, fromService: {name: cache, type: keyvalue, property: host}}
      - fromGroup: shared
  - type: web
    name: site
    runtime: static
    buildCommand: npm run build
    staticPublishPath: dist
    headers: [{path: /*, name: X-Frame-Options, value: DENY}]
    routes: [{type: rewrite, source: /*, destination: /index.html}]
    buildFilter: {paths: [site/**], ignoredPaths: ["**/*.md"]}
    autoDeploy: false
  - {type: worker, name: mailer, runtime: python, startCommand: python worker.py}
  - {type: pserv, name: search, runtime: docker, dockerfilePath: ./Dockerfile, dockerContext: .}
  - {type: cron, name: nightly, runtime: image, schedule: "0 1 * * *", image: {url: docker.io/a/b}}
  - {type: keyvalue, name: cache, plan: free, maxmemoryPolicy: noeviction, ipAllowList: []}
databases:
  - name: book
    databaseName: book
    user: book
    plan: basic-256mb
    diskSizeGB: 15
    postgresMajorVersion: "16"
    highAvailability: {enabled: true}
    readReplicas: [{name: book-replica}]
    ipAllowList: [{source: 203.0.113.4/30, description: office}]
envVarGroups:
  - name: shared
    envVars: [{key: A, value: b}]
"""


def service(text: str) -> str:
    """A Blueprint with one service, whose name is x."""
    return f"services:\n  - {{name: x, {text}}}\n"


def test_every_shape_of_service_is_read() -> None:
    """A file that uses what Render's reference shows; the API's word for each type."""
    found = blueprints.parse(WHOLE)

    assert [(one.name, one.kind) for one in found.services] == [
        ("api", Kind.WEB),
        ("site", Kind.STATIC),
        ("mailer", Kind.WORKER),
        ("search", Kind.PRIVATE),
        ("nightly", Kind.CRON),
        ("cache", None),
    ]
    assert [one.name for one in found.deployable] == ["api", "site", "mailer", "search", "nightly"]
    assert [("book", "16")] == [(one.name, one.postgres_major_version) for one in found.databases]
    assert found.notes == ()


def test_a_service_is_found_by_its_name() -> None:
    """None where there is none of that name."""
    found = blueprints.parse(WHOLE)

    api = found.service("api")
    assert api is not None
    assert ("/health", "npm run migrate", "checksPass") == (
        api.health_check_path,
        api.pre_deploy_command,
        api.settings["autoDeployTrigger"],
    )
    assert found.service("apis") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", PathFilter()),
        ("rootDir: '.'", PathFilter()),
        ("rootDir: ./api/", PathFilter(paths=("api/**",))),
        ("rootDir: .config/api", PathFilter(paths=(".config/api/**",))),
        ("rootDir: api, buildFilter: {paths: [lib/**]}", PathFilter(paths=("lib/**",))),
        ("rootDir: api, buildFilter: {ignoredPaths: ['*.md']}", PathFilter(ignored=("*.md",))),
        ("rootDir: api, buildFilter: {paths: []}", PathFilter(paths=("api/**",))),
    ],
    ids=["nothing", "top", "folder", "hidden folder", "filter", "ignored", "empty filter"],
)
def test_a_service_is_made_of_its_filter_else_its_folder_else_everything(text: str, expected: PathFilter) -> None:
    """Paths of a filter are from the repository's top, also where rootDir is set."""
    [one] = blueprints.parse(service(f"type: web, runtime: go, startCommand: ./x, {text}")).services

    assert expected == one.filter


@pytest.mark.parametrize("word", ["off", '"off"', "'off'"])
def test_off_is_a_word(word: str) -> None:
    """YAML of old reads it as false; Render does not."""
    [one] = blueprints.parse(service(f"type: web, runtime: go, startCommand: x, autoDeployTrigger: {word}")).services

    assert one.settings["autoDeployTrigger"] == "off"


@pytest.mark.parametrize("word", ["yes", "on", "no", "Off", "y"])
def test_only_true_and_false_are_booleans(word: str) -> None:
    """Whatever else looks like one is text, and refused where a boolean belongs."""
    with pytest.raises(SettingsError, match=r"autoDeploy \(x\): must be true or false, not text"):
        blueprints.parse(service(f"type: web, runtime: go, startCommand: x, autoDeploy: {word}"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no services"),
        ("- a", "must be a mapping, not a list"),
        ("services: [}", "is not valid YAML at line 1"),
        ("a: &x\nb: *y", "is not valid YAML at line 2"),
        ("a: \x00", "is not valid YAML"),
        (
            service("type: webb"),
            r"render.yaml:2: services\[0\].type \(x\): 'webb' is none of web, .*; did you mean web",
        ),
    ],
)
def test_a_problem_is_told_with_its_place_and_a_remedy(text: str, said: str) -> None:
    """What Render would refuse is refused before anything depends on it."""
    with pytest.raises(SettingsError, match=said) as raised:
        blueprints.parse(text, "infra/render.yaml")

    assert raised.value.message.startswith("infra/render.yaml")
    assert "infra/render.yaml" in raised.value.remedy


def test_all_problems_are_told_at_once() -> None:
    """One round, not one for each; with what is worth a note beside them."""
    text = "services:\n  - {name: a, type: cron, runtime: go}\n  - {name: b, type: web, foo: 1}\n"

    with pytest.raises(SettingsError, match="schedule is missing") as raised:
        blueprints.parse(text)

    assert raised.value.details == (
        "render.yaml:3: services[1] (b): runtime is missing",
        "render.yaml:3: services[1].foo (b): unknown key foo, and Render's schema has none of that name",
    )


@pytest.mark.parametrize("text", ["runtime: docker", "runtime: image, image: {url: a}", "buildSource: a"])
def test_a_service_that_brings_its_own_start_needs_no_command(text: str) -> None:
    """An image knows how it is started."""
    assert isinstance(blueprints.parse(service(f"type: web, {text}")), blueprints.Blueprint)
