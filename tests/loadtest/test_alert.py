"""What the channels hear of a release that is degraded."""

from __future__ import annotations

import json
from pathlib import Path

from deploylib.environment import Environment
from deploylib.loadtest import Assessment, Subject, Workload
from deploylib.loadtest.degradation import Conclusion, Ruling
from deploylib.loadtest.figures import Figures
from deploylib.release import under_load
from deploylib.settings import Config, EnvironmentSettings
from tests.support.measurements import MONDAY, measured
from tests.support.webhooks import listen


def test_who_is_told_of_a_degradation_knows_what_is_live_and_why(tmp_path: Path) -> None:
    """Every channel, once: which commit, that nothing was done, by how much it is slower, and what to type."""
    with listen() as (slack, posted), listen() as (elsewhere, told):
        settings = EnvironmentSettings(
            slack_webhook_env="SLACK", webhook_env="ELSEWHERE", store=str(tmp_path / "store")
        )
        environ = {"SLACK": slack, "ELSEWHERE": elsewhere}
        env = Environment(Config(root=tmp_path, name="staging", environment=settings, environ=environ))
        subject = Subject(
            environment="staging",
            service="api",
            plan="",
            instances=1,
            machine="m",
            run="r1",
            commit="c" * 40,
            at=MONDAY,
        )
        found = Assessment(
            subject=subject,
            workload=Workload(file="", hosts=(), rate=20),
            ruling=Ruling(conclusion=Conclusion.DEGRADED, why=("typical time 39.0 ms, usually 30.0 ms: +30%",)),
            seeds=(1, 2),
            figures=Figures.of(measured()),
        )
        under_load.tell_degradation(env, found, run="r1")

    for each in (posted, told):
        (message,) = each
        assert "api is degraded under 20 requests a second" in message
        assert "ccccccc stays live" in message
        assert "usually 30.0 ms: +30%" in message
        assert "inv rollback --environment staging" in message
        assert "a release was under way" not in message
    alert = json.loads(told[0])["alert"]
    assert (alert["state"], alert["id"]) == ("firing", "loadtest r1")
