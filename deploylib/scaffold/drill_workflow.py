"""The monthly drill of staging is ours, where there is a staging."""

from __future__ import annotations

from deploylib.scaffold.repository import Member, Proposal, Repository, Tree
from deploylib.scaffold.templates import read_template

__all__ = ["DrillWorkflow"]

FILE = ".github/workflows/drill.yml"


class DrillWorkflow(Member):
    """Proposes ``drill.yml``."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:  # noqa: ARG002
        """Propose it for staging; none where there is no such environment."""
        return (Proposal(FILE, read_template(FILE)),) if "staging" in product.environments else ()
