"""Fault switches: which faults there are, which of them are armed, and whom they hit next.

Off unless the server was started with `--faults`; then every part holds None in place of `Faults` and asks nothing.
What is armed lives in memory only: `down` forgets it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from localrender.errors import LocalRenderError, bad_input
from localrender.faultnames import NAMES, REQUEST, Fault

if TYPE_CHECKING:
    from localrender.model import Service

METHODS = ("", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_NO_INSTANCES = ("static", "cron")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault as it is asked for; what is not said is filled in when it is armed."""

    fault: str
    service: str = ""
    next: int | None = None
    """How many deploys or requests; 0 until cleared."""
    value: int | float | None = None
    method: str = ""
    path: str = ""
    after: int = 0
    commit: str = ""
    """For `foreign-deploy` only."""


class Armed(msgspec.Struct, eq=False):
    """A rule that waits for its next victim, or holds one."""

    rule: Rule
    kind: Fault
    service_id: str
    passing: int
    left: int | None
    """How often it still fires; None until cleared."""
    fired: int = 0
    deploys: list[str] = []

    def value(self) -> float:
        """The value, where the fault has one."""
        return self.rule.value or 0

    def shown(self) -> dict[str, Any]:
        """As the control endpoint lists it."""
        return msgspec.structs.asdict(self.rule) | {"left": self.left, "fired": self.fired, "deploys": self.deploys}

    def fires(self) -> bool:
        """Count one that matches; whether it is hit."""
        if self.passing:
            self.passing -= 1
            return False
        if self.left is not None:
            self.left -= 1
        self.fired += 1
        return True


def faults_off() -> LocalRenderError:
    """What a server without `--faults` says."""
    return LocalRenderError(
        "fault switches are off",
        remedy="python -m localrender down, then python -m localrender up --faults",
        code="faults_off",
        exit_code=2,
    )


def decoded(content: bytes) -> Rule:
    """The rule of a request.

    Raises:
        LocalRenderError: It is none.
    """
    try:
        return msgspec.json.decode(content or b"{}", type=Rule)
    except (msgspec.DecodeError, RecursionError) as error:
        fields = ", ".join(Rule.__struct_fields__)
        raise bad_input("bad_fault", f"no rule for a fault: {error}", f"give these fields: {fields}") from error


class Faults:
    """All that is armed, in the order in which it was."""

    def __init__(self) -> None:
        self.armed: list[Armed] = []
        self.held: dict[tuple[str, str], Armed] = {}

    def arm(self, rule: Rule, services: list[Service]) -> Armed:
        """Check a rule and remember it; what acts at once is not remembered.

        Raises:
            LocalRenderError: No such fault or service, or a value that it cannot have.
        """
        kind = NAMES.get(rule.fault)
        if kind is None:
            raise bad_input("unknown_fault", f"there is no fault {rule.fault!r}", f"one of: {', '.join(NAMES)}")
        known = {service.spec.name: service for service in services}
        service = _service(kind, rule, known)
        _check_value(kind, rule)
        _check_matching(kind, rule)
        count = kind.next if rule.next is None or kind.group == "platform" else rule.next
        value = kind.value if rule.value is None else rule.value
        filled = msgspec.structs.replace(rule, next=count, value=value)
        entry = Armed(filled, kind, service.id if service else "", rule.after, count or None)
        if kind.group != "platform":
            self.armed.append(entry)
        return entry

    def clear(self) -> None:
        """Nothing is armed any more, and no deploy is held."""
        self.armed.clear()
        self.held.clear()

    def remove(self, name: str, service_id: str = "") -> None:
        """Disarm one fault, of one service or of all."""
        self.armed = [
            one for one in self.armed if one.rule.fault != name or (service_id and one.service_id != service_id)
        ]

    def listed(self, current: set[str]) -> list[Armed]:
        """What still fires, and what still holds one of the current deploys."""
        return [one for one in self.armed if one.left != 0 or (one.kind.lasting and current.intersection(one.deploys))]

    def take(self, name: str, service_id: str) -> Armed | None:
        """The rule that hits this service now; it is used up by one."""
        for one in self.armed:
            if one.rule.fault == name and one.left != 0 and one.service_id in ("", service_id) and one.fires():
                return one
        return None

    def take_request(self, method: str, path: str, *, beside: bool) -> list[Armed]:
        """The rules that hit a request: all that go beside others, or the first of those that decide its answer."""
        found = []
        for one in self.armed:
            if one.kind.group != REQUEST or one.kind.beside is not beside or one.left == 0:
                continue
            if _matches(one, method, path) and one.fires():
                found.append(one)
                if not beside:
                    break
        return found

    def hold(self, name: str, deploy_id: str, service_id: str) -> Armed | None:
        """Take a rule for a deploy, which it holds from now on."""
        found = self.take(name, service_id)
        if found:
            found.deploys = [*found.deploys, deploy_id]
            self.held[deploy_id, name] = found
        return found

    def holding(self, name: str, deploy_id: str) -> Armed | None:
        """The rule that holds a deploy."""
        return self.held.get((deploy_id, name))

    def lasting_value(self, name: str, service_id: str) -> float | None:
        """The value of a lasting state of a service; None where it is off."""
        found = [one for one in self.armed if one.rule.fault == name and one.service_id in ("", service_id)]
        return found[-1].value() if found else None

    def is_set(self, name: str, service_id: str) -> bool:
        """Whether a lasting state is on for a service."""
        return any(one.rule.fault == name and one.service_id in ("", service_id) for one in self.armed)


