"""The values of a release: commits, changes, orders, proofs.

A commit, what of it is deployed, what went live, and how that was proven.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from deploylib.models.evidence import Evidence
from deploylib.models.services import Live, Target
from deploylib.models.value import Id, Moment, Value

__all__ = [
    "AuthoredCommit",
    "Change",
    "Changes",
    "Commit",
    "Intent",
    "Opened",
    "Order",
    "Proof",
    "Restored",
    "Shipped",
    "Triggered",
    "Verified",
]


class Commit(Value, frozen=True):
    """A commit of the product: full id and first line."""

    id: Id
    subject: str = ""

    @property
    def short(self) -> str:
        """The first seven characters, as people read it."""
        return self.id[:7]


class AuthoredCommit(Value, frozen=True):
    """A commit and its author, as git has them.

    Attributes:
        at: when it was committed.
    """

    id: Id
    subject: str = ""
    author: str = ""
    email: str = ""
    at: Moment | None = None


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """The first event of a run: what it brings where.

    Attributes:
        services: the only services it may deploy; empty: all.
        back: it restores an earlier release.
        operation: what was asked for beside the releases, ``backup``, ``restore``, …; empty: it is a run.
        promotes: the environment and the run whose verified release it brings here, ``staging/<run>``.
        url: of the CI run.
        recent: ids of the last commits that it brings, so that a run whose clone does not know them can tell that
            it is the older one.
        steps: the names of the steps of a team's own that are part of it.
        reason: why it goes back, for the hold of what it goes back from.
    """

    run: str
    environment: str
    commit: Commit
    services: tuple[str, ...] = ()
    author: str = ""
    back: bool = False
    operation: str = ""
    promotes: str = ""
    url: str = ""
    recent: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    reason: str = ""

    @property
    def command(self) -> str:
        """The command that goes on with it.

        `inv deploy` would release again what a rollback goes back from.
        """
        if self.promotes:
            return f"inv promote --from {self.promotes.partition('/')[0]} --to {self.environment}"
        return "inv rollback" if self.back else "inv deploy"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The release that a rollback restores: of which run, and its commit."""

    run: str
    commit: Commit


class Change(Value, frozen=True):
    """The decision about one service, and why."""

    service: str
    deploy: bool
    reason: str
    live: Live


class Changes(Value, frozen=True):
    """What this run is about, decided once."""

    services: tuple[Change, ...] = ()

    @property
    def deploying(self) -> tuple[str, ...]:
        """The names of the services that are deployed."""
        return tuple(change.service for change in self.services if change.deploy)

    def of(self, service: str) -> Change:
        """Find the decision about *service*."""
        return next(change for change in self.services if change.service == service)


class Intent(Value, frozen=True):
    """A deploy about to be asked for, recorded before it is.

    So a lost answer can be found again.

    Attributes:
        existing: ids of the deploys that were there before.
        previous: what was live.
        from_deploy: the deploy whose artifact is restored; empty: *commit* is built.
        variables: names of the environment variables that this deploy gets, as far as they were looked at.
        named_before: the commit that the public address named then; empty where it named none, or nobody looked.
        answered: the status that it gave then; 0: none, or nobody looked.
        loaded: the files that its page named then: a tab that is open may still ask for them.
    """

    service: str
    commit: Id
    existing: tuple[str, ...]
    previous: Live
    from_deploy: Id = ""
    variables: tuple[str, ...] = ()
    named_before: str = ""
    answered: int = 0
    loaded: tuple[str, ...] = ()

    @property
    def misnamed(self) -> bool:
        """Whether the address named another commit than the live one.

        What it names then proves nothing.
        """
        return bool(self.named_before and self.previous.commit) and not self.previous.commit.startswith(
            self.named_before
        )


class Order(Value, frozen=True):
    """What one service shall serve.

    Attributes:
        previous: what it serves now.
        from_deploy: restore the artifact of this deploy instead of building *commit*.
        variables: names of the environment variables that it gets; only recorded.
        named_before: see `Intent`, and so of *answered* and *loaded*.
        as_good: commits that may go live in its place: a cron job is always built from the tip of its branch.
    """

    target: Target
    commit: str
    previous: Live
    from_deploy: Id = ""
    variables: tuple[str, ...] = ()
    named_before: str = ""
    answered: int = 0
    loaded: tuple[str, ...] = ()
    as_good: tuple[str, ...] = ()


class Shipped(Value, frozen=True):
    """A deploy of ours that went live.

    Attributes:
        rebuilt: it should have been restored, and the platform did not keep its artifact any more.
    """

    service: str
    deploy_id: Id
    commit: Id
    previous: Live
    seconds: float = 0.0
    build_seconds: float = 0.0
    start_seconds: float = 0.0
    rebuilt: bool = False


class Proof(StrEnum):
    """How strongly a release was shown to serve; the strongest first."""

    COMMIT = "commit"
    REACHABLE = "reachable"
    PLATFORM = "platform"


class Verified(Value, frozen=True):
    """The proof of one service, and by what it was shown.

    Attributes:
        advice: lines that would raise the level of proof; empty at the highest.
        notes: what is odd, and put nothing back.
        answered: the status that the address gave where it was no 2xx; 0: it was, or the address was not asked.
        evidence: what each probe has seen.
    """

    service: str
    proof: Proof
    text: str
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    answered: int = 0
    evidence: tuple[Evidence, ...] = ()


class Triggered(msgspec.Struct, frozen=True, kw_only=True):
    """A deploy that the platform has accepted.

    *adopted* when its answer was lost and it was found again.
    """

    service: str
    deploy_id: Id
    adopted: bool = False
