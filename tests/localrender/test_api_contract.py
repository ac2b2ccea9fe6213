"""The API answers as Render's does: shapes, pages, key, limits, refusals, and Render's own SDK."""

from __future__ import annotations

import json
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import pytest
from render.public_api.api.blueprints import validate_blueprint
from render.public_api.api.deploys import list_deploys, retrieve_deploy
from render.public_api.api.logs import list_logs
from render.public_api.api.postgres import list_postgres, retrieve_postgres_connection_info
from render.public_api.api.services import get_env_vars_for_service, list_events, list_services
from render.public_api.api.users import get_user
from render.public_api.api.workspaces import list_owners
from render.public_api.client import AuthenticatedClient
from render.public_api.models.validate_blueprint_request import ValidateBlueprintRequest
from render.public_api.types import File

from localrender.api import gate

if TYPE_CHECKING:
    from tests.localrender.product import Local

DOCUMENT = Path(__file__).resolve().parents[3] / "shared" / "render" / "render-public-api.openapi.json"

# The document's alternatives overlap (a web service is a private service too), so "one of" can only mean "any of".
Validator = jsonschema.validators.extend(
    jsonschema.Draft4Validator, {"oneOf": jsonschema.Draft4Validator.VALIDATORS["anyOf"]}
)


@pytest.fixture(scope="module")
def deployed(shared: Local) -> Local:
    """The shared one, after a deploy of two services."""
    shared.live("backend", commitId=shared.product.first)
    shared.live("frontend", commitId=shared.product.first)
    return shared


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Render's OpenAPI document."""
    if not DOCUMENT.is_file():
        pytest.skip(f"Render's OpenAPI document is not at {DOCUMENT}")
    found: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    found["components"]["schemas"]["postgresDetail"]["required"].remove("project")  # required, but defined nowhere
    return found


@pytest.mark.parametrize(
    ("path", "documented"),
    [
        ("/services", "/services"),
        ("/services/{backend}", "/services/{serviceId}"),
        ("/services/{frontend}", "/services/{serviceId}"),
        ("/services/{worker}", "/services/{serviceId}"),
        ("/services/{nightly}", "/services/{serviceId}"),
        ("/services/{inner}", "/services/{serviceId}"),
        ("/services/{backend}/deploys", "/services/{serviceId}/deploys"),
        ("/services/{backend}/env-vars", "/services/{serviceId}/env-vars"),
        ("/services/{backend}/events", "/services/{serviceId}/events"),
        ("/services/{backend}/instances", "/services/{serviceId}/instances"),
        ("/logs?ownerId=OWNER&resource={backend}", "/logs"),
        ("/metrics/cpu?resource={backend}", "/metrics/cpu"),
        ("/metrics/memory?resource={backend}", "/metrics/cpu"),
        ("/metrics/memory-limit?resource={backend}", "/metrics/cpu"),
        ("/metrics/instance-count?resource={backend}", "/metrics/cpu"),
        ("/metrics/disk-usage?resource=DATABASE", "/metrics/cpu"),
        ("/metrics/disk-capacity?resource=DATABASE", "/metrics/cpu"),
        ("/metrics/active-connections?resource=DATABASE", "/metrics/cpu"),
        ("/postgres", "/postgres"),
        ("/postgres/DATABASE", "/postgres/{postgresId}"),
        ("/postgres/DATABASE/connection-info", "/postgres/{postgresId}/connection-info"),
        ("/owners", "/owners"),
        ("/owners/OWNER", "/owners/{ownerId}"),
        ("/users", "/users"),
    ],
)
def test_bodies_are_those_of_the_document(
    deployed: Local, document: dict[str, Any], path: str, documented: str
) -> None:
    """Every body satisfies the schema that Render publishes for its endpoint."""
    database = deployed.get("/postgres")[0]["postgres"]["id"]
    body = deployed.get(path.replace("OWNER", deployed.endpoint["owner_id"]).replace("DATABASE", database))
    answer = document["paths"][documented]["get"]["responses"]["200"]
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    schema = answer["content"]["application/json"]["schema"]
    assert body
    Validator(document | {"allOf": [schema]}).validate(body)


