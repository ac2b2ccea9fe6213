"""The npm scripts, for those who type npm."""

from __future__ import annotations

import json

from deploylib.scaffold.repository import Member, Proposal, Purpose, Repository, Tree

__all__ = ["SCRIPTS", "NpmScripts"]

SCRIPTS = {"deploy:test": "inv tests", "deploy:migrate": "inv migrate", "deploy:rollback": "inv rollback"}


class NpmScripts(Member):
    """Proposes scripts in the ``package.json`` at the top, which are asked for."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:
        """Propose them as an object of JSON."""
        if not product.asked.npm or "package.json" not in tree.names:
            return ()
        return (Proposal("package.json", json.dumps(SCRIPTS), Purpose.SCRIPTS),)
