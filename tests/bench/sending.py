"""What sends a load test, against locust as it is: ``nox -s bench``, which tells ratios and no verdict.

Requests for each second of a processor that the sender has used, both in one run against one server, and how late it is at 200 a
second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from deploylib.loadtest import Workload, measure
from deploylib.loadtest.figures import percentile
from deploylib.system import process
from tests.support.paced_server import serve

SECONDS = 5
LOCUSTFILE = """
import json, sys, time
from locust import FastHttpUser, events, task

used = {"requests": 0}


class Visitor(FastHttpUser):
    @task
    def work(self):
        self.client.get("/work")


@events.test_start.add_listener
def start(**_):
    used["begin"] = time.process_time()


@events.request.add_listener
def count(**_):
    used["requests"] += 1


@events.test_stop.add_listener
def stop(**_):
    used["seconds"] = time.process_time() - used["begin"]
    print("used " + json.dumps(used), file=sys.stderr)
"""


def plain(file: Path, host: str) -> float:
    """Requests a second of processor of locust itself, as fast as it can."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(file), "--headless", "--users", "20"]
    command += ["--spawn-rate", "20", "--run-time", f"{SECONDS}s", "--host", host, "--only-summary"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    used = json.loads(next(line for line in done.stderr.splitlines() if line.startswith("used ")).removeprefix("used "))
    return float(used["requests"] / used["seconds"])


def main() -> None:
    """Measure, and tell."""
    with tempfile.TemporaryDirectory() as folder, serve(0.0) as server:
        file = Path(folder) / "locustfile.py"
        file.write_text(LOCUSTFILE)
        rates = {"locust itself": plain(file, server.host)}
        quiet = Workload(file=str(file), hosts=(server.host,), rate=200, seconds=SECONDS, seed=1)
        for rate in (200, 600):
            found = measure(
                Workload(file=str(file), hosts=quiet.hosts, rate=rate, seconds=SECONDS, seed=1), process.SYSTEM
            )
            rates[f"by schedule, {rate}/s"] = len(found.requests) / (found.processor * SECONDS)
            slip = percentile(sorted(found.slips), 0.99)
            print(f"  {f'late at {rate}/s, p99':<30} {slip:.2f} ms, {found.processor:.0%} of a processor")
    for name, each in rates.items():
        print(f"  {name:<30} {each:.0f} requests a second of processor ({each / rates['locust itself']:.2f})")


if __name__ == "__main__":
    main()
