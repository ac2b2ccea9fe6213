"""The product of three trivial services, made so that a crash can come at every moment of a recovery."""

from __future__ import annotations

from pathlib import Path

from tests.support import trivial

# It ends so late that everything else is live by then, and has to be put back.
BUILD_THAT_FAILS = """
for each in $(seq 1800); do test -e "{up}/$RENDER_GIT_COMMIT" && break; sleep 0.1; done
sleep 1.5
exit 1
"""
# When it serves, it says so where that build looks.
UP = "import pathlib, time\n\ntime.sleep({start})\npathlib.Path({up!r}, os.environ['RENDER_GIT_COMMIT']).touch()\n"
SERVING = "ThreadingHTTPServer((os"


class Trivial(trivial.Trivial):
    """Its repository.

    Args:
        start: seconds that its web service takes to start, also where it is put back: a crash in the meantime leaves
            that on its way.
    """

    def __init__(self, folder: Path, start: float = 0.0) -> None:
        up = folder.parent / "up"
        up.mkdir(parents=True)
        self._failing = BUILD_THAT_FAILS.format(up=up)
        late = UP.format(start=start, up=str(up))
        self._server = trivial.SERVER.replace(SERVING, f"{late}\n{SERVING}")
        super().__init__(folder)

    def change_all(self, server: str = "", *, fails: bool = False) -> str:
        """A commit that touches every service; with *fails*, one of them cannot be built."""
        made = super().change_all(server or self._server)
        if not fails:
            return made
        self.write("beta/build.sh", self._failing)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--amend", "--no-edit")
        return self.head
