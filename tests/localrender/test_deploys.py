"""A deploy runs as on Render: phases, queue, cancel, rollback, environment, and the old version always serves."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.localrender.product import until

BACKEND = "services: [{{type: {}, name: backend, runtime: python, rootDir: back, startCommand: python app.py, healthCheckPath: /}}]"

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.localrender.product import Local


def test_a_failed_deploy_leaves_the_old_version_serving(shared: Local) -> None:
    """A process that ends before it is healthy fails the deploy at once; the old one never stops serving."""
    shared.live("backend", commitId=shared.product.first)
    process = shared.page("backend").json()["pid"]
    broken = shared.product.change('raise SystemExit("KeyError: boom")')
    deploy = shared.deploy("backend", commitId=broken)
    assert shared.ended("backend", deploy) == "update_failed"
    assert shared.page("backend").json()["pid"] == process
    ended = shared.events("backend", "deploy_ended")[0]
    assert (ended["deployId"], ended["deployStatus"]) == (deploy, "failed")
    assert ended["reason"]["failure"] == {"evicted": False, "nonZeroExit": 1}
    assert "KeyError: boom" in shared.run("logs", "backend", "--type", "app").out


def test_a_build_that_fails_is_told(shared: Local) -> None:
    """A build command with an exit code fails the deploy as `build_failed`, with the code in the events."""
    shared.call("PATCH", "/services/{inner}", {"serviceDetails": {"envSpecificDetails": {"buildCommand": "exit 7"}}})
    deploy = shared.deploy("inner")
    assert shared.ended("inner", deploy) == "build_failed"
    assert shared.events("inner", "build_ended")[0]["reason"]["failure"]["nonZeroExit"] == 7
    reason = shared.events("inner", "deploy_ended")[0]["reason"]
    assert reason["buildFailed"]["id"].startswith("bld-")
    shared.call("PATCH", "/services/{inner}", {"serviceDetails": {"envSpecificDetails": {"buildCommand": ""}}})


def test_an_unhealthy_version_times_out(fresh: Callable[..., Local]) -> None:
    """A version that answers 500 on its health path is given up after Render's 15 minutes on the time scale."""
    local = fresh(BACKEND.format("web"))
    local.up("--time-scale", "600")
    deploy = local.deploy("backend", commitId=local.product.change("SICK = True"))
    assert local.ended("backend", deploy) == "update_failed"
    failure = local.events("backend", "deploy_ended")[0]["reason"]["failure"]
    assert "500" in failure["unhealthy"]
    assert failure["timedOutSeconds"] == 2


def test_a_program_at_another_port_is_told(fresh: Callable[..., Local]) -> None:
    """With the port that it listens on, in the cause and in its own log: nobody looks for it there."""
    local = fresh(BACKEND.format("pserv").replace(", healthCheckPath: /", ""))
    local.up("--time-scale", "300")
    elsewhere = "import socket; other = socket.create_server(('127.0.0.1', 0)); print(other.getsockname()[1]); import time; time.sleep(600)"
    deploy = local.deploy("backend", commitId=local.product.change(elsewhere))
    assert local.ended("backend", deploy) == "update_failed"
    failure = local.events("backend", "deploy_ended")[0]["reason"]["failure"]
    assert "it listens on port " in failure["unhealthy"]
    assert "and not on PORT" in local.run("logs", "backend", "--type", "app").out


def test_a_build_that_makes_no_publish_directory_fails(shared: Local) -> None:
    """As at Render it is the build that fails, in Render's words."""
    given = {"serviceDetails": {"publishPath": "./dist"}}
    shared.call("PATCH", "/services/{frontend}", given)
    deploy = shared.deploy("frontend", commitId=shared.product.first)
    assert shared.ended("frontend", deploy) == "build_failed"
    assert "Publish directory ./dist does not exist!" in shared.run("logs", "frontend", "--type", "build").out
    shared.call("PATCH", "/services/{frontend}", {"serviceDetails": {"publishPath": "./public"}})


