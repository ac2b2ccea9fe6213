"""The recording of the course is of the commands that the page has, and the picture shows what was recorded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.runbook import asciicast
from tests.runbook.asciicast import COLUMNS, LINES, Event
from tests.runbook.lessons import RECORDED, TRAINING
from tests.support.edges import processes_of
from tests.support.pages import typed_blocks, typed_commands

ROOT = TRAINING.parents[1]
CAST, PICTURE = TRAINING.with_name("training.cast"), TRAINING.with_name("training.svg")
ANEW = "nox -s recording makes it anew"
SVG = "{http://www.w3.org/2000/svg}"
CELL, LINE, BASE = 9, 19, 14  # of a character of the picture: its width, its height, and where it stands in it


def _page() -> dict[str, list[tuple[str, int]]]:
    """The commands of the recorded blocks, as the page has them, and the exit codes that it names."""
    blocks = {block.situation: block for block in typed_blocks(TRAINING)}
    return {situation: typed_commands(blocks[situation].lines) for situation in RECORDED}


def test_the_commands_of_the_recording_are_those_of_the_page() -> None:
    """Whole blocks, in the order of the page, each a chapter; so neither changes without the other."""
    situations = [block.situation for block in typed_blocks(TRAINING)]
    typed = asciicast.sentences(asciicast.read(CAST)[1])

    assert sorted(RECORDED, key=situations.index) == list(RECORDED)
    assert list(typed) == list(RECORDED), ANEW
    assert typed == {situation: [text for text, _ in commands] for situation, commands in _page().items()}, ANEW


def test_the_recording_shows_each_command_and_the_exit_code_that_the_page_names() -> None:
    """After the prompt, one after the other; what follows says how it ended."""
    rest = asciicast.screen_text(asciicast.read(CAST)[1]).replace("\r\n", "\n")
    for command, code in [each for commands in _page().values() for each in commands]:
        _, typed, rest = rest.partition(f"$ {command}\n")
        said = f"\n{rest}".partition("\n$ ")[0]
        assert typed, f"{command} is not seen: {ANEW}"
        assert f"(exit code {code})" in said if code else "(exit code" not in said, command


def test_the_recording_is_an_asciicast() -> None:
    """Version 2, as asciinema documents it: a head, and events in order, of kinds that there are."""
    head, events = asciicast.read(CAST)
    times = [event.at for event in events]

    assert {"version": 2, "width": COLUMNS, "height": LINES, "idle_time_limit": 2.0}.items() <= head.items()
    assert times == sorted(times)
    assert {event.kind for event in events} == {"o", "i", "m"}
    assert all(event.data for event in events)


def test_the_picture_is_well_formed_and_needs_nothing_else() -> None:
    """No script, no address, no font: it moves by its own style, and stands still for who wants it so."""
    text = PICTURE.read_text()
    root = ET.fromstring(text)  # noqa: S314 - our own file
    names = {element.tag.removeprefix(SVG) for element in root.iter()}

    assert names == {"svg", "title", "style", "defs", "rect", "g", "text", "tspan", "use"}
    assert {element.get("href") for element in root.iter(f"{SVG}use")} == {"#c"}
    assert [
        name for element in root.iter() for name, value in element.items() if name.startswith("on") or ":" in value
    ] == []
    assert re.findall(r"@import|url\(", root.findtext(f"{SVG}style", "")) == []
    assert "prefers-reduced-motion" in text
    assert len(text) < 400_000


@pytest.mark.parametrize("file", [CAST, PICTURE], ids=lambda path: path.suffix)
def test_neither_tells_a_path_of_a_machine_or_a_secret(file: Path) -> None:
    """Nor who has made it."""
    text = file.read_text()

    assert asciicast.find_telltales(text) == []
    assert re.findall(r"\w+@[\w-]+", text) == []


def test_the_pages_say_what_the_picture_shows() -> None:
    """For who cannot see it; and the course leads to the recording itself."""
    for page, place in ((TRAINING, "training.svg"), (ROOT / "README.md", "docs/training.svg")):
        said = re.search(rf"!\[([^\]]+)\]\({re.escape(place)}\)", page.read_text())
        assert said is not None, page.name
        assert len(said[1].split()) >= 20, page.name
        assert "put back" in said[1]
    assert "↩ put back" in asciicast.screen_text(asciicast.read(CAST)[1])
    assert "](training.cast)" in TRAINING.read_text()


def test_a_path_is_no_path_of_the_machine_wherever_it_was_cut(tmp_path: Path) -> None:
    """Between two pieces of what was written, or at the edge of the terminal; a path of an address stays."""
    home = tmp_path / "home"
    (long := home / "deploylib").mkdir(parents=True)
    half = len(str(long)) // 2
    pieces = [
        f"in {str(long)[:half]}",
        f"{str(long)[half:]}/render.yaml, {tmp_path}/other\r\n",
        f"in {str(home)[:-2]}…",
        " http://127.0.0.1:80/tmp/x /api/health",
    ]
    changed = asciicast.neutral([Event(0.5, "o", piece) for piece in pieces], home)

    assert "".join(event.data for event in changed) == (
        "in ~/deploylib/render.yaml, …/other\r\nin ~… http://127.0.0.1:80/tmp/x /api/health"
    )
    assert asciicast.find_telltales(f"{pieces[0]} rnd_abc") == [str(long)[:half], "rnd_abc"]


@pytest.mark.load
def test_the_picture_is_drawn_from_the_recording() -> None:
    """So nobody has to believe it."""
    from tests.runbook.film import draw  # only the session `runbook` has a terminal

    assert PICTURE.read_text() == draw(CAST), ANEW


def _seen(root: ET.Element, moves: dict[str, tuple[int, int]]) -> list[str]:
    """What stands in the window once page and strip are moved: later things lie before earlier ones."""
    window = [" " * COLUMNS] * LINES
    for group in root.iter(f"{SVG}g"):
        right, down = moves[group.get("id", "")]
        for thing in group.iter(f"{SVG}rect"):  # what lies before the page covers it from there on
            window = [" " * COLUMNS if row * LINE >= down else line for row, line in enumerate(window)]
            assert thing.get("fill")
        for text in group.iter(f"{SVG}text"):
            row = (int(text.get("y", "")) - BASE + down) // LINE
            for span in text:
                column = (int(span.get("x", "")) + right) // CELL
                if 0 <= row < LINES and 0 <= column < COLUMNS:
                    word = span.text or ""
                    window[row] = window[row][:column] + word + window[row][column + len(word) :]
    return [line.rstrip() for line in window]


@pytest.mark.load
def test_the_picture_shows_what_the_terminal_has_shown() -> None:
    """At each of its moments, and in the same order: each is a screen of a terminal that gets what was recorded."""
    import pyte  # only the session `runbook` has it

    root = ET.fromstring(text := PICTURE.read_text())  # noqa: S314 - our own file
    stops = dict[str, list[tuple[float, tuple[int, int]]]]()
    for name in ("page", "live"):
        frames = text.partition(f"@keyframes {name}{{")[2].partition("}}")[0] + "}"
        moves = re.findall(r"([\d.]+)%\{transform:(?:none|translate\((-?\d+)px,(-?\d+)px\))", frames)
        stops[name] = [(float(at), (int(right or 0), int(down or 0))) for at, right, down in moves]
    moments = sorted({at for one in stops.values() for at, _ in one})
    shown = [
        _seen(root, {name: [move for at, move in one if at <= moment][-1] for name, one in stops.items()})
        for moment in moments
    ]
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.Stream(screen)
    waiting = iter(shown)
    due: list[str] | None = next(waiting)
    for event in asciicast.read(CAST)[1]:
        if event.kind == "o":
            stream.feed(event.data)
            while due is not None and due == [line.rstrip() for line in screen.display]:
                due = next(waiting, None)

    assert len(shown) > 100
    assert due is None


@pytest.mark.load
def test_a_recording_is_made_by_typing_the_commands(tmp_path: Path) -> None:
    """Of one block, in a clone of what lies here; nothing runs afterwards, and no folder is left."""
    folder = tmp_path / "made"
    folder.mkdir()
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-m", "tests.runbook.recording", "--into", str(folder), "--situation", RECORDED[0]]
    env = os.environ | {"TMPDIR": str(tmp_path / "scratch")}
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr

    head, events = asciicast.read(folder / "training.cast")
    said = asciicast.screen_text(events)
    assert head["version"] == 2
    assert asciicast.sentences(events) == {RECORDED[0]: [text for text, _ in _page()[RECORDED[0]]]}
    assert re.search(r"SUCCEEDED +\w{7} is live on local", said)
    assert "is live on local" in (folder / "training.svg").read_text()
    assert asciicast.find_telltales((folder / "training.cast").read_text()) == []
    assert list((tmp_path / "scratch").iterdir()) == []
    assert processes_of(tmp_path / "scratch") == []