def test_details_are_those_of_their_type(deployed: Local, document: dict[str, Any]) -> None:
    """The details of a service fit the schema of its own type, those of an event the one of its own title."""
    schemas = {
        "web_service": "webServiceDetails",
        "static_site": "staticSiteDetails",
        "private_service": "privateServiceDetails",
        "background_worker": "backgroundWorkerDetails",
        "cron_job": "cronJobDetails",
    }
    for one in deployed.get("/services"):
        schema = {"$ref": f"#/components/schemas/{schemas[one['service']['type']]}"}
        Validator(document | {"allOf": [schema]}).validate(one["service"]["serviceDetails"])
    wrapper = document["components"]["schemas"]["serviceEventWithCursor"]
    titled = {one["title"]: one for one in wrapper["properties"]["event"]["properties"]["details"]["oneOf"]}
    seen = deployed.get("/services/{backend}/events")
    for one in seen:
        schema = titled[one["event"]["type"].replace("_", " ").title()]
        Validator(document | {"allOf": [schema]}).validate(one["event"]["details"])
    assert {one["event"]["type"] for one in seen} >= {"deploy_started", "build_started", "build_ended", "deploy_ended"}


def test_renders_own_sdk_works(deployed: Local) -> None:
    """Render's Python SDK reads every resource without a change."""
    known = deployed.endpoint
    with AuthenticatedClient(
        base_url=known["api_url"], token=known["api_key"], raise_on_unexpected_status=True
    ) as client:
        services: Any = list_services.sync(client=client)
        assert {one.service.name for one in services} >= {"backend", "frontend", "worker", "nightly", "inner"}
        backend = deployed.services["backend"]
        deploys: Any = list_deploys.sync(backend, client=client)
        one: Any = retrieve_deploy.sync(backend, deploys[0].deploy.id, client=client)
        assert (one.status.value, one.commit.id) == ("live", deployed.product.first)
        events: Any = list_events.sync(backend, client=client)
        assert events[0].event.type_.value == "deploy_ended"
        variables: Any = get_env_vars_for_service.sync(backend, client=client)
        assert {variable.env_var.key for variable in variables} >= {"PLAIN", "SECRET", "SHARED"}
        lines: Any = list_logs.sync(client=client, owner_id=known["owner_id"], resource=[backend])
        assert lines.logs
        stores: Any = list_postgres.sync(client=client)
        info: Any = retrieve_postgres_connection_info.sync(stores[0].postgres.id, client=client)
        assert info.external_connection_string.startswith("postgresql://")
        owners: Any = list_owners.sync(client=client)
        assert owners[0].owner.id == known["owner_id"]
        user: Any = get_user.sync(client=client)
        assert user.email


def test_a_blueprint_is_validated_as_by_renders_own_sdk(shared: Local) -> None:
    """What it would make, or each fault with its place; nothing is made, and another workspace is not found."""
    known = shared.endpoint
    before = shared.get("/services")

    def ask(text: str, owner: str = known["owner_id"]) -> Any:
        with AuthenticatedClient(base_url=known["api_url"], token=known["api_key"]) as client:
            file = File(payload=BytesIO(text.encode()), file_name="render.yaml", mime_type="text/yaml")
            return validate_blueprint.sync(client=client, body=ValidateBlueprintRequest(owner_id=owner, file=file))

    good = ask(
        "services:\n- {type: web, name: new, runtime: node, startCommand: node .}\n- {type: keyvalue, name: kv, ipAllowList: []}\n"
        "databases: [{name: data}]\n"
    )
    assert (good.valid, good.plan.services, good.plan.databases, good.plan.key_value, good.plan.total_actions) == (
        *(True, ["new"], ["data"], ["kv"]),
        3,
    )
    bad = ask("services:\n  - type: web\n    name: new\n    runtime: node\n    plan: enormous\n")
    assert not bad.valid
    assert [(one.path, one.line) for one in bad.errors] == [("services[0].plan", 5)]
    assert not ask("services: {").valid
    assert ask("services: []\n", "tea-of-another").message.endswith("tea-of-another")
    assert shared.call("POST", "/blueprints/validate", {"ownerId": known["owner_id"]}).status_code == 400
    assert shared.get("/services") == before


def test_a_page_ends_where_its_cursor_says(shared: Local) -> None:
    """Following the last cursor gives every service once, and then an empty page."""
    seen, cursor = [], ""
    while page := shared.get(f"/services?limit=2{cursor}"):
        seen += [one["service"]["name"] for one in page]
        cursor = f"&cursor={page[-1]['cursor']}"
    assert sorted(seen) == ["backend", "frontend", "inner", "nightly", "worker"]


