"""What git says of a real repository."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from deploylib.errors import SettingsError
from deploylib.models import Commit
from deploylib.system import Git, process
from localrender.source import find
from tests.support.fakes import RecordingRunner, write
from tests.support.repository import Repository


def test_the_top_is_found_from_a_folder_below(repository: Repository) -> None:
    """Whichever folder it is asked in."""
    (repository.root / "a").mkdir()

    assert repository.root.resolve() == Git(repository.root / "a", process.SYSTEM).top().resolve()


def test_a_folder_outside_git_is_refused_with_the_way_in(tmp_path: Path) -> None:
    """A release is a commit, so there must be a repository."""
    with pytest.raises(SettingsError, match="is not in a git repository") as raised:
        Git(tmp_path, process.SYSTEM).top()

    assert "git init" in raised.value.remedy


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config", "[core]\n\trepositoryformatversion = 99\n", "found 99"),
        ("config", "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tnoSuch = x\n", "nosuch"),
        ("config", "[core]\n\trepositoryformatversion = 0\n\tworktree = /nowhere/there\n", "/nowhere"),
        ("config", "[core\n", "bad config"),
        ("HEAD", "", "not a git repository"),
    ],
    ids=["a newer format", "an extension", "a work tree elsewhere", "no settings", "no head"],
)
def test_a_repository_that_git_refuses_is_not_called_absent(
    repository: Repository, name: str, text: str, says: str
) -> None:
    """Whoever began another in its place would damage it."""
    repository.commit({"a": "1"})
    (repository.root / ".git" / name).write_text(text)
    (inner := repository.root / "inner").mkdir()

    with pytest.raises(SettingsError, match="git cannot read the repository at") as raised:
        Git(inner, process.SYSTEM).top()

    assert says in " ".join(raised.value.details)
    assert raised.value.remedy == "see what git says above"


def test_a_folder_that_git_does_not_trust_is_named(tmp_path: Path) -> None:
    """Another owner is another reason, with another remedy."""
    said = b"fatal: detected dubious ownership in repository"
    runner = RecordingRunner(answers={"rev-parse": lambda _: process.Completed((), 128, b"", said)})

    with pytest.raises(SettingsError, match="belongs to another user") as raised:
        Git(tmp_path, runner).top()

    assert "safe.directory" in raised.value.remedy


def test_a_bare_repository_is_named_as_that(repository: Repository, tmp_path: Path) -> None:
    """There is a repository, and nothing to release lies in it."""
    repository.commit({"a": "1"})
    repository.run("clone", "--quiet", "--bare", str(repository.root), str(tmp_path / "bare.git"))

    with pytest.raises(SettingsError, match="is a bare repository") as raised:
        Git(tmp_path / "bare.git", repository.git.runner).top()

    assert "git worktree add" in raised.value.remedy


def test_a_commit_has_its_full_id_and_first_line(repository: Repository) -> None:
    """Also when a branch, a tag or a short id names it."""
    full = repository.commit({"a": "1"}, 'Add "paging"\n\nmore')
    repository.run("tag", "--annotate", "v1", "--message", "one")

    wanted = Commit(id=full, subject='Add "paging"')
    assert [wanted] * 4 == [repository.git.commit(ref) for ref in ("HEAD", "main", "v1", full[:7])]
    assert full[:7] == wanted.short


@pytest.mark.parametrize("ref", ["HEAD", "nowhere", "--output=/tmp/x"])
def test_a_name_of_no_commit_is_refused(repository: Repository, ref: str) -> None:
    """Also one that git would take for an option."""
    with pytest.raises(SettingsError, match="commit"):
        repository.git.commit(ref)


def test_a_short_id_of_several_commits_is_refused_with_all_of_them(repository: Repository) -> None:
    """That there is no such commit would be untrue, and the newest of them a guess."""
    head = repository.commit({"a": "1"})
    tree = repository.run("rev-parse", f"{head}^{{tree}}").strip()
    seen: dict[str, bytes] = {}
    for number in range(100_000):
        body = (
            f"tree {tree}\nauthor A <a@example.com> {number} +0000\ncommitter A <a@example.com> 0 +0000\n\nx\n".encode()
        )
        full = hashlib.sha1(b"commit %d\0%s" % (len(body), body), usedforsecurity=False).hexdigest()
        if full[:5] in seen:
            break
        seen[full[:5]] = body
    for one in (seen[full[:5]], body):
        made = subprocess.run(
            ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
            cwd=repository.root, input=one, capture_output=True, check=True,
        )  # fmt: skip
        assert made.stdout.startswith(full[:5].encode())

    with pytest.raises(SettingsError, match=rf"'{full[:5]}' may be any of 2 commits: .*{full}"):
        repository.git.commit(full[:5])
    assert repository.git.commit(full).id == full


def test_changed_files_are_tracked_files_that_differ(repository: Repository) -> None:
    """Staged, not staged, removed or moved, by their whole names; not what git does not know."""
    repository.commit({"a b": "1\n", "moved": "some text that git knows again\n" * 5, "gone": "1\n", "same": "1\n"})
    write(repository.root, {"a b": "2\n", "new": "1\n"})
    repository.run("mv", "moved", "moved here")
    repository.run("rm", "--quiet", "gone")

    assert sorted(repository.git.list_changed()) == ["a b", "gone", "moved", "moved here"]


def test_untracked_files_are_those_that_git_neither_knows_nor_ignores(repository: Repository) -> None:
    """What is ignored was left out on purpose."""
    repository.commit({".gitignore": "*.log\n"})
    write(repository.root, {"new file": "", "x.log": ""})

    assert repository.git.list_untracked() == ("new file",)


def test_ancestry(repository: Repository) -> None:
    """A commit is in its own history and in that of what follows, not the other way round, not beside it."""
    first = repository.commit()
    second = repository.commit()
    repository.run("checkout", "--quiet", "-b", "beside", first)
    beside = repository.commit(subject="beside")
    git = repository.git

    assert [True, True, False] == [
        git.is_ancestor(*pair) for pair in ((first, second), (first, first), (second, first))
    ]
    assert not git.is_ancestor(beside, second)
    assert (True, False) == (git.has(first), git.has("f" * 40))


def test_a_renamed_file_counts_under_both_names(repository: Repository) -> None:
    """It left one service's folder and came into another's."""
    base = repository.commit({"a/x": "some text\n" * 10, "ü": "1"})
    repository.run("mv", "a/x", "b-x")
    head = repository.commit({"ü": "2"})

    assert sorted(repository.git.files_between(base, head)) == ["a/x", "b-x", "ü"]


def test_a_file_is_read_as_a_commit_has_it(repository: Repository) -> None:
    """Not as it lies in the folder; None where the commit has none."""
    first = repository.commit({"a": "1\n"})
    repository.commit({"a": "2\n"})

    assert ("1\n", None) == (repository.git.read(first, "a"), repository.git.read(first, "b"))


def test_remotes_are_named_once(repository: Repository) -> None:
    """Fetch and push are the same address."""
    assert repository.git.remotes() == {"git@github.com:Example/product.git": "origin"}


def test_a_commit_is_pushed_when_that_remote_branch_has_it(repository: Repository) -> None:
    """Another branch does not count, nor one whose name only ends like it."""
    first = repository.commit()
    repository.push()
    second = repository.commit()
    repository.run("update-ref", "refs/remotes/origin/feature/main", "HEAD")
    git = repository.git

    assert (True, False) == (git.is_pushed(first, "main"), git.is_pushed(second, "main"))
    assert (True, False) == (git.is_pushed(second, "feature/main"), git.is_pushed("f" * 40, "main"))


def test_the_tip_of_a_branch_is_that_of_the_remote_or_of_this_clone(repository: Repository) -> None:
    """A platform that builds from this folder takes its own branch first; a name that only ends like it is another."""
    first = repository.commit()
    repository.push()
    second = repository.commit()
    repository.run("update-ref", "refs/remotes/origin/feature/main", second)
    git = repository.git

    assert (git.tips_of("main", here=False), git.tips_of("main", here=True)) == ((first,), (second,))
    assert (git.tips_of("feature/main", here=True), git.tips_of("other", here=True)) == ((second,), ())


def test_a_commit_is_exported_whole_and_the_repository_stays_as_it_is(repository: Repository) -> None:
    """Also what ``export-ignore`` would leave out; the index is not touched; the folder is gone afterwards."""
    commit = repository.commit({"a/b": "1", ".gitattributes": "a export-ignore\n"})
    repository.commit({"a/b": "2"})
    write(repository.root, {"a/b": "3", "c": "staged"})
    repository.run("add", "c")
    before = repository.run("status", "--porcelain")

    with repository.git.export(commit) as files:
        found = {path.relative_to(files).as_posix(): path.read_text() for path in files.rglob("*") if path.is_file()}

    assert found == {"a/b": "1", ".gitattributes": "a export-ignore\n"}
    assert before == repository.run("status", "--porcelain")
    assert not files.exists()


def test_files_of_somebody_unknown_lead_nowhere_and_start_no_program(repository: Repository, tmp_path: Path) -> None:
    """A link is what it says; a filter that this machine has is not theirs to choose."""
    ran = tmp_path / "ran"
    (repository.root / "outside").symlink_to("/etc/passwd")
    commit = repository.commit({"a": "1", ".gitattributes": "* filter=lfs\n"})
    repository.run("config", "filter.lfs.smudge", f"touch {ran}; cat")
    repository.run("config", "filter.lfs.required", "true")

    with repository.git.export(commit, foreign=True) as files:
        assert {one.name: one.read_text() for one in files.iterdir()} == {
            "a": "1", ".gitattributes": "* filter=lfs\n", "outside": "/etc/passwd"
        }  # fmt: skip
        assert not (files / "outside").is_symlink()
    assert not ran.exists()
    with repository.git.export(commit) as files:
        assert (files / "outside").is_symlink()
    assert ran.exists()


def test_a_commit_is_exported_with_its_submodules(repository: Repository, tmp_path: Path) -> None:
    """As far as this clone has them: each as the commit pins it, and not as it lies there; else an empty folder."""
    library = Repository(tmp_path / "library")
    library.root.mkdir()
    library.run("init", "--quiet", "--initial-branch=main")
    library.commit({"env.py": "1"})
    repository.commit({"a": "1"})
    repository.run("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.root), "migrations")
    commit = repository.commit()
    Repository(repository.root / "migrations").run("commit", "--quiet", "--allow-empty", "--message", "not pinned")
    write(repository.root / "migrations", {"env.py": "2"})
    repository.run("clone", "--quiet", str(repository.root), str(tmp_path / "clone"))

    with repository.git.export(commit) as files:
        assert (files / "migrations/env.py").read_text() == "1"
    with Git(tmp_path / "clone", process.SYSTEM).export(commit) as files:
        assert list((files / "migrations").iterdir()) == []
    assert list(repository.git.submodules(commit)) == ["migrations"]
    assert repository.git.list_changed() == ("migrations",)


def test_a_git_that_fails_is_told_in_its_own_words(repository: Repository) -> None:
    """What cannot be answered is an error of the working copy, with git's words."""
    with pytest.raises(SettingsError, match="git diff failed") as raised:
        repository.git.files_between("f" * 40, "e" * 40)

    assert "bad object" in "\n".join(raised.value.details)


