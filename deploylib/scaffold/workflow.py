"""The workflow is ours, with a job for each service.

It starts by dispatch alone; one line makes every push a release.
"""

from __future__ import annotations

import re
import shlex

from deploylib.errors import SettingsError
from deploylib.scaffold.repository import Member, Proposal, Repository, Tree
from deploylib.scaffold.templates import read_template

__all__ = ["FILE", "Workflow"]

FILE, ACTION = ".github/workflows/deploy-parallel.yml", ".github/actions/setup/action.yml"
PUSH = "  push:\n    branches: [main]\n"
JOB = re.compile(r"  deploy-frontend:\n.*?(?=  deploy-backend:\n)", re.DOTALL)
JOBS = re.compile(r"  deploy-frontend:\n.*?(?=  finish:\n)", re.DOTALL)
NAME = re.compile(r"[A-Za-z0-9][\w .-]*")  # of a service: it stands in a shell's line and in an expression of GitHub's


class Workflow(Member):
    """Proposes the workflow, and the action that installs its tools."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:  # noqa: ARG002
        """Propose both, with the product's services and environments.

        Raises:
            SettingsError: a service has a name that no workflow can have.
        """
        names = [one.name for one in product.blueprint.deployable]
        for name in names:
            if not NAME.fullmatch(name):
                told = f"the service {name!r} cannot be named in a workflow"
                raise SettingsError(told, remedy="rename it: letters, digits, space, dot, dash and underscore")
        text = read_template(FILE)
        (job,) = JOB.findall(text)
        text = JOBS.sub(lambda _: "".join(_job(job, name) for name in names), text)
        needs = ", ".join(["tests", "scan", "prepare", *(_id(name) for name in names)])
        default = product.environments[0]
        for old, new in (
            ("# A push to main is released:", "# What a release is:"),
            (PUSH, f"  # push: {{branches: [{product.branch}]}} # without the first #, every push there is released\n"),
            ("[tests, scan, prepare, deploy-frontend, deploy-backend]", f"[{needs}]"),
            ("for example: frontend", f"for example: {names[0]}"),
            ("options: [production, staging]", f"options: [{', '.join(product.environments)}]"),
            ("default: production", f"default: {default}"),
            ("|| 'production'", f"|| '{default}'"),
        ):
            text = text.replace(old, new)
        return Proposal(FILE, text), Proposal(ACTION, read_template(ACTION))


def _job(job: str, name: str) -> str:
    """Write the job that deploys one service."""
    named = job.replace("deploy-frontend:", f"{_id(name)}:").replace("Deploy the frontend", f"Deploy {name}")
    return named.replace("'frontend'", f"'{name}'").replace("--service frontend", f"--service {shlex.quote(name)}")


def _id(name: str) -> str:
    return "deploy-" + re.sub(r"[^\w-]", "-", name)
