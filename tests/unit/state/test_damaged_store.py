"""A store in which something is damaged: named and passed over where that is safe, refused with the cure where it is not."""

from __future__ import annotations

import codecs
import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploylib.commands import backups, control, status
from deploylib.errors import DeployError, Held, LeaseHeld, NotKnownYet, SettingsError, Unreachable
from deploylib.models.results import Report
from deploylib.state.lease import Holder
from deploylib.store import format_version
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product
from tests.support.repository import Repository

Damage = Callable[[Path], object]
MORE = {"newer": {"than": ["this", 1]}}
WRONG: tuple[Any, ...] = (
    "\0",
    "",
    "-x",
    "../..",
    "é\u202e",
    "2026-01-01T00:00:00",
    "0001-01-01T00:00:00+14:00",
    -1,
    2**70,
    1e300,
    None,
    [],
    {},
    True,
)


def _changed(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    try:
        document = json.loads(path.read_bytes() or b"{}")
    except (ValueError, RecursionError):  # it has been damaged before
        document = {}
    for each in document if isinstance(document, list) else [document]:
        if isinstance(each, dict):
            change(each)
    path.write_text(json.dumps(document))


def _instead(make: Callable[[Path], object]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


DAMAGES: dict[str, Damage] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "flipped": lambda path: path.write_bytes(bytes(255 - byte for byte in path.read_bytes())),
    "null": lambda path: path.write_text("null"),
    "a list": lambda path: path.write_text("[1]"),
    "UTF-16": lambda path: path.write_bytes(path.read_text(errors="replace").encode("utf-16")),
    "NUL": lambda path: path.write_bytes(b"\0" * 40),
    "too deep": lambda path: path.write_bytes(b'{"data":' + b"[" * 100_000),
    "too large": lambda path: os.truncate(path, 40 << 20),
    "gone": lambda path: path.unlink(),
    "a folder": _instead(Path.mkdir),
    "a pipe": _instead(os.mkfifo),
    "a link to itself": _instead(lambda path: path.symlink_to(path)),
    "newer fields": lambda path: _changed(path, lambda document: document.update(MORE)),
    "newer words": lambda path: _changed(path, lambda document: document.update(kind="teleported", status="half-done")),
}
STRAYS: tuple[str, ...] = (
    "README",
    ".DS_Store",
    "desktop.ini",
    "notes.txt",
    "0000-x.json",
    "99999999/lease.json/x",
    "ünïcode",
    "00000009/lease.json",
)
STRAYS += ("20260301T120000.1-..", "20260301T120000.1-nobody", "9/lease.json", "format/9-x/y")
LOOKS: tuple[Callable[[Product], object], ...] = (
    lambda product: status.status(product.env()),
    lambda product: list(product.env().history.read_runs("staging")),
    lambda product: product.env().leases.read(),
    lambda product: backups.list_backups(product.env()),
    lambda product: product.deploy(dry_run=True),
    lambda product: product.roll_back(dry_run=True),
)
ACTS: tuple[Callable[[Product], object], ...] = (
    lambda product: product.finish(),
    lambda product: product.deploy(),
    lambda product: control.release_lease(product.env(), reason="its record is damaged"),
    lambda product: control.lift(product.env(), reason="its record is damaged"),
    lambda product: control.hold(product.env(), reason="moving the database"),
    lambda product: product.roll_back(),
    lambda product: product.deploy(),
)


class Kept:
    """Products that were made once, and are copied for each test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, Product] = {}
        self.numbers = count(1)

    def fresh(self, name: str, make: Callable[[], Product]) -> Product:
        """A copy of the product of that name: its repository, its store and its platform."""
        if name not in self.made:
            self.made[name] = make()
            shutil.copytree(self.made[name].repository.root, self.folder / name)
        product = copy.copy(self.made[name])
        root = self.folder / f"{name}-{next(self.numbers)}"
        shutil.copytree(self.folder / name, root)
        theirs = product.platform
        product.platform = Platform(
            services=copy.deepcopy(theirs.services),
            deploys=copy.deepcopy(theirs.deploys),
            events=copy.deepcopy(theirs.events),
            _numbers=count(1000),
        )
        product.repository = Repository(root)
        product.clock = FakeClock(product.clock.seconds)
        return product


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """What the tests of this module start from."""
    return Kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def released(kept: Kept, repository: Repository, platform: Platform, clock: FakeClock) -> Callable[[], Product]:
    """Released twice; a hold of another commit; a backup's manifest."""

    def make() -> Product:
        made = Product(repository, platform, clock)
        assert made.deploy().exit_code == 0
        made.change("2")
        assert made.deploy().exit_code == 0
        made.env().holds.place(["d" * 40], "it was bad", author="ada")
        made.env().store.put_if_absent("backups/staging/b1/manifest.json", MANIFEST)
        return made

    return lambda: kept.fresh("released", make)


@pytest.fixture
def interrupted(kept: Kept, released: Callable[[], Product]) -> Callable[[], Product]:
    """The same, and a third release that was killed on its way."""

    def make() -> Product:
        made = released()
        made.change("3")
        made.clock.each_sleep = lambda: (_ for _ in ()).throw(KeyboardInterrupt) if len(made.asked()) > 1 else None
        with pytest.raises(KeyboardInterrupt):
            made.deploy()
        made.clock.each_sleep = lambda: None
        made.env().leases.release(lease_of(made))
        assert made.runs()[0].report is None
        return made

    return lambda: kept.fresh("interrupted", make)


@pytest.fixture
def product(released: Callable[[], Product]) -> Product:
    """Released twice."""
    return released()


MANIFEST = json.dumps(
    {
        **dict.fromkeys(("id", "run", "revision", "client_version", "sha256"), "b1"),
        "key": "backups/staging/b1/dump",
        "environment": "staging",
        "commit": "a" * 40,
        "created_at": "2026-03-01T12:00:00Z",
        "server_version": "16.4",
        "format": "custom",
        "proof": "decoded",
        "size": 1,
        "tables": 1,
        "seconds": 1.0,
    }
).encode()


def store_of(product: Product) -> Path:
    """Its folder."""
    return product.repository.root / ".deploylib"


def objects(product: Product, part: str = "") -> list[Path]:
    """The objects of the store whose key begins with this."""
    folder = store_of(product)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".gitignore" and path.relative_to(folder).as_posix().startswith(part)
    )