@pytest.mark.parametrize("query", ["type=web_service,static_site", "type=web_service&type=static_site"])
def test_list_parameters_come_in_both_forms(shared: Local, query: str) -> None:
    """A list parameter may be comma-separated or repeated."""
    names = {one["service"]["name"] for one in shared.get(f"/services?{query}")}
    assert names == {"backend", "frontend"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/services?limit=0", None, 400),
        ("GET", "/services?limit=101", None, 400),
        ("GET", "/services?type=web", None, 400),
        ("GET", "/services?cursor=nonsense", None, 400),
        ("GET", "/services/srv-00000000000000000000", None, 404),
        ("GET", "/services/{backend}/deploys/dep-00000000000000000000", None, 404),
        ("GET", "/services/{backend}/deploys?status=done", None, 400),
        ("GET", "/logs?ownerId=OWNER", None, 400),
        ("GET", "/nothing", None, 404),
        ("POST", "/services/{backend}/deploys", {"clearCache": "yes"}, 400),
        ("POST", "/services/{backend}/deploys", {"commitId": "0" * 40}, 400),
        ("POST", "/services/{backend}/deploys", {"commitId": "--help"}, 400),
        ("POST", "/services/{nightly}/deploys", {"commitId": "0" * 40}, 400),
        ("POST", "/services/{backend}/rollback", {}, 400),
        ("PATCH", "/services/{backend}", {"autoDeploy": "false"}, 400),
        ("PATCH", "/services/{backend}", {"autoDeploy": "no", "autoDeployTrigger": "off"}, 400),
        ("PUT", "/services/{backend}/env-vars/KEY", {}, 400),
        ("DELETE", "/services/{backend}/env-vars/MISSING", None, 404),
    ],
)
def test_what_is_wrong_is_refused(shared: Local, method: str, path: str, body: Any, status: int) -> None:
    """A wrong request is refused with the documented status and a message."""
    answer = shared.call(method, path, body)
    assert answer.status_code == status
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "status"), [(b'{"more":' + b"[" * 200_000, 400), (b'"' + b"x" * 2_000_000 + b'"', 413)]
)
@pytest.mark.parametrize("path", ["/v1/services/{backend}/deploys", "/local/faults"])
def test_a_body_that_is_too_deep_or_too_long_is_refused(faulty: Local, path: str, body: bytes, status: int) -> None:
    """Nobody's bug, and no more memory than it takes; the next request is answered."""
    known = faulty.endpoint
    url = known["api_url"].removesuffix("/v1") + path.format(**faulty.services)
    answer = httpx.post(
        url, content=body, headers={"Authorization": f"Bearer {known['api_key']}"}, timeout=30, trust_env=False
    )
    assert (answer.status_code, bool(answer.json()["message"])) == (status, True)
    assert faulty.get("/services/{backend}")["name"] == "backend"


def test_a_key_is_required(shared: Local) -> None:
    """Without the key every answer is 401, also outside the REST API."""
    for authorization in ("", "Bearer rnd_wrong", "Bearer"):
        for path in ("/services", "/../local/status"):
            answer = shared.call("GET", path, Authorization=authorization)
            assert (answer.status_code, "message" in answer.json()) == (401, True)


def test_every_answer_tells_the_limit(shared: Local) -> None:
    """The rate-limit headers count down in a window; changes and deploys of one service share a counter."""
    first, second = shared.call("GET", "/users"), shared.call("GET", "/nothing")
    assert first.headers["Ratelimit-Limit"] == "400"
    assert 0 <= int(first.headers["Ratelimit-Reset"]) < 60
    assert int(second.headers["Ratelimit-Remaining"]) in (int(first.headers["Ratelimit-Remaining"]) - 1, 399)
    assert first.headers["Render-Request-Id"] != second.headers["Render-Request-Id"]
    change = shared.call("PATCH", "/services/{inner}", {"autoDeploy": "no"})
    deploy = shared.call("POST", "/services/{inner}/deploys", {"commitId": "0" * 40})
    assert (change.headers["Ratelimit-Limit"], deploy.headers["Ratelimit-Limit"]) == ("10", "10")
    assert int(deploy.headers["Ratelimit-Remaining"]) in (int(change.headers["Ratelimit-Remaining"]) - 1, 9)


