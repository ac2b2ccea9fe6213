"""The faults there are: name, what each does, and what its value means."""

from __future__ import annotations

from typing import Literal

import msgspec

DEPLOY, REQUEST, PLATFORM = "deploy", "request", "platform"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of fault."""

    name: str
    group: Literal["deploy", "request", "platform"]
    text: str
    meaning: str = ""
    value: float | None = None
    allowed: tuple[float, float, bool] | None = None
    """The lowest value, the highest, and whether it has to be a whole number."""
    next: int = 1
    """How many are hit unless told; 0 until cleared."""
    service: Literal["none", "optional", "needed"] = "optional"
    beside: bool = False
    """Of a request: goes together with another fault of the same request."""
    lasting: bool = False
    """Of a deploy: holds it as long as it is current."""

    def line(self) -> str:
        """The explanation with the value."""
        if self.allowed is None:
            return self.text
        default = "" if self.value is None else f" (default {self.value:g})"
        return f"{self.text}; value: {self.meaning}{default}"


_SECONDS, _CODE = (0.0, 86_400.0, False), (1.0, 255.0, True)


def _deploy(name: str, text: str, value: float | None, meaning: str, *, lasting: bool = False) -> Fault:
    allowed = None if not meaning else _CODE if meaning == "exit code" else _SECONDS
    return Fault(name=name, group="deploy", text=text, value=value, meaning=meaning, allowed=allowed, lasting=lasting)


def _command(phase: str, what: str) -> list[Fault]:
    return [
        _deploy(f"{phase}-slow", f"the {what} begins late", 5, "seconds"),
        _deploy(f"{phase}-fail", f"the {what} ends with an exit code instead", 1, "exit code"),
        _deploy(f"{phase}-crash", f"the process of the {what} is killed: code 137", None, ""),
    ]


def _request(name: str, text: str, value: float | None = None, meaning: str = "", *, beside: bool = False) -> Fault:
    allowed = _SECONDS if meaning else None
    return Fault(
        name=name, group="request", text=text, value=value, meaning=meaning, allowed=allowed,
        next=0 if beside else 1, beside=beside,
    )  # fmt: skip


_ALL = [
    *_command("build", "build command"),
    *_command("pre-deploy", "pre-deploy command"),
    _deploy("start-slow", "each new instance starts late", 5, "seconds", lasting=True),
    _deploy("start-fail", "the new instance ends at once with an exit code", 1, "exit code", lasting=True),
    _deploy("start-crash", "each instance is killed some time after it went live", 3, "seconds", lasting=True),
    _deploy("health-slow", "health checks of a new instance are answered too late", 5, "seconds", lasting=True),
    _deploy("health-fail", "health checks of a new instance fail until the start timeout", None, "", lasting=True),
    _deploy("health-flap", "health of the live instances is good and bad by turns", 5, "seconds of a turn", lasting=True),
    _deploy("status-unknown", "the status is `reticulating` while the deploy goes on", 3, "seconds at least", lasting=True),
    Fault(
        name="minutes-used-up", group="deploy", next=0,
        text="the workspace has no build minutes left: each deploy is canceled, and an event says why",
    ),
    _request("answer-429", "answered 429, nothing is done", None, "seconds in Retry-After"),
    _request("answer-500", "answered 500, nothing is done"),
    _request("answer-503", "answered 503, nothing is done"),
    _request("error-after", "carried out, then answered 500"),
    _request("hang", "not answered, nothing is done", 120, "seconds until the connection closes"),
    _request("hang-after", "carried out, then not answered", 120, "seconds until the connection closes"),
    _request("drop-before", "the connection closes without an answer, nothing is done"),
    _request("drop-after", "carried out, then the connection closes without an answer"),
    Fault(
        name="logs-cut", group="request", text="a websocket of logs is cut", value=10,
        meaning="lines after which", allowed=(0, 100_000, True), service="none",
    ),
    _request("latency", "each request takes longer", 1000, "milliseconds", beside=True),
    _request("empty-202", "a POST of a deploy or rollback is carried out and answered 202 without a body"),
    _request("as-recorded", "answers carry nulls, as recorded ones of Render do", beside=True),
    Fault(
        name="artifact-gone", group="platform", service="needed",
        text="at once: the kept artifacts are deleted, but not the live one; a rollback is refused",
    ),
    Fault(
        name="foreign-deploy", group="platform", service="needed",
        text="at once: a deploy that somebody else started, of the live commit",
    ),
    Fault(
        name="overlap-override", group="platform", next=0,
        text="from now on a new deploy cancels the running one of its service",
    ),
    Fault(name="overlap-wait", group="platform", text="from now on a new deploy waits again, which is the default"),
    Fault(
        name="disk-share", group="platform", service="none", next=0, value=95, meaning="percent", allowed=(0, 100, False),
        text="from now on the metrics tell that so much of the disk of each database is used",
    ),
    Fault(
        name="memory-share", group="platform", next=0, value=95, meaning="percent", allowed=(0, 100, False),
        text="from now on the metrics tell that so much of the memory is used",
    ),
    Fault(name="postgres-down", group="platform", service="none", next=0, text="at once: Postgres stops"),
    Fault(name="postgres-up", group="platform", service="none", text="at once: Postgres starts again"),
]  # fmt: skip
NAMES = {one.name: one for one in _ALL}


def explained() -> str:
    """All names with a line each, for a terminal."""
    heads = {DEPLOY: "of a deploy", REQUEST: "of a request to the API", PLATFORM: "of the platform"}
    lines: list[str] = []
    for group, head in heads.items():
        lines += ["", f"{head}:", *(f"  {one.name:<17} {one.line()}" for one in _ALL if one.group == group)]
    return "\n".join(lines[1:])
