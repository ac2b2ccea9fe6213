"""A version does not come up, or does not stay up: the old one serves, in time, and every service alike."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest

from tests.support.edges import until
from tests.support.trivial import ENDS_AT_ITS_START, SERVER, SERVICES, Trivial

OLD = 'os.environ["RENDER_GIT_COMMIT"]'
UNWELL = SERVER.replace("self.send_response(200)", "self.send_response({status})")


@pytest.mark.parametrize(
    ("fault", "ended"), [("build-fail", "code 1"), pytest.param("build-crash", "code 137", marks=pytest.mark.load)]
)
def test_a_build_of_one_service_only_promotes_none(product: Trivial, fault: str, ended: str) -> None:
    """Mode 24: nothing of the group stays live."""
    good = product.one_commit
    commit = product.change_all()
    product.fault(fault, service="alpha")

    done = product.inv("deploy")

    assert done.code == 10, done.said
    assert f"alpha: the build exited with {ended}" in done.out
    assert product.one_commit == good
    assert product.head == commit


def test_a_partial_failure_is_put_back_as_one_unit(product: Trivial) -> None:
    """Mode 1: the sites are live when the program of the third service ends; afterwards all serve what they served."""
    good = product.one_commit
    commit = product.change_all(ENDS_AT_ITS_START)

    done = product.inv("deploy")

    assert done.code == 11, done.said
    assert "api: the program exited with code 3" in done.out
    assert [one["status"] for one in product.deploys("alpha", commit)] == ["deactivated"]
    assert product.one_commit == good
    for name in ("alpha", "beta"):
        assert f"{name} → {good[:7]}, verified: " in done.out


def test_a_health_check_that_never_answers_is_cut_short(product: Trivial) -> None:
    """Mode 22: the platform would wait for its own limit; ours stops the deploy, and it is the platform that says so."""
    good = product.one_commit
    product.fault("health-fail", service="api")
    with product.configured(start_within="1s"):  # only for what cannot start
        commit = product.commit("Another note", {"api/note.txt": "never healthy\n", "api/server.py": SERVER})

        done = product.inv("deploy")

    assert done.code == 12, done.said
    assert "api: it was not healthy after" in done.out
    # On a busy machine the platform's own limit may come while our word is on its way.
    assert [one["status"] for one in product.deploys("api", commit)] in (["canceled"], ["update_failed"])
    assert product.one_commit == good


def test_a_deploy_that_does_not_end_is_stopped_at_the_deadline(product: Trivial) -> None:
    """Exit code 13, and what was on its way cannot go live later."""
    good = product.one_commit
    product.fault("build-slow", service="api", value=60)
    with product.configured(deadline="4s"):
        commit = product.change_all()

        done = product.inv("deploy")

    assert done.code == 13, done.said
    assert [one["status"] for one in product.deploys("api", commit)] == ["canceled"]
    assert product.one_commit == good


def test_a_failed_build_is_told_at_once(product: Trivial) -> None:
    """Nobody waits for the sibling that still builds: it is stopped."""
    commit = product.change_all()
    product.fault("build-slow", service="alpha", value=60)
    product.fault("build-fail", service="beta")

    began = time.monotonic()
    done = product.inv("deploy")

    assert done.code == 10, done.said
    assert time.monotonic() - began < 45
    assert [one["status"] for one in product.deploys("alpha", commit)] == ["canceled"]


def test_well_once_and_then_it_crashes(product: Trivial) -> None:
    """Mode 7: it proves itself, and ends a moment later; the bake sees it, and it is put back."""
    good = product.one_commit
    product.fault("start-crash", service="api", value=1)
    with product.configured(bake="6s"):
        product.change_all()

        done = product.inv("deploy")

    assert done.code == 14, done.said
    assert "api" in done.out.partition("Why")[2].splitlines()[0]
    assert product.one_commit == good


@pytest.mark.load  # tests/unit/probes shows each answer that is none of a release
def test_health_that_flaps_does_not_count(product: Trivial) -> None:
    """Mode 8: three bad answers of five are bad, whatever was between them."""
    good = product.one_commit
    flaps = SERVER.replace(
        "        self.send_response(200)",
        "        Handler.count = getattr(Handler, 'count', 0) + 1\n"
        "        public = 'Render' not in self.headers.get('User-Agent', '')\n"
        "        self.send_response(503 if public and Handler.count % 5 > 1 else 200)",
    )
    product.change_all(flaps)

    done = product.inv("deploy")

    assert done.code == 14, done.said
    assert "api is unhealthy at" in done.out
    assert product.one_commit == good


@pytest.mark.load
def test_a_redirect_is_no_health(product: Trivial) -> None:
    """Mode 23: the platform counts 3xx as healthy, we do not."""
    good = product.one_commit
    product.change_all(UNWELL.replace("{status}", "302"))

    done = product.inv("deploy")

    assert done.code == 14, done.said
    assert "status 302" in done.out
    assert product.one_commit == good


def test_a_smoke_request_that_fails_is_put_back(product: Trivial) -> None:
    """It is well by its health path, and does not do what it is for: what the team asks of it decides."""
    good, settings = product.one_commit, product.read("pyproject.toml")
    smoke = '\n[[tool.deploylib.services.api.smoke]]\npath = "/entries"\njson = { status = "pass" }\n'
    product.write("pyproject.toml", settings + smoke)
    product.change_all(SERVER.replace("send_response(200)", 'send_response(500 if "entries" in self.path else 200)'))

    done = product.inv("deploy")

    assert done.code == 14, done.said
    assert "api fails 1 of 1 smoke requests: GET /entries: status 500, not 200" in done.out
    assert product.one_commit == good
    seen = json.loads(product.ok("verify", "--json").out)
    [api] = [one for one in seen["stages"][-1]["data"]["verified"] if one["service"] == "api"]
    rows = {one["probe"]: (one["judgement"], one["text"]) for one in api["evidence"]}
    assert rows["smoke"][0] == "pass"
    assert rows["instances"] == ("pass", f"1 instance, all answer {good[:7]}")
    product.write("pyproject.toml", settings)


def test_an_answer_of_the_old_version_is_not_yet(product: Trivial) -> None:
    """Mode 6: the new version answers with the old commit for a while; that is neither proof nor failure."""
    old, marker = product.one_commit, product.folder / ".localrender" / "still-old"
    marker.touch()
    commit = product.change_all(SERVER.replace(OLD, f'"{old}" if os.path.exists({str(marker)!r}) else {OLD}'))

    running = product.start("deploy")
    until(lambda: product.outcome() == "open", patience=60)
    until(lambda: any(one["data"].get("stage") == "deploy" for one in product.events()), patience=60)
    time.sleep(2)  # it is asked twice at the least
    marker.unlink()
    said, _ = running.communicate(timeout=300)

    assert running.returncode == 0, said
    verify = next(one["data"] for one in product.events() if one["data"].get("stage") == "verify")
    assert verify["seconds"] > 1
    assert product.one_commit == commit


@pytest.mark.load
def test_a_page_of_the_old_version_is_no_release(product: Trivial) -> None:
    """Mode 13: a site whose page still names the old commit has not been released."""
    good = product.one_commit
    product.change_all()
    product.write("beta/build.sh", product.read("beta/build.sh").replace('"$RENDER_GIT_COMMIT"', good))
    product.commit("A stale page")

    done = product.inv("deploy")

    assert done.code == 14, done.said
    assert "it still serves" in done.out
    assert product.one_commit == good


@pytest.mark.load  # tests/unit/probes shows which names are whose
def test_a_name_that_nobody_released_is_our_own_fault(product: Trivial) -> None:
    """The platform says that ours is live: a wrong name, or a cache, fails like any other: exit code 14, put back, held."""
    good = product.one_commit
    commit = product.change_all(SERVER.replace(OLD, '"c" * 40'))

    done = product.inv("deploy")

    assert done.code == 14, done.said
    assert "it names ccccccc, which is neither the commit before nor ours" in done.out
    assert product.one_commit == good
    assert product.inv("deploy").code == 31, "the commit is held"
    assert commit == product.head


@pytest.mark.load  # test_crowd.py has others take its place sooner
def test_what_the_platform_says_is_live_instead_is_somebody_elses(product: Trivial) -> None:
    """Somebody deploys another commit while ours is being verified: exit code 32, and nothing of theirs is undone."""
    good = product.one_commit
    commit = product.change_all(SERVER.replace(OLD, '"c" * 40'))
    with product.start("deploy") as running:
        until(lambda: [one for one in product.deploys("api", commit) if one["status"] == "live"], 60)
        theirs = product.ask(
            f"/v1/services/{product.service_id('api')}/deploys", method="POST", body={"commitId": good}
        )
        assert theirs.status in {201, 202}
        out, err = running.communicate(timeout=300)

    assert running.returncode == 32, (out, err)
    assert good[:7] in out  # as what serves, or as a deploy that is on its way: by the moment
    assert product.served()["api"] == good


def test_a_platform_that_goes_away_while_it_deploys_is_not_a_failure(product: Trivial) -> None:
    """Exit code 41: nothing is held, the run stays open, and the next command starts the local Render and ends it."""
    good = product.one_commit
    commit = product.change_all()
    product.fault("build-slow", service="api", value=6)
    with product.start("deploy") as running:
        until(lambda: [one for one in product.deploys("api", commit) if one["status"].startswith("build")], 60)
        server = psutil.Process(product.endpoint["pid"])
        server.kill()
        server.wait(5)
        out, err = running.communicate(timeout=300)

    assert running.returncode == 41, (out, err)
    assert "not known yet" in out
    assert "inv finish" in out
    assert product.outcome() == "open"

    ended = product.inv("finish")
    assert ended.code in {0, 130}, ended.said
    product.ok("local.down")
    product.ok("local.up", "--faults")
    assert product.one_commit in {good, commit}
    product.ok("deploy")
    assert product.one_commit == commit


@pytest.mark.load
def test_no_answer_is_no_pass(product: Trivial) -> None:
    """Mode 18: where nobody visits and nothing is measured, we ask ourselves; silence, also of the edge, is not good."""
    good = product.one_commit
    silent = SERVER.replace(
        "    def do_GET(self):\n",
        "    def do_GET(self):\n        if 'Render' not in self.headers.get('User-Agent', ''):\n"
        "            time.sleep(60)\n            self.close_connection = True\n            return\n",
    ).replace("import json, os", "import json, os, time")
    product.change_all(silent)

    done = product.inv("deploy")

    assert done.code == 14, done.said
    assert "api is unreachable at" in done.said, "the edge has answered, or something else has failed"
    assert product.one_commit == good


def test_a_deploy_that_somebody_canceled(product: Trivial) -> None:
    """Canceled with nothing newer in its place: a failure, exit code 13, and all is put back."""
    good = product.one_commit
    commit = product.change_all()
    product.fault("build-slow", service="api", value=30)

    def begun() -> str:
        return next((one["id"] for one in product.deploys("api", commit)), "")

    with product.start("deploy") as running:
        deploy = until(begun)
        path = f"/v1/services/{product.service_id('api')}/deploys/{deploy}/cancel"
        assert product.ask(path, method="POST").status == 200
        out, err = running.communicate(timeout=300)

    assert running.returncode == 13, (out, err)
    assert "the deploy was canceled" in out
    assert product.one_commit == good


@pytest.mark.load  # half a minute, of which it waits the most
def test_a_deploy_that_was_canceled_while_nobody_watched_is_asked_for_again(product: Trivial) -> None:
    """The command was killed, and then its deploy canceled: the next command goes on with the run, and asks once more."""
    commit = product.change_all()
    product.fault("build-slow", service="api", value=30, next=1)

    def begun() -> str:
        return next((one["id"] for one in product.deploys("api", commit)), "")

    with product.start("deploy") as running:
        deploy = until(begun)
        running.kill()
        running.wait(5)
    path = f"/v1/services/{product.service_id('api')}/deploys/{deploy}/cancel"
    assert product.ask(path, method="POST").status == 200

    done = product.inv("deploy")

    assert done.code == 0, done.said
    assert product.one_commit == commit
    assert [one["status"] for one in product.deploys("api", commit)] == ["live", "canceled"]
    assert {len(product.deploys(name, commit)) for name in SERVICES[:2]} == {1}


@pytest.mark.load
def test_a_first_deploy_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    """Mode 21: said, and not tried."""
    with Trivial(tmp_path / "first") as product:
        product.change_all(ENDS_AT_ITS_START)
        done = product.inv("deploy")
        assert done.code == 11, done.said
        assert "first deploy: there is nothing to put back" in done.out
        back = product.inv("rollback")
        assert back.code == 2, back.said
        assert "nothing to go back to" in back.said
        product.change_all()
        product.ok("deploy")
        assert product.one_commit == product.head