def test_a_change_does_not_deploy_and_outlives_a_sync(shared: Local) -> None:
    """PATCH changes settings only, and a sync of an unchanged Blueprint leaves them."""
    before = shared.get("/services/{worker}/deploys")
    changed = shared.call("PATCH", "/services/{worker}", {"autoDeploy": "no", "branch": "other"}).json()
    assert (changed["autoDeploy"], changed["autoDeployTrigger"], changed["branch"]) == ("no", "off", "other")
    shared.up()
    assert shared.get("/services/{worker}")["branch"] == "other"
    assert shared.get("/services/{worker}/deploys") == before
    shared.call("PATCH", "/services/{worker}", {"branch": "main"})


def test_the_blueprint_word_off_is_a_word(shared: Local) -> None:
    """`autoDeployTrigger: off` is the string, as in YAML 1.2, and the default is on."""
    assert shared.get("/services/{backend}")["autoDeployTrigger"] == "off"
    assert shared.get("/services/{frontend}")["autoDeploy"] == "yes"


def test_requests_are_recorded_without_contents(shared: Local) -> None:
    """The request log has a line for each API request, and neither a query nor a key in it."""
    shared.call("GET", "/services?name=recorded")
    text = (shared.state / "requests.jsonl").read_text(encoding="utf-8")
    last = json.loads(text.splitlines()[-1])
    assert (last["method"], last["path"], last["status"]) == ("GET", "/v1/services", 200)
    assert shared.endpoint["api_key"] not in text
    assert "recorded" not in text


def test_limits_can_be_enforced(fresh: Any) -> None:
    """With the option, the eleventh change of a service in one minute is answered 429."""
    local = fresh("services: [{type: cron, name: tick, runtime: python, schedule: '* * * * *'}]")
    local.up("--enforce-rate-limits")
    answers = [local.call("PATCH", "/services/{tick}", {"autoDeploy": "no"}) for _ in range(21)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert answers[0].status_code == 200
    assert refused[0].json() == {"message": "rate limit exceeded"}
    assert (refused[0].headers["Ratelimit-Remaining"], "Retry-After" in refused[0].headers) == ("0", False)
    lines = (local.state / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["status"] for line in lines].count(429) == len(refused)
    told = [local.call("GET", "/../local/status") for _ in range(2)]
    assert [("Ratelimit-Limit" in answer.headers, answer.status_code) for answer in told] == [(False, 200)] * 2


@pytest.mark.parametrize(
    ("method", "path", "limit", "seconds"),
    [
        ("GET", "/v1/services", 400, 60),
        ("GET", "/v1/logs", 30, 60),
        ("PATCH", "/v1/services/srv-a", 10, 60),
        ("POST", "/v1/services/srv-a/deploys", 10, 60),
        ("POST", "/v1/services/srv-a/suspend", 10, 60),
        ("POST", "/v1/services/srv-a/resume", 10, 60),
        ("POST", "/v1/services/srv-a/rollback", 30, 60),
        ("POST", "/v1/services/srv-a/restart", 30, 60),
        ("PUT", "/v1/services/srv-a/env-vars", 30, 60),
        ("DELETE", "/v1/services/srv-a", 30, 60),
        ("POST", "/v1/services", 20, 3600),
        ("POST", "/v1/postgres", 20, 3600),
    ],
)
def test_each_request_has_its_bucket(method: str, path: str, limit: int, seconds: int) -> None:
    """The documented limits; changes and deploys of one service share a bucket, and another service has its own."""
    chosen = gate.bucket(method, path)
    assert (chosen.limit, chosen.seconds) == (limit, seconds)
    if limit == 10:
        assert chosen == gate.bucket("PATCH", "/v1/services/srv-a") != gate.bucket("PATCH", "/v1/services/srv-b")


def test_windows_are_those_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window ends with the minute, whenever its first request came; then the count begins anew."""
    limits, chosen, clock = gate.Limits(), gate.Bucket("get", 2), [119.5]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    assert [limits.take("a", chosen) for _ in range(3)] == [(1, 0), (0, 0), (-1, 0)]
    clock[0] = 120.0
    assert (limits.take("a", chosen), limits.take("b", chosen)) == ((1, 59), (1, 59))
