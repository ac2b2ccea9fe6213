"""Practise a drill: make the situation, have it mended, clean up, judge."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from deploylib.drills.catalog import DRILLS, find_practice
from deploylib.drills.definition import Drill, find_section
from deploylib.drills.results import DrillResult, DrillResults, describe_time
from deploylib.drills.scene import Scene
from deploylib.environment import Environment
from deploylib.errors import Blocked, DeployError, Interrupted, NotExamined
from deploylib.models.interruption import suppress_failure
from deploylib.models.units import seconds
from deploylib.release import record_operation
from deploylib.system import Deadline, files

__all__ = ["Nobody", "Person", "Typist", "Worker", "drill", "drill_all", "end_leftovers", "practise", "record_drill"]

KIND = "drill"  # of the folders; also the operation in the history
WIDTH = 56  # characters of a line that is told: a narrow terminal beside another one
LOOK_EVERY = 1.0
SETTLE = 30.0  # seconds from the last right command until all must be well


class Worker(Protocol):
    """Who mends what is broken.

    Attributes:
        waits: needs time to look.
    """

    waits: bool

    def work(self, scene: Scene, drill: Drill, within: float) -> tuple[float | None, str]:
        """Mend what is broken.

        Args:
            within: seconds after which it is given up.

        Returns:
            The moment at which all was well, and what went wrong.
        """
        ...


def drill(env: Environment, *, name: str = "", within: str = "30m", unattended: bool = False) -> DrillResult:
    """Practise a situation of the runbook.

    It is made on a local Render of its own. What a person has done is recorded in the environment's
    history, and nothing else is touched there.

    Args:
        name: of the drill.
        within: after how long it is given up.
        unattended: the right commands are typed by a program, and nothing is recorded: nobody has practised.

    Raises:
        SettingsError: there is no such drill.
        NotExamined: the situation could not be made.
    """
    chosen, limit = find_practice(name), seconds(within, "--within")
    if unattended:
        return practise(env, chosen, Typist(env), limit)
    with record_drill(env, chosen.name) as results:
        results.append(practise(env, chosen, Person(env), limit))
    return results[0]


def drill_all(env: Environment, *, within: str = "30m", worker: Worker | None = None) -> DrillResults:
    """Have all drills done by a program, as a test of them.

    Args:
        within: after how long each is given up.
        worker: who mends what is broken; None: the program that types the right commands.
    """
    done = []
    for number, each in enumerate(DRILLS, 1):
        env.progress.note(f"{number} of {len(DRILLS)}: {each.name}")
        result = practise(env, each, worker or Typist(env), seconds(within, "--within"))
        env.progress.note(f"  {'✓' if result.passed else '✗'} {result.line}")
        done.append(result)
    return DrillResults(results=tuple(done))


@contextmanager
def record_drill(env: Environment, name: str) -> Iterator[list[DrillResult]]:
    """Record what came of a drill.

    Whoever does it appends the result; one that was not passed ends badly in the history, and counts for nothing.
    """
    results: list[DrillResult] = []
    try:
        with record_operation(env, KIND) as work:
            work.data = {"drill": name}
            yield results
            work.data, lines = results[0].record, [results[0].line]
            work.lines.extend(lines)
            _require_passed(results[0])
    except _NotPassed:
        return  # the result says so


class _NotPassed(Blocked):
    """A drill was not passed."""


def _require_passed(result: DrillResult) -> None:
    if not result.passed:
        raise _NotPassed(result.line, remedy=f"inv drill {result.drill}: once more")


def practise(env: Environment, drill: Drill, worker: Worker, within: float) -> DrillResult:
    """Make the situation, let somebody mend it, clean up, and judge.

    Raises:
        NotExamined: the situation could not be made.
        Interrupted: it was given up; nothing of it is left.
    """
    fault = ""
    try:
        with files.temporary_folder(KIND, partial(_end_leftover, env)) as folder:
            scene = Scene(folder, env, waits=worker.waits)
            try:
                env.progress.note("Making the situation, on a local Render of its own …")
                scene.start(database=drill.database)
                drill.begin(scene)
                _require_fault(drill, scene)
                began = env.clock.now().timestamp()
                well, fault = worker.work(scene, drill, within)
                took = env.clock.now().timestamp() - began
                with suppress_failure(
                    DeployError
                ):  # of a local Render that somebody has stopped, which is found right afterwards
                    scene.mend()
                fault = fault or _find_fault(drill, scene)
                typed = scene.typed
            finally:
                scene.end()
            fault = fault or scene.left
    except Interrupted as error:
        error.remedy = f"nothing is left of it; inv drill {drill.name} begins it anew"
        raise
    cure = next((round(one.at - began, 1) for one in typed if one.task in drill.cures), None)
    return DrillResult(
        drill=drill.name,
        passed=not fault,
        seconds=round(took, 1),
        noticed=round(typed[0].at - began, 1) if typed else None,
        first_right=cure,
        restored=None if well is None else round(well - began, 1),
        fault=fault,
        typed=tuple(one.line for one in typed),
        steps=tuple(step.line for step in drill.steps),
        runbook=find_section(drill),
        attended=worker.waits,
    )


def _require_fault(drill: Drill, scene: Scene) -> None:
    """See that there is something to mend.

    Raises:
        NotExamined: all is well, so that nothing can be practised.
    """
    if not _find_fault(drill, scene):
        raise NotExamined(f"{drill.name}: nothing is broken, so there is nothing to practise", remedy="the same again")


def _find_fault(drill: Drill, scene: Scene) -> str:
    """Find what is not well, or could not be looked at."""
    try:
        return drill.find_fault(scene)
    except Interrupted:
        raise
    except DeployError as error:
        return f"nobody can look: {error.message}"


def end_leftovers(env: Environment) -> None:
    """Clean up after drills that were killed."""
    files.sweep_folders(KIND, partial(_end_leftover, env))


def _end_leftover(env: Environment, folder: Path) -> None:
    env.progress.note(f"cleaning up after a drill that was killed: {folder}")
    Scene(folder, env).end()


class Person:
    """Somebody works in another terminal, while we look."""

    waits = True

    def __init__(self, env: Environment) -> None:
        self._env = env

    def work(self, scene: Scene, drill: Drill, within: float) -> tuple[float | None, str]:
        """Tell the situation, and wait until it is mended."""
        self._tell(scene, drill, within)
        clock, seen = self._env.clock, 0
        began, deadline = clock.now().timestamp(), Deadline.after(within, clock)
        while not deadline.has_passed():
            for command in scene.typed[seen:]:
                right = "  ← right" if self._is_first(scene, drill, seen) else ""
                self._env.progress.note(f"{describe_time(command.at - began):>6}  {command.line}{right}")
                seen += 1
            with suppress_failure(DeployError):
                drill.meanwhile(scene)
            if not _find_fault(drill, scene):
                well = clock.now().timestamp()
                self._env.progress.note(f"{describe_time(well - began):>6}  all is well again: cleaning up")
                return well, ""
            clock.sleep(LOOK_EVERY)
        return None, f"time is over: {_find_fault(drill, scene)}"

    def _is_first(self, scene: Scene, drill: Drill, number: int) -> bool:
        tasks = [one.task in drill.cures for one in scene.typed[: number + 1]]
        return tasks[-1] and not any(tasks[:-1])

    def _tell(self, scene: Scene, drill: Drill, within: float) -> None:
        activate = Path(sys.prefix, "bin", "activate")
        enter = [f"    . {activate}"] if sys.prefix != sys.base_prefix else []
        self._env.progress.note(
            "",
            *_wrap(drill.situation),
            "",
            *_wrap("Work in another terminal, as you would at night:"),
            "",
            *enter,
            f"    cd {scene.copy}",
            "    inv status",
            "",
            "Nothing that is anybody's can break there. The runbook:",
            f"    {find_section(drill)}",
            "Type its commands without --environment.",
            f"The clock runs, {within / 60:.0f} min at most. Ctrl-C here gives up.",
            "",
        )


class Typist:
    """Types the right commands, one after the other."""

    waits = False

    def __init__(self, env: Environment) -> None:
        self._env = env

    def work(self, scene: Scene, drill: Drill, within: float) -> tuple[float | None, str]:
        """Type them; each must end as it should."""
        clock = self._env.clock
        self._env.progress.note(*_wrap(drill.situation))
        deadline = Deadline.after(within, clock)
        for step in drill.steps:
            drill.meanwhile(scene)
            done = scene.type_line(step.line)
            self._env.progress.note(f"$ {step.line}    # exit code {done.returncode}")
            if done.returncode != step.code:
                self._env.progress.note(*done.lines)
                return None, f"{step.line} ended with exit code {done.returncode}, not {step.code}"
        return _await_well(scene, drill, min(SETTLE, deadline.left))


class Nobody:
    """Does nothing, which mends nothing."""

    waits = False

    def work(self, scene: Scene, drill: Drill, within: float) -> tuple[float | None, str]:
        """Look once."""
        del within
        drill.meanwhile(scene)
        fault = _find_fault(drill, scene)
        return (None if fault else scene.host.clock.now().timestamp()), ""


def _wrap(text: str) -> list[str]:
    return [line for each in text.splitlines() for line in textwrap.wrap(each, WIDTH)]


def _await_well(scene: Scene, drill: Drill, within: float) -> tuple[float | None, str]:
    """Look until all is well, or *within* is over."""
    deadline = Deadline.after(within, scene.host.clock)
    while fault := _find_fault(drill, scene):
        if deadline.has_passed():
            return None, fault
        scene.host.clock.sleep(LOOK_EVERY)
    return scene.host.clock.now().timestamp(), ""
