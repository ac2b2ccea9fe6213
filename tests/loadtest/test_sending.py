"""What really is sent, by real processes to a real server, and what the sender says of itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from deploylib.errors import NotExamined, SettingsError
from deploylib.loadtest.figures import Figures
from deploylib.loadtest.measurement import Measurement, Workload, measure
from deploylib.loadtest.validity import find_faults
from deploylib.system import process
from tests.support.paced_server import PacedServer, serve

HEAD = "from locust import FastHttpUser, HttpUser, SequentialTaskSet, TaskSet, User, task\n"
READER = """
class Reader(FastHttpUser):
    @task
    def newest(self):
        self.client.get("/newest")
"""


def send(server: PacedServer, folder: Path, *classes: str, **how: object) -> Measurement:
    """Send what these classes do, quickly."""
    file = folder / "locustfile.py"
    file.write_text(HEAD + "".join(classes or [READER]))
    asked: dict[str, object] = {"rate": 100.0, "seconds": 1.0, "warm_up": 0.3, "seed": 1} | how
    return measure(Workload(file=str(file), hosts=(server.host,), **asked), process.SYSTEM)  # type: ignore[arg-type]


def test_a_server_that_stands_still_is_asked_on_and_told_as_such(tmp_path: Path) -> None:
    """Two seconds: a p95 of 1.8 s, where users who wait for their answers would have seen milliseconds."""
    with serve(freeze=(1.3, 3.3)) as server:
        measured = send(server, tmp_path, rate=40.0, seconds=4.0, warm_up=0.3)

    figures, starved = Figures.of(measured), any("too late" in fault for fault in find_faults(measured))
    assert figures.stall is not None
    assert figures.stall.seconds >= 1.7
    assert figures.stall.seconds <= max(2.5, server.paused + 0.5) or starved  # a busy machine stands still as well
    assert figures.stall.waiting > 50
    assert figures.p95 > 1500
    assert figures.typical < figures.p95 / 5


def test_a_locustfile_takes_modules_of_the_product_and_nobody_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is called like one of Python's is that of Python."""
    (tmp_path / "queue.py").write_text("raise ImportError('of the product')\n")
    (tmp_path / "paths.py").write_text("NEWEST = '/newest'\n")
    (tmp_path / "loadtests").mkdir()
    monkeypatch.chdir(tmp_path)

    with serve() as server:
        measured = send(server, tmp_path / "loadtests", "import paths\n", READER.replace('"/newest"', "paths.NEWEST"))

    assert measured.requests


def test_five_users_cannot_send_what_takes_twenty(tmp_path: Path) -> None:
    """A hundred a second to a server that needs 200 ms: what does not fit is skipped and counted, never bunched."""
    with serve(0.2) as server:
        measured = send(server, tmp_path, in_flight=5)

    assert measured.busiest == 5
    assert 0.5 < measured.skipped / measured.planned < 0.9
    assert [fault.split(" were ")[0] for fault in find_faults(measured)][-2] == "5 of 5 users"


@pytest.mark.load
def test_a_sender_that_is_starved_is_invalid(tmp_path: Path) -> None:
    """Stopped for a third of a second again and again, while the server is quick."""

    def starve(stop: threading.Event) -> None:
        while not stop.wait(0.1):
            for child in psutil.Process().children():
                if "deploylib.loadtest.child" in child.cmdline():
                    os.kill(child.pid, signal.SIGSTOP)
                    time.sleep(0.1)
                    os.kill(child.pid, signal.SIGCONT)

    stop = threading.Event()
    starving = threading.Thread(target=starve, args=(stop,))
    with serve() as server:
        starving.start()
        try:
            measured = send(server, tmp_path)
        finally:
            stop.set()
            starving.join()

    assert any("too late" in fault for fault in find_faults(measured))


@pytest.mark.load
def test_more_than_a_processor_can_send_is_invalid(tmp_path: Path) -> None:
    """It says so itself, instead of telling its own queue as the server's time."""
    with serve(0.0) as server:
        measured = send(server, tmp_path, rate=8000.0, in_flight=1000)

    assert find_faults(measured)


@pytest.mark.load
def test_users_have_names_weights_nested_tasks_and_both_clients(tmp_path: Path) -> None:
    """What locust runs, with an arrival in the place of each pause."""
    nested = """
class Shopper(HttpUser):
    weight = 1
    def on_start(self):
        self.client.get("/login")
    @task
    class Steps(SequentialTaskSet):
        wait_time = lambda self: 30
        @task
        def first(self):
            self.client.get("/first")
        @task
        def second(self):
            with self.client.get("/second", catch_response=True) as answer:
                answer.success()
"""
    with serve() as server:
        measured = send(server, tmp_path, READER + "    weight = 4\n", nested, rate=60.0, seconds=2.0)
    names = {path.name: path for path in Figures.of(measured).paths}

    assert set(names) >= {"/newest", "/first", "/second"}
    assert names["/newest"].requests > 2 * (names["/first"].requests + names["/second"].requests)
    assert abs(names["/first"].requests - names["/second"].requests) < 10
    assert measured.errors == {}


