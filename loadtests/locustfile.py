"""What visitors of the guest book do: read, page back, and only with ``--write`` sign it.

`inv loadtest` sends it at a rate, whatever a user here would wait; by hand, with pauses:
locust --locustfile loadtests/locustfile.py --headless --users 5 --run-time 20s --host BACKEND_URL Reader
"""

from __future__ import annotations

from locust import FastHttpUser, between, task


class Reader(FastHttpUser):
    """Reads the newest entries, and sometimes the ones before."""

    weight = 9
    wait_time = between(0.2, 1.0)

    @task(4)
    def newest(self) -> None:
        """The first page."""
        self.client.get("/api/entries?limit=20", name="newest")

    @task(1)
    def older(self) -> None:
        """The page after the first two entries."""
        entries = self.client.get("/api/entries?limit=2", name="newest two").json()
        if after := entries.get("next"):
            self.client.get(f"/api/entries?limit=20&after={after}", name="older")


class Writer(FastHttpUser):
    """Signs the guest book."""

    weight = 1
    wait_time = between(1.0, 3.0)

    @task
    def sign(self) -> None:
        """One entry."""
        self.client.post("/api/entries", json={"name": "Load", "message": "passing by"}, name="sign")