def lease_of(product: Product) -> int:
    """The number of the lease that stands."""
    now = product.env().leases.read()
    assert now is not None
    return now.number


def outcome(action: Callable[[Product], object], product: Product) -> str:
    """What an operator sees of it: any outcome that is one, and never a bug."""
    try:
        found = action(product)
    except DeployError as error:
        return error.outcome if error.remedy else "an error without a remedy"
    if isinstance(found, Report) and found.exit_code:
        assert found.next
        assert found.exit_code != 1
        return found.outcome
    return "looked"


def leaves(document: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value of a document."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, value in inside:
        yield (*way, name)
        yield from leaves(value, (*way, name))


def put(document: Any, way: tuple[str | int, ...], value: object) -> Any:
    """The document with another value at the end of that way."""
    changed = copy.deepcopy(document)
    place = changed
    for name in way[:-1]:
        place = place[name]
    place[way[-1]] = value
    return changed


def damage(product: Product, data: st.DataObject) -> None:
    """One object is damaged as a whole or in one value, and something lies beside it that is not ours."""
    path = data.draw(st.sampled_from(objects(product)), label="object")
    how = data.draw(st.sampled_from(["one value", *sorted(DAMAGES)]), label="damage")
    try:
        document = json.loads(path.read_bytes()) if path.stat().st_size < 1 << 20 else None
    except (ValueError, RecursionError):  # it has been damaged before
        document = None
    ways = list(leaves(document))
    if how == "one value" and ways:
        changed = put(document, data.draw(st.sampled_from(ways)), data.draw(st.sampled_from(WRONG), label="wrong"))
        path.write_text(json.dumps(changed))
    elif how != "one value":
        DAMAGES[how](path)
    beside = path.parent / data.draw(st.sampled_from(STRAYS), label="stray")
    if not beside.exists() and path.parent.is_dir():
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data.draw(st.binary(max_size=20), label="its content"))


def no_bug(make: Callable[[], Product], data: st.DataObject) -> None:
    """Damage a store, and do everything with it."""
    product = make()
    for _ in range(data.draw(st.integers(1, 3), label="how many")):
        damage(product, data)
    for action in (*LOOKS, *ACTS):
        assert outcome(action, product) != "an error without a remedy"
    shutil.rmtree(product.repository.root)


EXAMPLES = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # a failure is told at once: each example takes a second
    database=None,
)