@pytest.mark.load
def test_what_goes_wrong_is_counted_by_kind(tmp_path: Path) -> None:
    """A status, a connection; and a mistake in the file, of which nobody knows whose it is: that is no verdict."""
    classes = """
class Reader(FastHttpUser):
    @task
    def broken(self):
        self.client.get("/broken")
    @task
    def wrong(self):
        {}["key"]
"""
    with serve() as server:
        measured = send(server, tmp_path, classes)
    gone = send(server, tmp_path)

    assert set(measured.errors) == {"503"}
    assert min(measured.latencies) > 1
    assert any("broke off in the locustfile itself (KeyError: 'key')" in fault for fault in find_faults(measured))
    assert gone.error_rate == 1.0
    assert set(gone.errors) == {"ConnectionRefusedError"}


@pytest.mark.load
def test_a_server_that_is_gone_in_the_middle_is_told_and_one_that_never_was_there_is_no_verdict(tmp_path: Path) -> None:
    """Half of the requests go wrong, which counts; where nobody ever answered, it may be the way there."""
    with ExitStack() as going:
        server = going.enter_context(serve())
        threading.Timer(3.0, going.pop_all().close).start()
        middle = send(server, tmp_path, seconds=8.0)
    never = send(server, tmp_path)

    assert 0.05 < middle.error_rate < 1
    assert find_faults(middle) == ()
    assert never.error_rate == 1
    assert any("nobody answered (ConnectionRefusedError)" in fault for fault in find_faults(never))


def test_a_writer_writes_only_when_told_to(tmp_path: Path) -> None:
    """By its name it is left out; who is called otherwise and posts all the same ends the run before it has posted."""
    writer = READER.replace("Reader", "EntryWriter").replace('get("/newest")', 'post("/sign", json={})')
    with serve() as server:
        send(server, tmp_path, READER, writer)
        assert not any(asked.startswith("POST") for asked in server.seen)

        with pytest.raises(SettingsError, match="sends POST /sign: only with --write"):
            send(server, tmp_path, READER, writer.replace("EntryWriter", "Sneaky"))
        assert not any(asked.startswith("POST") for asked in server.seen)

        send(server, tmp_path, READER, writer, write=True)
        assert server.seen["POST /sign"] > 10


@pytest.mark.load
def test_nobody_but_the_environments_services_is_asked(tmp_path: Path) -> None:
    """Neither by a host of a class, nor by a whole address, nor by being led there."""
    with serve() as server, serve() as foreign:
        server.led_to = f"{foreign.host}/newest"
        whole = READER.replace('"/newest"', f'"{foreign.host}/newest"')
        with pytest.raises(SettingsError, match="which is no service of the environment"):
            send(server, tmp_path, whole)
        with pytest.raises(SettingsError, match="which is no service of the environment"):
            send(server, tmp_path, READER + f"    host = {foreign.host!r}\n")
        with pytest.raises(SettingsError, match="neither HttpUser nor FastHttpUser"):
            send(server, tmp_path, READER.replace("FastHttpUser", "User"))
        led = send(server, tmp_path, READER.replace("/newest", "/away"))

        assert led.errors == {}
        assert server.seen["GET /away"] > 50
        assert not foreign.seen


ELSEWHERE = {
    "a host that is set later": READER + "    def __init__(self, environment):\n        self.host = FOREIGN\n"
    "        super().__init__(environment)\n",
    "another base": READER.replace("self.client.get", "self.client.base_url = FOREIGN; self.client.get"),
    "a name before an @": READER.replace('"/newest"', '"@" + FOREIGN.removeprefix("http://") + "/newest"'),
    "the client's client": READER.replace('self.client.get("/', 'self.client.client.urlopen(FOREIGN + "/'),
    "a library of one's own": READER.replace('self.client.get("/', 'import requests; requests.get(FOREIGN + "/'),
    "a socket of one's own": READER.replace(
        'self.client.get("/newest")',
        'import socket; socket.create_connection(("127.0.0.1", int(FOREIGN.rpartition(":")[2]))).send(b"GET / HTTP/1.0\\r\\n\\r\\n")',
    ),
    "at its import": READER + "import requests\ntry:\n    requests.get(FOREIGN)\nexcept Exception:\n    pass\n",
}


