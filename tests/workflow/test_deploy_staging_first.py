"""Staging first, as GitHub would run it: production gets exactly what staging has verified and the gates have passed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.edges import until
from tests.support.product import GUEST_BOOK, ROOT
from tests.workflow.world import World, world

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One product on staging and in production by its first push; the stories below go on from each other."""
    with world(tmp_path_factory.mktemp("world"), "deploy-staging-first.yml", staging=True) as made:
        ended = made.go()
        assert ended.exit_code == 0, "\n".join(ended.outputs.values())
        assert {name for name, result in ended.results.items() if result == "success"} == {
            "gates", "staging", "production"
        }  # fmt: skip
        spans = {job: ended.spans[job] for job in ("gates", "staging", "production")}
        print(spans)
        assert max(spans["gates"][0], spans["staging"][0]) < min(spans["gates"][1], spans["staging"][1]), spans
        assert spans["production"][0] >= spans["staging"][1]  # told in whole seconds
        yield made


def test_a_push_goes_by_staging_to_production(shop: World) -> None:
    """Two runs, one in each environment, of one commit; production's says whose release it is, and what the gates found."""
    head = dict.fromkeys(("backend", "frontend"), shop.product.head)
    assert (shop.served("staging"), shop.served()) == (head, head)
    (staging,), (production,) = shop.runs("staging"), shop.runs()
    assert production["opened"]["promotes"] == f"staging/{staging['opened']['run']}"
    stages = {stage["stage"]: stage["status"] for stage in production["report"]["stages"]}
    assert {"tests": "done", "scan": "done", "deploy": "done"}.items() <= stages.items()


def test_what_fails_on_staging_never_comes_to_production(shop: World) -> None:
    """Nothing is asked of it, and nothing is recorded there."""
    product, live, runs = shop.product, shop.served(), len(shop.runs())
    product.commit("Broken", {f"{GUEST_BOOK}/app.py": "raise SystemExit('broken on purpose')\n"})

    ended = shop.go()

    assert (1, "failure", "skipped") == (ended.exit_code, ended.results["staging"], ended.results["production"])
    assert (shop.served(), shop.served("staging"), len(shop.runs())) == (live, live, runs)
    product.git("revert", "--no-edit", "HEAD")


def test_what_the_gates_refuse_stays_on_staging(shop: World) -> None:
    """They are beside it; production's job begins only to record which gate it was."""
    product, live = shop.product, shop.served()
    product.commit("Red", {"sample/frontend/red.py": "def broken(:\n"})

    ended = shop.go()

    results = [ended.results[job] for job in ("gates", "staging", "production")]
    assert results == ["failure", "success", "failure"], "\n".join(ended.outputs.values())
    assert shop.served("staging")["frontend"] == product.head
    assert shop.served() == live
    assert shop.outcomes()[0] == "blocked by a gate"
    product.git("revert", "--no-edit", "HEAD")


def test_a_promotion_that_failed_is_run_again_alone(shop: World) -> None:
    """Staging has been there already; the same run of it is promoted, and nothing newer."""
    product, live = shop.product, shop.served()
    product.change_backend("Promoted")
    head, run = product.head, shop.start()
    until(lambda: [one for one in product.deploys("backend", head) if one["status"].endswith("progress")], 300)
    run.kill_job("production")
    ended = run.wait(900)
    assert [ended.results[job] for job in ("staging", "production")] == ["success", "failure"]
    assert shop.served("staging")["backend"] == head

    again = shop.actions.rerun_failed(run).wait(900)

    assert again.exit_code == 0, "\n".join(again.outputs.values())
    assert shop.served()["backend"] == head != live["backend"]
    assert shop.outcomes()[0] == "succeeded"


def test_of_two_pushes_at_once_both_go_through_and_the_newest_is_live(shop: World) -> None:
    """While one is promoted the other is on staging: what it has verified is promoted all the same."""
    product = shop.product
    product.change_frontend("Older")
    older = shop.start()
    head = product.change_frontend("Newer")
    newer = shop.start()

    ended = [run.wait(1800) for run in (older, newer)]

    assert [0, 0] == [one.exit_code for one in ended], "\n".join(text for one in ended for text in one.outputs.values())
    assert (shop.served("staging")["frontend"], shop.served()["frontend"]) == (head, head)


def test_staging_alone_by_hand(shop: World) -> None:
    """Production's job does not begin."""
    product, live = shop.product, shop.served()
    head = product.change_frontend("Only there")

    ended = shop.go(environment="staging")

    assert (0, "success", "skipped") == (ended.exit_code, ended.results["staging"], ended.results["production"])
    assert (shop.served("staging")["frontend"], shop.served()) == (head, live)


def test_the_drill_of_every_month_goes_there_and_back_on_staging(shop: World) -> None:
    """A backup is restored, both rollbacks are verified, nothing stays held; production is not asked."""
    product, both = shop.product, (shop.served("staging"), shop.served())
    product.git("update-ref", "refs/remotes/origin/main", "HEAD")  # as after a fetch
    made = product.inv("backup", "--environment", "staging", **shop.variables)
    assert made.code == 0, made.said
    path = ".github/workflows/drill.yml"
    product.commit("A drill every month", {path: (ROOT / path).read_text()})
    production = shop.runs()

    ended = shop.actions.dispatch({}, workflow="drill.yml", run_id=2000).wait(900)

    assert ended.exit_code == 0, "\n".join(ended.outputs.values())
    assert (shop.served("staging"), shop.served()) == both
    assert shop.runs() == production
    newest = shop.runs("staging")
    (drill,) = [one for one in newest if one["opened"].get("operation") == "drill"]
    assert drill["stages"]["drill"]["data"]["passed"]
    assert [one["report"]["outcome"] for one in newest if one["opened"].get("back")] == ["succeeded", "succeeded"]
    assert any(one["opened"].get("operation") == "prove" for one in newest)
    told = product.inv("status", "--environment", "staging", **shop.variables)
    assert "held         nothing" in told.out, told.said