@settings(EXAMPLES, max_examples=10)
@given(data=st.data())
def test_no_damage_is_a_bug(
    released: Callable[[], Product], interrupted: Callable[[], Product], data: st.DataObject
) -> None:
    """Every kind of object, every kind of damage: each command has an outcome, with a remedy."""
    no_bug(data.draw(st.sampled_from([released, interrupted]), label="store"), data)


@pytest.mark.load
@pytest.mark.timeout(1200)
@settings(EXAMPLES, max_examples=300)
@given(data=st.data())
def test_hundreds_of_damages_are_no_bug(
    released: Callable[[], Product], interrupted: Callable[[], Product], data: st.DataObject
) -> None:
    """The same, three hundred times."""
    no_bug(data.draw(st.sampled_from([released, interrupted]), label="store"), data)


@pytest.mark.load
@pytest.mark.parametrize("how", sorted(DAMAGES))
def test_every_object_damaged_every_way_is_no_bug(interrupted: Callable[[], Product], how: str) -> None:
    """Each object in turn, and every command."""
    for number in range(len(objects(interrupted()))):
        product = interrupted()
        DAMAGES[how](objects(product)[number])
        for action in (*LOOKS, *ACTS):
            assert outcome(action, product) != "an error without a remedy"
        shutil.rmtree(product.repository.root)


@pytest.mark.parametrize("how", sorted(set(DAMAGES) - {"newer fields"}))
def test_a_folded_state_is_only_a_cache(product: Product, how: str) -> None:
    """It is folded again from the events, so that nothing is lost."""
    before = [(state.id, state.release) for state in product.runs()]
    for path in objects(product, "states/"):
        DAMAGES[how](path)

    assert before == [(state.id, state.release) for state in product.runs()]
    assert "nothing to do" == product.deploy().outcome


@pytest.mark.parametrize("how", ["cut", "emptied", "flipped", "null", "NUL"])
def test_a_closed_run_that_cannot_be_read_is_named_and_passed_over(product: Product, how: str) -> None:
    """Its way back is lost, and nothing else; the cure is told."""
    newest = product.runs()[0]
    (store_of(product) / f"states/{newest.id}.json").unlink()
    DAMAGES[how](objects(product, f"runs/{newest.id}/")[1])

    assert newest.id not in [state.id for state in product.runs()]
    product.deploy(dry_run=True)
    told = "\n".join(product.view.notes)
    assert f"passed over: runs/{newest.id}/" in told
    assert "out of the store" in told
    assert product.roll_back(dry_run=True).exit_code in {0, 2}


def test_a_mark_before_each_object_changes_nothing(interrupted: Callable[[], Product]) -> None:
    """Some editors, and some programs that copy objects, write one."""
    product = interrupted()
    for path in objects(product):
        if path.suffix == ".json":
            path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())

    assert product.deploy().exit_code == 0
    assert [] == [note for note in product.view.notes if "passed over" in note]


@pytest.mark.parametrize("which", ["the first event", "an event between", "the last event"])
def test_an_open_run_that_cannot_be_read_stops_what_goes_forward_and_not_what_goes_back(
    interrupted: Callable[[], Product], which: str
) -> None:
    """Nobody knows what it left on its way: a release waits for somebody to look, a rollback does not."""
    product = interrupted()
    product.change("4")
    open_run = product.runs()[0].id
    events = objects(product, f"runs/{open_run}/")
    how, number = {"the first event": ("gone", 0), "an event between": ("a folder", 3), "the last event": ("cut", -1)}[
        which
    ]
    DAMAGES[how](events[number])
    asked = len(product.asked())

    report = product.deploy()
    assert (40, True) == (report.exit_code, "cannot be read" in report.error)
    assert open_run in report.error + report.next[0]
    assert asked == len(product.asked())

    assert product.roll_back(dry_run=True).exit_code == 0
    assert product.finish().exit_code != 1

    shutil.rmtree(store_of(product) / "runs" / open_run)
    assert product.deploy().exit_code in {0, 32}


def test_an_open_run_stops_a_release_however_many_failed_since(interrupted: Callable[[], Product]) -> None:
    """Runs that changed nothing have settled nothing."""
    product = interrupted()
    open_run = product.runs()[0].id
    DAMAGES["cut"](objects(product, f"runs/{open_run}/")[-1])
    for number in range(25):
        product.in_ci(number)
        assert product.deploy().exit_code == Unreachable.exit_code

    found = product.env().history.find_unreadable("staging")
    assert found is not None
    assert open_run in found.key


