"""The append-only history of runs and operations, in a store.

One object per event, ``runs/<run id>/<sequence>-<event>.json``; a run's state is a fold over them. Nothing is ever
changed, so several machines can append and a killed run leaves exactly what it did. Events of two jobs may bear the same
number: neither has seen the other, so that either order is right. A run is found by ``history/<environment>/<time>-<run
id>``, because the ids that a CI gives do not sort by time, and once closed also by its folded state, ``states/``, so that
a look at the history of a bucket does not read every event again.

An operation is what a person asks for beside the releases: a backup alone, a restore, a look, a hold. It is recorded like a
run, and found by ``operations/<environment>/<time>-<id>``: whoever asks for the runs of an environment never meets it.

What builds and programs of the services wrote meanwhile is in ``logs/<run id>/``, and decides nothing.

A folded state is only a cache: where it cannot be read the events are folded again. So is the digest of the newest runs.
A run whose events cannot be read is named and passed over; where nobody can say that it has ended, nothing goes forward
until somebody has looked.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import LogLine, ids
from deploylib.models.release import Opened
from deploylib.models.results import Report, short
from deploylib.models.summaries import RunSummary
from deploylib.state import digest
from deploylib.state.run_state import LEFT, Event, RunState, fold
from deploylib.store import Damaged, Store, StoreRefused, format_version, read_document
from deploylib.system import Clock, threads

T = TypeVar("T")
RUNS, OPERATIONS = "history", "operations"
AT_ONCE = 8  # requests to the store; more of them would only wait for each other
# Of a run in the history, and of an event; whatever else lies there is not ours.
MOMENT = len("20260101T000000.000000")
NAMED = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]+-(?!\.\.?$)([^/\x00-\x1f\ud800-\udfff]+)")
EVENT = re.compile(r"([0-9]{4,})-([a-z-]+)\.json")


@dataclass(frozen=True, slots=True)
class History:
    """The history in a store.

    Attributes:
        damaged: is told of a run that is passed over, because it cannot be read.
        clean: strikes secrets out of what is recorded.
    """

    store: Store
    clock: Clock
    damaged: Callable[[Damaged], None] = lambda _damaged: None
    clean: Callable[[Any], Any] = lambda value: value

    def begin(self, opened: Opened) -> None:
        """Write a run's first event, unless another job of it has.

        It comes after every run that is there, whatever this machine's clock says, or said when the one before began.
        """
        known = f"{OPERATIONS if opened.operation else RUNS}/{opened.environment}/"
        format_version.write_format(self.store)
        there = list(self.store.list(known))
        if not any(key.endswith(f"-{opened.run}") for key in there):
            at = _after((key.removeprefix(known) for key in there), self.clock.now())
            self.store.put_if_absent(f"{known}{at:%Y%m%dT%H%M%S.%f}-{opened.run}", b"")
        self.store.put_if_absent(f"runs/{opened.run}/0001-opened.json", self._event("opened", opened))

    def close(self, state: RunState, report: Report) -> RunState:
        """Write a run's last event, and its state for quick looks."""
        self.append(state.id, "closed", report)
        closed = msgspec.structs.replace(state, last=self.clock.now(), report=report)
        body = msgspec.json.encode(self.clean(msgspec.to_builtins(closed)))
        with suppress(SettingsError, Unreachable):  # a cache: without it the events are read
            self.store.put(f"states/{state.id}.json", [body])
        if not closed.opened.operation:
            digest.add(self.store, closed.opened.environment, self._clean_summary(closed))
        return closed

    def append(self, run: str, kind: str, value: Any) -> None:
        """Write one event of a run.

        It is on the disk when this returns.
        """
        body = self._event(kind, value)
        number = max((number for number, _, _ in self._keys(run)), default=0)
        while not self.store.put_if_absent(f"runs/{run}/{number + 1:04d}-{kind}.json", body):
            number += 1

    def keep_lines(self, run: str, lines: Sequence[LogLine]) -> None:
        """Keep lines of the services' logs with a run; several machines may."""
        key = f"logs/{run}/{self.clock.now():%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}.json"
        self.store.put(key, [msgspec.json.encode(self.clean(msgspec.to_builtins(lines)))])

    def read_lines(self, run: str) -> tuple[LogLine, ...]:
        """Read the lines kept with a run.

        Each once, oldest first. A piece that cannot be read is passed over, and told.
        """
        kept: list[LogLine] = []
        for key in list(self.store.list(f"logs/{run}/")):
            try:
                kept += read_document(self.store, key, list[LogLine])
            except Damaged as damaged:
                self.damaged(damaged)
        by_id = {line.id or (line.at, line.service, line.text): line for line in kept}
        return tuple(sorted(by_id.values(), key=lambda line: line.moment))

    def read_events(self, run: str) -> Iterator[Event]:
        """Read the events of a run, oldest first.

        Raises:
            Damaged: one of them cannot be read.
        """
        yield from self._read_events(run, self._keys(run))

    def _read_events(self, run: str, named: Iterable[tuple[int, str, str]]) -> Iterator[Event]:
        for _, _, key in named:
            yield read_document(self.store, key, Event, cure=self._cure(run, key))

    def read_last(self, run: str, kind: str, shape: type[T]) -> T | None:
        """Read a run's newest event of a kind; None: there is none.

        Raises:
            Damaged: it cannot be read.
        """
        keys = [key for _, known, key in self._keys(run) if known == kind]
        try:
            event = read_document(self.store, keys[-1], Event) if keys else None
            return msgspec.convert(event.data, shape) if event is not None else None
        except (KeyError, msgspec.ValidationError) as error:
            raise Damaged(keys[-1], "it is no such event", self._cure(run, keys[-1])) from error

    def _keys(self, run: str) -> list[tuple[int, str, str]]:
        """List number, kind and key of a run's events, in order.

        A stray object beside them is none.
        """
        folder = f"runs/{run}/"
        named = ((EVENT.fullmatch(key.removeprefix(folder)), key) for key in self.store.list(folder))
        return [(int(found[1]), found[2], key) for found, key in named if found]

    def _cure(self, run: str, key: str) -> str:
        return (
            f"look at inv status and the platform, then move {key.rpartition('/')[0]} out of the store and keep it aside: "
            f"run {run} is forgotten then, and the next release begins from what is live"
        )

    def _event(self, kind: str, value: Any) -> bytes:
        event = Event(at=self.clock.now(), kind=kind, data=self.clean(msgspec.to_builtins(value)))
        return msgspec.json.format(msgspec.json.encode(event), indent=1)

    def read(self, run: str) -> RunState:
        """Read a run.

        What was written when it was closed, or a fold over its events.

        Raises:
            KeyError: there is no such run.
            Damaged: its events cannot be read.
        """
        with suppress(KeyError, StoreRefused, Damaged, msgspec.ValidationError):
            return self._whole(run, read_document(self.store, f"states/{run}.json", RunState))
        key, named = f"runs/{run}/", self._keys(run)
        try:
            events = list(self._read_events(run, named))
        except KeyError as error:
            raise Damaged(str(error.args[0]), "it went away while it was read", self._cure(run, key)) from error
        if not events:
            raise KeyError(run)
        if events[0].kind != "opened":
            raise Damaged(key, "its first event is not there, so nobody knows what it was about", self._cure(run, key))
        if gone := _gaps(number for number, _, _ in named):
            raise Damaged(key, f"event {gone[0]} of it is not there, and those after it are", self._cure(run, key))
        try:
            state = RunState(opened=msgspec.convert(events[0].data, Opened), at=events[0].at, last=events[0].at)
            for event in events[1:]:
                state = fold(state, event)
            return self._whole(run, state)
        except msgspec.ValidationError as error:
            why = f"an event says something that is not known here ({error})"
            raise Damaged(key, why, self._cure(run, key)) from error

    def _whole(self, run: str, state: RunState) -> RunState:
        """Check that a state is the run's, with what later stages need.

        Raises:
            msgspec.ValidationError: it is not.
        """
        if state.id != run:
            raise msgspec.ValidationError(f"it is that of run {state.id}")
        for name, shape in LEFT.items():
            state.read_data(name, shape)
        return state

    def find_unreadable(self, environment: str) -> Damaged | None:
        """Find the newest run that may be open and cannot be read.

        None: there is none.
        None, too, where a run that was settled came after it: every run settles what it finds left behind, before it changes anything.
        """
        for run in self.list_ids(environment):
            try:
                state = self.read(run)
            except KeyError:
                continue
            except Damaged as damaged:
                if not any(kind == "closed" for _, kind, _ in self._keys(run)):
                    return damaged
            else:
                if state.report is not None and state.intents:
                    return None
        return None

    def list_ids(self, environment: str, *places: str) -> list[str]:
        """List the ids of runs, newest first.

        With *places* of what is there: `RUNS`, `OPERATIONS`.
        """
        keys = [
            key.rpartition("/")[2] for place in places or (RUNS,) for key in self.store.list(f"{place}/{environment}/")
        ]
        matches = (NAMED.fullmatch(key) for key in sorted(keys, reverse=True))
        return [name[1] for name in matches if name]

    def read_runs(self, environment: str, limit: int = 20, *places: str) -> Iterator[RunState]:
        """Read the newest runs, at most *limit*.

        One that cannot be read is passed over.

        Args:
            places: see `list_ids`.
        """
        for run in self.list_ids(environment, *places):
            if limit <= 0:
                return
            try:
                state = self.read(run)
            except KeyError:  # its first event was never written, so nobody knows what it was about
                continue
            except Damaged as damaged:
                self.damaged(damaged)
                continue
            yield state
            limit -= 1

    def read_summaries(self, environment: str) -> tuple[tuple[RunSummary, ...], tuple[str, ...]]:
        """Read the newest runs in few words, and name the unreadable.

        Newest first.
        All that are open, and as many that are closed as `digest.NEWEST`. What the digest has is not read again, and what it
        lacks is in it afterwards.
        """
        known = digest.read(self.store, environment)
        place, after = f"{RUNS}/{environment}/", ""
        if (
            len(known) >= digest.NEWEST
        ):  # a run's key bears the time of its first write, which comes after it was opened
            after = f"{place}{min(each.at for each in known.values()):%Y%m%dT%H%M%S}"
        named = (NAMED.fullmatch(key.removeprefix(place)) for key in sorted(self.store.list(place, after)))
        runs = {name[1]: None for name in named if name}
        missing = [run for run in runs if run not in known][-digest.NEWEST :]
        read = threads.each(self._summarize, missing, AT_ONCE)
        summaries = {run: summary for run, summary in zip(missing, read, strict=True) if summary is not None}
        known = {run: summary for run, summary in known.items() if run in runs} | summaries
        if any(each.outcome for each in summaries.values()):
            digest.write(self.store, environment, (each for each in known.values() if each.outcome))
        newest = [known[run] for run in reversed(runs) if run in known][: digest.NEWEST]
        return tuple(newest), tuple(run for run in missing if run not in summaries)

    def _summarize(self, run: str) -> RunSummary | None:
        """Sum a run up; None: it cannot be read."""
        try:
            return self._clean_summary(self.read(run))
        except KeyError:  # its first event was never written, so nobody knows what it was about
            return None
        except Damaged as damaged:
            self.damaged(damaged)
            return None

    def _clean_summary(self, state: RunState) -> RunSummary:
        return msgspec.convert(self.clean(msgspec.to_builtins(state.summary)), RunSummary)

    def read_operations(self, environment: str, limit: int) -> Iterator[RunState]:
        """Read what was asked for beside the releases, newest first."""
        return self.read_runs(environment, limit, OPERATIONS)

    def read_all(self, environment: str, limit: int) -> Iterator[RunState]:
        """Read runs and operations, newest first."""
        return self.read_runs(environment, limit, RUNS, OPERATIONS)

    def find_newest(self, environment: str, wanted: Callable[[RunState], object], limit: int = 50) -> RunState | None:
        """Find the newest run, of the last *limit*, that is *wanted*."""
        return next((state for state in self.read_runs(environment, limit) if wanted(state)), None)

    def find(self, environment: str, text: str) -> RunState | None:
        """Find the run or operation whose id alone ends with *text*.

        Raises:
            SettingsError: several end so.
            Damaged: it cannot be read.
        """
        runs = (run for run in self.list_ids(environment, RUNS, OPERATIONS) if run.endswith(text) and self._keys(run))
        run = ids.find_id(text, runs, kind="run", short=short)
        if run is None:
            return None
        try:
            return self.read(run)
        except KeyError:  # it was removed in this moment
            return None


def _gaps(numbers: Iterable[int]) -> list[int]:
    """List the numbers that are missing among those of events.

    Each writer takes the next one, so that one was there.
    """
    there = set(numbers)
    return sorted(set(range(1, max(there, default=0))) - there)


def _after(names: Iterable[str], now: datetime) -> datetime:
    """Find a moment after each of those by which runs are listed."""
    last = max((name[:MOMENT] for name in names if NAMED.fullmatch(name)), default="")
    try:
        return max(now, datetime.strptime(last, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC) + timedelta(microseconds=1))
    except (ValueError, OverflowError):  # there is none, or somebody else has made up a key
        return now
