"""What must be so once a command has died and another one has settled what it left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tests.support.edges import Completed

ENDED = {"live", "deactivated", "canceled", "build_failed", "update_failed", "pre_deploy_failed"}
NOTHING, SUCCEEDED = "nothing to do", "succeeded"
UNEXPECTED = {1: "a bug", 20: "a person is needed"}


class Served(Protocol):
    """A product, the platform that serves it, and its commands."""

    folder: Path

    def served(self) -> dict[str, str]:
        """The commit that each service serves, by name."""
        ...

    def deploys(self, service: str, /) -> list[dict[str, Any]]:
        """The platform's deploys of a service, newest first."""
        ...

    def ok(self, *args: str) -> Completed:
        """Run a command, which must succeed."""
        ...


class Before(msgspec.Struct, frozen=True):
    """What was so before the command: what each service served, the runs of the history, the platform's deploys."""

    served: dict[str, str]
    runs: set[str]
    deploys: set[str]


def look(product: Served) -> Before:
    """See what is so now; everything must be at rest, and serve one commit."""
    served = product.served()
    assert len(set(served.values())) == 1, f"it begins with a mix: {_short(served)}"
    deploys = {str(one["id"]) for name in served for one in product.deploys(name)}
    return Before(served, set(runs(product)), deploys)


def runs(product: Served) -> dict[str, list[dict[str, Any]]]:
    """The runs that were written down, and their events in order."""
    found = {}
    for folder in sorted((product.folder / ".deploylib" / "runs").glob("*")):
        files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        if any(path.name.endswith("-opened.json") for path in files):
            found[folder.name] = [json.loads(path.read_text()) for path in files]
    return found


def outcomes(product: Served, before: Before) -> dict[str, list[str]]:
    """How each run that was written since then was closed: exactly once is right."""
    new = {run: events for run, events in runs(product).items() if run not in before.runs}
    return {
        run: [str(one["data"]["outcome"]) for one in events if one["kind"] == "closed"] for run, events in new.items()
    }


def complaints(product: Served, before: Before, settled: Completed) -> list[str]:
    """Everything that is wrong whatever has become of the run; empty when all is well."""
    found = [f"`inv` said: {settled.said}"] if "Traceback" in settled.said else []
    if settled.code in UNEXPECTED:
        found.append(f"exit code {settled.code}, {UNEXPECTED[settled.code]}: {_reason(settled)}")
    for run, ended in outcomes(product, before).items():
        if len(ended) != 1:
            kinds = [str(one["kind"]) for one in runs(product)[run]]
            found.append(f"run {run} was closed {len(ended)} times {ended}; its events: {' '.join(kinds)}")
    served = product.served()
    if len(set(served.values())) != 1:
        found.append(f"a mix is served: {_short(served)}")
    for name, commit in served.items():
        deploys = product.deploys(name)
        live = [str(one["commit"]["id"]) for one in deploys if one["status"] == "live"]
        if live != [commit]:
            found.append(f"{name} serves {commit[:7]}, and the platform says {[one[:7] for one in live]} is live")
        new = [one for one in deploys if one["id"] not in before.deploys]
        if going := [f"{one['id']} {one['status']}" for one in new if one["status"] not in ENDED]:
            found.append(f"{name} has deploys on their way: {', '.join(going)}")
        orders = Counter((str(one["trigger"]), str(one["commit"]["id"])[:7]) for one in new)
        found += [f"{name}: {count} deploys of {order}" for order, count in orders.items() if count > 1]
    lease = product.ok("lease", "--json").json
    if lease is not None and lease["state"] == "held":
        found.append(f"the lease is held by run {lease['holder']['run']}")
    return found


def decided(product: Served, before: Before, wanted: str, *, fails: bool = False) -> tuple[str, list[str]]:
    """How the run ended, and what is wrong where that does not agree with what is served.

    Args:
        wanted: the commit that is live where it has succeeded.
        fails: it cannot succeed.
    """
    ended = [one for each in outcomes(product, before).values() for one in each if one != NOTHING]
    outcome, served = ended[-1] if ended else "open", set(product.served().values())
    old = served == set(before.served.values())
    several = len(ended) > 1  # what was over already was done once more: a rollback goes further back then
    good = not old and (several or served == {wanted})
    if fails and outcome == SUCCEEDED:
        return outcome, ["it is recorded as succeeded, and it cannot"]
    if outcome == SUCCEEDED and not good:
        return outcome, [f"it succeeded, and {_short(product.served())} is served"]
    if outcome != SUCCEEDED and not old:
        return outcome, [f"it ended as {outcome!r}, and {_short(product.served())} is served, not what was before"]
    return outcome, []


def untouched(product: Served, before: Before, settled: Completed) -> list[str]:
    """What is wrong after `inv finish` where the command died before anything of its run was written."""
    found = [] if settled.out and settled.json["outcome"] == NOTHING else [f"there was something to do: {settled.said}"]
    if look(product) != before:
        found.append("something has changed")
    return found


def serves(product: Served, commit: str) -> list[str]:
    """What is wrong where every service is to serve a commit."""
    served = product.served()
    return [] if set(served.values()) == {commit} else [f"{_short(served)} is served, and not {commit[:7]}"]


def _reason(done: Completed) -> str:
    try:
        told = done.json
    except ValueError:
        return done.said
    return f"{told.get('error', '')} {' '.join(told.get('details', ()))}".strip()


def _short(served: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {commit[:7]}" for name, commit in served.items())