def test_a_rollback_builds_nothing_and_restores_the_environment(shared: Local) -> None:
    """A rollback serves the kept artifact with that deploy's variables; the settings of today stay as they are."""
    old = shared.live("backend", commitId=shared.product.first)
    second = shared.product.change('VERSION = "two"')
    shared.call("PUT", "/services/{backend}/env-vars/PLAIN", {"value": "changed"})
    new = shared.live("backend", commitId=second)
    assert shared.page("backend").json()["version"] == "two"
    assert shared.page("backend", "/env").json()["env"]["PLAIN"] == "changed"
    builds = len(shared.events("backend", "build_started"))
    answer = shared.call("POST", "/services/{backend}/rollback", {"deployId": old})
    assert (answer.status_code, answer.json()["trigger"]) == (201, "rollback")
    assert answer.json()["status"] == "update_in_progress"
    assert shared.ended("backend", answer.json()["id"]) == "live"
    assert shared.status("backend", new) == "deactivated"
    assert shared.page("backend").json()["commit"] == shared.product.first
    assert shared.page("backend", "/env").json()["env"]["PLAIN"] == "1.10"
    assert shared.get("/services/{backend}/env-vars/PLAIN")["value"] == "changed"
    assert len(shared.events("backend", "build_started")) == builds
    assert shared.events("backend", "deploy_started")[0]["trigger"]["rollbackTargetDeployId"] == old


def test_a_deploy_that_never_worked_is_no_target(shared: Local) -> None:
    """A rollback to a deploy that failed is refused."""
    deploy = shared.deploy("backend", commitId=shared.product.change("raise SystemExit(2)"))
    shared.ended("backend", deploy)
    answer = shared.call("POST", "/services/{backend}/rollback", {"deployId": deploy})
    assert (answer.status_code, "never succeeded" in answer.text) == (400, True)


def test_only_the_newest_waiting_deploy_runs(shared: Local) -> None:
    """Deploys triggered while one runs are answered 202 without a body; those in between end canceled."""
    shared.call("PATCH", "/services/{nightly}", {"serviceDetails": {"envSpecificDetails": {"buildCommand": "sleep 2"}}})
    first = shared.deploy("nightly")
    for _ in range(2):
        answer = shared.call("POST", "/services/{nightly}/deploys", {})
        assert (answer.status_code, answer.content) == (202, b"")
    newest, between = (one["deploy"] for one in shared.get("/services/{nightly}/deploys?limit=2"))
    assert (newest["status"], between["status"]) == ("queued", "canceled")
    assert shared.ended("nightly", newest["id"]) == "live"
    assert shared.status("nightly", first) == "deactivated"