def _matches(one: Armed, method: str, path: str) -> bool:
    rule = one.rule
    if one.kind.name == "empty-202" and not (method == "POST" and re.search(r"/(deploys|rollback)$", path)):
        return False
    if one.kind.name == "logs-cut" and path != "/v1/logs/subscribe":
        return False
    if one.service_id and one.service_id not in path.split("/"):
        return False
    return rule.method in ("", method) and re.search(rule.path, path) is not None


def _service(kind: Fault, rule: Rule, known: dict[str, Service]) -> Service | None:
    if not rule.service:
        if kind.service == "needed":
            raise bad_input("bad_fault", f"{kind.name} needs a service", f"--service, one of: {', '.join(known)}")
        return None
    if kind.service == "none":
        raise bad_input("bad_fault", f"{kind.name} is not about a service", "leave the service out")
    service = known.get(rule.service)
    if service is None:
        raise bad_input("unknown_service", f"there is no service {rule.service}", f"one of: {', '.join(known)}")
    name, spec = kind.name, service.spec
    running = [other for other, one in known.items() if one.spec.kind not in _NO_INSTANCES]
    if name.startswith(("start-", "health-")) and spec.kind in _NO_INSTANCES:
        raise bad_input("bad_fault", f"{spec.name} has no instances that start", f"one of: {', '.join(running)}")
    if name.startswith("pre-deploy-") and not spec.pre_deploy_command:
        having = [other for other, one in known.items() if one.spec.pre_deploy_command]
        told = ", ".join(having) or "none here has"
        raise bad_input("bad_fault", f"{spec.name} has no pre-deploy command", f"one that has: {told}")
    return service


def _check_value(kind: Fault, rule: Rule) -> None:
    value, allowed = rule.value, kind.allowed
    if (rule.next or 0) < 0 or rule.after < 0:
        raise bad_input("bad_fault", "next and after count deploys or requests", "a whole number from 0 on")
    if value is None:
        return
    if allowed is None:
        raise bad_input("bad_fault", f"{kind.name} takes no value", "leave the value out")
    low, high, whole = allowed
    if not low <= value <= high or (whole and value != int(value)):
        what = f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}: {kind.meaning}"
        raise bad_input("bad_fault", f"{value:g} is no value of {kind.name}", f"give {what}")


def _check_matching(kind: Fault, rule: Rule) -> None:
    if rule.commit and kind.name != "foreign-deploy":
        raise bad_input("bad_fault", f"{kind.name} takes no commit", "commit is for foreign-deploy")
    if (rule.method or rule.path) and kind.group != REQUEST:
        names = ", ".join(name for name, one in NAMES.items() if one.group == REQUEST)
        raise bad_input("bad_fault", f"{kind.name} is not about requests", f"method and path are for: {names}")
    if rule.method not in METHODS:
        raise bad_input("bad_fault", f"there is no method {rule.method}", f"one of: {', '.join(METHODS[1:])}")
    try:
        re.compile(rule.path)
    except re.error as error:
        raise bad_input("bad_fault", f"{rule.path!r} is no regular expression: {error}", "correct the path") from error
