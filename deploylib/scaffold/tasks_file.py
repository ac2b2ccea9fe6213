"""The ``tasks.py`` of a product: what its people type."""

from __future__ import annotations

from deploylib.scaffold.repository import Member, Proposal, Repository, Tree

__all__ = ["TasksFile"]

TEXT = '''"""What an operator types in this repository; inv --list tells all of it.

A task of your own stands below, as invoke has it; a step of each release is @deploylib.stage(after="migrate").
"""

from deploylib.cli import collection

ns = collection()
'''


class TasksFile(Member):
    """Proposes the import of every task."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:  # noqa: ARG002
        """Propose ``tasks.py``."""
        return (Proposal("tasks.py", TEXT),)
