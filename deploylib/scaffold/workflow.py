"""The workflows are ours: of a release, and a pull request's comment.

A release is two jobs, or staging before production; who asks for it gets jobs side by side.

It starts by dispatch alone; one line makes every push a release. A repository that releases in parallel goes on with that.
"""

from __future__ import annotations

import re

from deploylib.scaffold.repository import Member, Proposal, Repository, Tree
from deploylib.scaffold.templates import read_template

__all__ = ["DEPLOY", "PARALLEL", "STAGING_FIRST", "Workflow"]

FOLDER = ".github/workflows/"
DEPLOY, STAGING_FIRST, PARALLEL = (f"{FOLDER}deploy{name}.yml" for name in ("", "-staging-first", "-parallel"))
PREVIEW = f"{FOLDER}preview.yml"
ACTION = ".github/actions/setup/action.yml"
PUSH = re.compile(r"^  (?:# )?push:(?: \{branches: \[main\]\} #.*\n|\n    branches: \[main\]\n)", re.MULTILINE)


class Workflow(Member):
    """Proposes the workflows, and the action that installs their tools."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:
        """Propose them, with the product's branch and environments."""
        beside = STAGING_FIRST if "staging" in product.environments else DEPLOY
        path = PARALLEL if product.asked.parallel or PARALLEL in tree.names else beside
        push = f"  # push: {{branches: [{product.branch}]}} # without the first #, every push there is released\n"
        text = PUSH.sub(lambda _: push, read_template(path))
        text = text.replace("# A push to main is released:", "# What a release is:")
        if path != STAGING_FIRST:
            default = product.environments[0]
            text = text.replace("options: [production, staging]", f"options: [{', '.join(product.environments)}]")
            text = text.replace("default: production", f"default: {default}").replace(
                "|| 'production'", f"|| '{default}'"
            )
        return (Proposal(path, text), *(Proposal(each, read_template(each)) for each in (PREVIEW, ACTION)))
