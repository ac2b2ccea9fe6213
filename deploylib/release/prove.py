"""Several services asked at once to prove themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import msgspec

from deploylib.environment import Environment
from deploylib.errors import Interrupted
from deploylib.models import Proof, Target, Verified
from deploylib.probes import Expected, Pace, Probe, address, verify_service
from deploylib.state import RunState
from deploylib.system import threads

__all__ = ["evidence_table", "prove_services", "read_answers"]


def prove_services(
    env: Environment,
    targets: Sequence[Target],
    expected: Mapping[str, Expected],
    pace: Pace,
    progress: Callable[[str, str], None] | None = None,
) -> tuple[Verified, ...]:
    """Verify several services at once, with their smoke requests.

    The settings declare those. When this is interrupted, each ends before its next request.

    Args:
        expected: what each service must prove, by name; a target that is not named is not asked.

    Raises:
        VerificationFailed: one of them does not prove itself.
    """
    stop, tell = threading.Event(), progress or env.progress.progress

    def said(service: str, text: str) -> None:
        if stop.is_set():
            raise Interrupted("verification was ended", remedy="inv verify", service=service)
        tell(service, text)

    def ask(target: Target) -> Verified:
        wanted = msgspec.structs.replace(expected[target.name], smoke=env.config.smoke(target.name))
        probe = Probe(client=env.render, clock=env.clock, pace=pace, progress=said, secret=env.config.secret)
        return verify_service(target, wanted, probe)

    chosen = [target for target in targets if target.name in expected]
    try:
        return tuple(threads.each(ask, chosen, len(chosen)))
    finally:
        stop.set()


def evidence_table(proven: Sequence[Verified]) -> tuple[str, ...]:
    """Set what each probe has seen as the rows of a table."""
    rows = [(one.service, each.probe, each.judgement.value, each.text) for one in proven for each in one.evidence]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return tuple(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def read_answers(state: RunState) -> dict[str, int]:
    """Read the status of each address at its verification."""
    shown = state.proven.verified
    return {each.service: each.answered or address.GOOD for each in shown if each.proof is not Proof.PLATFORM}
