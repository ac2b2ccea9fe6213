"""A command that waits at one place: ``python -m tests.hostile.waiting PLACE ADDRESS``, in the folder of a product."""

from __future__ import annotations

import sys
from collections.abc import Callable

from invoke.context import Context

from deploylib.cli.task import command
from deploylib.environment import Environment
from deploylib.errors import DeployError
from deploylib.models import Secret
from deploylib.postgres.connection import connect
from deploylib.store.s3 import Bucket
from deploylib.system import http, process, threads

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"


def sleeping(env: Environment, _address: str) -> None:
    """In the pause between two looks."""
    env.clock.sleep(600)


def reading(_env: Environment, address: str) -> None:
    """In a body that drips."""
    http.Session(timeout=600).request("GET", address)


def reading_beside(_env: Environment, address: str) -> None:
    """In several of them at once, beside the main thread."""
    threads.each(lambda _: http.Session(timeout=600).request("GET", address), range(3), 3)


def running(_env: Environment, _address: str) -> None:
    """In a program that does not want to end."""
    process.SYSTEM.run(process.Command([sys.executable, "-c", STUBBORN], timeout=600))


def streaming(_env: Environment, _address: str) -> None:
    """In the output of one."""
    list(process.SYSTEM.stream(process.Command([sys.executable, "-c", STUBBORN])))


def feeding(_env: Environment, address: str) -> None:
    """In the input of one, which comes from a server that drips."""
    process.SYSTEM.run(process.Command(["cat"], stdin=http.Session(timeout=600).pieces(address), timeout=600))


def storing(_env: Environment, _address: str) -> None:
    """In the answer of a bucket; botocore takes what is raised in it for the server's fault, which may be tried again."""
    list(Bucket("s3://bucket/prefix").list("runs/"))


def uploading(_env: Environment, _address: str) -> None:
    """In a part of an upload, which is sent beside us."""
    Bucket("s3://bucket/prefix").put("dump", (bytes(1 << 20) for _ in range(40)))


def connecting(_env: Environment, address: str) -> None:
    """In a database that takes the connection and says nothing."""
    with connect(Secret(address.replace("http", "postgresql") + "/x"), timeout=60):
        """Never."""


def asking(_env: Environment, address: str) -> None:
    """In a statement."""
    with connect(Secret(address), statements="0") as connection:
        connection.execute("select pg_sleep(600)")


def swallowing(env: Environment, _address: str) -> None:
    """Where whatever ends the wait is taken for an error that may pass."""
    while True:
        try:
            env.clock.sleep(600)
        except DeployError:
            continue


PLACES: dict[str, Callable[[Environment, str], None]] = {
    place.__name__: place
    for place in (
        sleeping, reading, reading_beside, running, streaming, feeding, storing, uploading, connecting, asking, swallowing,
    )
}  # fmt: skip


@command()
def waits(env: Environment) -> None:
    """Wait there."""
    sys.stdout.write("waiting\n")
    sys.stdout.flush()
    PLACES[sys.argv[1]](env, sys.argv[2])


if __name__ == "__main__":
    waits(Context())