@pytest.mark.parametrize("how", ["cut", "emptied", "null", "a list"])
def test_a_lease_that_cannot_be_read_is_held_until_it_is_given_back(product: Product, how: str) -> None:
    """By somebody whom nobody can name; it can be given back in its holder's place."""
    product.change("3")
    leases = product.env().leases
    number = leases.try_acquire(Holder(run="r"), leases.read())
    DAMAGES[how](store_of(product) / f"leases/staging/{number:08d}/lease.json")

    report = product.deploy()
    assert report.exit_code == LeaseHeld.exit_code
    assert "unknown" in report.error

    control.release_lease(product.env(), reason="its record is damaged")
    assert product.deploy().exit_code == 0


@pytest.mark.parametrize("how", ["cut", "emptied", "null", "a list"])
def test_a_hold_that_cannot_be_read_refuses_releases_and_no_rollback(product: Product, how: str) -> None:
    """Until somebody lifts it."""
    for path in objects(product, "holds/"):
        DAMAGES[how](path)
    product.change("3")

    report = product.deploy()
    assert (Held.exit_code, True) == (report.exit_code, "cannot be read" in report.error)
    assert product.roll_back(dry_run=True).exit_code == 0

    control.lift(product.env())
    assert product.deploy().exit_code == 0


def newer(product: Product, name: str = "7-0.9.0") -> None:
    """A newer version writes to the store."""
    (store_of(product) / "format").mkdir(exist_ok=True)
    (store_of(product) / "format" / name).write_text("")


def test_a_newer_store_names_the_version_to_install(product: Product) -> None:
    """An older program would read less than is there; also one that only looks, or goes back, refuses."""
    newer(product)

    for action in (*LOOKS, *ACTS):
        with pytest.raises(SettingsError, match="format 7") as refused:
            action(product)
        assert "deploylib 0.9.0" in refused.value.remedy


def test_a_newer_version_that_was_waited_for_is_refused_too(product: Product) -> None:
    """Two versions at once: the older one waits for the lease, and the newer one writes its format meanwhile."""
    product.change("3")
    leases, asked = product.env().leases, len(product.asked())
    number = leases.try_acquire(Holder(run="of a newer version"), leases.read())

    def ended() -> None:
        newer(product)
        leases.release(number)

    product.clock.each_sleep = ended
    report = product.deploy(wait="10m")

    assert (SettingsError.exit_code, asked) == (report.exit_code, len(product.asked()))
    assert "format 7" in report.error
    assert "deploylib 0.9.0" in report.next[0]


@pytest.mark.parametrize("name", ["README", "7", "x-0.9.0", "0-0.1.0", "7-;rm"])
def test_what_lies_beside_the_format_is_none(product: Product, name: str) -> None:
    """It locks nobody out: a format is a number and a version, in a key, with nothing in it to be damaged."""
    newer(product, name)

    assert "nothing to do" == product.deploy().outcome


def test_a_store_from_before_is_named_by_the_next_run(product: Product) -> None:
    """It is of the first format."""
    shutil.rmtree(store_of(product) / "format")
    product.change("3")

    assert product.deploy().exit_code == 0
    assert [f"format/{format_version.FORMAT}-0.1.0"] == list(product.env().store.list("format/"))


def test_a_store_that_is_a_file_is_told(product: Product) -> None:
    """And not taken for an empty one."""
    shutil.rmtree(store_of(product))
    store_of(product).write_text("")

    for action in LOOKS:
        with pytest.raises((SettingsError, Unreachable), match=r"cannot be (read|written)"):
            action(product)


def test_a_store_that_goes_away_after_the_commit_point_leaves_the_run_open(product: Product) -> None:
    """What was asked for is told, nothing is called failed, and the next command completes it."""
    third = product.change("3")
    aside = store_of(product).with_name("aside")

    def gone() -> None:
        if len(product.asked()) == 2 and not aside.exists():
            store_of(product).rename(aside)
            store_of(product).write_text("")

    product.clock.each_sleep = gone
    report = product.deploy()
    product.clock.each_sleep = lambda: None

    assert NotKnownYet.exit_code == report.exit_code
    assert any("was accepted" in line for line in report.details)
    store_of(product).unlink()
    aside.rename(store_of(product))
    control.release_lease(product.env(), reason="its holder lives on in this test")
    assert (0, [third] * 2) == (product.deploy().exit_code, product.live())
    assert product.asked().count("srv-api/deploys") == 1
