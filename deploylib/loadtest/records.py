"""Runs of load tests in the store.

Of each a record to compare with, and its raw times, compressed. A record is found by what must be alike for two runs to be compared; the machine that sent stands apart, so that the runs
of others can be named *not comparable* instead of missing.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from deploylib.loadtest.figures import Figures
from deploylib.loadtest.measurement import Measurement, Workload
from deploylib.models import Moment, Value
from deploylib.store import Damaged, Store, read_document

__all__ = ["Key", "RecordedRun", "Records", "Subject"]

FOLDER = "loadtests"


class Subject(Value, frozen=True):
    """The subject of a load test, what for, and from where.

    Attributes:
        plan: of the service; empty where the platform tells none.
        instances: of the service; 0 where the platform does not tell.
        machine: that sends.
        run: that the test is a part of.
        p95: milliseconds, the objective; 0: there is none.
        error_rate: likewise, a share of the requests.
        puts_back: a degraded release is put back, so that its record is not held against later ones.
    """

    environment: str
    service: str
    plan: str
    instances: int
    machine: str
    run: str
    commit: str
    at: datetime
    p95: float = 0.0
    error_rate: float = 0.01
    puts_back: bool = False


class Key(Value, frozen=True):
    """What two measurements must share to be compared.

    Attributes:
        scenario: hash of the locustfile, and whether it wrote.
        service: that was asked.
        plan: of the service; empty where the platform tells none.
        instances: of the service; 0 where the platform does not tell.
        generator: program and version that sent.
        machine: that sent.
    """

    scenario: str
    rate: float
    seconds: float
    environment: str
    service: str
    plan: str
    instances: int
    generator: str
    machine: str

    @classmethod
    def of(cls, workload: Workload, subject: Subject, generator: str) -> Key:
        """Make the key of what was measured."""
        scenario = Path(workload.file).read_bytes() + (b" writes" if workload.write else b"")
        return cls(
            scenario=_digest(scenario),
            rate=workload.rate,
            seconds=workload.seconds,
            environment=subject.environment,
            service=subject.service,
            plan=subject.plan,
            instances=subject.instances,
            generator=generator,
            machine=subject.machine,
        )

    @property
    def place(self) -> str:
        """The folder of all keys that differ in the machine only."""
        alike = msgspec.structs.replace(self, machine="")
        return f"{FOLDER}/{self.environment}/{_digest(msgspec.json.encode(alike))}-"

    @property
    def folder(self) -> str:
        """The folder of its records."""
        return f"{self.place}{_digest(self.machine.encode())}/"


class RecordedRun(Value, frozen=True):
    """One valid measurement.

    Attributes:
        run: that it was a part of.
        put_back: the release was put back for it, so that later ones are not held against it.
    """

    run: str
    at: Moment
    commit: str
    key: Key
    figures: Figures
    put_back: bool = False


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one environment.

    Attributes:
        damaged: is told of a record that cannot be read, and is passed over.
    """

    store: Store
    damaged: Callable[[Damaged], None] = lambda _damaged: None

    def add(self, record: RecordedRun, measured: Measurement) -> None:
        """Keep a valid measurement, its raw times first."""
        name = f"{record.at:%Y%m%dT%H%M%S.%f}-{record.run}"
        self.store.put(f"{record.key.folder}{name}.times.gz", [gzip.compress(msgspec.json.encode(measured))])
        self.store.put(f"{record.key.folder}{name}.json", [msgspec.json.encode(record)])

    def read(self, key: Key, limit: int) -> tuple[RecordedRun, ...]:
        """Read the newest records of the same key, oldest first.

        Those of releases that were put back are left out.
        """
        return self._read_folder(key.folder, limit)

    def _read_folder(self, folder: str, limit: int) -> tuple[RecordedRun, ...]:
        records: list[RecordedRun] = []
        for name in sorted(self.store.list(folder), reverse=True):
            if len(records) >= limit:
                break
            if not name.endswith(".json"):
                continue
            try:
                record = read_document(self.store, name, RecordedRun)
            except KeyError:  # it was removed in this moment
                continue
            except Damaged as damaged:
                self.damaged(damaged)
                continue
            if not record.put_back:
                records.append(record)
        return tuple(reversed(records))

    def read_newest(self, environment: str, limit: int) -> tuple[RecordedRun, ...]:
        """Read the records of the key that was measured last, oldest first."""
        names = [name for name in self.store.list(f"{FOLDER}/{environment}/") if name.endswith(".json")]
        newest = max(names, key=lambda name: name.rpartition("/")[2], default="")
        return self._read_folder(f"{newest.rpartition('/')[0]}/", limit) if newest else ()

    def count_elsewhere(self, key: Key) -> int:
        """Count the records that differ in the machine only."""
        names = self.store.list(key.place)
        return sum(name.endswith(".json") and not name.startswith(key.folder) for name in names)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:12]
