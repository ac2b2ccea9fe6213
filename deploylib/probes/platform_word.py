"""The platform's word on a service: what is live, and what failed."""

from __future__ import annotations

from datetime import datetime

from deploylib.errors import Contradiction, ForeignDeploy, VerificationFailed
from deploylib.models import Deploy, Kind, Proof, Target, Verified
from deploylib.models.units import count
from deploylib.probes.expectation import Expected, Probe
from deploylib.render import Client
from deploylib.system import Deadline

__all__ = ["UNNAMED", "find_live", "prove_by_platform", "require_no_failure", "require_ours"]

UNNAMED = "the platform does not say at which commit it is live"  # null: unknown, and nobody else's


def prove_by_platform(target: Target, expected: Expected, probe: Probe) -> Verified:
    """Prove by the platform's own view over a while, without an address."""
    clock, pace = probe.clock, probe.pace
    if probe.client is None:
        raise VerificationFailed(
            f"{target.name} has no public address to ask",
            remedy="ask the platform: verify it with a client",
            service=target.name,
        )
    since, deadline = clock.now(), Deadline.after(pace.settle, clock)
    while True:
        live = find_live(target, probe.client)
        if live.commit and live.commit != expected.commit:
            raise ForeignDeploy(
                f"{target.name}: {live.commit[:7]} is live, not {expected.commit[:7]}",
                remedy="inv status shows what is live",
                service=target.name,
            )
        if target.kind is not Kind.CRON:
            require_no_failure(target, probe, since, pace.settle)
        if target.kind is Kind.CRON or deadline.has_passed():
            break
        probe.progress(target.name, "live; watching that it stays up")
        clock.sleep(min(5.0, pace.settle / 3))
    stayed = "runs at its times" if target.kind is Kind.CRON else f"no failure for {pace.settle:.0f} s"
    text = f"live at {expected.commit[:7]}; {stayed}" if live.commit else f"{UNNAMED}; {stayed}"
    return Verified(service=target.name, proof=Proof.PLATFORM, text=text)


def find_live(target: Target, client: Client) -> Deploy:
    """Ask which deploy the platform calls live.

    Raises:
        Contradiction: nothing, although a deploy has gone live before it is verified.
    """
    live = client.live(target.service_id)
    if live is None:
        raise Contradiction(
            f"{target.name}: the platform says that nothing is live",
            remedy=f"see the service ({target.dashboard_url or 'in the Render Dashboard'}): is it suspended?",
            service=target.name,
        )
    return live


def require_ours(target: Target, expected: Expected, probe: Probe) -> None:
    """See that the platform says that what we wait for is live.

    Only then is it at fault.

    Raises:
        ForeignDeploy: something else is.
        Unreachable: the platform cannot be asked.
    """
    live = probe.client.live(target.service_id) if probe.client is not None else None
    if live is not None and live.commit and live.commit != expected.commit:
        raise ForeignDeploy(
            f"{target.name} serves {live.commit[:7]} ({live.id}), by the platform's word, and not {expected.commit[:7]}",
            remedy="somebody else deploys here: inv status, then agree on who does",
            service=target.name,
            commit=live.commit,
        )


def require_no_failure(target: Target, probe: Probe, since: datetime, lasted: float) -> None:
    """See that no instance has failed meanwhile.

    The platform restarts them quickly enough to be missed from outside.
    """
    if probe.client is not None and (failures := probe.client.server_failures(target.service_id, since)):
        raise VerificationFailed(
            f"{target.name}: its program failed {count(failures, 'time')} within {lasted:.0f} s of going live",
            remedy="see its log (inv logs), correct it, commit, inv deploy",
            service=target.name,
        )