def test_the_files_of_a_commit_and_those_that_lie_there(repository: Repository) -> None:
    """Ignored ones are nobody's; a commit that is not there has none that could be told."""
    commit = repository.commit({"a": "1", "b/c": "1", ".gitignore": "*.log\n"})
    write(repository.root, {"d": "", "x.log": ""})

    assert repository.git.files(commit) == (".gitignore", "a", "b/c")
    assert sorted(repository.git.lying()) == [".gitignore", "a", "b/c", "d"]
    with pytest.raises(SettingsError):
        repository.git.files("0" * 40)


def test_the_commits_of_a_release_are_told_with_their_authors(repository: Repository) -> None:
    """Newest first, as many as are wanted; where git does not know one of the two, that is no answer."""
    first = repository.commit({"a": "1"}, "One")
    second = repository.commit({"a": "2"}, "Two: \x1f \u2028 <b> & more")
    third = repository.commit({"a": "3"}, "Three")
    git = Git(repository.root, process.SYSTEM)

    found = git.commits_since(third, [first], 10)

    assert [(one.id, one.subject) for one in found] == [(third, "Three"), (second, "Two: \x1f \u2028 <b> & more")]
    assert all(one.author and "@" in one.email for one in found)
    assert [one.id for one in git.commits_since(third, [first], 1)] == [third]
    assert git.commits_since(third, [third, first], 10) == ()
    with pytest.raises(SettingsError):
        git.commits_since(third, ["f" * 40], 10)