def test_a_canceled_build_ends_with_its_processes(shared: Local) -> None:
    """Cancel kills the whole process group of the build and ends the deploy; a second cancel is refused."""
    command = {"serviceDetails": {"envSpecificDetails": {"buildCommand": "sleep 987 & sleep 987"}}}
    shared.call("PATCH", "/services/{nightly}", command)
    deploy = shared.deploy("nightly")

    def sleeping() -> bool:
        return any("987" in one.cmdline() for one in shared.processes())

    until(sleeping)
    answer = shared.call("POST", f"/services/{{nightly}}/deploys/{deploy}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    until(lambda: not sleeping())
    assert shared.call("POST", f"/services/{{nightly}}/deploys/{deploy}/cancel").status_code == 400


def test_a_process_sees_its_variables_and_none_of_the_callers(shared: Local) -> None:
    """A process gets Render's variables, its own, references, groups; of the caller's only an allow-list."""
    local = shared
    local.call("PUT", "/services/{backend}/env-vars/PLAIN", {"value": "1.10"})
    local.live("backend", commitId=local.product.first)
    seen = local.page("backend", "/env").json()["env"]
    assert "AWS_SECRET_ACCESS_KEY" not in seen
    assert "ASKED" not in seen
    assert seen["UV_CACHE_DIR"] == os.environ.get("UV_CACHE_DIR", str(local.state / "cache" / "uv"))
    assert (seen["RENDER"], seen["PLAIN"], seen["SHARED"]) == ("true", "1.10", "both")
    assert seen["RENDER_EXTERNAL_URL"] + "/" == local.endpoint["urls"]["backend"]
    assert seen["FRONT"] + "/" == local.endpoint["urls"]["frontend"]
    assert len(seen["SECRET"]) == 44
    assert seen["DATABASE_URL"].startswith("postgresql://guestbook_user:")
    assert not (local.state / "artifacts" / local.services["backend"] / "src" / "front").exists()
    local.up()
    assert local.get("/services/{backend}/env-vars/SECRET")["value"] == seen["SECRET"]


def test_replacing_all_variables_changes_the_next_deploy_only(shared: Local) -> None:
    """PUT of the whole list forgets the rest, generates where asked, and deploys nothing."""
    kept = shared.get("/services/{worker}/env-vars")
    body = [{"key": "A", "value": "1"}, {"key": "B", "generateValue": True}]
    answer = shared.call("PUT", "/services/{worker}/env-vars", body)
    assert [one["envVar"]["key"] for one in answer.json()] == ["A", "B"]
    assert shared.call("DELETE", "/services/{worker}/env-vars/A").status_code == 204
    assert len(shared.get("/services/{worker}/env-vars")) == 1
    assert kept == []


def test_logs_are_paged_by_time(shared: Local) -> None:
    """Backward pages from the newest and forward pages from the oldest give the same lines."""
    shared.live("worker")
    until(lambda: "working" in shared.run("logs", "worker").out)
    base = f"/logs?ownerId={shared.endpoint['owner_id']}&resource={shared.services['worker']}"

    def lines(direction: str) -> list[str]:
        found: list[str] = []
        query = f"{base}&limit=2&direction={direction}"
        more: Any = {"hasMore": True}
        while more["hasMore"]:
            times = f"&startTime={more['nextStartTime']}&endTime={more['nextEndTime']}" if "logs" in more else ""
            more = shared.get(query + times)
            found += [line["id"] for line in more["logs"]]
        return found

    assert lines("forward") == lines("backward")[::-1]
    assert {label["name"] for label in shared.get(f"{base}&type=app")["logs"][0]["labels"]} == {
        *("resource", "instance", "type", "level")
    }
    assert [line["message"] for line in shared.get(f"{base}&text=w*king")["logs"]][-1:] == ["working"]


def test_any_commit_can_be_deployed(shared: Local) -> None:
    """A commit that is on no branch any more is deployed as well."""
    lost = shared.product.change('VERSION = "lost"')
    shared.product.git("reset", "--quiet", "--hard", "HEAD~1")
    shared.live("backend", commitId=lost)
    assert shared.page("backend").json()["version"] == "lost"


def test_a_private_service_is_reached_at_its_stable_address(shared: Local) -> None:
    """A private service has one address, whichever of its instances answers; it is not among the public URLs."""
    shared.live("inner", commitId=shared.product.first)
    address = shared.get("/services/{inner}")["serviceDetails"]["url"]
    seen = {httpx.get(f"http://{address}/", trust_env=False).json()["pid"] for _ in range(8)}
    assert len(seen) == 2
    assert "inner" not in shared.endpoint["urls"]


def test_a_pre_deploy_command_that_fails_stops_the_deploy(shared: Local) -> None:
    """The pre-deploy command runs after the build with the run-time environment; its failure ends the deploy."""
    shared.call("PATCH", "/services/{inner}", {"serviceDetails": {"preDeployCommand": "echo $SHARED; exit 4"}})
    deploy = shared.deploy("inner")
    assert shared.ended("inner", deploy) == "pre_deploy_failed"
    assert shared.events("inner", "pre_deploy_ended")[0]["reason"]["failure"]["nonZeroExit"] == 4
    shared.call("PATCH", "/services/{inner}", {"serviceDetails": {"preDeployCommand": ""}})


def test_an_instance_that_ends_is_started_again(shared: Local) -> None:
    """An instance that ends by itself is told as `server_failed` and replaced."""
    shared.live("backend", commitId=shared.product.first)
    process = shared.page("backend").json()["pid"]
    with pytest.raises(httpx.HTTPError):
        shared.page("backend", "/exit").raise_for_status()
    until(lambda: shared.page("backend").status_code == 200)
    assert shared.page("backend").json()["pid"] != process
    assert shared.events("backend", "server_failed")[0]["reason"]["nonZeroExit"] == 3
    until(lambda: shared.events("backend", "server_available"))


def test_a_suspended_service_answers_503(shared: Local) -> None:
    """Suspend stops the instances and the edge answers 503; resume brings the live version back."""
    shared.live("backend", commitId=shared.product.first)
    assert shared.call("POST", "/services/{backend}/suspend").status_code == 202
    assert shared.page("backend").status_code == 503
    assert shared.call("POST", "/services/{backend}/resume").status_code == 202
    until(lambda: shared.page("backend").status_code == 200)


@pytest.mark.parametrize("how", ["shallow clone", "linked work tree", "detached head", "of another user"])
def test_repositories_of_every_kind_can_be_deployed(fresh: Callable[..., Local], tmp_path: Path, how: str) -> None:
    """A shallow clone, a linked work tree, a detached HEAD and a repository of another user deploy their commit."""
    local = fresh("services: [{type: web, name: site, runtime: static, rootDir: front, staticPublishPath: public}]")
    product, other = local.product, tmp_path / "other"
    product.write("front/public/index.html", how)
    commit = product.commit("two")
    if how == "shallow clone":
        product.git("clone", "--quiet", "--depth=1", f"file://{product.folder}", str(other))
    elif how == "linked work tree":
        product.git("worktree", "add", "--quiet", "-b", "linked", str(other))
    elif how == "detached head":
        product.git("checkout", "--quiet", "--detach")
    elif os.geteuid() == 0:
        subprocess.run(["chown", "-R", "65534:65534", str(product.folder)], check=True)
    else:
        pytest.skip("only root can give a repository away")
    if other.exists():
        local.folder = other
    local.up()
    deploy = local.live("site")
    assert local.page("site").text == how
    assert local.get(f"/services/{{site}}/deploys/{deploy}")["commit"]["id"] == commit
    local.clean()


def test_ten_artifacts_are_kept(fresh: Callable[..., Local]) -> None:
    """The artifacts of the last ten successful deploys can be rolled back to; older ones are refused."""
    local = fresh("services: [{type: web, name: site, runtime: static, staticPublishPath: front}]")
    local.up()
    deploys = [local.live("site") for _ in range(11)]
    gone, kept = (local.call("POST", "/services/{site}/rollback", {"deployId": one}) for one in deploys[:2])
    assert (gone.status_code, "no longer kept" in gone.text) == (400, True)
    assert local.ended("site", kept.json()["id"]) == "live"
    until(lambda: len(list((local.state / "artifacts" / local.services["site"]).iterdir())) == 10)


def test_the_build_cache_is_carried_over_unless_cleared(shared: Local) -> None:
    """A build starts with the last good virtual environment, whose scripts point to the new place; or afresh."""
    command = "ls $VIRTUAL_ENV; touch $VIRTUAL_ENV/carried; head -2 $VIRTUAL_ENV/bin/pip; echo $VIRTUAL_ENV"
    shared.call("PATCH", "/services/{nightly}", {"serviceDetails": {"envSpecificDetails": {"buildCommand": command}}})

    def output(**body: Any) -> list[str]:
        deploy = shared.live("nightly", **body)
        began = shared.get(f"/services/{{nightly}}/deploys/{deploy}")["startedAt"]
        query = f"ownerId={shared.endpoint['owner_id']}&resource={shared.services['nightly']}&startTime={began}"
        return [line["message"] for line in shared.get(f"/logs?{query}&limit=100&direction=forward")["logs"]]

    first, second, cleared = output(clearCache="clear"), output(), output(clearCache="clear")
    assert ["carried" in lines for lines in (first, second, cleared)] == [False, True, False]
    place = next(line for line in second if line.startswith("/") and line.endswith("/venv"))
    assert any(f"{place}/bin/python" in line for line in second)  # in the first line, or in the second where it is long
