"""Bodies rewritten for `as-recorded` and `status-unknown`.

Recorded answers of Render carry nulls that its schema does not have: `commit` while it is unknown, `finishedAt` while
a deploy runs, `ipAllowList`, `buildFilter`; `startedAt` is absent before the start, as it is here in any case.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localrender.model import ENDED

if TYPE_CHECKING:
    from starlette.types import Message

    from localrender.faults import Faults
    from localrender.state import State

UNKNOWN = "reticulating"


def is_needed(faults: Faults) -> bool:
    """Whether `status-unknown` holds a deploy, or will hold the one that a request is about to make."""
    armed = any(one.rule.fault == "status-unknown" and one.left != 0 for one in faults.armed)
    return armed or any(name == "status-unknown" for _, name in faults.held)


def rewritten(messages: list[Message], state: State, faults: Faults, *, nulls: bool) -> list[Message]:
    """The messages of an answer with another body; those of an answer without one as they are."""
    start, *rest = messages
    content = b"".join(message.get("body", b"") for message in rest)
    unknown = _unknown(state, faults)
    if not content or not (nulls or unknown):
        return messages
    body = json.loads(content)
    for one in _objects(body):
        if nulls:
            _add_nulls(one)
        if one.get("id") in unknown and "status" in one:
            one["status"] = UNKNOWN
    fresh = json.dumps(body, separators=(",", ":")).encode()
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    headers.append((b"content-length", str(len(fresh)).encode()))
    return [{**start, "headers": headers}, {"type": "http.response.body", "body": fresh}]


def _unknown(state: State, faults: Faults) -> set[str]:
    """The deploys whose status nobody knows: in progress, or not yet as old as the value says."""
    found = set()
    for (identifier, name), rule in list(faults.held.items()):
        if name != "status-unknown":
            continue
        deploy = state.deploy(identifier)
        if deploy is None:
            continue
        age = time.time() - datetime.fromisoformat(deploy.created_at).timestamp()
        if deploy.status not in ENDED or age < rule.value():
            found.add(identifier)
        else:
            del faults.held[identifier, name]
    return found


def _objects(body: Any) -> list[dict[str, Any]]:
    """Every object in a body, however deep."""
    if isinstance(body, list):
        return [found for item in body for found in _objects(item)]
    if isinstance(body, dict):
        return [body, *(found for item in body.values() for found in _objects(item))]
    return []


def _add_nulls(one: dict[str, Any]) -> None:
    if str(one.get("id")).startswith("dep-") and "status" in one:
        one.setdefault("finishedAt", None)
        if one["status"] in ("created", "queued") or "buildId" not in one:
            one["commit"] = None
    elif "serviceDetails" in one:
        one.setdefault("buildFilter", None)
        if one.get("type") in ("web_service", "static_site"):
            one["serviceDetails"].setdefault("ipAllowList", None)
    elif "databaseUser" in one:
        one["ipAllowList"] = None