@pytest.mark.parametrize(
    ("remote", "web"),
    [
        ("git@github.com:owner/name.git", "https://github.com/owner/name"),
        ("https://x-access-token:s3cr3t@github.com/owner/name", "https://github.com/owner/name"),
        ("ssh://git@gitlab.example.com:2222/group/sub/name.git/", "https://gitlab.example.com/group/sub/name"),
        ("/srv/git/name.git", ""),
        ("file:///srv/git/name.git", ""),
        ("git@host:name.git", ""),
    ],
)
def test_a_repository_is_looked_at_where_its_remote_is(remote: str, web: str, tmp_path: Path) -> None:
    """Without who asks, and not at a path of this machine; of several remotes it is the origin."""
    said = f"other\thttps://example.com/a/b (fetch)\norigin\t{remote} (fetch)\n"
    one = f"origin\t{remote} (fetch)\n"

    assert Git(tmp_path, RecordingRunner(answers={"remote": one.encode()})).web() == web
    assert Git(tmp_path, RecordingRunner(answers={"remote": said.encode()})).web() == (web or "https://example.com/a/b")


def test_when_commits_were_made_and_what_was_before_them(repository: Repository) -> None:
    """Of those that this clone has; what is no id is asked of nobody."""
    first, second = repository.commit({"a": "1"}), repository.commit({"a": "2"})

    told = repository.git.ancestry([second, "e" * 40, "--all", ""], 9)

    assert {commit: parents for commit, (_, parents) in told.items()} == {second: (first,), first: ()}
    assert all(at.tzinfo is not None for at, _ in told.values())
    assert repository.git.ancestry(["e" * 40], 9) == repository.git.ancestry([], 9) == {}


