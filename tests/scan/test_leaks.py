"""Secrets: how many kinds are found, also of those that no rule was written for, and what is rightly left alone."""

from __future__ import annotations

import builtins
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploylib.models.findings import Examined, Verdict
from deploylib.scanners import Product, credentials, list_files
from deploylib.settings import ScanSettings
from deploylib.system import Clock, Deadline
from tests.scan.corpus import KINDS, held_back, planted
from tests.scan.lookalikes import lookalikes
from tests.support.fakes import FakeClock, write

VALUES = 3
RECALL, RECALL_OF_HELD_BACK = 0.98, 0.85
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _rules_are_compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In a folder of the tests, not in the home of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KF_RULE_CACHE_DIR", str(tmp_path_factory.mktemp("rules")))
        yield


def examined(root: Path, files: Mapping[str, str], **settings: object) -> Examined:
    """What is said of a tree with these files."""
    write(root, dict(files))
    clock = FakeClock()
    chosen = msgspec.convert(settings, ScanSettings)
    said = credentials.scan_credentials(Product(root, chosen, deadline=clock.deadline(60)))
    return said.judge(chosen.accepted, clock.now().date())


def test_most_kinds_of_secrets_are_found_also_those_held_back(tmp_path: Path) -> None:
    """Three values of every kind; the floors are what was measured, and the third that was held back counts alone."""
    places = {f"{kind}/{number}": planted(kind, number) for kind in KINDS for number in range(VALUES)}
    said = examined(tmp_path, {f"{place}/{name}": text for place, (name, text) in places.items()})
    hit = {"/".join(found.path.split("/")[:2]) for found in said.findings}

    def recall(kinds: list[str]) -> float:
        return sum(f"{kind}/{number}" in hit for kind in kinds for number in range(VALUES)) / (VALUES * len(kinds))

    seen, held = [kind for kind in KINDS if not held_back(kind)], [kind for kind in KINDS if held_back(kind)]
    print(f"{len(KINDS)} kinds: {recall(list(KINDS)):.1%}; {len(held)} held back: {recall(held):.1%}")
    assert len(KINDS) >= 60
    assert len(held) * 3 >= len(KINDS) - 2
    assert recall(seen) >= RECALL
    assert recall(held) >= RECALL_OF_HELD_BACK


def test_no_value_is_ever_in_what_is_said(tmp_path: Path) -> None:
    """Neither whole nor a piece of twelve characters."""
    plants = {kind: planted(kind, 0) for kind in KINDS}
    said = repr(examined(tmp_path, {f"{kind}/{name}": text for kind, (name, text) in plants.items()}))
    pieces = {text[at : at + 12] for _, text in plants.values() for at in range(len(text) - 12)}

    assert len(said) > 10_000
    assert [] == [piece for piece in pieces if piece in said and any(char.isdigit() for char in piece)]


def test_look_alikes_are_left_alone(tmp_path: Path) -> None:
    """A scanner that cries wolf is switched off."""
    said = examined(tmp_path, lookalikes())

    assert len(lookalikes()) >= 25
    assert [] == [(found.rule, found.where) for found in said.findings]
    assert (Verdict.CLEAN, {"file": len(lookalikes())}) == (said.verdict, said.counted)


def test_this_repository_holds_no_secret(tmp_path: Path) -> None:
    """Its tests build theirs while they run."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    names = [name for name in done.stdout.split("\0") if name and (REPOSITORY / name).is_file()]
    said = examined(tmp_path, {name: (REPOSITORY / name).read_text(errors="replace") for name in names})

    assert [] == [(found.rule, found.where) for found in said.findings]
    assert said.verdict is Verdict.CLEAN


def test_a_finding_names_rule_file_and_line(tmp_path: Path) -> None:
    """And what to do, also when it is none."""
    _, text = planted("render-hook", 0)
    said = examined(tmp_path, {"ops/ship.sh": f"#!/bin/sh\n\n{text}"})

    assert ["ops/ship.sh:6"] == [found.where for found in said.findings]
    assert "render-deploy-hook" == said.findings[0].rule
    assert "[[scan.accepted]]" in said.findings[0].remedy


def test_an_accepted_secret_is_told_with_its_reason(tmp_path: Path) -> None:
    """By rule and path."""
    name, text = planted("python-constant", 0)
    accepted = [{"rule": "assigned-password", "path": "tests/**", "reason": "a server that lives for one test"}]

    said = examined(tmp_path, {f"tests/{name}": text}, accepted=accepted)

    assert (Verdict.CLEAN, 1) == (said.verdict, len(said.accepted))


def test_what_cannot_be_looked_at_is_not_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is too large, or no time left."""
    monkeypatch.setattr(credentials, "LARGEST", 100)
    said = examined(tmp_path, {"large.csv": "x" * 101, "small.txt": "x"})
    assert (Verdict.NOT_EXAMINED, {"file": 1}, "large.csv") == (said.verdict, said.counted, said.gaps[0].what)
    assert examined(tmp_path, {}, ignored=["*.csv"]).verdict is Verdict.CLEAN

    late = credentials.scan_credentials(Product(tmp_path, deadline=Deadline.after(0, Clock())))
    assert ["time ran out after 0 of 2 files"] == [gap.reason for gap in late.gaps]


def test_a_file_whose_name_is_no_utf8_is_looked_into(tmp_path: Path) -> None:
    """Only its name is odd."""
    _, text = planted("render-hook", 0)
    odd = os.fsdecode(b"\xe9t\xe9.sh")
    (tmp_path / odd).write_text(text)

    said = examined(tmp_path, {})

    assert (Verdict.FINDINGS, ()) == (said.verdict, said.gaps)
    assert {odd} == {found.path for found in said.findings}


def test_without_the_engine_it_is_not_examined_but_our_rules_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a look is none; what it finds counts all the same."""
    real = builtins.__import__

    def missing(name: str, *more: Any, **named: Any) -> Any:
        if name == "kingfisher_sdk":
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    name, text = planted("render-hook", 1)

    assert examined(tmp_path / "a", {"a.txt": "nothing"}).verdict is Verdict.NOT_EXAMINED
    assert examined(tmp_path / "b", {name: text}).verdict is Verdict.FINDINGS


def test_links_are_not_followed(tmp_path: Path) -> None:
    """What they point at is not of the commit."""
    name, text = planted("pem-rsa", 0)
    write(tmp_path, {name: text, "tree/a.txt": "nothing"})
    (tmp_path / "tree" / "link").symlink_to(tmp_path / name)

    assert ("a.txt",) == list_files(tmp_path / "tree")
    assert examined(tmp_path / "tree", {}).verdict is Verdict.CLEAN


def test_binary_files_are_looked_at_by_the_engine(tmp_path: Path) -> None:
    """A key inside one is found; what is no text is no error."""
    _, text = planted("github-classic", 0)
    (tmp_path / "data.bin").write_bytes(bytes(range(256)) + text.encode() + bytes(range(256)))

    assert examined(tmp_path, {}).verdict is Verdict.FINDINGS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_in_utf16_is_text(tmp_path: Path, encoding: str) -> None:
    """What a PowerShell redirects into a file, a key as well as a rule's word; it is full of NUL and no binary file."""
    for kind in ("github-classic", "python-constant"):
        name, text = planted(kind, 0)
        (tmp_path / name).write_bytes(f"\ufeff{text}".encode(encoding))

        assert examined(tmp_path, {}).verdict is Verdict.FINDINGS, kind
        (tmp_path / name).unlink()
