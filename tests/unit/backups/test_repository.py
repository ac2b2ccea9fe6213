"""Which backups there are, which of them count, and which may go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from deploylib.backups import repository
from deploylib.backups.repository import Accepted, RestoreProof
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import Backup
from deploylib.store.folder import Folder
from tests.support.fakes import OLD, FakeClock


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    """An empty store."""
    return Folder(tmp_path)


def fill(store: Folder, number: int, environment: str = "staging", proofs: str = "") -> list[str]:
    """Backups, oldest first; *proofs* has a letter for each, a large one for what a restore has replaced."""
    names = [f"2026030{n + 1}T120000Z-run" for n in range(number)]
    for name, letter in zip(names, proofs or "d" * number, strict=True):
        proof = {"d": "decoded", "r": "restored", "c": "checksum", "u": "unproven"}[letter.lower()]
        key = f"backups/{environment}/{name}/dump"
        store.put(key, [b"x"])
        made = Backup(
            id=name, key=key, environment=environment, run="run", commit=OLD, created_at=FakeClock().now(), revision="",
            server_version="16", client_version="16", format="custom", size=1, sha256="", proof=proof, tables=1,
            seconds=1, replaced=letter.isupper(),
        )  # fmt: skip
        store.put_if_absent(f"backups/{environment}/{name}/manifest.json", msgspec.json.encode(made))
    return names


@pytest.mark.parametrize(("keep", "left"), [(5, 3), (3, 3), (2, 2), (1, 1), (0, 1), (-1, 1)])
def test_the_newest_are_kept_and_never_none(store: Folder, keep: int, left: int) -> None:
    """As many as the settings say, and at least the last one, whatever they say."""
    names = fill(store, 3)

    removed = repository.prune(store, "staging", keep)

    assert names[::-1][:left] == [one.id for one in repository.listing(store, "staging")]
    assert names[::-1][left:] == [one.id for one in removed]
    assert len(list(store.list("backups/"))) == 2 * left


def test_one_that_is_about_to_be_restored_stays(store: Folder) -> None:
    """Although it is the oldest, and the fresh backup of what it replaces is one too many."""
    names = fill(store, 4)

    removed = repository.prune(store, "staging", 2, spare=names[:1])

    assert [one.id for one in removed] == names[1:2]
    assert names[0] in [one.id for one in repository.listing(store, "staging")]


@pytest.mark.parametrize(
    ("proofs", "keep", "left", "newest"),
    [("rrRRR", 2, [0, 1, 3, 4], 1), ("RrRr", 1, [3], 3), ("RR", 5, [0, 1], 1), ("rRu", 1, [0, 1, 2], 0)],
)
def test_what_a_restore_has_replaced_is_counted_apart_and_chosen_last(
    store: Folder, proofs: str, keep: int, left: list[int], newest: int
) -> None:
    """It may be of the loss that made somebody restore, and whoever tries often would have nothing else."""
    names = fill(store, len(proofs), proofs=proofs)

    assert repository.find(store, "staging", "").id == names[newest]
    repository.prune(store, "staging", keep)

    assert [names[n] for n in left] == [one.id for one in repository.listing(store, "staging")][::-1]
    assert repository.find(store, "staging", names[left[-1]]).id == names[left[-1]]


def test_the_backups_of_another_environment_are_left_alone(store: Folder) -> None:
    """Also of one whose name begins the same."""
    fill(store, 3)
    fill(store, 2, "staging-2")

    repository.prune(store, "staging", 1)

    assert (1, 2) == (len(repository.listing(store, "staging")), len(repository.listing(store, "staging-2")))


def test_the_manifest_goes_before_the_dump(tmp_path: Path) -> None:
    """An interrupted clean-up leaves no manifest that promises a missing dump."""

    class Noting(Folder):
        def delete(self, key: str) -> None:
            gone.append(key.rpartition("/")[2])

    gone: list[str] = []
    fill(Folder(tmp_path), 2)

    repository.prune(Noting(tmp_path), "staging", 1)

    assert gone == ["manifest.json", "restored.json", "accepted.json", "dump"]


def test_a_dump_without_a_manifest_is_no_backup(store: Folder) -> None:
    """Left by a machine that died; the newest proven one is another."""
    names = fill(store, 1)
    store.put("backups/staging/20270101T000000Z-run/dump", [b"half"])

    assert names == [one.id for one in repository.listing(store, "staging")]
    assert repository.listing(store, "production") == []


@pytest.mark.parametrize(
    ("proofs", "keep", "left"),
    [
        ("ddddd", 2, "45"),
        ("rdrdr", 3, "345"),
        ("ddccd", 2, "2345"),
        ("cddcd", 2, "345"),
        ("ddddc", 2, "12345"),
        ("ccccc", 2, "12345"),
        ("cccdd", 3, "12345"),
        ("cccdd", 1, "5"),
        ("dcccr", 1, "5"),
        ("ddduu", 2, "12345"),
        ("duuuu", 2, "145"),
        ("uuuuu", 3, "345"),
        ("uuuuu", 5, "12345"),
        ("ududd", 2, "45"),
        ("dudud", 2, "345"),
        ("uuddu", 1, "345"),
    ],
)
def test_only_proven_backups_count(store: Folder, proofs: str, keep: int, left: str) -> None:
    """Those with a checksum only, and those whose proof failed, neither fill the number nor push a good one out.

    Of the latter as many stay as of proven ones, and none that is older than all of these.
    """
    fill(store, 5, proofs=proofs)

    repository.prune(store, "staging", keep)

    assert left == "".join(one.id[7] for one in repository.listing(store, "staging")[::-1])


def test_nothing_goes_by_age(store: Folder) -> None:
    """However old: there are no newer ones."""
    names = fill(store, 2)
    for path in store.root.rglob("*"):
        os.utime(path, (1, 1))

    assert repository.prune(store, "staging", 5) == []
    assert names[::-1] == [one.id for one in repository.listing(store, "staging")]


def test_a_dump_that_a_killed_run_left_goes_a_day_later(store: Folder) -> None:
    """Not while the run may still be at it; at once for whoever knows that nobody is."""
    fill(store, 1)
    for name in ("old", "new"):
        store.put(f"backups/staging/{name}/dump", [b"half"])
    os.utime(store.root / "backups/staging/old/dump", (1, 1))

    repository.clear(store, "staging")

    assert {"20260301T120000Z-run", "new"} == {key.split("/")[2] for key in store.list("backups/staging/")}

    repository.clear(store, "staging", older_than=0)

    assert {"20260301T120000Z-run"} == {key.split("/")[2] for key in store.list("backups/staging/")}


def test_a_later_proof_is_told_with_the_backup(store: Folder) -> None:
    """The manifest itself is never written again."""
    fill(store, 1)
    [before] = repository.listing(store, "staging")
    at = datetime(2026, 4, 1, tzinfo=UTC)

    proven = repository.record(before, RestoreProof(at=at, seconds=9.0, notes=("a remark",)), store=store)

    assert [proven] == repository.listing(store, "staging")
    assert ("restored", at, 9.0, ("a remark",)) == (
        proven.proof, proven.proven_at, proven.proof_seconds, proven.notes
    )  # fmt: skip
    assert repository.read_manifest(before, store=store).proof == "decoded"


def test_a_persons_word_is_told_with_the_dump_and_given_once(store: Folder) -> None:
    """Who goes on without a proof, why, and when; a proof that succeeds later ends what was wrong with it."""
    fill(store, 1, proofs="u")
    [before] = repository.listing(store, "staging")
    word = Accepted(at=datetime(2026, 4, 1, tzinfo=UTC), author="anna", reason="the check goes with this release")

    accepted = repository.accept(before, word, store=store)

    assert [accepted] == repository.listing(store, "staging")
    assert ("anna: the check goes with this release", word.at) == (accepted.accepted, accepted.accepted_at)
    assert not accepted.proven
    with pytest.raises(SettingsError, match="accepted already"):
        repository.accept(before, word, store=store)
    assert repository.record(accepted, RestoreProof(at=word.at, seconds=1.0), store=store).proven


@pytest.mark.parametrize(
    ("revision", "cause", "hours", "good"),
    [("7", "c", 1, True), ("7", "c", 25, False), ("8", "c", 1, False), ("7", "another", 1, False), ("7", "", 1, False)],
)
def test_a_persons_word_is_for_a_schema_a_cause_and_a_day(
    store: Folder, revision: str, cause: str, hours: float, *, good: bool
) -> None:
    """It is no hole that stays: the next schema, another cause or the next day need another word."""
    for name in fill(store, 2, proofs="uu"):
        path = store.root / f"backups/staging/{name}/manifest.json"
        path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | {"revision": "7", "cause": "c"}))
    newest, older = repository.listing(store, "staging")
    at = datetime(2026, 4, 1, tzinfo=UTC)
    assert repository.find_accepted(newest, store=store, now=at) is None
    repository.accept(older, Accepted(at=at, author="anna", reason="it is dropped"), store=store)
    like = msgspec.structs.replace(newest, revision=revision, cause=cause)

    found = repository.find_accepted(like, store=store, now=at + timedelta(hours=hours))

    assert good == (found is not None and found.id == older.id)


@pytest.mark.parametrize("name", ["restored.json", "accepted.json"])
@pytest.mark.parametrize("damage", ["", "{", '{"at": 3}', "[]", "\x00"])
def test_a_damaged_word_about_a_backup_counts_for_nothing(store: Folder, name: str, damage: str) -> None:
    """The backup is what its manifest says, and nobody is locked out."""
    [made] = fill(store, 1, proofs="u")
    (store.root / f"backups/staging/{made}/{name}").write_bytes(damage.encode())

    [found] = repository.listing(store, "staging")

    assert (found.id, found.proof, found.accepted) == (made, "unproven", "")


def test_none_is_told_apart_from_none_that_can_be_read(store: Folder) -> None:
    """And both from a name that no backup has."""
    with pytest.raises(SettingsError, match=r"^there is no backup of staging$"):
        repository.find(store, "staging", "")
    (only,) = fill(store, 1)
    with pytest.raises(SettingsError, match=f"^there is no backup nope of staging; there are: {only}$"):
        repository.find(store, "staging", "nope")
    (store.root / f"backups/staging/{only}/manifest.json").write_text("{")
    with pytest.raises(SettingsError, match=f"^no backup of staging can be read: {only}$"):
        repository.find(store, "staging", "")


@pytest.mark.parametrize("damage", ["", "{", '{"id": 3}', "another's"])
def test_a_damaged_manifest_hides_no_good_backup(store: Folder, damage: str) -> None:
    """It is named, left out, and refused when it is asked for."""
    good, bad = fill(store, 2)
    [backup, other] = repository.listing(store, "staging")
    path = store.root / f"backups/staging/{bad}/manifest.json"
    path.write_bytes(msgspec.json.encode(other) if damage == "another's" else damage.encode())

    assert [good] == [one.id for one in repository.listing(store, "staging")]
    assert (bad,) == repository.unreadable(store, "staging")
    with pytest.raises(BackupFailed, match=bad):
        repository.read_manifest(backup, store=store)


def test_a_dump_that_was_cleared_away_never_becomes_a_backup(store: Folder) -> None:
    """Whoever lost the lock while it was proven finds it gone, before the manifest or just after."""
    fill(store, 1)
    [made] = repository.listing(store, "staging")
    store.delete(made.key)
    manifest_key = made.key.replace("/dump", "/manifest.json")
    whole = msgspec.json.decode(b"".join(store.read(manifest_key)), type=repository.Manifest)
    store.delete(manifest_key)

    with pytest.raises(BackupFailed, match="gone from the store"):
        repository.write_manifest(whole, store=store)

    assert list(store.list("backups/staging/")) == []


class Late(Folder):
    """A store in which a manifest comes between a look and the removal."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """What was there, before the manifests."""
        return (key for key in super().list(prefix, after) if not key.endswith("manifest.json"))


def test_a_manifest_that_comes_meanwhile_keeps_its_dump(tmp_path: Path) -> None:
    """It is looked for again, right before anything is removed."""
    fill(store := Folder(tmp_path), 1)

    repository.clear(Late(tmp_path), "staging", older_than=0)

    assert len(repository.listing(store, "staging")) == 1
    assert len(list(store.list("backups/staging/"))) == 2
