"""Two hundred runs of a release that does not change, and of one that is 30 % slower: ``nox -s unchanged``.

Both are on the local Render, and are measured at once, again and again; each run is judged by the ten before it, as a release is,
and what is suspected by the two runs after it as well. The figures of every run are kept in a file. The limits stand in the library,
so that nothing is fitted to the last hundred.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from deploylib.loadtest import Measurement, Subject, Workload, measure
from deploylib.loadtest.degradation import (
    BASELINE,
    MEASUREMENTS,
    Conclusion,
    Objectives,
    combine_rulings,
    judge_run,
    needs_another,
)
from deploylib.loadtest.figures import Figures
from deploylib.loadtest.records import Key, RecordedRun
from deploylib.loadtest.validity import find_faults
from deploylib.system import process
from tests.support.trivial import SERVER, Trivial

WORK = 0.030  # seconds that the service needs, as one does that asks a database
LOCUSTFILE = """
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def work(self):
        self.client.get("/work")
"""


class Kept(msgspec.Struct, frozen=True):
    """One run of either release."""

    number: int
    slower: float
    faults: tuple[str, ...]
    figures: Figures


def deployed(folder: Path, takes: float) -> Trivial:
    """A product on a local Render of its own, whose service needs so long on average."""
    product = Trivial(folder)
    work = f"        if self.path == '/work':\n            time.sleep({takes} * random.lognormvariate(0, 0.3))\n        body ="
    server = SERVER.replace("        body =", work).replace("import json, os", "import json, os, random, time")
    product.write("loadtests/locustfile.py", LOCUSTFILE)
    product.change_all(server)
    product.ok("deploy")
    return product


def run(product: Trivial, number: int, slower: float) -> Kept:
    """Measure it once."""
    file = str(product.folder / "loadtests/locustfile.py")
    workload = Workload(file=file, hosts=(product.url("api").rstrip("/"),), rate=100, seconds=3, warm_up=1, seed=number)
    found: Measurement = measure(workload, process.SYSTEM)
    return Kept(number, slower, find_faults(found), Figures.of(found))


def recorded(kept: Kept) -> RecordedRun:
    """It, as one that others are compared with."""
    at = datetime.now(UTC)
    subject = Subject(environment="local", service="api", plan="", instances=1, machine="", run="", commit="", at=at)
    key = Key(
        scenario="",
        rate=100,
        seconds=3,
        environment="local",
        service="api",
        plan="",
        instances=1,
        generator="",
        machine="",
    )
    return RecordedRun(run=f"{kept.number}", at=subject.at, commit="", key=key, figures=kept.figures)


def judged(tested: list[Kept], usual: list[Kept], half: range) -> str:
    """How many of these runs are measured again, and how many are called degraded."""
    suspected = degraded = number = 0
    for index in half:
        if index < BASELINE or index + MEASUREMENTS > min(len(tested), len(usual)):
            continue
        number += 1
        earlier = [recorded(each) for each in usual[index - BASELINE : index]]
        rulings = [judge_run(tested[index].figures, earlier, Objectives())]
        while needs_another(rulings):
            rulings.append(judge_run(tested[index + len(rulings)].figures, earlier, Objectives()))
        suspected += len(rulings) > 1
        degraded += combine_rulings(rulings).conclusion is Conclusion.DEGRADED
    return f"{number:>4} runs, {suspected / max(1, number):>6.1%} measured again, {degraded / max(1, number):>6.1%} degraded"


def main(count: int, file: Path) -> None:
    """Measure them, and tell."""
    runs: dict[float, list[Kept]] = {1.0: [], 1.3: []}
    invalid = 0
    with tempfile.TemporaryDirectory() as folder, file.open("wb") as kept, ThreadPoolExecutor(2) as pool:
        products = {slower: deployed(Path(folder) / f"{slower}", WORK * slower) for slower in runs}
        try:
            for number in range(count):
                doing = [pool.submit(run, product, number, slower) for slower, product in products.items()]
                for one in (each.result() for each in doing):
                    kept.write(msgspec.json.encode(one) + b"\n")
                    kept.flush()
                    invalid += bool(one.faults)
                    runs[one.slower] += [] if one.faults else [one]
        finally:
            for product in products.values():
                product.clean()
    print(f"{count} runs of each, {invalid} invalid, which say nothing; figures in {file}")
    for name, half in (("first", range(count // 2)), ("last", range(count // 2, count))):
        print(f"{name} half  unchanged    {judged(runs[1.0], runs[1.0], half)}")
        print(f"{name} half  30 % slower  {judged(runs[1.3], runs[1.0], half)}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 200, Path(given[1] if len(given) > 1 else "loadtest-runs.jsonl"))
