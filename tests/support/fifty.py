"""A product of fifty static sites whose builds wait between 5 and 40 seconds, on a platform that enforces its limits."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from deploylib.models import Deploy
from deploylib.render import Client
from tests.support.edges import environment
from tests.support.product import TIME_SCALE, Product

SERVICES, SHORTEST, LONGEST = 50, 5.0, 40.0
SITE = """\
  - type: web
    name: {name}
    runtime: static
    buildCommand: "mkdir dist && sleep {seconds:.2f} && cp {name}.html dist/index.html"
    staticPublishPath: dist
    autoDeployTrigger: "off"
    buildFilter:
      paths:
        - {name}.html
"""


def build_seconds(number: int, count: int = SERVICES) -> float:
    """How long the build of a site waits: each differently, and in no order."""
    return SHORTEST + (LONGEST - SHORTEST) * (number * 17 % count) / max(1, count - 1)


def product(folder: Path, count: int = SERVICES) -> Product:
    """The product, committed, and a local Render that runs for it; nothing is deployed."""
    made = Product(folder, parts=("tasks.py", ".gitignore"))
    names = [f"site-{number:02}" for number in range(count)]
    sites = [SITE.format(name=name, seconds=build_seconds(number, count)) for number, name in enumerate(names)]
    files = {"render.yaml": "services:\n" + "".join(sites)}
    files["pyproject.toml"] = f"[tool.deploylib]\nlocal_time_scale = {TIME_SCALE}\n"
    made.commit("Fifty sites", files | {f"{name}.html": f"<title>{name}</title>\n" for name in names})
    command = [sys.executable, "-m", "localrender", "up", f"--time-scale={TIME_SCALE}", "--enforce-rate-limits"]
    subprocess.run(command, cwd=made.folder, env=environment(), check=True, capture_output=True, timeout=120)
    return made


def change(made: Product, message: str) -> str:
    """A commit that touches every site."""
    pages = sorted(path.name for path in made.folder.glob("site-*.html"))
    return made.commit(message, {name: f"<title>{name} {message}</title>\n" for name in pages})


def until_next_window() -> None:
    """Wait for the next minute: what was asked before is forgotten then, and a release has one whole window at first."""
    time.sleep(60 - time.time() % 60)


def newest(made: Product) -> dict[str, Deploy]:
    """The newest deploy of each service; asked for by our own client, which waits where the limits want it to."""
    known = made.endpoint
    render = Client(known["api_key"], known["api_url"])
    with render.session:
        return {service.name: render.deploys(service.id, limit=1)[0] for service in render.services()}


def own_seconds(deploy: Deploy) -> float:
    """How long a deploy took, by the platform's own clock."""
    assert deploy.created_at is not None
    assert deploy.finished_at is not None
    return (deploy.finished_at - deploy.created_at).total_seconds()


def calls(made: Product, begin: int = 0) -> Counter[tuple[str, str]]:
    """How many requests of each method each stage of the newest run sent; those after the last stage are its report.

    Stages up to ``changes`` are one: they are recorded together, once it is known that there is something to do.

    Args:
        begin: the first of the logged requests that counts.
    """
    ends = [(_at(one["at"]), str(one["data"]["stage"])) for one in made.events() if one["kind"] == "stage"]
    ends = [(end, "check … changes" if name == "check" else name) for end, name in ends]
    counted: Counter[tuple[str, str]] = Counter()
    for one in made.requests()[begin:]:
        stage = next((name for end, name in ends if _at(one["time"]) <= end), "report")
        counted[stage, one["method"]] += 1
    return counted


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
