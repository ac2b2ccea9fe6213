"""One call of `rollout.roll_out`, with everything that it recorded and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploylib.models import Intent, Live, Order, Shipped
from deploylib.models.release import Triggered
from deploylib.render import rollout
from tests.support.fakes import NEW, OLD, FakeClock, target
from tests.support.in_memory import Platform


@dataclass
class Run:
    """One call of `rollout.roll_out`, with what it recorded and told."""

    platform: Platform
    clock: FakeClock
    events: list[tuple[str, Any]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    each: Callable[[str], None] = lambda _kind: None

    def record(self, kind: str, value: Any, /) -> None:
        """Keep it."""
        self.each(kind)
        self.events.append((kind, value))

    def bring(
        self,
        *orders: Order,
        within: float = 600,
        intents: Mapping[str, Intent] | None = None,
        triggered: Mapping[str, Triggered] | None = None,
    ) -> tuple[Shipped, ...]:
        """Carry the orders out."""
        return rollout.roll_out(
            orders,
            rollout.Rollout(
                self.platform.render(),
                self.clock,
                self.clock.deadline(within),
                self.record,
                lambda service, text: self.told.append((service, text)),
                intents=intents or {},
                triggered=triggered or {},
            ),
        )

    def kinds(self) -> list[str]:
        """What was recorded, in order."""
        return [kind for kind, _ in self.events]


def order(name: str = "api", *, from_deploy: str = "", after: tuple[str, ...] = ()) -> Order:
    """Let a service serve the new commit, or an earlier deploy."""
    previous = Live(service=name, commit=OLD, deploy_id="dep-1")
    return Order(target=target(name, after=after), commit=NEW, previous=previous, from_deploy=from_deploy)
