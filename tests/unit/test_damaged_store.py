"""A store in which something is damaged: named and passed over where that is safe, refused with the cure where it is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploylib import backups, formats, override, status
from deploylib.errors import DeployError, Held, LeaseHeld, NotKnownYet, SettingsError, Unreachable
from deploylib.lease import Holder
from deploylib.outcome import Report
from tests.unit.conftest import Repository
from tests.unit.fakes import FakeClock
from tests.unit.in_memory import Platform
from tests.unit.product import Product

Damage = Callable[[Path], object]
MORE = {"newer": {"than": ["this", 1]}}


def _changed(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    try:
        document = json.loads(path.read_bytes() or b"{}")
    except ValueError:
        document = {}
    change(document)
    path.write_text(json.dumps(document))


def _into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "flipped": lambda path: path.write_bytes(bytes(255 - byte for byte in path.read_bytes())),
    "null": lambda path: path.write_text("null"),
    "a list": lambda path: path.write_text("[1]"),
    "NUL": lambda path: path.write_bytes(b"\0" * 40),
    "gone": lambda path: path.unlink(),
    "a folder": _into_a_folder,
    "newer fields": lambda path: _changed(path, lambda document: document.update(MORE)),
    "newer words": lambda path: _changed(path, lambda document: document.update(kind="teleported", status="half-done")),
}
STRAYS = ("README", ".DS_Store", "desktop.ini", "notes.txt", "0000-x.json", "99999999/lease.json/x", "ünïcode")
READS: tuple[Callable[[Product], object], ...] = (
    lambda product: status.read(product.context()),
    lambda product: list(product.context().ledger.history("staging")),
    lambda product: product.context().leases.current(),
    lambda product: backups.listed(product.context()),
    lambda product: product.deploy(dry=True),
    lambda product: product.roll_back(dry=True),
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stores of all examples are copied from."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """Released twice; a hold of another commit; a backup's manifest."""
    made = Product(repository, platform, clock)
    assert made.deploy().exit_code == 0
    made.change("2")
    assert made.deploy().exit_code == 0
    made.context().holds.place(["d" * 40], "it was bad", author="ada")
    made.context().store.put_if_absent("backups/staging/b1/manifest.json", b'{"id": "b1"}')
    return made


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


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_is_a_bug(product: Product, kept: Path, data: st.DataObject) -> None:
    """Every kind of object, every kind of damage: each command has an outcome with a remedy, and status always looks."""
    good = kept / product.first
    if not good.exists():
        shutil.copytree(store_of(product), good)
    shutil.rmtree(store_of(product))
    shutil.copytree(good, store_of(product))

    for _ in range(data.draw(st.integers(1, 3), label="how many")):
        path = data.draw(st.sampled_from(objects(product)), label="object")
        how = data.draw(st.sampled_from(sorted(DAMAGES)), label="damage")
        DAMAGES[how](path)
        stray = data.draw(st.sampled_from(STRAYS), label="stray")
        beside = path.parent / stray
        if not beside.exists():
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(data.draw(st.binary(max_size=20), label="its content"))

    seen = [outcome(action, product) for action in READS]

    assert "an error without a remedy" not in seen


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
    product.deploy(dry=True)
    told = "\n".join(product.view.notes)
    assert f"passed over: runs/{newest.id}/" in told
    assert "out of the store" in told
    assert product.roll_back(dry=True).exit_code in {0, 2}


