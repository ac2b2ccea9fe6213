"""The locustfile asks for one page.

The team knows what else its visitors do.
"""

from __future__ import annotations

from deploylib.scaffold.repository import Member, Proposal, Repository, Tree

__all__ = ["LoadTestFile"]

TEXT = '''"""What visitors do: inv loadtest sends it at a rate, whatever a user here would wait.

Add a task for each thing that many people do; a user that writes takes part only with --write.
"""

from __future__ import annotations

from locust import FastHttpUser, between, task


class Reader(FastHttpUser):
    """Reads what everybody reads."""

    wait_time = between(0.2, 1.0)

    @task
    def read(self) -> None:
        """The first thing that is asked for."""
        self.client.get("{path}")
'''


class LoadTestFile(Member):
    """Proposes ``loadtests/locustfile.py``."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:  # noqa: ARG002
        """Propose it where something answers requests."""
        if product.web is None:
            return ()
        path = product.web.health_check_path or "/"
        return (Proposal("loadtests/locustfile.py", TEXT.replace("{path}", path)),)