@pytest.mark.load
@pytest.mark.parametrize("way", ELSEWHERE)
def test_no_way_leads_elsewhere(way: str, tmp_path: Path) -> None:
    """Whatever client a task takes: it is said whom it would have asked, and nothing comes there."""
    with serve() as server, serve() as foreign:
        with pytest.raises(SettingsError, match=f"asks 127.0.0.1:{foreign.port}, which is no service"):
            send(server, tmp_path, f"FOREIGN = {foreign.host!r}\n", ELSEWHERE[way])
        assert not foreign.seen


@pytest.mark.load
@pytest.mark.parametrize("client", ["self.client.client.urlopen", "requests.request"])
def test_no_client_writes(client: str, tmp_path: Path) -> None:
    """Nor does one that is not locust's face."""
    call = 'method="POST", url=self.host + "/sign")'
    with serve() as server:
        with pytest.raises(SettingsError, match="sends POST /sign: only with --write"):
            send(
                server, tmp_path, "import requests\n", READER.replace('self.client.get("/newest")', f"{client}({call}")
            )
        assert not server.seen


NO_FILES = {
    "import nothing_like_it": "ModuleNotFoundError",
    "x = (": "SyntaxError",
    "\n": "no user class",
    READER.replace("    @task\n", ""): "Reader has no task",
    READER + "    weight = 0\n": "no user class takes part",
    READER + "    host = 5\n": "Reader asks 5",
    "import sys; sys.exit(0)": "it ends the program: SystemExit: 0",
    READER.replace("self.client", "raise SystemExit(1); self.client"): "it ends the program: SystemExit: 1",
    READER
    + "    def on_start(self):\n        raise ValueError('no token')\n": "no task has sent a request.*ValueError: no token",
    READER
    + "    def __init__(self, environment):\n        raise ValueError('no\u00a0key')\n": "no Reader can be made: ValueError",
    READER.replace('self.client.get("/newest")', "pass"): "no task has sent a request by self.client$",
    READER.replace('"/newest"', '"//127.0.0.1/newest"'): "no task has sent a request.*invalid request URI",
}


def test_without_locust_it_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not to look at the locustfile, which has no part in it; nothing is sent."""
    version = metadata.version

    def without(name: str) -> str:
        if name == "locust":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    with serve() as server:
        with pytest.raises(SettingsError, match=r"locust.* is not installed here") as refused:
            send(server, tmp_path, READER)
        assert not server.seen
    assert refused.value.remedy.startswith("pip install 'locust")


@pytest.mark.load
@pytest.mark.parametrize("text", NO_FILES)
def test_a_file_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    """With what to correct, and nothing is sent."""
    with serve() as server:
        with pytest.raises(SettingsError, match=NO_FILES[text]) as refused:
            send(server, tmp_path, text)
        assert not server.seen
    assert "locust --list --locustfile" in refused.value.remedy


@pytest.mark.load
@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_file_that_ends_the_process_leaves_nothing_examined(end: str, tmp_path: Path) -> None:
    """It is no bug of ours, and no verdict; the file can be run by hand."""
    with serve() as server, pytest.raises(NotExamined, match=r"ended with code (0|-9)") as refused:
        send(server, tmp_path, f"import os\n{end}\n")
    assert f"--host {server.host}" in refused.value.remedy


@pytest.mark.load
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("while True: pass\n", "not imported within 30 s"),
        (READER.replace("self.client", "while True: pass\n        self.client"), "keeps the processor to itself"),
    ],
)
def test_a_file_that_never_returns_is_ended(text: str, why: str, tmp_path: Path) -> None:
    """At its import, or in a task that lets nobody else run."""
    with serve() as server, pytest.raises(SettingsError, match=why):
        send(server, tmp_path, text)
    assert not [child for child in psutil.Process().children() if "deploylib.loadtest.child" in child.cmdline()]


@pytest.mark.load
def test_what_the_file_prints_is_no_answer(tmp_path: Path) -> None:
    """However much that is; nor does a request that never ends keep the run from its end."""
    with serve(1800.0) as server:
        began = time.monotonic()
        prints = (
            "import sys\nprint('{}')\nfor _ in range(100): print('x' * 99999); print('y' * 99999, file=sys.stderr)\n"
        )
        measured = send(server, tmp_path, prints, READER, rate=20.0, patience=0.5)

    assert time.monotonic() - began < 300
    assert set(measured.errors) == {"no answer"}
    assert min(measured.latencies) > 400