def test_an_open_run_that_cannot_be_read_stops_what_goes_forward_and_not_what_goes_back(product: Product) -> None:
    """Nobody knows what it left on its way: a release waits for somebody to look, a rollback does not."""
    product.change("3")
    product.clock.each_sleep = lambda: (_ for _ in ()).throw(KeyboardInterrupt) if len(product.asked()) > 4 else None
    with pytest.raises(KeyboardInterrupt):
        product.deploy()
    product.clock.each_sleep = lambda: None
    product.change("4")
    open_run = product.runs()[0]
    assert open_run.report is None
    product.context().leases.release(open_run_lease(product))
    DAMAGES["cut"](objects(product, f"runs/{open_run.id}/")[-1])

    report = product.deploy()
    assert (40, True) == (report.exit_code, "cannot be read" in report.error)
    assert open_run.id in report.error + report.next[0]

    assert product.roll_back(dry=True).exit_code == 0

    shutil.rmtree(store_of(product) / "runs" / open_run.id)
    assert product.deploy().exit_code in {0, 32}


def open_run_lease(product: Product) -> int:
    """The number of the lease that stands."""
    now = product.context().leases.current()
    assert now is not None
    return now.number


@pytest.mark.parametrize("how", ["cut", "emptied", "null", "a list"])
def test_a_lease_that_cannot_be_read_is_held_until_it_is_given_back(product: Product, how: str) -> None:
    """By somebody whom nobody can name; it can be given back in its holder's place."""
    product.change("3")
    leases = product.context().leases
    number = leases.claim(Holder(run="r"), leases.current())
    DAMAGES[how](store_of(product) / f"leases/staging/{number:08d}/lease.json")

    report = product.deploy()
    assert report.exit_code == LeaseHeld.exit_code
    assert "unknown" in report.error

    override.release_lease(product.context(reason="its record is damaged"))
    assert product.deploy().exit_code == 0


@pytest.mark.parametrize("how", ["cut", "emptied", "null", "a list"])
def test_a_hold_that_cannot_be_read_refuses_releases_and_no_rollback(product: Product, how: str) -> None:
    """Until somebody lifts it."""
    for path in objects(product, "holds/"):
        DAMAGES[how](path)
    product.change("3")

    report = product.deploy()
    assert (Held.exit_code, True) == (report.exit_code, "cannot be read" in report.error)
    assert product.roll_back(dry=True).exit_code == 0

    override.lift_hold(product.context(), "")
    assert product.deploy().exit_code == 0


def test_a_newer_store_names_the_version_to_install(product: Product) -> None:
    """An older program would read less than is there; also one that only looks refuses."""
    (store_of(product) / "format.json").write_text('{"format": 7, "needs": "0.9.0", "more": 1}')

    for action in READS:
        with pytest.raises(SettingsError, match="format 7") as refused:
            action(product)
        assert "deploylib>=0.9.0" in refused.value.remedy


def test_a_store_from_before_is_named_by_the_next_run(product: Product) -> None:
    """It is of the first format."""
    path = store_of(product) / "format.json"
    path.unlink()
    product.change("3")

    assert product.deploy().exit_code == 0
    assert formats.FORMAT == json.loads(path.read_bytes())["format"]


def test_a_store_that_is_a_file_is_told(product: Product) -> None:
    """And not taken for an empty one."""
    shutil.rmtree(store_of(product))
    store_of(product).write_text("")

    for action in READS:
        with pytest.raises((SettingsError, Unreachable), match=r"cannot be (read|written)"):
            action(product)


def test_a_store_that_goes_away_after_the_commit_point_leaves_the_run_open(product: Product) -> None:
    """What was asked for is told, nothing is called failed, and the next command completes it."""
    third = product.change("3")
    aside = store_of(product).with_name("aside")

    def gone() -> None:
        if len(product.asked()) == 6 and not aside.exists():
            store_of(product).rename(aside)
            store_of(product).write_text("")

    product.clock.each_sleep = gone
    report = product.deploy()
    product.clock.each_sleep = lambda: None

    assert NotKnownYet.exit_code == report.exit_code
    assert any("was accepted" in line for line in report.details)
    store_of(product).unlink()
    aside.rename(store_of(product))
    override.release_lease(product.context(reason="its holder lives on in this test"))
    assert (0, [third] * 2) == (product.deploy().exit_code, product.live())
    assert product.asked().count("srv-api/deploys") == 3