SIGNED = """tree {tree}
parent {parent}
author Zoë <z@example.org> 1700000000 +0000
committer Zoë <z@example.org> 1700000000 +0000
gpgsig -----BEGIN PGP SIGNATURE-----
 AAAA
 -----END PGP SIGNATURE-----

Grüße
"""
GPG = "#!/bin/sh\necho 'gpg: Good signature' >&2\necho '[GNUPG:] GOODSIG 0123456789ABCDEF Zoe'\n"


def signed(repository: Repository) -> tuple[str, str]:
    """Two commits, of which the second is signed, and changes two folders."""
    first = repository.commit({"web/a": "1", "api/a": "1"})
    repository.commit({"web/a": "2", "api/a": "2"})
    tree = repository.run("rev-parse", "HEAD^{tree}")
    write(repository.root.parent, {"object": SIGNED.format(tree=tree, parent=first), "gpg": GPG})
    (repository.root.parent / "gpg").chmod(0o700)
    full = repository.run("hash-object", "-t", "commit", "-w", "../object")
    repository.run("reset", "--quiet", "--hard", full)
    repository.run("config", "gpg.program", str(repository.root.parent / "gpg"))
    return first, full


@pytest.mark.parametrize(
    "setting",
    [
        "log.showSignature=true",
        "i18n.logOutputEncoding=ISO-8859-1",
        "diff.relative=true",
        "diff.ignoreSubmodules=all",
        "status.showUntrackedFiles=no",
        "status.relativePaths=true",
        "core.quotePath=true",
        "color.ui=always",
        "log.abbrevCommit=true",
        "format.pretty=oneline",
        "core.abbrev=5",
        "diff.external=false",
    ],
)
def test_what_git_says_does_not_hang_on_what_somebody_has_set(repository: Repository, setting: str) -> None:
    """An answer is the same whoever asks, and from whichever folder."""
    first, full = signed(repository)
    name, _, value = setting.partition("=")
    repository.run("config", name, value)

    assert repository.git.commit("HEAD") == Commit(id=full, subject="Grüße")
    assert [(one.id, one.subject, one.author) for one in repository.git.commits_since(full, [first], 9)] == [
        (full, "Grüße", "Zoë")
    ]
    assert Git(repository.root / "web", process.SYSTEM).files_between(first, full) == ("api/a", "web/a")
    assert repository.git.list_changed() == ()
    assert find(str(repository.root), "main", full).id == full


@pytest.mark.parametrize("name", Git.REDIRECTING)
def test_what_git_sets_for_a_hook_leads_nowhere_else(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A command in a hook or an alias is about the folder that it is typed in, submodules included."""
    inner = Repository.make(tmp_path / "inner")
    inner.commit({"of-it": "1"})
    repository.run("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "lib")
    full = repository.commit({"web/a": "1"})
    other = Repository.make(tmp_path / "other")
    other.commit({"of-another": "1"})

    monkeypatch.setenv(name, str(other.root / ".git"))

    assert repository.git.top().resolve() == repository.root.resolve()
    assert repository.git.commit("HEAD").id == full
    assert Git(repository.root / "web", process.SYSTEM).list_changed() == ()
    with repository.git.export(full) as files:
        assert (files / "lib/of-it").read_text() == "1"


def test_a_submodule_stays_where_it_is_while_a_commit_is_read(repository: Repository, tmp_path: Path) -> None:
    """Whatever git is told to do with submodules when a tree is read."""
    inner = Repository.make(tmp_path / "inner")
    older = inner.commit({"of-it": "1"})
    repository.run("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "lib")
    full = repository.commit({"a": "1"})
    newer = inner.commit({"of-it": "2"})
    lib = Repository(repository.root / "lib")
    lib.run("fetch", "--quiet")
    lib.run("checkout", "--quiet", newer)
    repository.run("config", "submodule.recurse", "true")

    with repository.git.export(full) as files:
        assert (files / "lib/of-it").read_text() == "1"

    assert lib.run("rev-parse", "HEAD") == newer != older
