"""The memory of monitors: of two that write, one wins; of two that tell, one does."""

from __future__ import annotations

from datetime import datetime
from threading import Barrier, Thread

import msgspec
import pytest

from deploylib.errors import Unreachable
from deploylib.monitoring.records import MonitorRecords, MonitorState
from deploylib.store import Damaged
from tests.support.fakes import START, FakeClock
from tests.support.memory_store import MemoryStore


def records(store: MemoryStore) -> MonitorRecords:
    """Those of one monitor."""
    return MonitorRecords(store, "staging", store.clock)


def add_round(state: MonitorState) -> MonitorState:
    """A change that is lost if it is not made on what another has written."""
    return msgspec.structs.replace(state, rounds=(*state.rounds, START))


def test_no_change_of_several_monitors_is_lost() -> None:
    """Each is made on the one before, also where all have read the same one."""
    store, same = MemoryStore(FakeClock()), Barrier(8)

    def change() -> None:
        met = iter([same.wait])

        def move(state: MonitorState) -> MonitorState:
            for wait in met:  # at the first try alone
                wait(10)
            return add_round(state)

        records(store).change(move)

    threads = [Thread(target=change) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    number, state = records(store).read()
    assert (number, len(state.rounds)) == (8, 8)


def test_monitors_that_write_all_the_time_are_told_apart_from_a_store_that_is_gone() -> None:
    """After twenty tries."""
    store = MemoryStore(FakeClock())
    ours = records(store)

    def overtaken(state: MonitorState) -> MonitorState:
        number = records(store).read()[0] + 1
        store.put(f"monitor/staging/states/{number:08d}.json", [msgspec.json.encode(state)])
        return state

    with pytest.raises(Unreachable, match="other monitors of 'staging' write all the time"):
        ours.change(overtaken)


def test_a_message_is_told_by_who_has_claimed_it_for_a_minute() -> None:
    """Then by the next, once; afterwards by nobody."""
    clock = FakeClock()
    store = MemoryStore(clock)
    first, second = records(store), records(store)

    assert first.claim("it-fires-0")
    assert not second.claim("it-fires-0")
    clock.seconds += 61
    assert second.claim("it-fires-0")
    assert not first.claim("it-fires-0")
    second.settle("it-fires-0")
    clock.seconds += 3600
    assert not first.claim("it-fires-0")
    assert first.has_told("it-fires-0")


def test_a_claim_from_the_future_is_nobodys() -> None:
    """A clock was wrong when it was made: no message waits a day for that."""
    clock = FakeClock()
    store = MemoryStore(clock)
    clock.seconds += 86400
    assert records(store).claim("it-fires-0")
    clock.seconds -= 86400

    assert records(store).claim("it-fires-0")


def test_a_message_that_could_not_be_told_is_anybodys_at_once() -> None:
    """No minute is waited for."""
    store = MemoryStore(FakeClock())
    records(store).claim("it-fires-0")
    records(store).forget("it-fires-0")

    assert not records(store).has_told("it-fires-0")
    assert records(store).claim("it-fires-0")


def test_where_nothing_can_be_read_nobody_goes_on() -> None:
    """An empty memory in its place would tell everything anew; what lies beside it is no state."""
    store = MemoryStore(FakeClock())
    assert records(store).read() == (0, MonitorState())
    store.put("monitor/staging/states/stray.txt", [b"?"])
    assert records(store).read() == (0, MonitorState())
    store.put("monitor/staging/states/00000001.json", [b"["])

    with pytest.raises(Damaged):
        records(store).read()


def test_a_moment_without_a_zone_is_damage() -> None:
    """It compares with no other."""
    store = MemoryStore(FakeClock())
    body = msgspec.json.encode({"rounds": [datetime(2026, 3, 1)]})  # noqa: DTZ001 - the damage itself
    store.put("monitor/staging/states/00000001.json", [body])

    with pytest.raises(Damaged):
        records(store).read()
