"""Steps of a team's own in the ``tasks.py`` of a product, on the local Render."""

from __future__ import annotations

from tests.support.documents import examples
from tests.support.product import ROOT, Product

TASKS = '"""What an operator types."""\n\nfrom deploylib.cli import collection\n\nns = collection()\n'


def test_the_steps_of_the_documentation_are_part_of_a_release(deployed: Product) -> None:
    """In their places, shown, recorded, and told by the history."""
    (example,) = examples(ROOT / "docs" / "library.md", "A step of your own")
    deployed.write("tasks.py", TASKS + example)
    deployed.change_frontend("A step of our own")

    done = deployed.new("deploy", "--until", "warm-cache")
    whole = deployed.new("deploy")

    assert (done.code, whole.code) == (0, 0), done.said + whole.said
    assert deployed.served()["frontend"] == deployed.head
    stages = [event["data"]["stage"] for event in deployed.events() if event["kind"] == "stage"]
    assert stages[-5:] == ["migrate", "warm-cache", "deploy", "verify", "send-source-maps"]
    told = deployed.new("history", "--run", deployed.events()[0]["data"]["run"])
    assert "warm-cache" in told.said
    assert "A step of our own" in told.said


def test_a_step_that_refuses_what_was_deployed_has_it_put_back(deployed: Product) -> None:
    """Exit code 14, and what was live serves."""
    before = deployed.served()["frontend"]
    step = '@deploylib.stage(before="verify")\ndef smoke(step):\n    raise ValueError("the basket is empty")\n'
    deployed.write("tasks.py", f"{TASKS}\nimport deploylib\n\n\n{step}")
    deployed.change_frontend()

    done = deployed.new("deploy")

    assert (done.code, deployed.served()["frontend"]) == (14, before), done.said
    assert "smoke: ValueError: the basket is empty" in done.said


def test_the_signals_of_the_documentation_are_part_of_a_round(deployed: Product) -> None:
    """In the ``tasks.py`` of a product: seen, silenced by name, and with the rule that the settings say."""
    (example,) = examples(ROOT / "docs" / "monitoring.md", "A signal of your own")
    deployed.write("tasks.py", TASKS + example)
    deployed.write("tools/count_spool.py", "print(70)\n")

    done = deployed.new("monitor")
    unknown = deployed.new("monitor.silence", "--reason", "a test", "--until", "1m", "--signal", "spol")
    silence = deployed.new("monitor.silence", "--reason", "a test", "--until", "1m", "--signal", "spool")

    assert done.code == 0, done.said
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "✓ local spool 70 files" in lines
    assert "– local payments not examined: RuntimeError: there is no bank here" in lines
    assert (unknown.code, silence.code) == (2, 0), unknown.said + silence.said
    assert "there is no signal 'spol'" in unknown.err
